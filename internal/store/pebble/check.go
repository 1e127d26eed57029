package pebble

import (
	"context"
	"errors"
	"fmt"
	"math"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/seal"
)

// maxProblems bounds store.Report.Problems.
const maxProblems = 100

// Check compares everything that is kept twice, in one consistent state of the store.
func (s *Store) Check(ctx context.Context) (store.Report, error) {
	var report store.Report
	err := s.view(func(db cdb.Reader) (err error) {
		report, err = check(ctx, db, s.index.rows, s.keys)
		return err
	})
	return report, err
}

// CheckDir checks a store that no process has open, such as a backup. It writes nothing.
func CheckDir(ctx context.Context, dir string, o Options) (report store.Report, err error) {
	s := newStore(dir, o.withDefaults())
	s.readOnly = true
	if err := s.prepare(); err != nil {
		return report, fmt.Errorf("store %s: %w", dir, err)
	}
	defer func() { err = errors.Join(err, s.release()) }()
	if err := refuseHalfImported(s.db); err != nil {
		return report, fmt.Errorf("store %s: %w", dir, err)
	}
	return check(ctx, s.db, s.index.rows, s.keys)
}

// checker compares tables. What an event's row requires is looked up row by row; that no other rows are there follows
// from their number.
type checker struct {
	db      cdb.Reader
	keys    seal.Keys
	low     uint64
	report  store.Report
	counts  counters         // As the rows are.
	wanted  map[byte]uint64  // Rows by table that events and pushes require.
	pending map[uint64]int64 // Pushes by the replay in whose name they are pending.
	index   *indexCheck      // nil: there is none.
}

// check checks a store whose spans have so many rows. One of format 1 has no index yet.
func check(ctx context.Context, db cdb.Reader, rows uint64, keys seal.Keys) (store.Report, error) {
	c := &checker{db: db, keys: keys, counts: newCounters(), wanted: map[byte]uint64{}, pending: map[uint64]int64{}}
	c.report.Pushes = map[store.Status]uint64{}
	version, _, err := readIdentity(db)
	if err != nil {
		return c.report, err
	}
	if version >= 2 {
		if c.index, err = newIndexCheck(db, rows); err != nil {
			return c.report, err
		}
	}
	if c.low, err = readNumber(db, metaLow, 1); err != nil {
		return c.report, err
	}
	if err := c.events(ctx); err != nil {
		return c.report, err
	}
	c.orders()
	c.tokens()
	if version >= 6 {
		c.names()
	}
	c.shown()
	c.secrets()
	tables := []byte{tableIDs, tableTimeline, tablePushes, tableHeld, tableNoToken, tableQueued, tableOrdered}
	if c.index != nil {
		tables = append(tables, tableIndex)
	}
	if version >= 6 {
		tables = append(tables, tableNames)
	}
	for _, table := range tables {
		if err := c.number(ctx, table); err != nil {
			return c.report, err
		}
	}
	c.replays()
	c.numbered()
	c.notices()
	return c.report, c.counters()
}

func (c *checker) problem(format string, args ...any) {
	if len(c.report.Problems) < maxProblems {
		c.report.Problems = append(c.report.Problems, fmt.Sprintf(format, args...))
	}
}

// events checks every row of l and all that belongs to it.
func (c *checker) events(ctx context.Context) error {
	it, err := iterate(c.db, tableEvents, 0, math.MaxUint64)
	if err != nil {
		return err
	}
	for ok := it.First(); ok && ctx.Err() == nil; ok = it.Next() {
		c.report.Events++
		value, err := it.ValueAndErr()
		if err != nil {
			c.problem("event %d can't be read: %v", keySeq(it.Key()), err)
			continue
		}
		rec, err := decodeEvent(value)
		if err != nil {
			c.problem("event %d: %v", keySeq(it.Key()), err)
			continue
		}
		c.event(keySeq(it.Key()), &rec)
	}
	c.spanBits()
	return errors.Join(it.Error(), it.Close(), context.Cause(ctx))
}

func (c *checker) event(seq uint64, rec *eventRecord) {
	c.counts.events[rec.first%state.NumVerdicts]++
	c.wanted[tableIDs]++
	c.wanted[tableTimeline]++
	c.id(seq, rec)
	c.birth(seq, rec)
	e, found, err := readEntry(c.db, rec.event.Waybill(), seq)
	switch {
	case err != nil:
		c.problem("event %d: its place in the timeline: %v", seq, err)
	case !found:
		c.problem("event %d is not in its waybill's timeline", seq)
	case e.Type != rec.event.Type || e.Time != rec.event.Time:
		c.problem("event %d: its timeline says another type or time", seq)
	case (e.Verdict == state.Accepted) != (e.Ord != 0):
		c.problem("event %d: it is %s and has the order number %d", seq, e.Verdict, e.Ord)
	default:
		listed := termsOfEntry(&e)
		c.listedUnder(seq, listed[:])
		c.held(seq, rec, &e)
		c.push(seq, rec, &e)
	}
}

func (c *checker) id(seq uint64, rec *eventRecord) {
	var got uint64
	found, err := read(c.db, idKey(nil, eventID(&rec.event)), func(v []byte) (err error) {
		got, _, err = decodeID(v)
		return err
	})
	switch {
	case err != nil:
		c.problem("event %d: its id: %v", seq, err)
	case !found:
		c.problem("event %d: its id is not known: a duplicate would be taken again", seq)
	case got != seq:
		c.problem("event %d: its id leads to event %d", seq, got)
	}
}

func (c *checker) held(seq uint64, rec *eventRecord, e *state.Entry) {
	if e.Verdict != state.Held {
		return
	}
	c.counts.held++
	c.points(deadlineKey(nil, tableHeld, e.Until, seq), rec.event.Waybill(), "held event")
}

// points checks that a row is there and points to a waybill.
func (c *checker) points(key []byte, w state.Waybill, what string) {
	c.wanted[key[0]]++
	var got state.Waybill
	found, err := read(c.db, key, func(v []byte) error {
		got, _ = parseWaybill(v)
		return nil
	})
	switch {
	case err != nil:
		c.problem("%s %d: %v", what, keySeq(key), err)
	case !found:
		c.problem("%s %d is missing from the table %c", what, keySeq(key), key[0])
	case got != w:
		c.problem("%s %d: the table %c says waybill %s", what, keySeq(key), key[0], got)
	}
}

// push checks an event's push, and where it is listed.
func (c *checker) push(seq uint64, rec *eventRecord, e *state.Entry) {
	r, _, err := readRow(c.db, seq)
	switch {
	case err != nil:
		c.problem("push %d: %v", seq, err)
		return
	case r.hasPush != (e.Ord != 0):
		c.problem("event %d is %s and its push is %q", seq, e.Verdict, r.status())
		return
	case !r.hasPush:
		return
	case r.push.Ord != e.Ord:
		c.problem("push %d has the order number %d, and its event %d", seq, r.push.Ord, e.Ord)
	}
	c.report.Pushes[r.push.Status]++
	c.counts.move(rec.event.DeliveryID, store.NoPush, r.push.Status)
	if r.push.Status == store.Pending && r.push.Replay != 0 {
		c.pending[r.push.Replay]++
	}
	c.listed(&r)
}

func (c *checker) listed(r *row) {
	w, p := r.event.event.Waybill(), &r.push
	natural := !p.queued && p.TokenUntil == 0
	listed := p.terms()
	c.listedUnder(r.seq, listed[:])
	switch {
	case p.Status != store.Pending && !natural:
		c.problem("push %d is %s and still listed as open", r.seq, p.Status)
	case p.Status == store.Pending && natural && r.event.flags&flagNatural == 0:
		c.problem("push %d is pending, and nothing lists it", r.seq)
	case p.Status == store.Pending && natural && r.seq < c.low:
		c.problem("push %d is pending below the low-water mark %d, and nothing lists it", r.seq, c.low)
	}
	if found := c.pushRow(r.seq); found {
		c.wanted[tablePushes]++
	}
	if p.queued {
		c.points(seqKey(nil, tableQueued, r.seq), w, "push")
	}
	if p.TokenUntil != 0 {
		c.points(deadlineKey(nil, tableNoToken, p.TokenUntil, r.seq), w, "push")
	}
}

func (c *checker) pushRow(seq uint64) bool {
	found, err := read(c.db, seqKey(nil, tablePushes, seq), func([]byte) error { return nil })
	return found && err == nil
}

// number compares how many rows a table has with how many it must have.
func (c *checker) number(ctx context.Context, table byte) error {
	var n uint64
	err := scan(c.db, []byte{table}, func(_, _ []byte) (bool, error) {
		n++
		return ctx.Err() == nil, nil
	})
	if err != nil {
		c.problem("the table %c: %v", table, err)
	} else if n != c.wanted[table] {
		c.problem("the table %c has %d rows, and %d belong there", table, n, c.wanted[table])
	}
	return context.Cause(ctx)
}

// counters compares the counters with the rows.
func (c *checker) counters() error {
	kept := newCounters()
	err := scan(c.db, []byte{tableCounters}, func(key, value []byte) (bool, error) {
		return true, kept.load(string(key[1:]), value)
	})
	if err != nil {
		c.problem("the counters: %v", err)
		return nil
	}
	if kept.held != c.counts.held {
		c.problem("the counter of held events says %d, and %d are held", kept.held, c.counts.held)
	}
	c.eventCounters(&kept)
	for delivery, row := range kept.pushes {
		if got := *c.counts.account(delivery); got != *row {
			c.problem("account %s: the counters by status say %v, and the pushes are %v", delivery, *row, got)
		}
	}
	for delivery, row := range c.counts.pushes {
		if kept.pushes[delivery] == nil && *row != [store.NumStatuses]int64{} {
			c.problem("account %s has pushes and no counters", delivery)
		}
	}
	return nil
}

// eventCounters counts what retention deleted as if it were there: its verdicts are not known any more.
func (c *checker) eventCounters(kept *counters) {
	missing := int64(0)
	for v, n := range kept.events {
		if n < c.counts.events[v] {
			c.problem("the counter of %s events says %d, and there are %d", state.Verdict(v), n, c.counts.events[v])
		}
		missing += n - c.counts.events[v]
	}
	if missing != kept.pruned {
		c.problem("by the counters %d events were deleted for their age, and %d are gone", kept.pruned, missing)
	}
}
