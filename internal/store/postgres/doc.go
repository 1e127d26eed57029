// Package postgres is the storage engine on PostgreSQL: any number of nodes share one database.
//
// Callers hand operations to a few committers, a waybill's always to the same one. A committer takes what waits and makes
// one transaction of it: a first round trip locks the waybills' rows and reads all that is foreseen (load), then the
// operations decide, one after the other, on what is in memory (tx), and a second round trip writes all that changed and
// commits (save). Only then are callers answered and lanes fed.
//
// # Locks
//
// A waybill's row is its lock: whoever changes anything of its events and pushes holds it. Rows are locked in this order:
// waybills in the order of their keys, replays, serials. Numbers are taken from the sequence after the waybills are
// locked, so that seq and ord rise within a waybill, whichever nodes take part. A waybill that is not there yet can't be
// locked: of two transactions that make it, the second fails and is made anew, as is one that PostgreSQL ends as a
// deadlock.
//
// # What a lost connection leaves behind
//
// Before the second round trip: nothing. After it was sent, what became of it is looked up by the row of commits that
// each transaction writes. If that can't be found out in time, callers get an error that is no store.ErrUnavailable: the
// outcome is unknown, and the same call may be made again.
//
// # Notices
//
// With Options.Notify, each end has a row in notices, written in its transaction. Numbers are taken before transactions
// commit, so a lower one may appear after a higher one; Notices shows only what lies before all of these (horizon).
//
// # Lists
//
// A list goes through the numbers from one end, window by window, and ends a page when it is full or has taken its time
// (search). Within a window PostgreSQL picks the way: along the numbers, or by an index of the few that are open, ended
// without being delivered, or not accepted. What pushes wait for is worked out from their waybills' rows.
//
// # Nodes
//
// A waybill belongs to one of 256 slots, and a slot to one node, which alone pushes its waybills (leases). Events, Tokens
// and what people do are taken on any node; the owner hears of it by NOTIFY (listen). A transaction reads what its node
// owns by the word of the database and keeps that so until it ends (ownedBy): an outcome of a push whose waybill was
// taken over is store.ErrNotOwner, and nothing is told to lanes or left untold by mistake. Where nothing comes through
// to a node for a while, all that is open is read again; now and then it is looked for in any case (polls).
//
// A lease can't be checked by upstream. A node that stands still between its last look at the lease and the sending, for
// longer than the lease lasts, and then goes on, may send one push a waybill after its successor has: it is cut off as
// soon as the node runs again, and recorded by nobody.
//
// # What is forgotten
//
// Retention deletes waybills as a whole, with all that was kept of them, once nothing will come of them any more, and
// drops a partition of events once nothing is left in it and no transaction can add to it. How old something is, is
// reckoned by the earlier of the node's clock and the database's.
//
// Expunge takes the texts out of the rows. PostgreSQL keeps old versions of rows until it vacuums the tables, and its
// log as long as it is told to; backups keep what they have.
//
// # Moving
//
// Export reads all that is kept in one snapshot, and Import writes it under the numbers that it has elsewhere. While a
// database is being filled, and once all of it has gone elsewhere, commits has a constraint that nothing meets: a node
// that starts refuses to, and one that stood still meanwhile can commit nothing.
//
// # Figures
//
// Stats never counts rows. A transaction notes in its row of commits what it adds to counters; old rows are added up in
// the background. A node knows its own transactions at once, and those of others within a second.
package postgres
