package admin

import (
	"strconv"
	"time"

	"carrier/internal/pathpush"
	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/telemetry"
)

// List is one page as answered. NextCursor is empty on the last one.
type List[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"next_cursor"`
}

func listOf[R, T any](page store.Page[R], item func(*R) T) List[T] {
	out := List[T]{Items: make([]T, len(page.Items))}
	for i := range page.Items {
		out.Items[i] = item(&page.Items[i])
	}
	if page.Next != 0 {
		out.NextCursor = strconv.FormatUint(page.Next, 36)
	}
	return out
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
	Status        store.Status     `json:"status"`
	WaitingFor    store.WaitingFor `json:"waiting_for"`
	Attempts      int              `json:"attempts"` // Those that count.
	Errcode       *int             `json:"errcode"`  // Of the last attempt; null if there was none, or no readable answer.
	Errmsg        string           `json:"errmsg"`
	Reason        string           `json:"reason"`
	DeliveredAt   *time.Time       `json:"delivered_at"`
	NextAttemptAt *time.Time       `json:"next_attempt_at"`
}

// PushDetail is one push with its attempts, oldest first.
type PushDetail struct {
	PushItem
	Tries    int           `json:"tries"` // The attempts that count.
	Attempts []AttemptItem `json:"attempts"`
}

// AttemptItem is one request and its answer.
type AttemptItem struct {
	At         time.Time `json:"at"`
	DurationMS float64   `json:"duration_ms"`
	Errcode    *int      `json:"errcode"`
	Errmsg     string    `json:"errmsg"`
	RID        string    `json:"rid"`
	Scope      string    `json:"scope"`
	Unknown    bool      `json:"outcome_unknown"` // Sent, but no answer came.
}

func pushItem(p *store.Push, by Actor) PushItem {
	last := p.Last()
	item := PushItem{
		Scan:   scanOf(p.Seq, &p.Event, p.ReceivedAt, by),
		Status: p.Status, WaitingFor: p.WaitingFor, Attempts: p.Tries,
		Errcode: last.Errcode, Errmsg: shown(last.Errmsg, by), Reason: shown(p.Reason, by),
	}
	if p.Status == store.Delivered {
		item.DeliveredAt = instant(p.DoneAt)
	}
	if p.Status == store.Pending {
		item.NextAttemptAt = instant(p.NextAt)
	}
	return item
}

func pushDetail(p *store.Push, by Actor) PushDetail {
	d := PushDetail{PushItem: pushItem(p, by), Tries: p.Tries, Attempts: make([]AttemptItem, len(p.Attempts))}
	for i, a := range p.Attempts {
		d.Attempts[i] = AttemptItem{
			At: a.At.UTC(), DurationMS: float64(a.Duration.Microseconds()) / 1000,
			Errcode: a.Errcode, Errmsg: shown(a.Errmsg, by), RID: a.RID, Scope: a.Scope, Unknown: a.Unknown,
		}
	}
	return d
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
}

func eventItem(e *store.Event, by Actor) EventItem {
	return EventItem{
		Scan: scanOf(e.Seq, &e.Event, e.ReceivedAt, by), Verdict: e.Verdict, FirstVerdict: e.First, Reason: e.Reason,
		Late: e.Late, Gap: e.Gap, HeldUntil: instant(e.HeldUntil), Status: e.Status,
	}
}

// WaybillItem is a waybill's story.
type WaybillItem struct {
	DeliveryID string      `json:"delivery_id"`
	WaybillID  string      `json:"waybill_id"`
	Stage      state.Stage `json:"stage"`
	StageName  StageName   `json:"stage_name"`
	TokenSet   bool        `json:"token_set"`
	Parked     bool        `json:"parked"`
	Frozen     bool        `json:"frozen"`
	Timeline   []StepItem  `json:"timeline"`
}

// StageName is a stage in words.
type StageName struct {
	En string `json:"en"`
	Zh string `json:"zh"`
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
	Push       *PushState       `json:"push"`
}

// PushState is where a push stands, beside its event.
type PushState struct {
	Status        store.Status     `json:"status"`
	WaitingFor    store.WaitingFor `json:"waiting_for"`
	Attempts      int              `json:"attempts"`
	Errcode       *int             `json:"errcode"`
	Errmsg        string           `json:"errmsg"`
	Reason        string           `json:"reason"`
	DeliveredAt   *time.Time       `json:"delivered_at"`
	NextAttemptAt *time.Time       `json:"next_attempt_at"`
}

func waybillItem(w *store.Waybill, by Actor, overlay func(*store.Push) store.WaitingFor) WaybillItem {
	item := WaybillItem{
		DeliveryID: w.Waybill.DeliveryID, WaybillID: w.Waybill.WaybillID,
		Stage: w.Stage, StageName: StageName{w.Stage.Name(false), w.Stage.Name(true)},
		TokenSet: w.TokenSet, Parked: w.Parked, Frozen: w.Frozen, Timeline: make([]StepItem, len(w.Timeline)),
	}
	for i := range w.Timeline {
		step := &w.Timeline[i]
		e := &step.Event
		item.Timeline[i] = StepItem{
			Seq: e.Seq, EventID: e.Event.ID, Source: e.Event.Source,
			ActionType: e.Event.Type, ActionTime: e.Event.Time, ActionMsg: shown(e.Event.Msg, by),
			ReceivedAt: e.ReceivedAt.UTC(), Verdict: e.Verdict, Reason: e.Reason, Late: e.Late, Gap: e.Gap,
			HeldUntil: instant(e.HeldUntil),
		}
		if step.Push.Status != store.NoPush {
			step.Push.WaitingFor = overlay(&step.Push)
			p := pushItem(&step.Push, by)
			item.Timeline[i].Push = &PushState{
				Status: p.Status, WaitingFor: p.WaitingFor, Attempts: p.Attempts, Errcode: p.Errcode, Errmsg: p.Errmsg,
				Reason: p.Reason, DeliveredAt: p.DeliveredAt, NextAttemptAt: p.NextAttemptAt,
			}
		}
	}
	return item
}

// AccountItem tells how an account is.
type AccountItem struct {
	DeliveryID           string                 `json:"delivery_id"`
	Breaker              BreakerItem            `json:"breaker"`
	Fallback             *BreakerItem           `json:"fallback_breaker"` // null without a fallback host
	Paused               bool                   `json:"paused"`
	PauseReason          string                 `json:"pause_reason"`
	PausedUntil          *time.Time             `json:"paused_until"`
	NextProbeAt          *time.Time             `json:"next_probe_at"` // Of a pause that upstream's answers asked for.
	AccessTokenExpiresAt *time.Time             `json:"access_token_expires_at"`
	Counts               map[store.Status]int64 `json:"counts"`
	OldestPendingSeconds float64                `json:"oldest_pending_seconds"`
	InFlight             int                    `json:"in_flight"`
	ConcurrencyNow       int                    `json:"concurrency_now"` // Less than configured while it recovers.
}

// BreakerItem tells how a host's breaker is.
type BreakerItem struct {
	Host        string     `json:"host"`
	State       string     `json:"state"`
	Since       time.Time  `json:"since"`
	OpenedBy    string     `json:"opened_by"`
	NextProbeAt *time.Time `json:"next_probe_at"`
}

func breakerItem(b *pathpush.BreakerSnapshot) BreakerItem {
	return BreakerItem{
		Host: b.Host, State: b.State, Since: b.Since.UTC(), OpenedBy: b.OpenedBy, NextProbeAt: instant(b.NextProbeAt),
	}
}

func accountItem(s *pathpush.Snapshot, stats *store.Stats, now time.Time) AccountItem {
	item := AccountItem{
		DeliveryID: s.DeliveryID, Breaker: breakerItem(&s.Breakers[0]),
		// Upstream's words may repeat the push that they answer; whoever it is for, an account's page needs no number.
		Paused: s.Paused, PauseReason: telemetry.MaskPhones(s.PauseReason), PausedUntil: instant(s.PausedUntil),
		NextProbeAt: instant(s.NextProbeAt), AccessTokenExpiresAt: instant(s.AccessTokenExpiresAt),
		Counts: map[store.Status]int64{}, InFlight: s.InFlight, ConcurrencyNow: s.Concurrency,
	}
	if len(s.Breakers) > 1 {
		fallback := breakerItem(&s.Breakers[1])
		item.Fallback = &fallback
	}
	for _, status := range store.Statuses() {
		item.Counts[status] = stats.Pushes[s.DeliveryID][status]
	}
	if oldest, ok := stats.Oldest[s.DeliveryID]; ok {
		item.OldestPendingSeconds = max(0, now.Sub(oldest).Seconds())
	}
	return item
}

// shown is a text as by may see it.
func shown(text string, by Actor) string {
	if by.Operator {
		return text
	}
	return telemetry.MaskPhones(text)
}

// instant is t for an answer: null if it is zero.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
