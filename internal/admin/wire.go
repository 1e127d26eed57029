package admin

import (
	"strconv"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

// List is one page as answered. NextCursor is empty on the last one.
type List[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"next_cursor"`
}

// listOf makes a page of what the store gave. list is the last part of its path; cursors hold for that list alone.
func listOf[R, T any](list string, page store.Page[R], item func(*R) T) List[T] {
	out := List[T]{Items: make([]T, len(page.Items)), NextCursor: cursor(list, page.Next)}
	for i := range page.Items {
		out.Items[i] = item(&page.Items[i])
	}
	return out
}

// number is an id of a replay, an audit entry or a dead letter, as answers show it: "" for 0, which is none.
func number(n uint64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(n, 10)
}

// Scan is the event itself, as lists show it.
type Scan struct {
	Seq        uint64           `json:"seq"`
	EventID    string           `json:"event_id"`
	Source     string           `json:"source"`
	DeliveryID string           `json:"delivery_id"`
	WaybillID  string           `json:"waybill_id"`
	ActionType state.ActionType `json:"action_type"`
	ActionTime int64            `json:"action_time"`
	ActionMsg  string           `json:"action_msg"`
	ReceivedAt time.Time        `json:"received_at"`
}

func scanOf(seq uint64, e *state.Event, receivedAt time.Time, by Actor) Scan {
	return Scan{
		Seq: seq, EventID: e.ID, Source: e.Source, DeliveryID: e.DeliveryID, WaybillID: e.WaybillID,
		ActionType: e.Type, ActionTime: e.Time, ActionMsg: shown(e.Msg, by), ReceivedAt: receivedAt.UTC(),
	}
}

// PushItem is a push in a list.
type PushItem struct {
	Scan
	PushState
}

// PushState is where a push stands.
type PushState struct {
	Status        store.Status     `json:"status"`
	WaitingFor    store.WaitingFor `json:"waiting_for"`
	Attempts      int              `json:"attempts"` // Those that count.
	Errcode       *int             `json:"errcode"`  // Of the last attempt; null if there was none, or no readable answer.
	Errmsg        string           `json:"errmsg"`
	Reason        string           `json:"reason"`
	DeliveredAt   *time.Time       `json:"delivered_at"`
	VerifiedAt    *time.Time       `json:"verified_at"` // When WeChat was last seen to show it, since it was delivered.
	NextAttemptAt *time.Time       `json:"next_attempt_at"`
	Waiting       *WaitItem        `json:"waiting"` // null unless it waits.
	Replay        string           `json:"replay"`  // The replay that made it pending the last time.
}

// PushDetail is one push with its attempts, oldest first.
type PushDetail struct {
	PushItem
	Tries    int           `json:"tries"` // The attempts that count.
	Attempts []AttemptItem `json:"attempts"`
}

func (v *view) push(p *store.Push, hold store.Hold) PushItem {
	return PushItem{scanOf(p.Seq, &p.Event, p.ReceivedAt, v.by), v.pushState(p, hold)}
}

func (v *view) pushState(p *store.Push, hold store.Hold) PushState {
	last := p.Last()
	now := PushState{
		Status: p.Status, WaitingFor: p.WaitingFor, Attempts: p.Tries,
		Errcode: last.Errcode, Errmsg: shown(last.Errmsg, v.by), Reason: shown(p.Reason, v.by),
		Waiting: v.waiting(p, hold), Replay: number(p.Replay),
	}
	if p.Status == store.Delivered {
		now.DeliveredAt, now.VerifiedAt = instant(p.DoneAt), instant(p.VerifiedAt)
	}
	if p.Status == store.Pending {
		now.NextAttemptAt = instant(p.NextAt)
	}
	return now
}

// pushDetail shows a push. Of the waybill it needs why it is frozen and since when it has its newest Token.
func (v *view) pushDetail(p *store.Push, w *store.Waybill) PushDetail {
	return PushDetail{PushItem: v.push(p, w.Held), Tries: p.Tries, Attempts: v.attempts(p, w.TokenAt)}
}

// Why says how an event's verdict came about, and what became of it since.
type Why struct {
	Override    bool               `json:"override"` // An operator accepted it against the table.
	Expunged    bool               `json:"expunged"` // Its text was forgotten: it can't be sent any more.
	From        string             `json:"from"`     // Rejected when it came: the stage at its time; else empty.
	Allowed     []state.ActionType `json:"allowed"`  // What would have been legal there.
	Cause       uint64             `json:"cause"`    // The event that it repeats or contradicts, or that put the waybill there; 0: none.
	Explanation Text               `json:"explanation"`
}

func whyOf(e *store.Event) Why {
	w := Why{Override: e.Override, Expunged: e.Expunged, Allowed: e.Allowed, Cause: e.Cause, Explanation: explain(e)}
	if e.Allowed == nil {
		w.Allowed = []state.ActionType{}
		return w
	}
	w.From = e.From.String()
	return w
}

// EventItem is an event of any verdict.
type EventItem struct {
	Scan
	Verdict      state.Verdict `json:"verdict"`       // As it stands now.
	FirstVerdict state.Verdict `json:"first_verdict"` // As it was answered.
	Reason       state.Reason  `json:"reason"`
	Late         bool          `json:"late"`
	Gap          bool          `json:"gap"`
	HeldUntil    *time.Time    `json:"held_until"`
	Status       store.Status  `json:"status"` // Of its push; empty if it has none.
	Why
}

func eventItem(e *store.Event, by Actor) EventItem {
	return EventItem{
		Scan: scanOf(e.Seq, &e.Event, e.ReceivedAt, by), Verdict: e.Verdict, FirstVerdict: e.First, Reason: e.Reason,
		Late: e.Late, Gap: e.Gap, HeldUntil: instant(e.HeldUntil), Status: e.Status,
		Why: whyOf(e),
	}
}

// WaybillItem is a waybill's story.
type WaybillItem struct {
	DeliveryID   string      `json:"delivery_id"`
	WaybillID    string      `json:"waybill_id"`
	Stage        state.Stage `json:"stage"`
	StageName    Text        `json:"stage_name"`
	TokenSet     bool        `json:"token_set"`
	TokenAt      *time.Time  `json:"token_at"` // When the newest came.
	Parked       bool        `json:"parked"`
	Frozen       bool        `json:"frozen"`
	FrozenSince  *time.Time  `json:"frozen_since"`
	FrozenBy     string      `json:"frozen_by"`
	FrozenReason string      `json:"frozen_reason"`
	Timeline     []StepItem  `json:"timeline"`
	Shown        *ShownItem  `json:"shown"` // null if WeChat told nothing.
}

// ShownItem is what the customer sees of a waybill, as WeChat told a merchant's mini program.
type ShownItem struct {
	Version    int64             `json:"version"` // WeChat's; the higher, the newer.
	ReceivedAt time.Time         `json:"received_at"`
	OrderID    string            `json:"order_id"` // The merchant's; empty if WeChat did not tell it.
	Actions    []ShownActionItem `json:"actions"`  // In WeChat's order.
}

// ShownActionItem is one node of that. Its type may be one of WeChat's own.
type ShownActionItem struct {
	ActionTime int64  `json:"action_time"`
	ActionType int64  `json:"action_type"`
	ActionMsg  string `json:"action_msg"`
}

func shownItem(seen *store.Shown, by Actor) *ShownItem {
	item := &ShownItem{
		Version: seen.Version, ReceivedAt: seen.ReceivedAt.UTC(), OrderID: seen.OrderID, Actions: make([]ShownActionItem, len(seen.Actions)),
	}
	for i, a := range seen.Actions {
		item.Actions[i] = ShownActionItem{ActionTime: a.Time, ActionType: a.Type, ActionMsg: shown(a.Msg, by)}
	}
	return item
}

// StepItem is one event of a waybill; push is null if it has none.
type StepItem struct {
	Seq        uint64           `json:"seq"`
	EventID    string           `json:"event_id"`
	Source     string           `json:"source"`
	ActionType state.ActionType `json:"action_type"`
	ActionTime int64            `json:"action_time"`
	ActionMsg  string           `json:"action_msg"`
	ReceivedAt time.Time        `json:"received_at"`
	Verdict    state.Verdict    `json:"verdict"`
	Reason     state.Reason     `json:"reason"`
	Late       bool             `json:"late"`
	Gap        bool             `json:"gap"`
	HeldUntil  *time.Time       `json:"held_until"`
	Push       *StepPush        `json:"push"`
	Why
}

// StepPush is the push of a step.
type StepPush struct {
	PushState
	Log []AttemptItem `json:"log"` // Its attempts, oldest first.
}

func (v *view) waybill(w *store.Waybill) WaybillItem {
	item := WaybillItem{
		DeliveryID: w.Waybill.DeliveryID, WaybillID: w.Waybill.WaybillID,
		Stage: w.Stage, StageName: stageText(w.Stage),
		TokenSet: w.TokenSet, TokenAt: instant(w.TokenAt), Parked: w.Parked, Frozen: w.Frozen, Timeline: make([]StepItem, len(w.Timeline)),
	}
	if w.Frozen {
		item.FrozenSince, item.FrozenBy, item.FrozenReason = instant(w.Held.Since), w.Held.By, shown(w.Held.Reason, v.by)
	}
	for i := range w.Timeline {
		item.Timeline[i] = v.step(&w.Timeline[i], w)
	}
	return item
}

func (v *view) step(s *store.Step, w *store.Waybill) StepItem {
	e := &s.Event
	item := StepItem{
		Seq: e.Seq, EventID: e.Event.ID, Source: e.Event.Source,
		ActionType: e.Event.Type, ActionTime: e.Event.Time, ActionMsg: shown(e.Event.Msg, v.by),
		ReceivedAt: e.ReceivedAt.UTC(), Verdict: e.Verdict, Reason: e.Reason, Late: e.Late, Gap: e.Gap,
		HeldUntil: instant(e.HeldUntil), Why: whyOf(e),
	}
	if s.Push.Status != store.NoPush {
		item.Push = &StepPush{v.pushState(&s.Push, w.Held), v.attempts(&s.Push, w.TokenAt)}
	}
	return item
}
