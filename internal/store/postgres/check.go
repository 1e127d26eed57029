package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/content"
	"carrier/internal/store/seal"
)

// maxProblems is how many problems a report lists.
const maxProblems = 100

// checkRead is how many waybills are read at a time.
const checkRead = 500

// checker compares everything that is kept twice, in one snapshot.
type checker struct {
	ctx     context.Context
	s       *Store
	t       pgx.Tx
	report  *store.Report
	counts  counters // As the rows are.
	pending map[uint64]int64
	sealed  map[seal.ID]*unopened
}

// unopened are waybills whose Tokens are sealed under a key that is not there.
type unopened struct {
	waybills int
	first    state.Waybill
}

// Check compares everything that is kept twice. It reads all there is, beside the traffic.
func (s *Store) Check(ctx context.Context) (report store.Report, err error) {
	report.Pushes = map[store.Status]uint64{}
	err = s.view(ctx, func(t pgx.Tx) error {
		c := &checker{
			ctx: ctx, s: s, t: t, report: &report, counts: counters{}, pending: map[uint64]int64{}, sealed: map[seal.ID]*unopened{},
		}
		return c.all()
	})
	if err != nil {
		return report, s.readError(fmt.Errorf("check: %w", err))
	}
	return report, nil
}

func (c *checker) all() error {
	// It may take its time, and whole tables are best read as such.
	if _, err := c.t.Exec(c.ctx, `SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;
		SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on`); err != nil {
		return err
	}
	for _, check := range []func() error{
		c.waybills, c.strays, c.counters, c.replays, c.notices, c.secrets, c.shown, c.letters,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) problem(format string, args ...any) {
	if len(c.report.Problems) < maxProblems {
		c.report.Problems = append(c.report.Problems, fmt.Sprintf(format, args...))
	}
}

// waybills compares each waybill's row with the rows of its events.
func (c *checker) waybills() error {
	var from state.Waybill
	for {
		list, err := c.readWaybills(from)
		if err != nil || len(list) == 0 {
			c.tellSealed()
			return err
		}
		var seqs []uint64
		for _, w := range list {
			for i := range w.timeline {
				seqs = append(seqs, w.timeline[i].Seq)
			}
		}
		rows, err := readRows(c.ctx, c.t, seqs)
		if err != nil {
			return err
		}
		bySeq := make(map[uint64]*row, len(rows))
		for _, r := range rows {
			bySeq[r.seq] = r
		}
		for _, w := range list {
			c.waybill(w, bySeq)
		}
		from = list[len(list)-1].name
	}
}

func (c *checker) readWaybills(from state.Waybill) (list []*waybill, err error) {
	rows, err := c.t.Query(c.ctx, "SELECT "+waybillFields+` FROM waybills w WHERE (w.delivery_id, w.waybill_id) > ($1, $2)
		ORDER BY w.delivery_id, w.waybill_id LIMIT $3`, from.DeliveryID, from.WaybillID, checkRead)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	err = c.s.scanWaybills(rows, func(w *waybill) { list = append(list, w) })
	return list, err
}

func (c *checker) waybill(w *waybill, rows map[uint64]*row) {
	if w.damage != nil {
		c.problem("%v", w.damage)
	}
	c.tokens(w)
	var open []*state.Entry
	for i := range w.timeline {
		e := &w.timeline[i]
		r := rows[e.Seq]
		if r == nil {
			c.problem("event %d is in the timeline of waybill %s, and is not there", e.Seq, w.name)
			continue
		}
		c.event(w, e, r)
		if r.push.Status == store.Pending {
			open = append(open, e)
		}
	}
	slices.SortFunc(open, func(a, b *state.Entry) int { return int(a.Ord) - int(b.Ord) })
	if want := gather(open, func(e *state.Entry) uint64 { return e.Seq }); !slices.Equal(w.open, want) {
		c.problem("waybill %s says that its open pushes are %v, and they are %v", w.name, w.open, want)
	}
	if stage, newest := front(w.timeline); w.stage != stage || w.newest != newest {
		c.problem("waybill %s says stage %d since event %d, and its timeline leads to stage %d since event %d: silent waybills are not found",
			w.name, w.stage, w.newest, stage, newest)
	}
	if w.slot != slotOf(w.name) {
		c.problem("waybill %s says that it is in slot %d, and it belongs in %d", w.name, w.slot, slotOf(w.name))
	}
}

// tokens counts those that can't be opened by their keys: each key is told of once.
func (c *checker) tokens(w *waybill) {
	_, err := c.s.openTokens(w.name, w.tokens)
	if missing, ok := errors.AsType[*seal.MissingKeyError](err); ok {
		if c.sealed[missing.Key] == nil {
			c.sealed[missing.Key] = &unopened{first: w.name}
		}
		c.sealed[missing.Key].waybills++
	}
}

func (c *checker) tellSealed() {
	byID := func(a, b seal.ID) int { return bytes.Compare(a[:], b[:]) }
	for _, id := range slices.SortedFunc(maps.Keys(c.sealed), byID) {
		c.problem("the Tokens of %d waybills, such as %s, can't be opened: %v",
			c.sealed[id].waybills, c.sealed[id].first, &seal.MissingKeyError{Key: id})
	}
}

// event compares an event with its place in the timeline, and counts it.
func (c *checker) event(w *waybill, e *state.Entry, r *row) {
	c.report.Events++
	c.counts[eventCounter(r.first.verdict)]++
	if e.Verdict == state.Held {
		c.counts[counterHeld]++
	}
	same := r.entry
	same.MsgHash = e.MsgHash
	switch {
	case r.event.Waybill() != w.name:
		c.problem("event %d is in the timeline of waybill %s, and says that it is of %s", r.seq, w.name, r.event.Waybill())
	case same != *e:
		c.problem("event %d says %+v, and its waybill's timeline %+v", r.seq, same, *e)
	case !r.expunged && content.Text(nil, r.event.Msg) != e.MsgHash:
		c.problem("the text of event %d is not the one that its waybill's timeline knows", r.seq)
	case (r.push.Status == store.NoPush) != (e.Ord == 0):
		c.problem("event %d is %s and its push is %q", r.seq, e.Verdict, r.push.Status)
	}
	if r.push.Status == store.NoPush {
		return
	}
	c.report.Pushes[r.push.Status]++
	c.counts.move(w.name.DeliveryID, store.NoPush, r.push.Status)
	if r.push.Status == store.Pending && r.push.Replay != 0 {
		c.pending[r.push.Replay]++
	}
}

// strays finds events that no timeline or no id leads to, and ids that lead nowhere.
func (c *checker) strays() error {
	var events, ids uint64
	err := c.t.QueryRow(c.ctx, "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM event_ids)").
		Scan((*numberDest)(&events), (*numberDest)(&ids))
	if err != nil {
		return err
	}
	if events != c.report.Events {
		c.problem("there are %d events, and the timelines of waybills lead to %d", events, c.report.Events)
	}
	if ids != events {
		c.problem("there are %d events and the ids of %d: a duplicate may be taken again, or not be taken at all", events, ids)
	}
	return c.each(`SELECT e.seq, i.seq FROM events e LEFT JOIN event_ids i USING (source, id) WHERE i.seq IS DISTINCT FROM e.seq LIMIT 100`,
		func(rows pgx.Rows) error {
			var seq int64
			var found *int64
			err := rows.Scan(&seq, &found)
			if found == nil {
				c.problem("event %d: its id is not known: a duplicate would be taken again", seq)
			} else {
				c.problem("event %d: its id leads to event %d", seq, *found)
			}
			return err
		})
}

// each calls use with each row of a query.
func (c *checker) each(sql string, use func(pgx.Rows) error, args ...any) error {
	rows, err := c.t.Query(c.ctx, sql, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := use(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
