package postgres

import (
	"testing"

	"carrier/internal/state"
)

// TestNoticesWaitForTransactions: a notice is not shown while one with a lower number may still appear.
func TestNoticesWaitForTransactions(t *testing.T) {
	t.Parallel()
	s := openStore(t, testOptions(t))
	r, err := s.Apply(t.Context(), []state.Event{scanOf("1", 1, state.PickupDone)})
	if err != nil {
		t.Fatalf("Apply: %v", err)
	}
	other, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{lockNotices, "SELECT nextval('notice_numbers')"} {
		if _, err := other.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	deliver(t, []*Store{s}, state.Waybill{DeliveryID: "SF", WaybillID: "1"}, r[0].Seq)
	if list, err := s.Notices(t.Context(), 0, 10); err != nil || len(list) != 0 {
		t.Errorf("Notices: %+v, %v; want none before the lower number's transaction has ended", list, err)
	}
	if err := s.Told(t.Context(), 99); err != nil {
		t.Errorf("Told: %v", err)
	}
	if err := other.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if list, err := s.Notices(t.Context(), 0, 10); err != nil || len(list) != 1 || list[0].Seq != r[0].Seq || list[0].Number != 2 {
		t.Errorf("Notices: %+v, %v; want number 2", list, err)
	}
}

func TestHorizon(t *testing.T) {
	t.Parallel()
	var h horizon
	for i, c := range []struct {
		last   uint64
		makers []string
		want   uint64
	}{
		{5, nil, 5},
		{9, []string{"a", "b"}, 5},       // 9 is final once a and b have ended.
		{12, []string{"b", "c"}, 5},      // b has not.
		{15, []string{"c", "d"}, 9},      // From here on 15 waits for c and d.
		{15, []string{"d", "e", "f"}, 9}, // Theirs is behind it.
		{16, []string{"e"}, 15},
		{20, nil, 20},
	} {
		if got := h.see(look{h.turn, c.last, c.makers}); got != c.want {
			t.Errorf("step %d: up to %d all is final, want %d", i, got, c.want)
		}
	}
}

// TestHorizonOfALateLook: one that looked before somebody began can't say that they have ended.
func TestHorizonOfALateLook(t *testing.T) {
	t.Parallel()
	var h horizon
	early := h.begin()
	h.see(look{h.begin().turn, 9, []string{"a"}})
	if got := h.see(early); got != 0 {
		t.Errorf("up to %d all is final, and number 9 may be a's", got)
	}
	if got := h.see(h.begin()); got != 9 {
		t.Errorf("up to %d all is final, want 9", got)
	}
}
