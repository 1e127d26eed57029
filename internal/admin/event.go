package admin

import (
	"context"
	"errors"

	"carrier/internal/problem"
	"carrier/internal/state"
	"carrier/internal/store"
)

// Events lists events of every verdict, newest first.
func (s *Service) Events(ctx context.Context, by Actor, q store.Query) (List[EventItem], error) {
	q.Held = s.held
	page, err := s.Store.Events(ctx, q)
	if err != nil {
		return List[EventItem]{}, storeProblem(err)
	}
	return listOf("events", page, func(e *store.Event) EventItem { return eventItem(e, by) }), nil
}

// Accept takes a rejected event into its waybill's timeline against the table, and has it pushed.
func (s *Service) Accept(ctx context.Context, by Actor, seq uint64, reason string) (EventItem, error) {
	if err := checkReason(reason, true); err != nil {
		return EventItem{}, err
	}
	e, err := s.Store.Accept(ctx, seq, by.act(store.ActAccept, reason))
	switch {
	case errors.Is(err, store.ErrState):
		return EventItem{}, s.cannotAccept(ctx, seq)
	case err != nil:
		return EventItem{}, missingPush(err, seq)
	}
	s.acted(by, "event accepted by an operator", "seq", seq, "delivery_id", e.Event.DeliveryID, "waybill_id", e.Event.WaybillID, "reason", reason)
	return eventItem(&e, by), nil
}

// cannotAccept says which verdict the event has now.
func (s *Service) cannotAccept(ctx context.Context, seq uint64) error {
	e, err := s.event(ctx, seq)
	if err != nil {
		return missingPush(err, seq)
	}
	out := problem.New(problem.ConflictState).With("seq", seq).With("verdict", e.Verdict.String())
	if e.Verdict == state.Rejected && e.Expunged {
		return nothingLeft(out, seq)
	}
	return out.Sayf("Event %d is %s; only a rejected one can be accepted by an operator.",
		"事件 %d 当前为 %s；只有被拒绝的事件可以人工放行。", seq, e.Verdict)
}

// event is an event as it stands, by its waybill's story.
func (s *Service) event(ctx context.Context, seq uint64) (store.Event, error) {
	p, err := s.Store.Push(ctx, seq)
	if err != nil {
		return store.Event{}, err
	}
	w, err := s.Store.Waybill(ctx, p.Event.Waybill())
	if err != nil {
		return store.Event{}, err
	}
	for i := range w.Timeline {
		if e := &w.Timeline[i].Event; e.Seq == seq {
			return *e, nil
		}
	}
	return store.Event{}, store.ErrNotFound
}
