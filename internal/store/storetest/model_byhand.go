package storetest

import (
	"context"
	"errors"
	"slices"
	"time"

	"pgregory.net/rapid"

	"carrier/internal/store"
)

// anyEvent picks an event of any verdict, and its push if it has one.
func (m *model) anyEvent(t *rapid.T) (uint64, *modelPush) {
	if len(m.sent) == 0 {
		t.Skip("nothing was sent")
	}
	seq := m.sent[rapid.IntRange(0, len(m.sent)-1).Draw(t, "which")].seq
	return seq, m.pushes[seq]
}

// answered sees that an act was answered as the model would. It tells whether it worked, and counts it then.
func (m *model) answered(t *rapid.T, what string, err error, works bool, kept int) bool {
	switch {
	case works && err != nil:
		t.Fatalf("%s: %v", what, err)
	case !works && !errors.Is(err, store.ErrState):
		t.Fatalf("%s: %v, want ErrState", what, err)
	case works:
		m.audits += kept
	}
	return works
}

func (m *model) discard(t *rapid.T) {
	seq, p := m.anyEvent(t)
	act, kept := m.act(t, store.ActDiscard)
	_, err := m.store.Discard(context.Background(), seq, act)
	works := p != nil && (p.status == store.Pending || p.status == store.Failed)
	if !m.answered(t, "Discard", err, works, kept) {
		return
	}
	reason := act.Reason
	if reason == "" {
		reason = store.ReasonOperator
	}
	m.ended(p, store.Discarded, reason)
}

func (m *model) retryNow(t *rapid.T) {
	seq, p := m.anyEvent(t)
	act, kept := m.act(t, store.ActRetry)
	_, err := m.store.RetryNow(context.Background(), seq, act)
	works := p != nil && p.status == store.Pending && p.nextAt.After(m.clock.Now()) && m.sendable(p)
	if m.answered(t, "RetryNow", err, works, kept) {
		p.nextAt = time.Time{}
	}
}

// sendable tells whether nothing keeps a push but itself and its account.
func (m *model) sendable(p *modelPush) bool {
	w := p.waybill
	for _, other := range m.pushes {
		if other.waybill == w && other.status == store.Pending && other.ord < p.ord {
			return false
		}
	}
	return m.tokens[w] != "" && !m.parked[w] && !m.frozen[w]
}

func (m *model) freeze(t *rapid.T) {
	w := modelWaybills.Draw(t, "waybill")
	frozen := rapid.Bool().Draw(t, "frozen")
	act, kept := m.act(t, store.ActFreeze)
	changed, err := m.store.Freeze(context.Background(), w, frozen, act)
	if len(m.timelines[w]) == 0 && m.tokens[w] == "" {
		if !errors.Is(err, store.ErrNotFound) || changed {
			t.Fatalf("Freeze of nothing: changed %v, %v; want ErrNotFound", changed, err)
		}
		return
	}
	if err != nil || changed != (m.frozen[w] != frozen) {
		t.Fatalf("Freeze(%s, %v): changed %v, %v; it was %v", w, frozen, changed, err, m.frozen[w])
	}
	m.frozen[w] = frozen
	if changed {
		m.audits += kept
	}
}

func (m *model) override(t *rapid.T) {
	if len(m.sent) == 0 {
		t.Skip("nothing was sent")
	}
	s := m.sent[rapid.IntRange(0, len(m.sent)-1).Draw(t, "which")]
	w := s.event.Waybill()
	act, kept := m.act(t, store.ActAccept)
	_, err := m.store.Accept(context.Background(), s.seq, act)
	after := slices.Clone(m.timelines[w])
	changed := m.opts.Machine.Override(after, s.seq, m.clock.Now().UnixMilli())
	if m.answered(t, "Accept", err, changed != nil && !m.expunged[s.seq], kept) {
		m.timelines[w] = after
		m.accept(w, changed)
	}
}

func (m *model) comparePush(seq uint64, want *modelPush) {
	p, err := m.store.Push(context.Background(), seq)
	got := &modelPush{
		waybill: p.Event.Waybill(), ord: want.ord, status: p.Status, reason: p.Reason, refusals: want.refusals,
		tokenUntil: want.tokenUntil, replay: p.Replay, bulk: p.Bulk,
	}
	for _, a := range p.Attempts {
		got.attempts = append(got.attempts, a.Replay)
	}
	same := got.waybill == want.waybill && got.status == want.status && got.reason == want.reason &&
		got.replay == want.replay && got.bulk == want.bulk && slices.Equal(got.attempts, want.attempts)
	if err != nil || !same || !p.NextAt.Equal(want.nextAt) || !p.DoneAt.Equal(want.doneAt) {
		m.Fatalf("push %d is %+v (%v), want %+v", seq, p, err, *want)
	}
	if p.WaitingFor == store.WaitToken && !p.Waiting.Until.Equal(want.tokenUntil) {
		m.Fatalf("push %d waits for a Token until %v, want %v", seq, p.Waiting.Until, want.tokenUntil)
	}
}

func (m *model) compareAudit() {
	n, before := 0, uint64(0)
	for {
		page, err := m.store.Audit(context.Background(), store.AuditQuery{Limit: 7, Before: before})
		if err != nil {
			m.Fatalf("Audit: %v", err)
		}
		for _, e := range page.Items {
			if want := uint64(m.audits - n); e.Number != want {
				m.Fatalf("entry %d of the audit log comes where %d is due: of %d", e.Number, want, m.audits)
			}
			n++
		}
		if before = page.Next; before == 0 {
			break
		}
	}
	if n != m.audits {
		m.Fatalf("the audit log has %d entries, want %d", n, m.audits)
	}
}
