package admin

import (
	"context"
	"time"

	"carrier/internal/store"
)

// record keeps an act that the store itself does not keep. It comes before the act: what can't be recorded is not done.
func (s *Service) record(ctx context.Context, e store.AuditEntry) error {
	if err := s.Store.Record(ctx, e); err != nil {
		return storeProblem(err)
	}
	return nil
}

// AuditItem is a row of the audit log.
type AuditItem struct {
	ID         string    `json:"id"`
	At         time.Time `json:"at"`
	By         string    `json:"by"`
	From       string    `json:"from"`
	Action     string    `json:"action"`
	DeliveryID string    `json:"delivery_id"`
	WaybillID  string    `json:"waybill_id"`
	Seq        uint64    `json:"seq"` // The event or push; 0: it was about none.
	Replay     string    `json:"replay"`
	Reason     string    `json:"reason"`
	Detail     string    `json:"detail"`
}

// Audit lists who did what, newest first.
func (s *Service) Audit(ctx context.Context, by Actor, q store.AuditQuery) (List[AuditItem], error) {
	page, err := s.Store.Audit(ctx, q)
	if err != nil {
		return List[AuditItem]{}, storeProblem(err)
	}
	return listOf("audit", page, func(e *store.AuditEntry) AuditItem { return auditItem(e, by) }), nil
}

func auditItem(e *store.AuditEntry, by Actor) AuditItem {
	return AuditItem{
		ID: number(e.Number), At: e.At.UTC(), By: e.By, From: e.From, Action: e.Action, DeliveryID: e.DeliveryID,
		WaybillID: e.WaybillID, Seq: e.Seq, Replay: number(e.Replay), Reason: shown(e.Reason, by), Detail: shownJSON(e.Detail, by),
	}
}
