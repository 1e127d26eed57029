package admin

import (
	"context"
	"time"

	"carrier/internal/store"
)

// DifferenceItem says what WeChat did not show of a waybill as it was delivered, when that was checked last.
type DifferenceItem struct {
	DeliveryID string    `json:"delivery_id"`
	WaybillID  string    `json:"waybill_id"`
	Merchant   string    `json:"merchant"` // With whose credentials it was checked.
	FoundAt    time.Time `json:"found_at"`
	CheckedAt  time.Time `json:"checked_at"`
	Missing    []uint64  `json:"missing"` // Pushes, by number.
	Changed    []uint64  `json:"changed"`
	Moved      []uint64  `json:"moved"`
	Extra      int       `json:"extra"` // Nodes that were not delivered.
}

// Differences lists the waybills of which WeChat does not show what was delivered, those found last first. There are at
// most store.MaxDifferences, so one page holds them all.
func (s *Service) Differences(ctx context.Context) (List[DifferenceItem], error) {
	all, err := s.Store.Differences(ctx)
	if err != nil {
		return List[DifferenceItem]{}, storeProblem(err)
	}
	return listOf("differences", store.Page[store.Difference]{Items: all}, differenceItem), nil
}

func differenceItem(d *store.Difference) DifferenceItem {
	return DifferenceItem{
		DeliveryID: d.Waybill.DeliveryID, WaybillID: d.Waybill.WaybillID, Merchant: d.Merchant,
		FoundAt: d.FoundAt.UTC(), CheckedAt: d.CheckedAt.UTC(), Missing: numbers(d.Missing), Changed: numbers(d.Changed),
		Moved: numbers(d.Moved), Extra: d.Extra,
	}
}

// numbers is a list as answers show it: never null.
func numbers(seqs []uint64) []uint64 {
	if seqs == nil {
		return []uint64{}
	}
	return seqs
}
