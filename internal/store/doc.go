// Package store says what is kept, and what an engine that keeps it must promise.
//
// An engine takes events, decides them with [state.Machine] and makes the decision and all its effects durable in
// one commit ([Store.Apply]). Pushing reads what is stored ([Store.Lane], [Store.Sweep], the [Feed]) and writes back
// what became of it ([Store.Settle]). Nothing else connects the two halves.
//
// Two engines implement [Store]: package pebble (embedded, one node) and a shared database. Package storetest holds
// the suite that both pass.
//
// Words used here:
//
//	seq    an event's number in this service, in order of arrival; its push has the same number
//	ord    an event's place in the order of acceptance; the order in which a waybill's pushes are sent.
//	       It equals seq for an event accepted as it came, and is larger for one that was held first.
//	open   a push that is pending: not delivered, failed or discarded
//	end    a push that becomes one of these, or an event that becomes rejected; dispatch systems are told of ends
package store
