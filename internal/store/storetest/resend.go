package storetest

import (
	"context"
	"errors"
	"slices"

	"pgregory.net/rapid"

	"carrier/internal/state"
	"carrier/internal/store"
)

var resendTests = map[string]func(*fixture){
	"delivered pushes go again, in order":  resendOrder,
	"what is not sent again":               resendSkips,
	"nothing to send again is no replay":   resendNothing,
	"sending again outlives a restart":     resendReopens,
	"a waybill that is parked is unparked": resendUnparks,
}

func (f *fixture) resend(w state.Waybill, seqs ...uint64) store.Replay {
	f.Helper()
	r, err := f.store.Resend(f.Context(), w, seqs, by(store.ActHeal))
	if err != nil {
		f.Fatalf("Resend(%v): %v", seqs, err)
	}
	f.sameReplay(r, f.readReplay(r.ID))
	f.clock.advance(settling)
	return r
}

func resendOrder(f *fixture) {
	w, n := f.ready("1", 4)
	for _, seq := range n[:3] {
		f.deliver(w, seq)
	}
	f.fed()
	r := f.resend(w, n[2], n[0])
	if c := f.fed(); len(c) != 1 || !c[0].Reload || c[0].Waybill != w {
		f.Errorf("it was fed as %+v, want one Reload", c)
	}
	f.openPushes(w, n[0], n[2], n[3])
	f.counted(r.ID, store.ReplayRunning, tally{requeued: 2})
	if r.Matched != 2 || r.Single != 0 || r.Filter.WaybillID != "1" || !r.Exhausted() || r.By != by(store.ActHeal).By {
		f.Errorf("the replay is %+v", r)
	}
	f.deliver(w, n[0])
	if p := f.status(n[0], store.Delivered, ""); p.Replay != r.ID || p.Last().Replay != r.ID || len(p.Attempts) != 2 {
		f.Errorf("the push is %+v", p)
	}
	f.counted(r.ID, store.ReplayRunning, tally{requeued: 2, delivered: 1})
	f.deliver(w, n[2])
	f.counted(r.ID, store.ReplayDone, tally{requeued: 2, delivered: 2})
}

func resendSkips(f *fixture) {
	w, n := f.ready("1", 4)
	other, m := f.ready("2", 1)
	f.deliver(other, m[0])
	f.deliver(w, n[0])
	f.fail(w, n[1], store.ReasonRefused, 47001, false)
	f.settle(store.Outcome{Seq: n[2], Waybill: w, Status: store.Discarded, Reason: store.ReasonOperator})
	rejected := f.one(f.scan("1", state.Cancelled, 900), state.Rejected)
	r := f.resend(w, n[0], n[0], n[1], n[2], n[3], m[0], rejected.Seq, 4711)
	f.counted(r.ID, store.ReplayRunning, tally{requeued: 1, skipped: 7})
	f.openPushes(w, n[0], n[3])
	f.openPushes(other)
	if _, err := f.store.Resend(f.Context(), w, n[:1], by(store.ActHeal)); !errors.Is(err, store.ErrState) {
		f.Errorf("what is on its way already: %v, want ErrState", err)
	}
}

func resendNothing(f *fixture) {
	w, n := f.ready("1", 2)
	f.deliver(w, n[0])
	if _, err := f.store.Expunge(f.Context(), w, store.Act{}); err != nil {
		f.Fatalf("Expunge: %v", err)
	}
	for name, seqs := range map[string][]uint64{"expunged": n[:1], "discarded": n[1:], "none": nil, "unknown": {4711}} {
		if _, err := f.store.Resend(f.Context(), w, seqs, by(store.ActHeal)); !errors.Is(err, store.ErrState) {
			f.Errorf("%s: %v, want ErrState", name, err)
		}
	}
	f.audited(0, store.AuditEntry{})
	if _, err := f.store.ReadReplay(f.Context(), 1); !errors.Is(err, store.ErrNotFound) {
		f.Errorf("a replay was kept: %v", err)
	}
}

func resendReopens(f *fixture) {
	w, n := f.ready("1", 2)
	f.deliver(w, n[0])
	f.deliver(w, n[1])
	r := f.resend(w, n[0])
	f.reopen()
	f.openPushes(w, n[0])
	f.counted(r.ID, store.ReplayRunning, tally{requeued: 1})
	f.deliver(w, n[0])
	f.counted(r.ID, store.ReplayDone, tally{requeued: 1, delivered: 1})
}

func resendUnparks(f *fixture) {
	w, n := f.ready("1", 2)
	f.deliver(w, n[0])
	f.fail(w, n[1], store.ReasonToken, 40199, true)
	f.resend(w, n[0])
	if lane := f.openPushes(w, n[0]); lane.Parked {
		f.Error("the waybill is still parked")
	}
}

// resend has the model send delivered pushes of a waybill again.
func (m *model) resend(t *rapid.T) {
	w := modelWaybills.Draw(t, "waybill")
	var seqs []uint64
	for range rapid.IntRange(0, 4).Draw(t, "pushes") {
		seq, _ := m.anyEvent(t)
		seqs = append(seqs, seq)
	}
	var due []*modelPush
	for _, seq := range seqs {
		p := m.pushes[seq]
		if p != nil && p.waybill == w && p.status == store.Delivered && !m.expunged[seq] && !slices.Contains(due, p) {
			due = append(due, p)
		}
	}
	act, kept := m.act(t, store.ActHeal)
	got, err := m.store.Resend(context.Background(), w, seqs, act)
	if !m.answered(t, "Resend", err, len(due) > 0, kept) {
		return
	}
	r := &modelReplay{
		id: uint64(len(m.replays) + 1), status: store.ReplayRunning, createdAt: m.clock.Now(), upTo: got.UpTo,
		legs: []store.Leg{{DeliveryID: w.DeliveryID, Cursor: got.UpTo, Done: true}},
	}
	r.counts.requeued, r.counts.skipped = int64(len(due)), int64(len(seqs)-len(due))
	m.replays = append(m.replays, r)
	for _, p := range due {
		m.opened(p, r.id, true)
		m.parked[w] = false
	}
	m.advance(t, settling)
}
