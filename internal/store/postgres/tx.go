package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"carrier/internal/state"
	"carrier/internal/store"
)

// tx is one transaction while it is made. It belongs to one committer.
//
// What operations need is read, and the waybills' rows locked, before the first of them runs (load). They decide on what
// is in memory here, so that later operations see what earlier ones did, and all that changed is written in one go
// (save). What only a few operations need is read when they ask for it.
type tx struct {
	s     *Store
	ctx   context.Context
	conn  *pgx.Conn
	id    [16]byte // Of its row in commits.
	pen   string   // What it signs waybills with.
	xid   int64    // PostgreSQL's number of it, once it has written.
	size  int      // Events and outcomes in it.
	trips int      // To the database and back.
	now   int64    // Unix ms, the received_at of all its events.

	numbers  []uint64 // Taken from the sequence and not given yet.
	newest   uint64   // The newest replay when it began.
	waybills map[state.Waybill]*waybill
	rows     map[uint64]*row
	ids      map[eventID]first
	asked    map[eventID]bool // Those that were looked up.
	replays  map[uint64]*replayRecord

	made    []*row // New events.
	changed map[uint64]*row
	madeIDs []idRow
	notices []*notice
	audits  []*store.AuditEntry
	extra   []statement // What rare operations write beside that.
	wrote   bool        // Something was written at once (change.go).
	told    *told       // Notices were forgotten.
	delta   counters

	node     int32          // This node's number.
	mine     map[int16]bool // Slots that it owns, of those that were asked for.
	accounts []string       // Of which what is kept changed: other nodes are told.
	changes  []store.Change
	touched  map[state.Waybill]bool // Whose open pushes changed: other nodes are told.
	deadline int64                  // The earliest deadline that was set (Unix ms); 0: none.

	// broken says that the transaction can't go on, most often as its connection broke. Nothing of it is kept.
	broken error
}

// statement is something to be written at the end of a transaction.
type statement struct {
	sql  string
	args []any
}

// eventID names an event as its sender does.
type eventID struct{ source, id string }

// first is what is known of an event whose id was seen.
type first struct {
	seq  uint64
	hash []byte
	answer
}

// idRow is a row of event_ids.
type idRow struct {
	eventID
	seq  uint64
	hash []byte
}

func (s *Store) newTx(ctx context.Context, conn *pgx.Conn) *tx {
	return &tx{
		s: s, ctx: ctx, conn: conn, id: newID(), pen: s.pen(), now: s.clock(),
		waybills: map[state.Waybill]*waybill{}, rows: map[uint64]*row{}, ids: map[eventID]first{}, asked: map[eventID]bool{},
		replays: map[uint64]*replayRecord{}, changed: map[uint64]*row{}, delta: counters{}, touched: map[state.Waybill]bool{}, mine: map[int16]bool{},
	}
}

// fail notes that the transaction can't go on.
func (x *tx) fail(err error) error {
	x.broken = errors.Join(x.broken, err)
	return err
}

// write adds a statement to what is written at the end.
func (x *tx) write(sql string, args ...any) { x.extra = append(x.extra, statement{sql, args}) }

// take gives the next number. More than were foreseen cost a round trip.
func (x *tx) take() (uint64, error) {
	if len(x.numbers) == 0 {
		if err := x.takeMore(); err != nil {
			return 0, err
		}
	}
	n := x.numbers[0]
	x.numbers = x.numbers[1:]
	return n, nil
}

// reserve sees to it that n numbers are at hand, so that take does not fail.
func (x *tx) reserve(n int) error {
	for len(x.numbers) < n {
		if err := x.takeMore(); err != nil {
			return err
		}
	}
	return nil
}

// change notes that a row is to be written.
func (x *tx) change(r *row) {
	if r.stored {
		x.changed[r.seq] = r
	}
}

// isNothing tells whether the transaction has nothing to write.
func (x *tx) isNothing() bool {
	return len(x.made) == 0 && len(x.changed) == 0 && len(x.audits) == 0 && len(x.accounts) == 0 && len(x.extra) == 0 && len(x.notices) == 0 && !x.wrote &&
		len(x.replays) == 0 && len(x.dirtyWaybills()) == 0
}

// dirtyWaybills are those to be written, in the order in which rows are locked.
func (x *tx) dirtyWaybills() (list []*waybill) {
	for _, w := range x.waybills {
		if w.dirty {
			list = append(list, w)
		}
	}
	slices.SortFunc(list, func(a, b *waybill) int { return compareWaybills(a.name, b.name) })
	return list
}

// reserved gives a number that reserve has seen to.
func (x *tx) reserved() uint64 {
	n := x.numbers[0]
	x.numbers = x.numbers[1:]
	return n
}

// newID makes a random id.
func newID() (id [16]byte) {
	_, _ = rand.Read(id[:]) // It never fails.
	return id
}
