package admin

import (
	"context"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

// SilentItem is a waybill that stands still. It has an accepted event.
type SilentItem struct {
	SummaryItem
	SilentSeconds float64 `json:"silent_seconds"` // Since that event came.
}

// SilentList is a page of the waybills that stand still.
type SilentList struct {
	List[SilentItem]
	// Reading is how far the service has read what the list is made of, as it has just been started: what is not read is
	// missing. null: all of it is there.
	Reading *Reading `json:"reading"`
}

// Reading says how far something is.
type Reading struct {
	Events uint64 `json:"events"` // Read so far,
	Total  uint64 `json:"total"`  // of about so many.
}

// Silent lists the waybills of which nothing was accepted for long, the one that fell silent first at the top. Created is
// not among the stages: what was ordered and never scanned has no event from which to count.
func (s *Service) Silent(ctx context.Context, by Actor, q Silence) (SilentList, error) {
	now := time.Now()
	before := map[state.Stage]time.Time{}
	for stage := range silentAfter {
		if after, ok := q.after(stage); ok {
			before[stage] = now.Add(-after)
		}
	}
	page, err := s.Store.Silent(ctx, store.SilentQuery{
		Before: before, DeliveryID: q.DeliveryID, NoToken: q.NoToken, After: q.After, Limit: q.Limit,
	})
	if err != nil {
		return SilentList{}, storeProblem(err)
	}
	list := summaries("silent", &page, by)
	out := SilentList{List: List[SilentItem]{Items: make([]SilentItem, len(list.Items)), NextCursor: list.NextCursor}}
	for i, item := range list.Items {
		out.Items[i] = SilentItem{item, now.Sub(item.Accepted.ReceivedAt).Seconds()}
	}
	if page.Total != 0 {
		out.Reading = &Reading{Events: page.Read, Total: page.Total}
	}
	return out, nil
}
