// Package ingest takes scan events in, one at a time or in batches, as plain JSON or as CloudEvents: over HTTP by the
// [Webhook], and as a [Message] of any other way by the [Desk] behind it.
//
// A request goes through these steps, and what fails at one of them is answered as a [problem.Problem] with the code
// in brackets; nothing of it is kept.
//
//	who sends         API key or signature                          401 unauthorized
//	how much          the source's rate; a batch costs its events   429 rate_limited
//	in what form      media type, charset, content encoding         415 unsupported_...
//	is there room     the store says whether it takes writes        503 store_unavailable
//	how large         Options.MaxBody                               413 body_too_large
//	can it be read    UTF-8, then JSON                              400 not_utf8, malformed_json
//	is it an event    known fields, right types, the rules          422 invalid_event with errors
//	whose is it       the source may use the delivery_id            403 forbidden_delivery_id
//	what is it        the store decides and keeps                   200, 202, or 409 rejected, conflict
//
// In a batch everything from "can it be read" on is told of each event by itself.
//
// # Messages
//
// A message takes the same steps from "in what form" on, and is answered with the same words. Who may send under which
// name is not decided here but by the way that it came, NATS with its permissions: a name that is configured as a
// source has that source's accounts and shares its ids with what it sends over HTTP; any other name is a source of its
// own, for all accounts. A source's rate is for HTTP: messages wait where they are until somebody takes them.
//
//	verdict                                       Reply      what to do with the message
//	accepted, held, ignored, duplicate, rejected  Durable    acknowledge it
//	none: the store's trouble                     Again      bring it again after that time
//	invalid, conflict                             neither    keep it for somebody to look at: it will never be taken
//
// # Traces
//
// The header traceparent (W3C Trace Context, version 00) stays with the events that came with it, in batches with all
// of them. A CloudEvent's attribute of that name counts where there is no such header.
//
// # Signatures
//
// A source with signing keys must sign its requests as Standard Webhooks says (webhook-id, webhook-timestamp,
// webhook-signature over the bytes of the body); its API key, if it has one too, is not taken. A signed request does
// not name its source: it comes from the source one of whose keys verifies it, which is why no two sources may share
// a key. A request may carry several signatures and a source may have several keys, so that either side can rotate.
// A request that is sent again within the five minutes is no danger: its events have the ids that they had before.
//
// # Reading JSON
//
// encoding/json takes much that a sender can't have meant: fields by another letter case, repeated fields of which
// the last wins, half a surrogate pair. Events are therefore read by a walk of our own over bytes that encoding/json
// has found valid (walk.go, decode.go); a fuzz test holds it against encoding/json. The rules are written twice: as
// validator tags on the wire struct, which find the words for what is wrong, and by hand for the many events in which
// nothing is (rules.go), ten times faster. A property test holds the two against each other.
package ingest
