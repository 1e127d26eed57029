package admin

import (
	"context"
	"errors"

	"carrier/internal/problem"
	"carrier/internal/state"
	"carrier/internal/store"
)

// ExpungedItem counts what was forgotten of a waybill. All is 0 if it was forgotten before.
type ExpungedItem struct {
	Events    int         `json:"events"`    // Whose text was forgotten now.
	Discarded int         `json:"discarded"` // Pushes that were open or failed.
	Tokens    int         `json:"tokens"`
	Orders    int         `json:"orders"`
	Shown     int         `json:"shown"`   // Texts of what the customer was shown.
	Waybill   WaybillItem `json:"waybill"` // As it is now.
}

// Expunge forgets the personal data of a waybill for good (see store.Orders). It takes no heed of whether the account
// is still configured: what was kept for one that is gone must be forgotten on demand, too.
func (s *Service) Expunge(ctx context.Context, by Actor, w state.Waybill, reason string) (ExpungedItem, error) {
	if err := checkReason(reason, true); err != nil {
		return ExpungedItem{}, err
	}
	done, err := s.Store.Expunge(ctx, w, by.act(store.ActExpunge, reason))
	if err != nil {
		return ExpungedItem{}, missingWaybill(err, w)
	}
	s.acted(by, store.ActExpunge, "delivery_id", w.DeliveryID, "waybill_id", w.WaybillID,
		"events", done.Events, "discarded", done.Discarded, "tokens", done.Tokens, "orders", done.Orders, "shown", done.Shown, "reason", reason)
	now, err := s.story(ctx, by, w)
	if err != nil && !errors.Is(err, store.ErrNotFound) { // Perhaps only its order or its Token had made it known.
		return ExpungedItem{}, storeProblem(err)
	}
	return ExpungedItem{
		Events: done.Events, Discarded: done.Discarded, Tokens: done.Tokens, Orders: done.Orders, Shown: done.Shown, Waybill: now,
	}, nil
}

// expunged tells whether the text of an event was forgotten, so that it can't be sent any more.
func (s *Service) expunged(ctx context.Context, seq uint64) bool {
	e, err := s.event(ctx, seq)
	return err == nil && e.Expunged
}

// nothingLeft refuses to send what was expunged.
func nothingLeft(out *problem.Problem, seq uint64) *problem.Problem {
	return out.Sayf("The text of event %d was expunged: there is nothing left to send.",
		"事件 %d 的文本已清除，没有可发送的内容。", seq)
}
