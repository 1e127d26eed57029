package admin

import (
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

// SummaryItem is a waybill in a list.
type SummaryItem struct {
	DeliveryID string      `json:"delivery_id"`
	WaybillID  string      `json:"waybill_id"`
	Stage      state.Stage `json:"stage"`
	StageName  Text        `json:"stage_name"`
	TokenSet   bool        `json:"token_set"`
	Parked     bool        `json:"parked"`
	Frozen     bool        `json:"frozen"`
	Pending    int         `json:"pending"` // Pushes: the customer has not seen all that is known.
	Failed     int         `json:"failed"`  // Likewise.
	// Accepted is the event that came last, of those that were accepted; null if none was.
	Accepted *Scan      `json:"accepted"`
	HeardAt  *time.Time `json:"heard_at"` // When the newest event came, of any verdict; null if WeChat alone told of it.
}

func (i *SummaryItem) heardAt() time.Time {
	if i.HeardAt == nil {
		return time.Time{}
	}
	return *i.HeardAt
}

func summaryItem(sum *store.Summary, by Actor) SummaryItem {
	item := SummaryItem{
		DeliveryID: sum.Waybill.DeliveryID, WaybillID: sum.Waybill.WaybillID, Stage: sum.Stage, StageName: stageText(sum.Stage),
		TokenSet: sum.TokenSet, Parked: sum.Parked, Frozen: sum.Frozen, Pending: sum.Open, Failed: sum.Failed, HeardAt: instant(sum.HeardAt),
	}
	if e := sum.Newest; e != nil {
		item.Accepted = new(scanOf(e.Seq, &e.Event, e.ReceivedAt, by))
	}
	return item
}

// summaries makes a page of what the store gave.
func summaries(list string, page *store.Summaries, by Actor) List[SummaryItem] {
	out := List[SummaryItem]{Items: make([]SummaryItem, len(page.Items)), NextCursor: placeCursor(list, page.Next)}
	for i := range page.Items {
		out.Items[i] = summaryItem(&page.Items[i], by)
	}
	return out
}
