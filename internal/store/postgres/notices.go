package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
)

// Notices get their numbers before their transactions commit, so a lower number may appear after a higher one. What is
// shown ends before the first number of which that may still be so. Whoever makes notices first takes a lock that any
// number of transactions can share (lockNotices) and holds it until its end. So: read the last number that was given,
// then who holds the lock. Once these have all ended, all numbers up to that one are there, or never will be.
const (
	lockNotices = `SELECT pg_advisory_xact_lock_shared(x'6e6f7465'::int, 0)` // "note"
	lastNotice  = `SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM notice_numbers`
	// noticeMakers lists transactions of this database by names that are used once.
	noticeMakers = `SELECT virtualtransaction FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2
		AND classid = x'6e6f7465'::int AND objid = 0 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`
)

// nextNotice is when the end was that is told next; null: none waits.
const nextNotice = "SELECT (SELECT at FROM notices ORDER BY number LIMIT 1)"

// horizon is the number up to which no notice can appear any more.
type horizon struct {
	mu     sync.Mutex
	final  uint64
	next   uint64   // It becomes final when these have ended; 0: none is waited for.
	makers []string // In no order.
	turn   int      // How often next was set: whoever looked before that can't tell whether they have ended.
}

// look is what a caller found who began to look in a turn.
type look struct {
	turn   int
	last   uint64   // The last number that was given.
	makers []string // Who was making notices after that was read.
}

// see takes in what was found, and gives the number up to which all is final.
func (h *horizon) see(l look) (final uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	going := func(maker string) bool { return slices.Contains(l.makers, maker) }
	if h.next != 0 && l.turn == h.turn && !slices.ContainsFunc(h.makers, going) {
		h.final, h.next = max(h.final, h.next), 0
	}
	switch {
	case len(l.makers) == 0:
		h.final = max(h.final, l.last)
	case h.next == 0 && l.last > h.final:
		h.next, h.makers, h.turn = l.last, l.makers, h.turn+1
	}
	return h.final
}

// begin is the turn of a look that begins now.
func (h *horizon) begin() look {
	h.mu.Lock()
	defer h.mu.Unlock()
	return look{turn: h.turn}
}

// lookUp queues what see needs, in a transaction in which each statement sees what was committed before it.
func (h *horizon) lookUp(batch *pgx.Batch, done func(final uint64)) {
	l := h.begin()
	batch.Queue(lastNotice).QueryRow(func(row pgx.Row) error { return row.Scan((*numberDest)(&l.last)) })
	batch.Queue(noticeMakers).Query(func(rows pgx.Rows) (err error) {
		if l.makers, err = pgx.CollectRows(rows, pgx.RowTo[string]); err == nil {
			done(h.see(l))
		}
		return err
	})
}

// readCommitted begins a transaction in which each statement sees what was committed before it, whatever the server's
// default is.
const readCommitted = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY"

const (
	noticeFields = `number, seq, nth, at, status, tries, errcode, reason, replay, difference` // What scanNotice takes.
	readNotices  = `SELECT ` + noticeFields + ` FROM notices
		WHERE number > $1 ORDER BY number LIMIT $2`
	ofNotices = ` FROM events e WHERE e.seq = ANY (ARRAY(SELECT n.seq FROM notices n WHERE n.number > $1 ORDER BY n.number LIMIT $2))`
)

// Notices reads the oldest that are to be told.
func (s *Store) Notices(ctx context.Context, after uint64, limit int) (list []store.Notice, err error) {
	if err := s.isOpen(); err != nil {
		return nil, err
	}
	limit = min(max(limit, 1), store.MaxLimit)
	var batch pgx.Batch
	var final uint64
	events := map[uint64]*row{}
	batch.Queue(readCommitted)
	s.horizon.lookUp(&batch, func(n uint64) { final = n })
	batch.Queue(readNotices, int64(min(after, math.MaxInt64)), limit).Query(func(rows pgx.Rows) error {
		list, err = pgx.CollectRows(rows, scanNotice)
		return err
	})
	// Of those that are final, these are the same ones, as none can come before them any more.
	batch.Queue("SELECT "+eventFields+ofNotices, int64(min(after, math.MaxInt64)), limit).Query(func(rows pgx.Rows) error {
		return scanRows(rows, func(r *row) { events[r.seq] = r })
	})
	batch.Queue("COMMIT")
	if err := s.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return nil, fmt.Errorf("read the notices: %w", s.readError(err))
	}
	return s.completeNotices(list, final, events), nil
}

func scanNotice(row pgx.CollectableRow) (n store.Notice, err error) {
	var at int64
	err = row.Scan((*numberDest)(&n.Number), (*numberDest)(&n.Seq), &n.Nth, (*stampDest)(&at), &smallDest[store.Status]{&n.Status},
		&n.Tries, &n.Errcode, &n.Reason, (*numberDest)(&n.Replay), &n.Difference)
	n.At = codec.FromMillis(at)
	return n, err
}

// completeNotices gives the notices up to a number, with what their events say. One whose event is missing is passed over.
func (s *Store) completeNotices(list []store.Notice, final uint64, events map[uint64]*row) (complete []store.Notice) {
	for _, n := range list {
		r := events[n.Seq]
		switch {
		case n.Number > final:
			return complete
		case n.Difference != nil:
			n.Event.DeliveryID, n.Event.WaybillID = n.Difference.Waybill.DeliveryID, n.Difference.Waybill.WaybillID
		case r == nil:
			s.reports.Once("a notice can't be told", damaged(fmt.Sprintf("the event of notice %d is missing", n.Number), codec.ErrRecord))
			continue
		default:
			completeNotice(&n, r)
		}
		complete = append(complete, n)
	}
	return complete
}

// completeNotice adds what the event says, and what only the push itself says, if it still stands where the notice says.
func completeNotice(n *store.Notice, r *row) {
	n.Event, n.ReceivedAt = r.event, codec.FromMillis(r.receivedAt)
	n.Event.Msg = ""
	p := &r.push
	switch {
	case n.Status == store.NoPush && r.first.verdict == state.Rejected:
		n.From, n.Allowed, n.Cause = r.first.from, r.first.allowed, r.first.cause
	case n.Status != store.Failed && n.Status != store.Discarded, p.Status != n.Status, p.Ends != n.Nth:
	default:
		n.Reason = p.Reason
		if p.LastErrcode() == n.Errcode && len(p.Attempts) > 0 {
			n.Errmsg = p.Attempts[len(p.Attempts)-1].Errmsg
		}
	}
}

// Told forgets all notices up to and including a number, but for those that can't be shown yet.
func (s *Store) Told(ctx context.Context, number uint64) error {
	return s.change(ctx, 0, func(x *tx) error { return x.tell(number) })
}

func (x *tx) tell(number uint64) error {
	var batch pgx.Batch
	x.s.horizon.lookUp(&batch, func(final uint64) { number = min(number, final) })
	if err := x.run(&batch); err != nil {
		return err
	}
	forgotten, err := x.exec("DELETE FROM notices WHERE number <= $1", int64(number))
	if err != nil || forgotten == 0 {
		return err
	}
	x.delta[counterNotices] -= forgotten
	x.told = &told{}
	_, err = x.find(nextNotice, nil, (*stampDest)(&x.told.oldest))
	return err
}

// told is what was found when notices were forgotten.
type told struct {
	oldest int64 // When the end was that is told next (Unix ms); 0: none waits.
}

// noticeDifference keeps a notice of what a waybill's difference has become.
func (x *tx) noticeDifference(d *store.Difference) { x.notice(&notice{difference: d}) }

// differenceColumn is null for an end.
func (n *notice) differenceColumn() *string {
	if n.difference == nil {
		return nil
	}
	b, _ := json.Marshal(n.difference) // Nothing in it can fail.
	return new(string(b))
}
