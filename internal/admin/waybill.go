package admin

import (
	"context"
	"errors"

	"carrier/internal/problem"
	"carrier/internal/state"
	"carrier/internal/store"
)

// Waybill reads a waybill's story. One that only WeChat told of has an empty timeline.
func (s *Service) Waybill(ctx context.Context, by Actor, w state.Waybill) (WaybillItem, error) {
	item, err := s.story(ctx, by, w)
	if err != nil {
		return WaybillItem{}, missingWaybill(err, w)
	}
	return item, nil
}

// story is a waybill as by may see it, with what its customer sees. If nothing is known of it, it is empty, beside
// store.ErrNotFound.
func (s *Service) story(ctx context.Context, by Actor, w state.Waybill) (WaybillItem, error) {
	kept, err := s.Store.Waybill(ctx, w)
	switch {
	case errors.Is(err, store.ErrNotFound):
		kept = store.Waybill{Waybill: w}
	case err != nil:
		return WaybillItem{}, err
	}
	for i := range kept.Timeline {
		s.overlay(&kept.Timeline[i].Push)
	}
	item := s.view(by).waybill(&kept)
	seen, missing := s.Store.Shown(ctx, w)
	switch {
	case missing == nil:
		item.Shown, err = shownItem(&seen, by), nil
	case !errors.Is(missing, store.ErrNotFound):
		return WaybillItem{}, missing
	}
	return item, err
}

// PutToken registers a waybill's Token. changed is false if it was the newest already.
func (s *Service) PutToken(ctx context.Context, by Actor, w state.Waybill, token, reason string) (changed bool, err error) {
	if err := s.known(w.DeliveryID); err != nil {
		return false, err
	}
	if token == "" || len(token) > state.MaxTokenBytes {
		return false, invalidField("token", "length",
			problem.Textf("token must have 1 to %d bytes.", "token 必须为 1 到 %d 字节。", state.MaxTokenBytes))
	}
	if err := checkReason(reason, false); err != nil {
		return false, err
	}
	if changed, err = s.Store.PutToken(ctx, w, token, by.act(store.ActToken, reason)); err != nil {
		return false, storeProblem(err)
	}
	s.acted(by, "token registered", "delivery_id", w.DeliveryID, "waybill_id", w.WaybillID, "changed", changed)
	return changed, nil
}

// Freeze holds a waybill's pushes: scans are taken as ever, and wait. One that is in flight is let through.
func (s *Service) Freeze(ctx context.Context, by Actor, w state.Waybill, reason string) (WaybillItem, error) {
	return s.setFrozen(ctx, by, w, true, by.act(store.ActFreeze, reason))
}

// Thaw lets a frozen waybill's pushes go on, in order.
func (s *Service) Thaw(ctx context.Context, by Actor, w state.Waybill, reason string) (WaybillItem, error) {
	return s.setFrozen(ctx, by, w, false, by.act(store.ActThaw, reason))
}

func (s *Service) setFrozen(ctx context.Context, by Actor, w state.Waybill, frozen bool, act store.Act) (WaybillItem, error) {
	if err := errors.Join(s.known(w.DeliveryID), checkReason(act.Reason, false)); err != nil {
		return WaybillItem{}, err
	}
	changed, err := s.Store.Freeze(ctx, w, frozen, act)
	if err != nil {
		return WaybillItem{}, missingWaybill(err, w)
	}
	s.acted(by, act.Action, "delivery_id", w.DeliveryID, "waybill_id", w.WaybillID, "changed", changed, "reason", act.Reason)
	return s.Waybill(ctx, by, w)
}

// Skip discards the push that holds a waybill up: its first open one. Those behind it go on.
func (s *Service) Skip(ctx context.Context, by Actor, w state.Waybill, reason string) (WaybillItem, error) {
	return s.onHead(ctx, by, w, by.act(store.ActSkip, reason), s.Store.Discard, cannotDiscard)
}

// RetryWaybill lets a waybill's first open push go at once, if it waits for its next attempt.
func (s *Service) RetryWaybill(ctx context.Context, by Actor, w state.Waybill, reason string) (WaybillItem, error) {
	return s.onHead(ctx, by, w, by.act(store.ActRetry, reason), s.Store.RetryNow, cannotRetry)
}

// onHead carries out an act on a waybill's first open push. If that push ends in the meantime, the act is refused and
// none behind it is touched.
func (s *Service) onHead(ctx context.Context, by Actor, w state.Waybill, act store.Act,
	do func(context.Context, uint64, store.Act) (store.Push, error), cannot func(*problem.Problem, *PushItem),
) (WaybillItem, error) {
	if err := errors.Join(s.known(w.DeliveryID), checkReason(act.Reason, false)); err != nil {
		return WaybillItem{}, err
	}
	story, err := s.Store.Waybill(ctx, w)
	if err != nil {
		return WaybillItem{}, missingWaybill(err, w)
	}
	seq, ok := head(&story)
	if !ok {
		return WaybillItem{}, nothingOpen(&story)
	}
	if _, err := do(ctx, seq, act); err != nil {
		return WaybillItem{}, s.pushProblem(ctx, by, seq, err, cannot)
	}
	s.acted(by, act.Action, "seq", seq, "delivery_id", w.DeliveryID, "waybill_id", w.WaybillID, "reason", act.Reason)
	return s.Waybill(ctx, by, w)
}

// head is a waybill's first open push in the order of sending.
func head(w *store.Waybill) (seq uint64, ok bool) {
	var first uint64
	for i := range w.Timeline {
		if p := &w.Timeline[i].Push; p.Status == store.Pending && (!ok || p.Ord < first) {
			first, seq, ok = p.Ord, p.Seq, true
		}
	}
	return seq, ok
}

func nothingOpen(w *store.Waybill) error {
	return problem.New(problem.ConflictState).With("stage", w.Stage.String()).With("open", 0).With("parked", w.Parked).
		With("frozen", w.Frozen).
		Say("No push of this waybill is open; the waybill's story says what became of each.",
			"该运单没有待推送的内容；每个推送的结果见运单全程。")
}
