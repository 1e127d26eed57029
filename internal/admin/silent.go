package admin

import (
	"context"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

// SilentItem is a waybill that stands still.
type SilentItem struct {
	DeliveryID string
	WaybillID  string
	Stage      state.Stage
	StageName  Text
	LastAt     time.Time // When the last event came that was accepted.
	For        time.Duration
	ActionType state.ActionType // Of that event, and
	ActionMsg  string           // its text.
	TokenSet   bool
	Frozen     bool
	Parked     bool
	Open       int // Pushes that are pending: the customer has not seen all that is known.
	Failed     int
}

// SilentList is what a look found, and how far it went.
type SilentList struct {
	List[SilentItem]
	Looked Looked
}

// Silent lists waybills of which nothing came for long, those that fell silent last first. Created is not among the
// stages: what was ordered and never scanned has no event to be found by.
//
// There is no list of waybills by their last event. So it looks at events that are old enough, newest first, and reads
// the waybill of each: if that has a newer one, it is not silent. A look ends after a time, and says how far it came.
func (s *Service) Silent(ctx context.Context, by Actor, q Silence) (SilentList, error) {
	now := time.Now()
	found := SilentList{List: List[SilentItem]{Items: []SilentItem{}}}
	known := map[state.Waybill]bool{}
	young, err := s.newestUntil(ctx, now.Add(-q.least(0)))
	if err != nil || young == 0 {
		found.Looked.All = err == nil
		return found, err
	}
	looked, next, err := s.look(ctx, q.events(now), func(e *store.Event) (bool, error) {
		w := e.Event.Waybill()
		if known[w] {
			return false, nil
		}
		known[w] = !e.Late // A late event says nothing of its waybill's stage: one before it may.
		if ends(e.Event.Type) || now.Sub(e.ReceivedAt) < q.least(e.Event.Type) {
			return false, nil // Its waybill is not worth reading.
		}
		known[w] = true
		if moved, err := s.movedSince(ctx, w, young); moved || err != nil {
			return false, err
		}
		story, err := s.Store.Waybill(ctx, w)
		if absent(err) {
			return false, nil
		}
		if err != nil {
			return false, storeProblem(err)
		}
		if item, silent := q.item(&story, now, by); silent {
			found.Items = append(found.Items, item)
		}
		return len(found.Items) == maxSilent, nil
	})
	found.Looked, found.NextCursor = looked, cursor("silent", next)
	return found, err
}

// newestUntil is the number of the newest event that came before a moment; 0 if there is none.
func (s *Service) newestUntil(ctx context.Context, at time.Time) (uint64, error) {
	page, err := s.Store.Events(ctx, store.Query{Until: at, Limit: 1})
	if err != nil {
		return 0, storeProblem(err)
	}
	if len(page.Items) == 0 {
		return page.Next, nil // Not 0 if that one is damaged; the one before will do.
	}
	return page.Items[0].Seq, nil
}

// movedSince tells whether a waybill has an event with a number above seq. Nearly all have one that came of late, and
// this costs a fraction of reading their stories.
func (s *Service) movedSince(ctx context.Context, w state.Waybill, seq uint64) (bool, error) {
	page, err := s.Store.Events(ctx, store.Query{
		DeliveryID: w.DeliveryID, WaybillID: w.WaybillID, Verdict: state.Accepted, After: seq, Ascending: true, Limit: 1,
	})
	if err != nil {
		return false, storeProblem(err)
	}
	return len(page.Items) > 0, nil
}

// ends tells whether a waybill with such an event can't be silent any more.
func ends(a state.ActionType) bool { return a == state.Signed || a == state.Cancelled }

// item is a waybill, if it is silent.
func (q *Silence) item(story *store.Waybill, now time.Time, by Actor) (SilentItem, bool) {
	item := SilentItem{
		DeliveryID: story.Waybill.DeliveryID, WaybillID: story.Waybill.WaybillID, Stage: story.Stage, StageName: stageText(story.Stage),
		TokenSet: story.TokenSet, Frozen: story.Frozen, Parked: story.Parked,
	}
	for i := range story.Timeline {
		step := &story.Timeline[i]
		switch step.Push.Status {
		case store.Pending:
			item.Open++
		case store.Failed:
			item.Failed++
		}
		if e := &step.Event; e.Verdict == state.Accepted && !e.ReceivedAt.Before(item.LastAt) {
			item.LastAt, item.ActionType, item.ActionMsg = e.ReceivedAt.UTC(), e.Event.Type, shown(e.Event.Msg, by)
		}
	}
	after, ok := q.after(story.Stage)
	item.For = now.Sub(item.LastAt)
	return item, ok && item.For >= after && (story.TokenSet || q.NoToken)
}
