package replay

import (
	"cmp"
	"slices"

	"carrier/internal/state"
	"carrier/internal/store"
)

// judge says what a replay would do with each push of a waybill that it is of, in the order in which they are sent.
func judge(story *store.Waybill, r *rule) []Item {
	superseded := supersededSteps(story.Timeline)
	var items []Item
	for i := range story.Timeline {
		if step := &story.Timeline[i]; r.of(step) {
			items = append(items, Item{Push: step.Push, Verdict: r.alone(story, &step.Push, superseded[i])})
		}
	}
	slices.SortFunc(items, func(a, b Item) int { return cmp.Compare(a.Push.Ord, b.Push.Ord) })
	r.queue(story, items)
	return items
}

// alone is the verdict of a push without regard to others that are open or sent with it.
func (r *rule) alone(story *store.Waybill, p *store.Push, superseded bool) Verdict {
	switch {
	case p.Status == store.Delivered:
		return AlreadyDelivered
	case p.Status == store.Pending:
		return Pending
	case p.Status != r.sends() && !r.chosen[p.Seq]:
		return Discarded
	case !r.configured(p.Event.DeliveryID):
		return NoAccount
	case superseded:
		return Superseded
	case !story.TokenSet:
		return WaitsForToken
	case story.Frozen:
		return WaitsForThaw
	}
	return Send
}

// queue finds which of the items, in the order of sending, wait behind another push: behind the first that is open, or
// that the replay sends. What waits for something else than its turn keeps that as its verdict.
func (r *rule) queue(story *store.Waybill, items []Item) {
	var first *store.Push
	for i := range story.Timeline {
		p := &story.Timeline[i].Push
		if p.Status == store.Pending && (first == nil || p.Ord < first.Ord) {
			first = p
		}
	}
	for i := range items {
		item := &items[i]
		if !r.sent(item.Verdict) {
			continue
		}
		if first == nil || item.Push.Ord < first.Ord {
			first = &item.Push
		} else if item.Verdict == Send {
			item.Verdict, item.Behind = WaitsBehind, first.Seq
		}
	}
}

// supersededSteps tells of each step of a timeline whether a later one that leads to another stage was delivered: the
// customer has been shown what came after it. Later is in order of action_time and stage rank, as the timeline is.
func supersededSteps(timeline []store.Step) []bool {
	stages := stagesOf(timeline)
	superseded := make([]bool, len(timeline))
	var shown uint32 // The stages delivered further on, a bit each.
	for i := len(timeline) - 1; i >= 0; i-- {
		superseded[i] = shown&^(1<<stages[i]) != 0
		if timeline[i].Push.Status == store.Delivered {
			shown |= 1 << stages[i]
		}
	}
	return superseded
}

// stagesOf says which stage each accepted step of a timeline leads to.
func stagesOf(timeline []store.Step) []state.Stage {
	stages := make([]state.Stage, len(timeline))
	at := state.Created
	for i := range timeline {
		if e := &timeline[i].Event; e.Verdict == state.Accepted {
			at = reached(at, e.Event.Type)
		}
		stages[i] = at
	}
	return stages
}

// reached is the stage that an accepted event leads to. One that the table does not allow was accepted by an operator,
// or lies after such a one; it leads where it would have led from a stage that allows it.
func reached(at state.Stage, a state.ActionType) state.Stage {
	to, outcome := state.Next(at, a)
	if outcome != state.Illegal {
		return to
	}
	// The two stages from which, between them, all nine codes are legal; a parcel that can't be held up any more was
	// picked up.
	from := state.Created
	if a == state.Detained {
		from = state.InTransit
	}
	to, _ = state.Next(from, a)
	return to
}
