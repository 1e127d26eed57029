// Package sender sends events from a file to the service: the other side of package ingest.
//
// A [Reader] takes events out of NDJSON or CSV, one [Item] each with the line that it stands on. A [Sender] puts them
// into batches and posts these until they are answered, to the webhook or, over NATS, to carrier.submit.SOURCE:
//
//	Reader ── items ──▶ dispatcher ──┬─ lane 1: batch, batch ──▶ link: POST /v1/events/batch, or a request
//	                                 ├─ lane 2                    │
//	                                 └─ lane N                 tally ──▶ Summary
//
// All events of a waybill go through the same lane, and a lane posts its next batch only when the one before it is
// answered, so that events of one waybill never overtake each other, whatever is tried again. Events of different
// waybills may; one lane keeps the order of the whole file.
//
// An answer is an event's verdict. What has no answer when sending ends (an interruption, a service that does not come
// back) is counted as unanswered, and [Summary.NextLine] is the first line of it: all before it is settled. Sending
// from there, or all over again, does no harm: what was taken before is answered as duplicate.
//
// Memory is bounded by the batches under way, not by the file: each lane has at most three, and no line may be longer
// than a batch.
package sender
