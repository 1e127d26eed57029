package postgres

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

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
