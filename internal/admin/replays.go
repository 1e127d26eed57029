package admin

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"carrier/internal/problem"
	"carrier/internal/replay"
	"carrier/internal/state"
	"carrier/internal/store"
)

// MinReplayRate and MaxReplayRate bound the pushes a second of a bulk replay that names a rate. Slower than one in 100
// seconds is a pause, and the time that it needs no number.
const (
	MinReplayRate = 0.01
	MaxReplayRate = 10_000
)

// checkReplay refuses a request that can't be meant.
func checkReplay(r *replay.Request) error {
	if r.Rate != 0 && !(MinReplayRate <= r.Rate && r.Rate <= MaxReplayRate) {
		return invalidField("rate", "range", problem.Textf("rate must be a number of pushes a second from %v to %d, or 0 for the usual rate.",
			"rate 必须为每秒推送数，%v 到 %d；0 表示使用默认速率。", MinReplayRate, MaxReplayRate))
	}
	return checkReason(r.Reason, false)
}

// PlanItem is what a bulk replay would do.
type PlanItem struct {
	DryRun    bool                   `json:"dry_run"`
	Matched   int                    `json:"matched"`
	Evaluated int                    `json:"evaluated"` // Of those; fewer if there was no time for all.
	Complete  bool                   `json:"complete"`
	Totals    map[replay.Verdict]int `json:"totals"`
	Calls     int                    `json:"calls"`   // Of upstream.
	Minutes   float64                `json:"minutes"` // At the rate.
	Sample    []PlanRow              `json:"sample"`
}

// PlanRow is what a bulk replay would do with one push.
type PlanRow struct {
	Seq        uint64           `json:"seq"`
	DeliveryID string           `json:"delivery_id"`
	WaybillID  string           `json:"waybill_id"`
	ActionType state.ActionType `json:"action_type"`
	ActionTime int64            `json:"action_time"`
	Status     store.Status     `json:"status"`
	Errcode    *int             `json:"errcode"`
	Reason     string           `json:"reason"`
	Verdict    replay.Verdict   `json:"verdict"`
	Behind     uint64           `json:"behind"` // waits_behind: the push that goes first.
	Would      string           `json:"would"`  // The verdict, and that push.
	Text       Text             `json:"text"`
}

// PlanReplay tells what a bulk replay would do, and does nothing.
func (s *Service) PlanReplay(ctx context.Context, by Actor, r replay.Request) (PlanItem, error) {
	if err := checkReplay(&r); err != nil {
		return PlanItem{}, err
	}
	plan, err := s.Replays.DryRun(ctx, r)
	if err != nil {
		return PlanItem{}, storeProblem(err)
	}
	return planItem(&plan, r.SkipSuperseded, by), nil
}

func planItem(plan *replay.Plan, skipSuperseded bool, by Actor) PlanItem {
	item := PlanItem{
		DryRun: true, Matched: plan.Matched, Evaluated: plan.Evaluated, Complete: plan.Complete, Totals: plan.Totals,
		Calls: plan.Calls, Minutes: plan.Minutes, Sample: make([]PlanRow, len(plan.Sample)),
	}
	if item.Totals == nil {
		item.Totals = map[replay.Verdict]int{}
	}
	for i := range plan.Sample {
		item.Sample[i] = planRow(&plan.Sample[i], skipSuperseded, by)
	}
	return item
}

func planRow(i *replay.Item, skipSuperseded bool, by Actor) PlanRow {
	p := &i.Push
	row := PlanRow{
		Seq: p.Seq, DeliveryID: p.Event.DeliveryID, WaybillID: p.Event.WaybillID, ActionType: p.Event.Type, ActionTime: p.Event.Time,
		Status: p.Status, Errcode: p.Last().Errcode, Reason: shown(p.Reason, by),
		Verdict: i.Verdict, Behind: i.Behind, Would: string(i.Verdict), Text: planText(i, skipSuperseded),
	}
	if i.Behind != 0 {
		row.Would += " " + number(i.Behind)
	}
	return row
}

// planText says what a bulk replay would do with a push.
func planText(i *replay.Item, skipSuperseded bool) Text {
	switch i.Verdict {
	case replay.Send:
		return Text{"It is sent again.", "将再次发送。"}
	case replay.AlreadyDelivered:
		return Text{"It is delivered already; a bulk replay does not send it again.", "已送达；批量重放不会再次发送。"}
	case replay.WaitsForToken:
		return Text{"It becomes pending and waits: the waybill has no Token.", "将变为待推送并等待：该运单还没有 Token。"}
	case replay.WaitsBehind:
		return textf("Push %d of the same waybill goes first; it is sent then.", "同一运单的推送 %d 先发送，之后发送它。", i.Behind)
	case replay.Superseded:
		if skipSuperseded {
			return Text{"It is left out: a later stage of the waybill was delivered already.", "不发送：该运单更晚的阶段已送达。"}
		}
		return Text{"A later stage of the waybill was delivered already; it is sent all the same, with its own time. skip_superseded leaves it out.",
			"该运单更晚的阶段已送达；仍会以其自身时间发送。skip_superseded 可跳过。"}
	case replay.WaitsForThaw:
		return Text{"It becomes pending and waits: an operator holds the waybill.", "将变为待推送并等待：运维人员冻结了该运单。"}
	case replay.Pending:
		return Text{"It is pending already and goes out by itself.", "已是待推送，会自动发送。"}
	case replay.Discarded:
		return Text{`It was discarded and is left alone; the filter "status":"discarded" sends such pushes.`,
			`已作废，保持不变；筛选条件 "status":"discarded" 可发送此类推送。`}
	case replay.NoAccount:
		return Text{"It is left alone: its account is not configured any more.", "保持不变：其账户已不在配置中。"}
	}
	return textf("%s.", "%s。", i.Verdict)
}

// ReplayItem is a replay and how far it is.
type ReplayItem struct {
	ID             string             `json:"id"`
	Status         store.ReplayStatus `json:"status"`
	By             string             `json:"by"`
	Reason         string             `json:"reason"`
	CreatedAt      time.Time          `json:"created_at"`
	EndedAt        *time.Time         `json:"ended_at"`
	Seq            uint64             `json:"seq"` // The single push that it is of; 0: filter says which.
	Filter         store.Query        `json:"filter"`
	Rate           float64            `json:"rate"`
	SkipSuperseded bool               `json:"skip_superseded"`
	Matched        int64              `json:"matched"`
	Requeued       int64              `json:"requeued"`
	Skipped        int64              `json:"skipped"`
	Delivered      int64              `json:"delivered"`
	Failed         int64              `json:"failed"`
	Discarded      int64              `json:"discarded"`
	Open           int64              `json:"open"` // Made pending, and not ended.
	Waiting        []ReplayWait       `json:"waiting"`
}

// ReplayWait says why an account's part of a replay does not go on just now.
type ReplayWait struct {
	DeliveryID string `json:"delivery_id"`
	Text       Text   `json:"text"`
}

func (s *Service) replayItem(r *store.Replay, by Actor) ReplayItem {
	item := ReplayItem{
		ID: number(r.ID), Status: r.Status, By: r.By, Reason: shown(r.Reason, by), CreatedAt: r.CreatedAt.UTC(), EndedAt: instant(r.EndedAt),
		Seq: r.Single, Filter: shownFilter(r.Filter, by), Rate: r.Rate, SkipSuperseded: r.SkipSuperseded,
		Matched: r.Matched, Requeued: r.Requeued, Skipped: r.Skipped, Delivered: r.Delivered, Failed: r.Failed,
		Discarded: r.Discarded, Open: r.Open(), Waiting: []ReplayWait{},
	}
	if r.Status != store.ReplayRunning || r.Single != 0 {
		return item
	}
	for _, w := range s.Replays.Waiting(r.ID) {
		item.Waiting = append(item.Waiting, ReplayWait{w.DeliveryID, Text{w.En, w.Zh}.shown(by)})
	}
	return item
}

// shownFilter is a filter as by may see it; a push's reason may be an operator's own words.
func shownFilter(q store.Query, by Actor) store.Query {
	q.Reason = shown(q.Reason, by)
	for _, t := range []*time.Time{&q.Since, &q.Until} {
		if !t.IsZero() {
			*t = t.UTC()
		}
	}
	return q
}

// StartReplay begins a bulk replay.
func (s *Service) StartReplay(ctx context.Context, by Actor, r replay.Request) (ReplayItem, error) {
	if err := checkReplay(&r); err != nil {
		return ReplayItem{}, err
	}
	act := by.act(store.ActReplayStart, r.Reason)
	act.Detail = replayDetail(&r)
	kept, err := s.Replays.Start(ctx, r, act)
	if err != nil {
		return ReplayItem{}, storeProblem(err)
	}
	return s.replayItem(&kept, by), nil
}

// replayDetail is what the audit log keeps of what was asked for.
func replayDetail(r *replay.Request) string {
	text, err := json.Marshal(struct {
		Filter         store.Query `json:"filter"`
		Rate           float64     `json:"rate,omitzero"`
		SkipSuperseded bool        `json:"skip_superseded,omitzero"`
	}{shownFilter(r.Filter, Actor{Operator: true}), r.Rate, r.SkipSuperseded})
	if err != nil {
		return "" // Only a time beyond the year 9999 does that, and none is read.
	}
	return string(text)
}

// ListReplays lists replays, newest first.
func (s *Service) ListReplays(ctx context.Context, by Actor, q PageQuery) (List[ReplayItem], error) {
	page, err := s.Store.ListReplays(ctx, q.Before, q.Limit)
	if err != nil {
		return List[ReplayItem]{}, storeProblem(err)
	}
	return listOf("replays", page, func(r *store.Replay) ReplayItem { return s.replayItem(r, by) }), nil
}

// ReadReplay reads one replay.
func (s *Service) ReadReplay(ctx context.Context, by Actor, id uint64) (ReplayItem, error) {
	r, err := s.Store.ReadReplay(ctx, id)
	if err != nil {
		return ReplayItem{}, missingReplay(err, id)
	}
	return s.replayItem(&r, by), nil
}

// PauseReplay holds a running replay; what it made pending already goes on.
func (s *Service) PauseReplay(ctx context.Context, by Actor, id uint64, reason string) (ReplayItem, error) {
	return s.setReplay(ctx, by, id, store.ReplayPaused, by.act(store.ActReplayPause, reason))
}

// ResumeReplay lets a paused replay go on.
func (s *Service) ResumeReplay(ctx context.Context, by Actor, id uint64, reason string) (ReplayItem, error) {
	return s.setReplay(ctx, by, id, store.ReplayRunning, by.act(store.ActReplayResume, reason))
}

// CancelReplay ends a replay for good; what it made pending already goes on.
func (s *Service) CancelReplay(ctx context.Context, by Actor, id uint64, reason string) (ReplayItem, error) {
	return s.setReplay(ctx, by, id, store.ReplayCancelled, by.act(store.ActReplayCancel, reason))
}

func (s *Service) setReplay(ctx context.Context, by Actor, id uint64, to store.ReplayStatus, act store.Act) (ReplayItem, error) {
	if err := checkReason(act.Reason, false); err != nil {
		return ReplayItem{}, err
	}
	r, err := s.Replays.Set(ctx, id, to, act)
	switch {
	case errors.Is(err, store.ErrState):
		return ReplayItem{}, s.cannotSet(ctx, id)
	case err != nil:
		return ReplayItem{}, missingReplay(err, id)
	}
	return s.replayItem(&r, by), nil
}

// cannotSet says which status the replay has now.
func (s *Service) cannotSet(ctx context.Context, id uint64) error {
	r, err := s.Store.ReadReplay(ctx, id)
	if err != nil {
		return missingReplay(err, id)
	}
	out := problem.New(problem.ConflictState).With("id", number(id)).With("replay_status", r.Status.String())
	if r.Status.Ended() {
		return out.Sayf("Replay %d is %s: that is final. Start another one.", "重放 %d 当前为 %s，已是终态。请新建重放。", id, r.Status)
	}
	return out.Sayf("Replay %d is %s already.", "重放 %d 当前已为 %s。", id, r.Status)
}
