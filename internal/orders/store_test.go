package orders

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

// memory is a store in a map, with the promises of store.Orders. It can fail in both ways.
type memory struct {
	t testing.TB

	mu       sync.Mutex
	orders   map[store.OrderKey]store.Order
	tokens   map[state.Waybill][]string // Oldest first.
	waybills map[state.Waybill]*store.Waybill
	shown    map[state.Waybill]store.Shown
	uses     map[string][32]byte
	calls    map[string]int

	lost  map[string]int // How many calls of a method yet fail with nothing kept.
	kept  map[string]int // How many fail though it was kept.
	hangs map[string]int // How many hang until their context ends.
	slow  time.Duration  // How long PutOrder takes, and keeps all the same.
}

var errBroken = errors.New("the store is broken")

func newMemory(t testing.TB) *memory {
	return &memory{
		t: t, orders: map[store.OrderKey]store.Order{}, tokens: map[state.Waybill][]string{}, waybills: map[state.Waybill]*store.Waybill{},
		shown: map[state.Waybill]store.Shown{}, uses: map[string][32]byte{}, calls: map[string]int{}, lost: map[string]int{}, kept: map[string]int{}, hangs: map[string]int{},
	}
}

// call does the work of a method, or fails as it was told to.
func (m *memory) call(ctx context.Context, method string, work func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls[method]++
	switch {
	case m.hangs[method] > 0:
		m.hangs[method]--
		m.mu.Unlock()
		<-ctx.Done()
		m.mu.Lock()
		return context.Cause(ctx)
	case m.lost[method] > 0:
		m.lost[method]--
		return errBroken
	case m.kept[method] > 0:
		m.kept[method]--
		return errors.Join(work(), errBroken)
	}
	return work()
}

func (m *memory) PutOrder(ctx context.Context, o store.Order, token string) (kept store.Order, fresh bool, err error) {
	time.Sleep(m.slowness())
	err = m.call(ctx, "PutOrder", func() error {
		var known bool
		if kept, known = m.orders[o.OrderKey]; !known {
			kept, fresh = o, true
			m.orders[o.OrderKey] = o
		}
		if all := m.tokens[kept.Waybill()]; len(all) == 0 || all[len(all)-1] != token {
			m.tokens[kept.Waybill()] = append(all, token)
		}
		return nil
	})
	if err != nil {
		return store.Order{}, false, err // Nobody may go by what comes with an error.
	}
	return kept, fresh, nil
}

func (m *memory) slowDown(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.slow = d
}

func (m *memory) slowness() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.slow
}

func (m *memory) ReadOrder(ctx context.Context, key store.OrderKey) (o store.Order, err error) {
	err = m.call(ctx, "ReadOrder", func() error {
		var known bool
		if o, known = m.orders[key]; !known {
			return store.ErrNotFound
		}
		return nil
	})
	return o, err
}

func (m *memory) CancelOrder(ctx context.Context, key store.OrderKey, e state.Event) (done store.Cancellation, err error) {
	err = m.call(ctx, "CancelOrder", func() error {
		o, known := m.orders[key]
		if !known {
			return store.ErrNotFound
		}
		if e.Source != Source || e.Type != state.Cancelled || e.Waybill() != o.Waybill() || e.ID == "" || e.Time <= 0 {
			m.t.Errorf("the event of a cancellation is %+v", e)
		}
		w := m.waybill(o.Waybill())
		for _, step := range w.Timeline {
			if step.Event.Event.ID == e.ID && step.Event.Event.Source == e.Source {
				done = store.Cancellation{Verdict: state.Ignored, Stage: w.Stage, Order: o}
				if step.Event.First == state.Rejected {
					done.Verdict = state.Rejected
				}
				return nil
			}
		}
		done = store.Cancellation{Verdict: m.step(w, e), Stage: w.Stage, Order: o}
		if done.Verdict == state.Accepted {
			o.CancelledAt = time.Now()
			m.orders[key] = o
		}
		return nil
	})
	if err != nil {
		return store.Cancellation{}, err
	}
	return done, nil
}

func (m *memory) FirstUse(ctx context.Context, signature string, digest [32]byte, until time.Time) (allowed bool, err error) {
	err = m.call(ctx, "FirstUse", func() error {
		if !until.After(time.Now()) {
			m.t.Errorf("a signature may be forgotten at %s, before it is used", until)
		}
		known, used := m.uses[signature]
		if !used {
			m.uses[signature] = digest
		}
		allowed = !used || known == digest
		return nil
	})
	return allowed, err
}

func (m *memory) PutShown(ctx context.Context, w state.Waybill, shown store.Shown) (kept bool, err error) {
	if err := shown.Fit(w); err != nil {
		return false, err
	}
	err = m.call(ctx, "PutShown", func() error {
		known, ok := m.shown[w]
		if kept = !ok || shown.Version > known.Version; kept {
			m.shown[w] = shown
		}
		return nil
	})
	return kept && err == nil, err
}

func (m *memory) Waybill(ctx context.Context, name state.Waybill) (w store.Waybill, err error) {
	err = m.call(ctx, "Waybill", func() error {
		if m.waybills[name] == nil && m.tokens[name] == nil {
			return store.ErrNotFound
		}
		w = *m.waybill(name)
		w.Timeline = slices.Clone(w.Timeline)
		return nil
	})
	return w, err
}

func (m *memory) waybill(name state.Waybill) *store.Waybill {
	if m.waybills[name] == nil {
		m.waybills[name] = &store.Waybill{Waybill: name}
	}
	return m.waybills[name]
}

// step puts an event at the end of a waybill's timeline.
func (m *memory) step(w *store.Waybill, e state.Event) state.Verdict {
	kept := store.Event{Event: e, First: state.Accepted, From: w.Stage}
	next, outcome := state.Next(w.Stage, e.Type)
	switch outcome {
	case state.Repeat:
		kept.First = state.Ignored
	case state.Illegal:
		kept.First = state.Rejected
	}
	w.Stage = next
	w.Timeline = append(w.Timeline, store.Step{Event: kept})
	return kept.First
}

// scan lets scans come in.
func (m *memory) scan(waybillID string, types ...state.ActionType) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range types {
		m.step(m.waybill(state.Waybill{DeliveryID: "SF", WaybillID: waybillID}), state.Event{ID: a.String(), Source: "app", Type: a})
	}
}

func (m *memory) tokensOf(waybillID string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.tokens[state.Waybill{DeliveryID: "SF", WaybillID: waybillID}])
}

func (m *memory) count(method string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls[method]
}
