package postgres

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"carrier/internal/state"
	"carrier/internal/store"
)

// A search goes through the numbers window by window, so that what a page costs is bounded however few rows match: after
// searchTime it ends where it is, short, or even empty, and has a next.
const (
	firstWindow = 1 << 12 // Numbers.
	// maxWindow is how far windows grow where there is little in them; searched row by row it takes a second or two.
	maxWindow  = 1 << 20
	quick      = 20 * time.Millisecond // The next window is larger after one that took no longer.
	searchTime = 300 * time.Millisecond
	// clockSkew is how far the clocks of nodes may be apart: received_at rises with the numbers but for that.
	clockSkew = 10 * time.Minute
)

// search is a query under way. It looks at rows in the order of their numbers, from one end to the other.
type search struct {
	ctx       context.Context
	t         pgx.Tx
	ascending bool
	from, to  uint64 // The numbers that are left: from to before to.
	window    uint64

	tables string
	where  []string
	args   []any // The first three are the window and the limit.

	room int    // Items that still fit on the page.
	last uint64 // The last one that did.
	next uint64 // Page.Next
	over bool
	ends time.Time
}

func newSearch(ctx context.Context, s *Store, t pgx.Tx, q *store.Query, pushes bool) (*search, error) {
	f := &search{
		ctx: ctx, t: t, ascending: q.Ascending, window: firstWindow, room: min(max(q.Limit, 1), store.MaxLimit),
		tables: "events e", args: []any{nil, nil, nil}, ends: time.Now().Add(searchTime),
	}
	f.pushConditions(s, q, pushes)
	f.eventConditions(q)
	if err := f.span(q); err != nil {
		return nil, err
	}
	return f, f.waybill(s, q)
}

// span finds the numbers between which rows can be.
func (f *search) span(q *store.Query) error {
	var first, last uint64
	err := f.t.QueryRow(f.ctx, `SELECT coalesce((SELECT seq FROM events ORDER BY seq LIMIT 1), 0),
		coalesce((SELECT seq FROM events ORDER BY seq DESC LIMIT 1), 0)`).Scan((*numberDest)(&first), (*numberDest)(&last))
	if err != nil {
		return err
	}
	if f.from, f.to = max(first, q.After+1, 1), last+1; q.After == math.MaxUint64 {
		f.from = f.to
	}
	if q.Before != 0 {
		f.to = min(f.to, q.Before)
	}
	if !q.Since.IsZero() {
		if f.from, err = f.firstReceived(q.Since.Add(-clockSkew)); err != nil {
			return err
		}
	}
	if !q.Until.IsZero() {
		f.to, err = f.firstReceived(q.Until.Add(clockSkew))
	}
	return err
}

// firstReceived is the first number that is left whose event was received at or after a moment, by a binary search.
func (f *search) firstReceived(at time.Time) (uint64, error) {
	low, high := f.from, f.to
	for low < high {
		middle := low + (high-low)/2
		var seq uint64
		var ms int64
		err := f.t.QueryRow(f.ctx, "SELECT seq, received_at FROM events WHERE seq >= $1 ORDER BY seq LIMIT 1", int64(middle)).
			Scan((*numberDest)(&seq), (*stampDest)(&ms))
		if err != nil {
			return 0, err
		}
		if ms < at.UnixMilli() {
			low = seq + 1
		} else {
			high = middle
		}
	}
	return min(low, f.to), nil
}

// is adds a condition. What stands for a ? is an argument.
func (f *search) is(condition string, arg any) {
	f.args = append(f.args, arg)
	f.where = append(f.where, strings.ReplaceAll(condition, "?", "$"+strconv.Itoa(len(f.args))))
}

// fixed adds a condition without arguments: planners know indexes that are of some rows only by what stands in the text.
func (f *search) fixed(condition string, args ...any) {
	f.where = append(f.where, fmt.Sprintf(condition, args...))
}

// eventConditions are those on what an event was born with.
func (f *search) eventConditions(q *store.Query) {
	if q.DeliveryID != "" {
		f.is("e.delivery_id = ?", text(q.DeliveryID))
	}
	if q.WaybillID != "" {
		f.is("e.waybill_id = ?", text(q.WaybillID))
	}
	if q.Source != "" {
		f.is("e.source = ?", text(q.Source))
	}
	if q.Type != 0 {
		f.fixed("e.action_type = %d", q.Type)
	}
	if !q.Since.IsZero() {
		f.is("e.received_at >= ?", ceilStamp(q.Since))
	}
	if !q.Until.IsZero() {
		f.is("e.received_at < ?", ceilStamp(q.Until))
	}
}

// pushConditions are those on how an event and its push stand.
func (f *search) pushConditions(s *Store, q *store.Query, pushes bool) {
	if q.Status != store.NoPush {
		f.fixed("e.status = %d", q.Status)
	} else if pushes {
		f.fixed("e.status <> 0")
	}
	if q.Verdict != 0 {
		f.fixed("e.verdict = %d", q.Verdict)
	}
	if q.Errcode != nil {
		f.is("e.errcode::bigint = ?", int64(*q.Errcode))
	}
	if q.Reason != "" {
		f.reason(q.Reason, pushes)
	}
	if q.WaitingFor != store.WaitNothing {
		f.waitingFor(q.WaitingFor, s.opts.Now())
	}
}

// reason is that of a push, and of an event, too, where events are listed.
func (f *search) reason(reason string, pushes bool) {
	condition := "e.push_reason = ?"
	if i := slices.IndexFunc(eventReasons[:], func(r state.Reason) bool { return r.String() == reason }); i >= 0 && !pushes {
		condition = fmt.Sprintf("(%s OR e.reason = %d)", condition, eventReasons[i])
	}
	f.is(condition, text(reason))
}

// eventReasons are those that an event can have.
var eventReasons = [...]state.Reason{
	state.MissingScan, state.BehindHeld, state.RepeatsStage, state.RepeatsEvent, state.IllegalStep, state.ContradictsNext,
}

// waitingFor leaves out what certainly waits for something else. What is left is looked at one by one, as accounts have
// a say in it (store.Query, Held).
func (f *search) waitingFor(what store.WaitingFor, now time.Time) {
	f.tables += " JOIN waybills w USING (delivery_id, waybill_id)"
	f.fixed("e.status = 1")
	const kept = "(w.parked_at IS NOT NULL OR w.frozen_at IS NOT NULL OR w.open[1] <> e.seq)"
	switch what {
	case store.WaitToken:
		f.fixed("w.token_at IS NULL")
		return
	case store.WaitWaybill:
		f.fixed("w.token_at IS NOT NULL AND " + kept)
		return
	case store.WaitRetry:
		f.is("e.next_at > ?", timestamp(now.UnixMilli()))
	}
	f.fixed("w.token_at IS NOT NULL AND NOT " + kept)
}

// accountsOf steps from one account to the next, so it costs a look an account.
const accountsOf = `WITH RECURSIVE a(delivery_id) AS (
		(SELECT delivery_id FROM waybills ORDER BY delivery_id LIMIT 1)
		UNION ALL
		SELECT (SELECT w.delivery_id FROM waybills w WHERE w.delivery_id > a.delivery_id ORDER BY w.delivery_id LIMIT 1)
		FROM a WHERE a.delivery_id IS NOT NULL
	)`

// waybill narrows the search to the events of a waybill; without an account given, of those of all accounts.
func (f *search) waybill(s *Store, q *store.Query) error {
	if q.WaybillID == "" {
		return nil
	}
	rows, err := f.t.Query(f.ctx, accountsOf+" SELECT "+waybillFields+` FROM a JOIN waybills w USING (delivery_id)
		WHERE w.waybill_id = $1 AND ($2 = '' OR w.delivery_id = $2)`, text(q.WaybillID), text(q.DeliveryID))
	if err != nil {
		return err
	}
	defer rows.Close()
	seqs := []int64{}
	var damage error
	err = s.scanWaybills(rows, func(w *waybill) {
		damage = w.damage
		for i := range w.timeline {
			seqs = append(seqs, int64(w.timeline[i].Seq))
		}
	})
	f.is("e.seq = ANY (?::bigint[])", seqs)
	f.window = math.MaxUint64 // They are few.
	if err != nil {
		return err
	}
	return damage
}

// goesOn tells whether there is more to look at. When it is enough for this page, it says where the next begins.
func (f *search) goesOn() bool {
	switch {
	case f.over || f.from >= f.to:
		return false
	case time.Now().Before(f.ends):
		return true
	case f.ascending:
		f.next = f.from - 1
	default:
		f.next = f.to
	}
	return false
}

// found takes in a row that matches, and tells whether it fits on the page.
func (f *search) found(seq uint64) (fits bool) {
	switch {
	case f.room > 0:
		f.room, f.last = f.room-1, seq
		return true
	case !f.over:
		f.next, f.over = f.last, true
	}
	return false
}

// read reads rows of the next window, in order: at most one more than fit on the page.
func (f *search) read() (list []*row, err error) {
	from, to, limit := f.from, f.to, f.room+1
	order := "DESC"
	if f.ascending {
		order = "ASC"
		to = from + min(f.window, to-from)
	} else {
		from = to - min(f.window, to-from)
	}
	f.args[0], f.args[1], f.args[2] = int64(from), int64(to), limit
	begun := time.Now()
	rows, err := f.t.Query(f.ctx, fmt.Sprintf("SELECT %s FROM %s WHERE %s ORDER BY e.seq %s LIMIT $3",
		eventFields, f.tables, strings.Join(append([]string{"e.seq >= $1 AND e.seq < $2"}, f.where...), " AND "), order), f.args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	if err := scanRows(rows, func(r *row) { list = append(list, r) }); err != nil {
		return nil, err
	}
	if len(list) == limit { // The window was not gone through.
		from, to = list[limit-1].seq, list[limit-1].seq+1
	} else if time.Since(begun) < quick {
		f.window = min(f.window, maxWindow/4) * 4
	}
	if f.ascending {
		f.from = to
	} else {
		f.to = from
	}
	return list, nil
}
