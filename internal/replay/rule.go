package replay

import (
	"time"

	"carrier/internal/store"
)

// rule says which pushes a replay is of, and which of them it sends.
type rule struct {
	filter         store.Query // Only its conditions count.
	upTo           uint64      // Only pushes with at most this number.
	skipSuperseded bool
	// chosen are the pushes picked one by one, in place of a filter: discarded ones among them are sent, too. nil: the
	// filter says which.
	chosen map[uint64]bool
	// configured tells whether an account is; held what its pushes wait for at the moment (store.Query.Held).
	configured func(deliveryID string) bool
	held       func(deliveryID string, transitOnly bool) store.WaitingFor

	// Of a replay that was started: what ended since, or was made pending by it, is not looked at again. Zero before.
	id        uint64
	createdAt time.Time
}

// sends is the status of the pushes that are sent: failed ones, or discarded ones if the filter asks for these. NoPush
// if the filter asks for a status that no bulk replay sends.
func (r *rule) sends() store.Status {
	switch r.filter.Status {
	case store.NoPush, store.Failed:
		return store.Failed
	case store.Discarded:
		return store.Discarded
	}
	return store.NoPush
}

// of tells whether the replay is of a step of a waybill's story.
func (r *rule) of(step *store.Step) bool {
	if r.chosen != nil {
		return r.chosen[step.Push.Seq] && step.Push.Status != store.NoPush
	}
	return step.Push.Seq <= r.upTo && !r.since(&step.Push) && matches(&r.filter, step, r.held)
}

// since tells whether the push ended, or was made pending by the replay itself, after the replay was made. An engine
// gives nothing that is committed after a replay its time or an earlier one.
func (r *rule) since(p *store.Push) bool {
	return r.id != 0 && (p.Replay == r.id || p.DoneAt.After(r.createdAt))
}

// sent tells whether a push with a verdict becomes pending.
func (r *rule) sent(v Verdict) bool {
	switch v {
	case Send, WaitsBehind, WaitsForToken, WaitsForThaw:
		return true
	case Superseded:
		return !r.skipSuperseded
	}
	return false
}

// matches tells whether a step of a waybill's story is a push that the filter finds. It means the same as the store's
// own lists; a story does not know what all pushes of an account wait for, so held says that.
func matches(q *store.Query, step *store.Step, held func(deliveryID string, transitOnly bool) store.WaitingFor) bool {
	p, e := &step.Push, &step.Push.Event
	switch {
	case p.Status == store.NoPush,
		q.Status != store.NoPush && p.Status != q.Status,
		q.Verdict != 0 && step.Event.Verdict != q.Verdict,
		q.Errcode != nil && !answered(p, *q.Errcode),
		q.Reason != "" && p.Reason != q.Reason,
		q.DeliveryID != "" && e.DeliveryID != q.DeliveryID,
		q.WaybillID != "" && e.WaybillID != q.WaybillID,
		q.Type != 0 && e.Type != q.Type,
		q.Source != "" && e.Source != q.Source,
		!q.Since.IsZero() && p.ReceivedAt.UnixMilli() < q.Since.UnixMilli(),
		!q.Until.IsZero() && p.ReceivedAt.UnixMilli() >= q.Until.UnixMilli():
		return false
	}
	return q.WaitingFor == store.WaitNothing || waitingFor(p, held) == q.WaitingFor
}

// answered tells whether the last attempt was answered with errcode.
func answered(p *store.Push, errcode int) bool {
	last := p.Last().Errcode
	return last != nil && *last == errcode
}

// waitingFor is what p waits for. What its waybill waits for comes before what its account does, and that before the
// time of its next attempt.
func waitingFor(p *store.Push, held func(deliveryID string, transitOnly bool) store.WaitingFor) store.WaitingFor {
	if p.Status != store.Pending {
		return store.WaitNothing
	}
	if p.WaitingFor == store.WaitNothing || p.WaitingFor == store.WaitRetry {
		if w := held(p.Event.DeliveryID, p.TransitOnly); w != store.WaitNothing {
			return w
		}
	}
	return p.WaitingFor
}
