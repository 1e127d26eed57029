package storetest

import (
	"context"
	"errors"
	"slices"
	"time"

	"pgregory.net/rapid"

	"carrier/internal/store"
)

// modelReplay is what the model knows of a replay.
type modelReplay struct {
	id        uint64
	status    store.ReplayStatus
	single    bool
	discarded bool // It is of discarded pushes.
	createdAt time.Time
	upTo      uint64
	legs      []store.Leg
	counts    tally
}

func (r *modelReplay) open() int64 {
	return r.counts.requeued - r.counts.delivered - r.counts.failed - r.counts.discarded
}

// count moves an end from one counter to another; a push that was pending had none.
func (r *modelReplay) count(from, to store.Status) {
	for status, n := range map[store.Status]*int64{
		store.Delivered: &r.counts.delivered, store.Failed: &r.counts.failed, store.Discarded: &r.counts.discarded,
	} {
		if status == from {
			*n--
		}
		if status == to {
			*n++
		}
	}
	r.look()
}

// look sees whether the replay is done.
func (r *modelReplay) look() {
	left := slices.ContainsFunc(r.legs, func(l store.Leg) bool { return !l.Done })
	if r.status == store.ReplayRunning && !left && r.open() == 0 {
		r.status = store.ReplayDone
	}
}

// newest is the highest number given to an event.
func (m *model) newest() (seq uint64) {
	for _, s := range m.sent {
		seq = max(seq, s.seq)
	}
	return seq
}

func (m *model) replay(t *rapid.T) {
	seq, p := m.anyEvent(t)
	force := rapid.Bool().Draw(t, "force")
	act, kept := m.act(t, store.ActReplay)
	_, err := m.store.Replay(context.Background(), seq, force, act)
	works := p != nil && p.status != store.Pending && (p.status != store.Delivered || force) && !m.expunged[seq]
	if !m.answered(t, "Replay", err, works, kept) {
		return
	}
	r := &modelReplay{id: uint64(len(m.replays) + 1), status: store.ReplayRunning, single: true, createdAt: m.clock.Now(), upTo: seq}
	r.counts.requeued = 1
	m.replays = append(m.replays, r)
	m.opened(p, r.id, false)
	m.parked[p.waybill] = false
}

func (m *model) startReplay(t *rapid.T) {
	r := &modelReplay{
		id: uint64(len(m.replays) + 1), status: store.ReplayRunning, createdAt: m.clock.Now(), upTo: m.newest(),
		discarded: rapid.Bool().Draw(t, "discarded"), legs: []store.Leg{{DeliveryID: account}, {DeliveryID: "YTO"}},
	}
	r.legs = r.legs[rapid.IntRange(0, 2).Draw(t, "legs"):]
	ask := store.Replay{Filter: store.Query{Status: store.Failed}, Matched: 7, Legs: slices.Clone(r.legs)}
	if r.discarded {
		ask.Filter.Status = store.Discarded
	}
	act, kept := m.act(t, store.ActReplayStart)
	got, err := m.store.StartReplay(context.Background(), ask, act)
	// An ord is a number too, so the store may know of a higher one than any event has.
	if err != nil || got.ID != r.id || !got.CreatedAt.Equal(r.createdAt) || got.UpTo < r.upTo || got.Matched != 7 {
		t.Fatalf("StartReplay: %+v, %v; want %+v", got, err, r)
	}
	r.upTo = got.UpTo
	r.look()
	m.replays = append(m.replays, r)
	m.audits += kept
	m.advance(t, settling)
}

// drawReplay picks a replay of many pushes.
func (m *model) drawReplay(t *rapid.T) *modelReplay {
	many := slices.DeleteFunc(slices.Clone(m.replays), func(r *modelReplay) bool { return r.single })
	if len(many) == 0 {
		t.Skip("there is none")
	}
	return rapid.SampledFrom(many).Draw(t, "replay")
}

func (m *model) stepReplay(t *rapid.T) {
	r := m.drawReplay(t)
	step := store.Requeue{Replay: r.id, Skipped: rapid.IntRange(0, 2).Draw(t, "skipped")}
	for range rapid.IntRange(0, 6).Draw(t, "pushes") {
		seq, _ := m.anyEvent(t)
		step.Seqs = append(step.Seqs, seq)
	}
	step.Leg = store.Leg{
		DeliveryID: rapid.SampledFrom([]string{account, "YTO"}).Draw(t, "leg"), Cursor: rapid.Uint64Range(1, 50).Draw(t, "cursor"),
		Done: rapid.IntRange(0, 2).Draw(t, "done") == 0,
	}
	_, err := m.store.Requeue(context.Background(), step)
	if !m.answered(t, "Requeue", err, r.status == store.ReplayRunning, 0) {
		return
	}
	moved := int64(0)
	for _, seq := range step.Seqs {
		if p := m.pushes[seq]; p != nil && m.concerns(r, seq, p) {
			m.opened(p, r.id, true)
			m.parked[p.waybill] = false
			moved++
		}
	}
	r.counts.requeued += moved
	r.counts.skipped += int64(step.Skipped+len(step.Seqs)) - moved
	for i := range r.legs {
		if r.legs[i].DeliveryID == step.Leg.DeliveryID {
			r.legs[i] = step.Leg
		}
	}
	r.look()
}

// concerns tells whether a replay may move a push. One that it has moved in the same step is pending by then.
func (m *model) concerns(r *modelReplay, seq uint64, p *modelPush) bool {
	due := p.status == store.Failed || p.status == store.Discarded && r.discarded
	return due && !m.expunged[seq] && seq <= r.upTo && !p.doneAt.After(r.createdAt)
}

func (m *model) setReplay(t *rapid.T) {
	r := m.drawReplay(t)
	to := rapid.SampledFrom(store.ReplayStatuses()).Draw(t, "to")
	act, kept := m.act(t, store.ActReplayPause)
	_, err := m.store.SetReplay(context.Background(), r.id, to, act)
	works := map[store.ReplayStatus]bool{
		store.ReplayPaused:    r.status == store.ReplayRunning,
		store.ReplayRunning:   r.status == store.ReplayPaused,
		store.ReplayCancelled: r.status == store.ReplayRunning || r.status == store.ReplayPaused,
	}[to]
	if m.answered(t, "SetReplay", err, works, kept) {
		r.status = to
		r.look()
	}
}

func (m *model) compareReplay(want *modelReplay) {
	got, err := m.store.ReadReplay(context.Background(), want.id)
	counts := tally{got.Requeued, got.Skipped, got.Delivered, got.Failed, got.Discarded}
	if err != nil || got.Status != want.status || counts != want.counts || !slices.Equal(got.Legs, want.legs) ||
		got.EndedAt.IsZero() == want.status.Ended() {
		m.Fatalf("replay %d is %+v (%v), want %+v", want.id, got, err, want)
	}
	_, err = m.store.ReadReplay(context.Background(), uint64(len(m.replays)+1))
	if !errors.Is(err, store.ErrNotFound) {
		m.Fatalf("a replay too many: %v", err)
	}
}
