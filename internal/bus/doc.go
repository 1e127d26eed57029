// Package bus connects the service to NATS, where dispatch systems publish scans and hear what became of them.
//
// # Taking events
//
// Scans come through the JetStream stream CARRIER_EVENTS (subjects carrier.events.SOURCE) and its durable pull consumer
// carrier-ingest, which all nodes share. What is fetched is gathered while the store commits, and goes to the store
// together: one commit for up to 1,000 messages. A message is answered only when its fate is settled:
//
//	durable in our store            ack                    it leaves the stream
//	the store did not take it       nak with a delay       it comes again; nothing is fetched meanwhile
//	it can never be taken           term, after its bytes  an operator finds it among the dead letters
//	                                were kept
//	anything else                   nothing                it comes again when the consumer's ack_wait is over
//
// An acknowledgement that gets lost costs a repetition, which the store knows by source and id. A dead letter may be
// kept twice in the same way. So every message is taken at least once and counts once. The order of the stream is kept,
// apart from messages that come again.
//
// Scans and Tokens come as requests, too, to the micro service carrier (carrier.submit.SOURCE, carrier.token.DELIVERY_ID).
// The answer comes when it is durable; what waits meanwhile shares the next commit, in order of arrival.
//
// # Telling and asking
//
// Every push that ends, every rejected event, and every waybill that WeChat does not show as it was delivered, is told on
// carrier.outcomes.DELIVERY_ID.STATUS, at least once and in order, from the store's notices: an outage delays, and loses
// none. Dispatch systems are asked about WeChat's orders on carrier.orders.DELIVERY_ID.EVENT. api/asyncapi.yaml describes
// all subjects.
//
// # What is on the server
//
// Streams and consumer are made if they are missing. If they are there they are never changed but by [Apply]: they may
// be so on purpose. [Plan] lists what differs, and which of it does harm; with harm to the events the intake stands
// still, because going on could lose some.
//
// # When NATS is away
//
// The connection comes back by itself, however long it takes, and whatever the reason, refused credentials among them.
// Nothing is buffered meanwhile: what could not be sent is known not to be sent. [Bus.Degraded] says what does not work
// at present. Nothing of this touches the webhook or the pushes.
package bus
