package postgres

import (
	"cmp"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
)

var idColumns = []column[*idRow]{
	plain("source", "text", func(i *idRow) *string { return &i.source }),
	plain("id", "text", func(i *idRow) *string { return &i.id }),
	number("seq", func(i *idRow) *uint64 { return &i.seq }),
	plain("hash", "bytea", func(i *idRow) *[]byte { return &i.hash }),
}

var insertIDs = insertSQL("event_ids", idColumns)

// notice is a row of notices, without its number.
type notice struct {
	seq     uint64
	nth     int
	at      int64 // Unix ms.
	status  store.Status
	tries   int
	errcode int
	reason  string
	replay  uint64

	difference *store.Difference // nil: it is an end. Otherwise nothing but at is set.
}

var noticeColumns = []column[*notice]{
	number("seq", func(n *notice) *uint64 { return &n.seq }),
	whole("nth", "integer", func(n *notice) *int { return &n.nth }),
	stamp("at", func(n *notice) *int64 { return &n.at }),
	small("status", func(n *notice) *store.Status { return &n.status }),
	whole("tries", "integer", func(n *notice) *int { return &n.tries }),
	whole("errcode", "integer", func(n *notice) *int { return &n.errcode }),
	plain("reason", "text", func(n *notice) *string { return &n.reason }),
	number("replay", func(n *notice) *uint64 { return &n.replay }),
	computed("difference", "json", func(n *notice) *string { return n.differenceColumn() }),
}

// insertNotices gives numbers in the order of the arrays.
var insertNotices = numberedSQL("notices", "number", "nextval('notice_numbers')", noticeColumns)

var auditColumns = []column[*store.AuditEntry]{
	computed("at", "timestamptz", func(e *store.AuditEntry) pgtype.Timestamptz { return timestamp(codec.Millis(e.At)) }),
	computed("by", "text", func(e *store.AuditEntry) string { return text(e.By) }),
	computed("origin", "text", func(e *store.AuditEntry) string { return text(e.From) }),
	computed("action", "text", func(e *store.AuditEntry) string { return text(e.Action) }),
	computed("reason", "text", func(e *store.AuditEntry) string { return text(e.Reason) }),
	computed("detail", "text", func(e *store.AuditEntry) string { return text(e.Detail) }),
	plain("delivery_id", "text", func(e *store.AuditEntry) *string { return &e.DeliveryID }),
	plain("waybill_id", "text", func(e *store.AuditEntry) *string { return &e.WaybillID }),
	number("seq", func(e *store.AuditEntry) *uint64 { return &e.Seq }),
	number("replay", func(e *store.AuditEntry) *uint64 { return &e.Replay }),
}

// insertAudits numbers the entries without gaps, in the order of the commits: the row of serials is locked until then.
var insertAudits = serialSQL("audit", "number", "audit", auditColumns)

// save writes all that changed and commits, in one round trip. committed tells whether PostgreSQL said that it did; with
// an error that does not come from PostgreSQL, it may have done so all the same.
func (x *tx) save() (committed bool, err error) {
	if err := x.prepareSave(); err != nil {
		return false, err
	}
	var batch pgx.Batch
	x.queueEvents(&batch)
	x.queueWaybillRows(&batch)
	x.queueReplays(&batch)
	x.queueNotices(&batch)
	for _, st := range x.extra {
		batch.Queue(st.sql, st.args...)
	}
	x.queueAudits(&batch) // It takes numbers from a row that all such transactions lock: as late as can be.
	x.queueNews(&batch)
	x.queueCommit(&batch)
	batch.Queue("COMMIT").Exec(func(pgconn.CommandTag) error {
		// A crash up to here leaves nothing of the transaction; from here on, all of it.
		committed = true
		return nil
	})
	x.trips++
	return committed, x.conn.SendBatch(x.ctx, &batch).Close()
}

// prepareSave sees that there is room for the new events.
func (x *tx) prepareSave() error {
	if len(x.made) == 0 {
		return nil
	}
	return x.s.partitions.cover(x.ctx, x.made[len(x.made)-1].seq)
}

func (x *tx) queueEvents(batch *pgx.Batch) {
	if len(x.made) > 0 {
		batch.Queue(insertEvents, arrays(eventColumns, x.made)...)
		slices.SortFunc(x.madeIDs, func(a, b idRow) int { return compareIDs(a.eventID, b.eventID) })
		batch.Queue(insertIDs, arrays(idColumns, pointers(x.madeIDs))...)
	}
	if len(x.changed) > 0 {
		rows := slices.SortedFunc(maps.Values(x.changed), func(a, b *row) int { return cmp.Compare(a.seq, b.seq) })
		batch.Queue(updateEvents, arrays(mutableColumns, rows)...)
	}
}

func (x *tx) queueWaybillRows(batch *pgx.Batch) {
	var fresh, known []*waybill
	for _, w := range x.dirtyWaybills() {
		w.encode()
		if x.touched[w.name] {
			x.sign(w)
		}
		if w.stored {
			known = append(known, w)
		} else {
			fresh = append(fresh, w)
		}
	}
	// Another transaction may have made a row meanwhile that was not there to be locked: this one fails then, and is made
	// anew.
	if len(fresh) > 0 {
		batch.Queue(insertWaybills, arrays(waybillColumns, fresh)...)
	}
	if len(known) > 0 {
		batch.Queue(updateWaybills, arrays(waybillColumns, known)...)
	}
}

func (x *tx) queueNotices(batch *pgx.Batch) {
	if len(x.notices) > 0 {
		batch.Queue(lockNotices)
		batch.Queue(insertNotices, arrays(noticeColumns, x.notices)...)
	}
}

func (x *tx) queueAudits(batch *pgx.Batch) {
	if len(x.audits) > 0 {
		batch.Queue(insertAudits, arrays(auditColumns, x.audits)...)
	}
}

// queueCommit writes the row that proves the commit, and counts.
func (x *tx) queueCommit(batch *pgx.Batch) {
	names, deltas := x.delta.lists()
	batch.Queue("INSERT INTO commits (id, names, deltas) VALUES ($1, $2, $3) RETURNING pg_current_xact_id()::text::bigint",
		x.id, names, deltas).QueryRow(func(r pgx.Row) error { return r.Scan(&x.xid) })
}

// audit keeps an act with what it was done to; if it is no person's, it does nothing.
func (x *tx) audit(act store.Act, on store.AuditEntry) {
	if act == (store.Act{}) {
		return
	}
	on.Act, on.At = act, codec.FromMillis(x.now)
	x.audits = append(x.audits, &on)
}

// sign notes who changed what is open of a waybill last. The lanes here may not have heard of what another node, or a
// transaction whose outcome was not known, left open: they must read, or what comes next would overtake that.
func (x *tx) sign(w *waybill) {
	if w.writer != x.pen && w.had > 0 && len(w.open) > 0 {
		x.feedReload(w)
	}
	w.writer = x.pen
}

// touch notes that what is open of a waybill changed.
func (x *tx) touch(w *waybill) {
	x.touched[w.name], w.dirty = true, true
}

// onWaybill is an audit entry of a waybill.
func onWaybill(w state.Waybill) store.AuditEntry {
	return store.AuditEntry{DeliveryID: w.DeliveryID, WaybillID: w.WaybillID}
}
