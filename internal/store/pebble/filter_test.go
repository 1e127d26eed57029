package pebble

import (
	"math/rand/v2"
	"testing"

	"carrier/internal/state"
)

func TestFilterNeverForgets(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const names = 3 << 20 // Into the second generation.
	added := make([]uint64, names)
	var f filter
	for i := range added {
		added[i] = rng.Uint64()
		f.add(added[i])
	}
	if len(f.generations) != 2 {
		t.Errorf("%d generations, want 2", len(f.generations))
	}
	for _, h := range added {
		if !f.maybe(h) {
			t.Fatalf("%x was added and is denied", h)
		}
	}
	wrong := 0
	const probes = 200_000
	for range probes {
		if f.maybe(rng.Uint64()) {
			wrong++
		}
	}
	if share := float64(wrong) / probes; share > 0.02 {
		t.Errorf("%.2f %% of unknown names are perhaps known, want 2 %% at most", share*100)
	}
}

func TestFilterJoin(t *testing.T) {
	now, before := filter{building: true}, filter{}
	now.add(1 << 40)
	before.add(2 << 40)
	if !now.maybe(3 << 40) {
		t.Error("a filter that is being built denies a name")
	}
	now.join(&before)
	if !now.maybe(1<<40) || !now.maybe(2<<40) {
		t.Error("joined, a name is denied")
	}
	if now.maybe(3 << 40) {
		t.Error("joined, it still says maybe to everything")
	}
}

func TestCacheGenerations(t *testing.T) {
	c := newCache(4)
	name := func(i int) state.Waybill { return state.Waybill{DeliveryID: "SF", WaybillID: string(rune('a' + i))} }
	for i := range 12 {
		c.put(&waybill{name: name(i)})
		if c.get(name(0)) == nil {
			t.Fatalf("a waybill in use was forgotten after %d others", i)
		}
		c.age()
	}
	if len(c.young)+len(c.old) > 9 {
		t.Errorf("%d waybills are cached", len(c.young)+len(c.old))
	}
	if c.get(name(1)) != nil {
		t.Error("a waybill out of use is still cached")
	}
	c.drop(name(0))
	if c.get(name(0)) != nil {
		t.Error("a dropped waybill is still cached")
	}
}

func TestUntried(t *testing.T) {
	s := newStore("x", Options{}.withDefaults())
	u := &s.w.untried
	a, b := state.Waybill{DeliveryID: "SF", WaybillID: "a"}, state.Waybill{DeliveryID: "SF", WaybillID: "b"}
	for seq := uint64(1); seq <= 1000; seq++ {
		u.add(seq, a)
	}
	if !u.has(500, a) || u.has(500, b) || u.has(1001, a) || u.has(0, a) {
		t.Error("it does not know what was added")
	}
	for seq := uint64(0); seq <= 1001; seq++ {
		u.remove(seq)
		u.remove(seq)
	}
	if u.has(500, a) || len(u.pages) != 0 {
		t.Errorf("%d pages are left", len(u.pages))
	}
}
