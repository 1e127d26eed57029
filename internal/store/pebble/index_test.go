package pebble

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	cdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/engine"
)

// listed lists all pages of a query of pushes by number.
func listed(t testing.TB, s *Store, q store.Query) (seqs []uint64) {
	t.Helper()
	q.Limit = 50
	for range 1000 {
		page, err := s.Pushes(t.Context(), q)
		if err != nil {
			t.Fatalf("Pushes(%+v): %v", q, err)
		}
		for _, p := range page.Items {
			seqs = append(seqs, p.Seq)
		}
		if q.Before = page.Next; page.Next == 0 {
			return seqs
		}
	}
	t.Fatalf("the pages of %+v do not end", q)
	return nil
}

// lists are queries that between them use every kind of list.
var lists = []store.Query{
	{}, {Status: store.Pending}, {Status: store.Failed}, {Status: store.Discarded}, {Status: store.Delivered},
	{WaitingFor: store.WaitToken}, {WaitingFor: store.WaitWaybill}, {WaitingFor: store.WaitRetry}, {Errcode: new(1)},
	{Errcode: new(0)}, {Reason: store.ReasonRefused}, {DeliveryID: "SF"}, {Source: "app"}, {Type: state.Transit},
	{Verdict: state.Accepted},
}

func allLists(t testing.TB, s *Store) (all [][]uint64) {
	t.Helper()
	for _, q := range lists {
		all = append(all, listed(t, s, q))
	}
	return all
}

// fillSome makes n events: a few of each kind, and for the rest in turn delivered, failed, discarded, retried, pending.
func fillSome(t *testing.T, s *Store, n int) {
	t.Helper()
	oneOfEach(t, s)
	for i := range n - 7 {
		w := state.Waybill{DeliveryID: "SF", WaybillID: fmt.Sprint("fill-", i/2)}
		r := mustApply(t, s, scanOf(w.WaybillID, i%2))
		o := store.Outcome{Seq: r[0].Seq, Waybill: w, Attempt: &store.Attempt{Errcode: new(i % 3)}}
		switch i % 5 {
		case 0:
			o.Status = store.Delivered
		case 1:
			o.Status, o.Reason = store.Failed, store.ReasonRefused
		case 2:
			o.Status, o.Reason = store.Discarded, store.ReasonOperator
		case 3:
			o.Status, o.NextAt = store.Pending, time.Now().Add(time.Hour)
		default:
			continue
		}
		if err := settleNow(s, o); err != nil {
			t.Fatalf("Settle(%d): %v", o.Seq, err)
		}
	}
}

// TestBitset compares a set with a plain list.
func TestBitset(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const rows = 256
		places := rapid.SliceOfDistinct(rapid.Uint64Range(0, rows-1), rapid.ID).Draw(t, "places")
		from := rapid.Uint64Range(0, rows).Draw(t, "from")
		to := rapid.Uint64Range(from, rows).Draw(t, "to")
		set, span := newBitset(rows), newBitset(rows)
		for _, p := range places {
			set.add(p)
		}
		value, err := encodeBits(set)
		again := newBitset(rows)
		if err != nil || decodeBits(value, again) != nil || !slices.Equal(again, set) {
			t.Fatalf("written and read, %v is %v", set, again)
		}
		span.fill(from, to)
		set.and(span)
		want := slices.DeleteFunc(places, func(p uint64) bool { return p < from || p >= to })
		slices.Sort(want)
		for _, back := range []bool{false, true} {
			got := []uint64{}
			set.each(back, func(p uint64) bool {
				got = append(got, p)
				return true
			})
			if !slices.Equal(got, want) || set.empty() != (len(want) == 0) {
				t.Fatalf("%v from %d to %d, back %v, is %v", want, from, to, back, got)
			}
			slices.Reverse(want)
		}
	})
}

// FuzzDecodeBits sees that damaged rows of b are errors, and nothing worse.
func FuzzDecodeBits(f *testing.F) {
	for _, last := range []uint64{0, 1, 1000, spanRows} {
		set := newBitset(spanRows)
		set.fill(0, last)
		value, err := encodeBits(set)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(value)
	}
	f.Fuzz(func(_ *testing.T, value []byte) { _ = decodeBits(value, newBitset(64)) })
}

func TestTermKeys(t *testing.T) {
	for _, want := range []term{
		{kind: termAll}, {termAccount, "SF"}, typeTerm(state.Transit), statusTerm(store.Failed), errcodeTerm(-1),
		verdictTerm(state.Held), reasonTerm("missing_scan"), pushReasonTerm("已取消 by the customer"),
	} {
		got, ok := parseTerm(termKey(nil, want, 1<<40+7))
		if !ok || got != want {
			t.Errorf("%s is read as %s, %v", want, got, ok)
		}
		if n := keySeq(termKey(nil, want, 1<<40+7)); n != 1<<40+7 {
			t.Errorf("%s: the number is read as %d", want, n)
		}
	}
	if a, b := pushReasonTerm(strings.Repeat("a", 65)), pushReasonTerm(strings.Repeat("a", 64)+"b"); a != b {
		t.Errorf("long reasons are not cut: %s, %s", a, b)
	}
	if k := termKey(nil, pushReasonTerm("a\x00b"), 1); bytes.HasPrefix(k, termPrefix(nil, pushReasonTerm("a"))) {
		t.Error("a zero byte in a reason ends it")
	}
}

// TestIndexWhileItIsBuilt sees that what changes while the index is built wins over what it is built from.
func TestIndexWhileItIsBuilt(t *testing.T) {
	x := newIndex(64)
	failed := statusTerm(store.Failed)
	x.apply(&changes{ // Push 5 fails, push 6 is replayed, push 70 is new.
		arrivals: []arrival{{70, "SF", "app", state.Transit}},
		terms:    []termChange{{5, failed, true}, {6, failed, false}},
		open:     []openChange{{5, 0, allOpenSets}, {6, setOpen, 0}, {70, setOpen, 0}},
	})
	x.mark(failed, 6) // As they were.
	x.change(nil, []openChange{{seq: 5, in: setOpen}})
	x.arrive([]arrival{{5, "SF", "app", state.Transit}, {6, "SF", "hub", state.Transit}})
	x.finish(nil)
	if err := x.wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		span uint64
		read func(span uint64, into bitset)
		want uint64
	}{
		{"failed", 0, func(b uint64, into bitset) { x.read(failed, b, into) }, 1 << 5},
		{"open", 0, func(b uint64, into bitset) { x.readOpen(setOpen, b, into) }, 1 << 6},
		{"open, newer", 1, func(b uint64, into bitset) { x.readOpen(setOpen, b, into) }, 1 << 6},
		{"source", 0, func(b uint64, into bitset) { x.read(term{termSource, "hub"}, b, into) }, 1 << 6},
		{"all", 1, func(b uint64, into bitset) { x.read(term{kind: termAll}, b, into) }, 1 << 6},
		{"unknown", 1, func(b uint64, into bitset) { x.read(term{termSource, "hub"}, b, into) }, 0},
	} {
		into := newBitset(64)
		if c.read(c.span, into); into[0] != c.want {
			t.Errorf("%s in span %d: %b, want %b", c.name, c.span, into[0], c.want)
		}
	}
}

// TestListsAfterRestarts reopens a store in the middle of spans, with spans stored and not.
func TestListsAfterRestarts(t *testing.T) {
	fs := vfs.NewMem()
	s := mustOpen(t, "data", options(t, fs))
	fillSome(t, s, 300)
	want := allLists(t, s)
	for i, tick := range []bool{false, true, false} {
		mustClose(t, s)
		s = mustOpen(t, "data", options(t, fs))
		if got := allLists(t, s); !slices.EqualFunc(got, want, slices.Equal) {
			t.Errorf("after restart %d:\n%v, want\n%v", i, got, want)
		}
		if tick {
			if err := s.Tick(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		mustCheck(t, s)
	}
	if n := s.index.firstUnstored(); n < 4 {
		t.Errorf("only %d spans are stored", n)
	}
}

// TestUpgrade turns a store into one of format 1, with the remains of an upgrade that was cut short.
func TestUpgrade(t *testing.T) {
	fs := vfs.NewMem()
	s := mustOpen(t, "data", options(t, fs))
	fillSome(t, s, 300)
	if err := s.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := allLists(t, s)
	b := s.db.NewBatch()
	err := errors.Join(
		b.DeleteRange([]byte{tableIndex}, []byte{tableIndex + 1}, nil), b.DeleteRange([]byte{tableNames}, []byte{tableNames + 1}, nil),
	)
	for _, row := range [][2][]byte{
		{metaFormat, {1}}, {nameKey(nil, state.Waybill{DeliveryID: "SF", WaybillID: "gone"}), nil}, {seqKey(nil, tableFailed1, 3), []byte("\x01\x00\x00\x02SF")},
		{termKey(nil, statusTerm(store.Failed), 1), nil}, {termKey(nil, term{termAccount, "X"}, 1), nil},
	} {
		if err == nil {
			err = b.Set(row[0], row[1], nil)
		}
	}
	if err == nil {
		err = b.Delete(metaSpans, nil)
	}
	if err == nil {
		err = b.Commit(cdb.Sync)
	}
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	report, err := CheckDir(t.Context(), "data", options(t, fs))
	if err != nil || len(report.Problems) > 0 {
		t.Errorf("CheckDir of format 1: %v, %v", report.Problems, err)
	}
	for range 2 {
		s = mustOpen(t, "data", options(t, fs))
		if got := allLists(t, s); !slices.EqualFunc(got, want, slices.Equal) {
			t.Errorf("after the upgrade:\n%v, want\n%v", got, want)
		}
		mustCheck(t, s)
		if hasRows(s.db, []byte{tableFailed1}, []byte{tableFailed1 + 1}) {
			t.Error("the list of failed pushes of format 1 is still there")
		}
		if version, _, err := readIdentity(s.db); version != format || err != nil {
			t.Errorf("the format is %d, %v", version, err)
		}
		if n := s.index.firstUnstored(); n < 4 {
			t.Errorf("only %d spans are stored", n)
		}
		mustClose(t, s)
	}
}

// TestRetentionTidiesSpans sees that spans lose the bits of events that are deleted, and go with the last one.
func TestRetentionTidiesSpans(t *testing.T) {
	o := options(t, vfs.NewMem())
	c := newClock()
	o.Retention, o.Now = time.Hour, c.now
	s := mustOpen(t, "data", o)
	deliver := func(waybill string, status store.Status) {
		t.Helper()
		w := state.Waybill{DeliveryID: "SF", WaybillID: waybill}
		r := mustApply(t, s, scanOf(waybill, 0))
		if err := settleNow(s, store.Outcome{Seq: r[0].Seq, Waybill: w, Status: status, Attempt: &store.Attempt{}}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 200 { // Spans 0 to 3; the second has a failed push.
		status := store.Delivered
		if i == 99 {
			status = store.Failed
		}
		deliver(fmt.Sprint("old-", i), status)
	}
	c.advance(2 * time.Hour)
	for i := range 100 {
		deliver(fmt.Sprint("new-", i), store.Delivered)
	}
	if err := s.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustCheck(t, s)
	for span, want := range []int{0, 1, 0, -1} { // Number 200 is in span 3, whose end is new.
		set := newBitset(64)
		if err := readBits(s.db, term{termAccount, "SF"}, uint64(span), set); err != nil {
			t.Fatal(err)
		}
		n := 0
		set.each(false, func(uint64) bool {
			n++
			return true
		})
		if n != want && want >= 0 {
			t.Errorf("span %d has %d bits, want %d", span, n, want)
		}
	}
	if hasRows(s.db, termKey(nil, term{kind: termAll}, 0), termKey(nil, term{kind: termAll}, 1)) {
		t.Error("span 0 has a row and no event")
	}
	if got := listed(t, s, store.Query{Status: store.Failed}); !slices.Equal(got, []uint64{100}) {
		t.Errorf("failed: %v", got)
	}
	if got := listed(t, s, store.Query{Status: store.Delivered}); len(got) != 100 {
		t.Errorf("%d are delivered, want 100", len(got))
	}
}

func TestCheckNoticesMissingBits(t *testing.T) {
	s := mustOpen(t, "data", options(t, vfs.NewMem()))
	fillSome(t, s, 70)
	if err := s.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustCheck(t, s)
	key := termKey(nil, term{termSource, "app"}, 0)
	full := newBitset(64)
	full.fill(0, 64)
	value, err := encodeBits(full)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.db.Set(key, value, cdb.Sync); err != nil { // A bit too many, for number 0.
		t.Fatal(err)
	}
	mustCheck(t, s)
	for name, damage := range map[string]func() error{
		"is missing from the list": func() error { return s.db.Delete(key, cdb.Sync) },
		"can't be read":            func() error { return s.db.Set(key, []byte("x"), cdb.Sync) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		report, err := s.Check(t.Context())
		if text := strings.Join(report.Problems, "\n"); err != nil || !strings.Contains(text, name) {
			t.Errorf("Check says %q (%v), want something with %q", text, err, name)
		}
	}
}

// TestShortPages lists what shares only the indexed part of a reason with very many others.
func TestShortPages(t *testing.T) {
	s := mustOpen(t, "data", options(t, vfs.NewMem()))
	common := strings.Repeat("r", maxReason)
	var want uint64
	const n = 2*searchRows + 1000
	results := []store.Result{}
	events := make([]state.Event, n)
	for i := range events {
		events[i] = scanOf(fmt.Sprint(i), 0)
	}
	for chunk := range slices.Chunk(events, 500) {
		results = append(results, mustApply(t, s, chunk...)...)
	}
	done := make(chan error, n)
	for i, r := range results {
		o := store.Outcome{
			Seq: r.Seq, Waybill: state.Waybill{DeliveryID: "SF", WaybillID: fmt.Sprint(i)}, Status: store.Discarded,
			Reason: common + "x",
		}
		if i == 10 {
			o.Reason, want = common+"y", r.Seq
		}
		s.Settle(o, func(err error) { done <- err })
	}
	for range n {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	page, err := s.Pushes(t.Context(), store.Query{Reason: common + "y", Limit: 100})
	if err != nil || len(page.Items) != 0 || page.Next == 0 {
		t.Errorf("the first page: %d rows, next %d, %v; want none and a next", len(page.Items), page.Next, err)
	}
	if got := listed(t, s, store.Query{Reason: common + "y"}); !slices.Equal(got, []uint64{want}) {
		t.Errorf("all pages: %v, want %d", got, want)
	}
}

// BenchmarkIndex is what an event that is delivered costs the index in all.
func BenchmarkIndex(b *testing.B) {
	x := newIndex(spanRows)
	x.finish(nil)
	c := newChanges()
	seq := uint64(0)
	for b.Loop() {
		seq++
		c.arrivals = append(c.arrivals, arrival{seq, "SF", "app", state.Transit})
		c.open = append(c.open, openChange{seq: seq, in: setOpen})
		if seq > 500 {
			c.open = append(c.open, openChange{seq: seq - 500, out: allOpenSets})
		}
		if seq%100 == 0 {
			x.apply(&c)
			c.reset()
		}
		if seq%spanRows == 0 {
			x.store(seq/spanRows - 1)
		}
	}
}

// funcOp does in one commit what else only chance brings together.
type funcOp struct {
	engine.Waiter
	do func(*tx) error
}

func (o *funcOp) rows() int { return 1 }
func (o *funcOp) run(x *tx) { o.Err = o.do(x) }

// TestRetentionMeetsFreeze sees that a waybill that is frozen in the very commit that would delete it is kept.
func TestRetentionMeetsFreeze(t *testing.T) {
	c := newClock()
	o := options(t, vfs.NewMem())
	o.Now = c.now
	s := mustOpen(t, "data", o)
	w := state.Waybill{DeliveryID: "SF", WaybillID: "0"}
	seq := mustApply(t, s, scanOf("0", 0))[0].Seq
	if err := settleNow(s, store.Outcome{Seq: seq, Waybill: w, Status: store.Delivered}); err != nil {
		t.Fatal(err)
	}
	c.advance(time.Hour)
	op := &funcOp{do: func(x *tx) error {
		if _, err := x.freeze(w, true, store.Act{By: "ops", Action: store.ActFreeze}); err != nil {
			return err
		}
		deleted, err := x.pruneWaybill(w, x.now)
		if len(deleted) > 0 {
			t.Errorf("deleted %v", deleted)
		}
		return err
	}}
	if err := s.write(t.Context(), op, &op.Waiter); err != nil {
		t.Fatal(err)
	}
	if story, err := s.Waybill(t.Context(), w); err != nil || !story.Frozen || len(story.Timeline) != 1 {
		t.Errorf("the waybill: %+v, %v", story, err)
	}
	mustCheck(t, s)
}
