// Package pebble is the embedded storage engine: one folder, one process, no server.
//
// One writer goroutine takes whatever waits (events, outcomes, Tokens, replays, deadlines), decides all of it with
// [state.Machine] and writes one atomic batch. The fsync of that batch runs while the next one is being decided; an
// acker goroutine waits for it and only then answers the callers, feeds the lanes and moves the durable watermark.
// Nothing is answered, fed or shown as sendable before it is on disk. Between the write and the fsync the memory of
// the writer is ahead of the disk, so a failed write or fsync ends the process (Options.Fatal).
//
// A new event of a new waybill costs no read: a filter of the event ids and one of the waybills say "never seen", and
// what is needed of recent waybills is cached.
//
// # Keys
//
// A key is one letter and big-endian numbers or names; names hold no control characters, so a zero byte ends them.
// A number (seq) is given to every event, and one more (ord) to an event that is accepted later than it came.
//
//	l seq                     the event as it came, immutable, with a CRC-32C that every read checks
//	d source 0 id             seq and content hash: tells a duplicate from a conflict
//	w delivery 0 waybill 0 seq  the event's place in its waybill's timeline; rewritten when its verdict changes
//	r seq                     the push: status, tries, attempts; absent while it is pending and was never tried
//	h deadline seq            held events by the moment (Unix ms) until which they wait
//	t deadline seq            pushes without a Token by the moment until which they wait for one
//	q seq                     open pushes that the natural order of l does not show (below)
//	i kind value 0 seq        what rows are listed under that may change: nothing in the value
//	b kind value 0 span       what events are listed under that never changes: a bitmap of the span's numbers
//	k delivery 0 waybill      Tokens, newest first; sealed if there are keys (sealTokens)
//	o delivery 0 biz 0 order  an order and what WeChat was answered
//	v delivery 0 waybill 0 number  the key of an order of that waybill, the newest last
//	s delivery 0 waybill      what the customer is shown, and when the waybill was expunged
//	u deadline hash           signed requests that came before, by the moment until which they are remembered
//	e delivery 0 waybill      expunged waybills whose bytes are still in the files (washer)
//	p delivery 0 waybill      parked and frozen, since when and why; absent while neither
//	x delivery                what outlives a restart of an account
//	y name                    secrets of other parts of the service; sealed if there are keys
//	a number                  what people did, as JSON
//	j number                  replays and how far they are, as JSON
//	n number                  what is to be told: ends (of which event, and what its own rows may not say any more by
//	                          then), and what became of rows of z
//	z delivery 0 waybill      what upstream was seen not to show as it was delivered, as JSON
//	g number                  messages that can't be read, with their bytes, as JSON; the oldest go (maxLetters)
//	N number 0 delivery 0 waybill  waybills of which an event or a Token is kept, by their number from its last character
//	                          on, in lower case ([store.Reversed]): nothing in the value
//	c name                    counters, written in the batch that changes them
//	m name                    format, instance, next number, when anything last ended, low-water mark, first span that is
//	                          not in b, notice up to which all are told, dead letter up to which all were dropped,
//	                          what the store is being filled from (carrier store migrate)
//
// # Which pushes are open
//
// There is no index of pending pushes for the common case. An event that is accepted as it comes, with its waybill's
// Token known, is a natural push: its l row says so, and it is open until a final r row exists. All natural pushes
// below the low-water mark are final. Every other open push has a row in q or t. A natural push that stays open
// while maxNatural numbers pass it is moved to q, so that the mark is never far behind.
//
// With Options.DiscardUnknown, an event whose waybill has no Token is accepted with a row in r that says discarded, and
// none in t: nothing waits, and no deadline is carried out. A Token reads the waybill's timeline and reopens them.
//
// # Notices
//
// With Options.Notify, each end has a row in n, written in its commit. The numbers have no gaps, and nothing else is kept
// of which are told than the number up to which all are: those rows are gone, by one deletion of a range. How often an
// event ended is in the row of its push, where it is not what the status says anyway, so an event's first end costs its
// row in n and no more. Where a store was carried here from an engine whose numbers have gaps, rows that say nothing fill
// them. A row of z that is new, says something else or goes has its row in n, too, which points to nothing.
//
// An event stays as long as a notice of it may wait. That needs no list: notices are in the order of time, so those of a
// waybill of which nothing happened since the oldest that waits are told. Without Notify nobody will be told, so what is
// left in n is forgotten once it is older than the retention.
//
// # What is forgotten
//
// Expunge rewrites the rows of one waybill: the text of an event is the only part of l that can ever change, and the row
// says so. Of what the customer is shown only the texts go, and texts as old as that are not kept when WeChat tells them
// anew. Row and hash of an event's id stay, so it is still known when it comes again. What is left for as long as the
// retention are numbers, times, verdicts, and hashes of the texts (SHA-256, cut short). The bytes leave the tables and
// the logs some seconds later; backups that were made before keep them, as do acts and reasons in people's own words,
// and messages that could not be read, until these are older than the retention.
//
// # Lists
//
// A list never scans. Numbers are cut into spans of 65,536, and a query is an intersection of sets of rows, worked out
// span by span from the newest or the oldest on:
//
//   - account, source and action type never change. They are collected in memory, and written to b once the span is
//     full; at the start, the events of spans that are not in b are read again.
//   - failed and discarded pushes, the reasons and errcodes of pushes, verdicts other than accepted and their reasons
//     are rare, and have a row in i, written in the commit that changes them. All of i is in memory, too, as bitmaps.
//   - which pushes are open, lack a Token, wait for a retry or perhaps for an earlier push is in memory only. It is read
//     from q, t and, above the low-water mark, l at the start, beside the traffic. Lists wait for that.
//   - the many are what the few are not: delivered is neither open nor failed nor discarded; accepted is neither held
//     nor ignored nor rejected.
//
// A set may hold too much, and never too little of what stays as it is while a list is read; each row that is found is
// checked in full. What is looked at for a page is bounded (searchRows, searchStandings, searchSpans), so a page may be
// short, or even empty, and have a next: where most of what is listed does not match in the end. That is so for pushes
// that wait for a breaker or an account and are mostly not the first of their waybill, and for reasons that are the same
// for their first 64 bytes.
//
// Retention deletes the rows of i with their events, and afterwards writes the spans of b anew that are old as a whole.
//
// # Finding waybills
//
// The end of a number is found by N, which costs a waybill one row for its life. Silent waybills are found by the numbers
// of their newest accepted events, which are in memory (fronts): lower numbers came earlier. Both see all that is kept.
package pebble
