// Package bench measures this machine: the whole service, with fsync as in production, against an upstream of its own,
// and beside each figure the ceiling that belongs to it, measured in turn with it in the same run. Absolute figures
// move with a machine's neighbours by a factor of two; ratios hardly do.
//
//	single     durable events/s, one a request         / the same webhook with a store that answers at once
//	batch      durable events/s, NDJSON of 100         / the same
//	nats       events/s through JetStream, the server  / the webhook's NDJSON of 100, same service
//	           syncing each, and as is its default
//	           durable events/s by request and reply   / the webhook's single events, same service
//	push       pushes/s of a backlog, upstream 50 ms   / a bare loop of net/http against the same upstream
//	pipe       events/s in and delivered, in order,    / the same loop
//	           upstream 20 ms, and CPU per event
//	latency    accepted to delivered, upstream 20 ms   / the upstream's own 20 ms
//	nodes      the same as pipe, of 1, 2, 3 nodes on   / pipe, of the embedded engine
//	           one PostgreSQL, and CPU of both
//	backlog    memory with a million pending pushes, and the way from a process's start to its first push
//
// # Who runs where
//
// This process makes the load and is the upstream (sandbox.Raw). What is measured runs in a process of its own, so
// that its CPU and memory are its own:
//
//	this process                          child
//	load ──── HTTP/1.1, keep-alive ─────▶ service | webhook without a store
//	load ──── NATS ─────────────────────▶ NATS server ◀──── service, in another child
//	upstream ◀──── updatePath ─────────── service | bare client
//	part ──── JSON on stdin, stdout ────▶ Serve
//
// The load is written and read as raw HTTP/1.1: with net/http on this side, half of what is measured would be this
// side.
//
// # Events
//
// Every waybill goes the whole way in five events (see journey). A connection has a window of waybills and sends the
// first event of all of them, then the second, and so on, so that the events of one waybill come apart from each
// other, as scans do. The first brings the waybill's Token. The book notes what was accepted and what arrived, and so
// knows of each waybill whether anything was lost, repeated or out of order.
package bench
