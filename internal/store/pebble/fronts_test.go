package pebble

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"carrier/internal/state"
	"carrier/internal/store"
)

// TestFronts compares the index with a plain map: waybills move before, while and after it is read.
func TestFronts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const rows = 64
		f := newFronts(rows)
		now := map[int]front{} // By waybill; the account is its last digit.
		account := func(waybill int) string { return fmt.Sprint(waybill % 3) }
		seq := uint64(0)
		move := func(waybill int) frontChange {
			is := now[waybill]
			switch rapid.IntRange(0, 5).Draw(rt, "move") {
			case 0: // To its end.
				is = front{}
			case 1: // A held event moves it, and its newest one stays.
				is.stage = state.OutForDelivery
			case 2:
				is.token = true
			default:
				seq++
				is = front{seq, rapid.SampledFrom([]state.Stage{state.PickedUp, state.InTransit}).Draw(rt, "stage"), is.token}
			}
			is = is.orNone()
			c := frontChange{account(waybill), now[waybill], is}
			now[waybill] = is
			return c
		}
		waybills := rapid.IntRange(0, 9)
		for range rapid.IntRange(0, 200).Draw(rt, "before the start") {
			move(waybills.Draw(rt, "waybill"))
		}
		start := map[int]front{}
		for waybill, at := range now {
			start[waybill] = at
		}
		for waybill := range 10 { // The reading.
			for range rapid.IntRange(0, 5).Draw(rt, "meanwhile") {
				f.apply([]frontChange{move(waybills.Draw(rt, "waybill"))})
			}
			if at := start[waybill]; at.seq != 0 {
				f.found(account(waybill), at)
			}
		}
		f.left = nil
		for range rapid.IntRange(0, 50).Draw(rt, "afterwards") {
			f.apply([]frontChange{move(waybills.Draw(rt, "waybill"))})
		}
		compareFronts(rt, f, now, account)
	})
}

func compareFronts(t *rapid.T, f *fronts, now map[int]front, account func(int) string) {
	from, below, limit := rapid.Uint64Range(0, 300).Draw(t, "from"), rapid.Uint64Range(0, 300).Draw(t, "below"), rapid.IntRange(1, 12).Draw(t, "limit")
	stage := rapid.SampledFrom([]state.Stage{state.PickedUp, state.InTransit, state.OutForDelivery}).Draw(t, "stage")
	want, heads := []uint64{}, map[line]uint64{}
	for waybill, at := range now {
		if at.seq != 0 && at.stage == stage && from <= at.seq && at.seq < below {
			want = append(want, at.seq)
		}
		key := line{account(waybill), at.stage, at.token}
		if at.seq != 0 && at.token && (heads[key] == 0 || at.seq < heads[key]) {
			heads[key] = at.seq
		}
	}
	slices.Sort(want)
	want = want[:min(len(want), limit)]
	got := f.oldest(from, limit, func(l line) uint64 {
		if l.stage != stage {
			return 0
		}
		return below
	})
	if !slices.Equal(got, want) {
		t.Fatalf("from %d below %d, %d of %s: %v, want %v", from, below, limit, stage, got, want)
	}
	got2 := f.heads()
	for key, seq := range heads {
		if got2[key] != seq {
			t.Fatalf("the oldest of %+v is %d, want %d", key, got2[key], seq)
		}
	}
	if len(got2) != len(heads) {
		t.Fatalf("heads %v, want %v", got2, heads)
	}
}

// TestSilentWhileItIsRead: while the fronts are read after a start, lists say how far that is, and what they have is right.
func TestSilentWhileItIsRead(t *testing.T) {
	fs := vfs.NewMem()
	s := mustOpen(t, "data", options(t, fs))
	for n := range 300 {
		mustApply(t, s, scanOf(fmt.Sprint(n%100), n/100))
	}
	mustClose(t, s)

	s = mustOpen(t, "data", options(t, fs))
	q := store.SilentQuery{Before: map[state.Stage]time.Time{state.InTransit: time.Now().Add(time.Hour)}, Limit: 1000}
	for whole := false; !whole; runtime.Gosched() {
		page, err := s.Silent(t.Context(), q)
		if err != nil || page.Read > page.Total || page.Total > 300 {
			t.Fatalf("%d of %d, %v", page.Read, page.Total, err)
		}
		whole = page.Total == 0
		if len(page.Items) > 100 || whole && len(page.Items) != 100 {
			t.Fatalf("%d waybills, whole %v", len(page.Items), whole)
		}
		ages, err := s.StageAges(t.Context())
		if err != nil || len(ages) > 1 || whole && len(ages) != 1 {
			t.Fatalf("ages %v, %v, whole %v", ages, err, whole)
		}
	}
	for _, after := range []string{"x", "123456789"} {
		if _, err := s.Silent(t.Context(), store.SilentQuery{After: after}); err == nil {
			t.Errorf("a place %q is taken", after)
		}
	}
}

var frontRows = flag.Int("fronts", 1_000_000, "open waybills of BenchmarkFronts")

// BenchmarkFronts moves waybills on, eight scans each, with -fronts of them open at a time, in five accounts. It reports
// what they take in memory, a move and a page.
func BenchmarkFronts(b *testing.B) {
	f := newFronts(spanRows)
	f.left = nil
	stages := []state.Stage{
		state.Assigned, state.PickedUp, state.InTransit, state.InTransit, state.InTransit, state.OutForDelivery, state.DeliveryMissed, state.Delivered,
	}
	accounts := []string{"SF", "YTO", "ZTO", "STO", "JD"}
	type waybill struct {
		at   front
		step int
	}
	open := make([]waybill, *frontRows)
	random := rand.New(rand.NewPCG(1, 2))
	seq := uint64(0)
	var move [1]frontChange
	step := func() {
		n := random.IntN(len(open))
		w := &open[n]
		seq++
		is := front{seq, stages[w.step%len(stages)], n%4 != 0}.orNone()
		w.step++
		move[0] = frontChange{accounts[n%len(accounts)], w.at, is}
		w.at = is
		f.apply(move[:])
	}
	before := heapBytes()
	for range 4 * len(open) {
		step()
	}
	took := heapBytes() - before
	b.Run("move", func(b *testing.B) {
		for b.Loop() {
			step()
		}
		b.ReportMetric(float64(took)/float64(len(open)), "bytes/waybill")
		b.ReportMetric(float64(took)/(1<<20), "MiB")
	})
	b.Run("page", func(b *testing.B) {
		for b.Loop() {
			if got := f.oldest(0, 101, func(l line) uint64 { return cmp.Or(uint64(l.stage), 1) * seq / 8 }); len(got) == 0 {
				b.Fatal("nothing")
			}
		}
	})
}

func heapBytes() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
