package ingest

import (
	"fmt"
	"strings"

	"carrier/internal/problem"
	"carrier/internal/state"
	"carrier/internal/store"
)

// refusal is the problem that answers an event which the store did not take into its waybill's story; nil for all
// others.
func refusal(e *state.Event, r *store.Result) *problem.Problem {
	switch r.Verdict {
	case state.Rejected:
		return rejected(e, r)
	case state.Conflict:
		return problem.New(problem.Conflict).Sayf(
			"This id came before with other content, as event %d. Give a new event a new id; to repeat that event, send exactly the same content.",
			"该 id 曾以不同内容发送过（事件编号 %d）。新事件请使用新的 id；如需重发该事件，请保持内容完全一致。", r.Seq).
			With("id", e.ID).With("waybill_id", e.WaybillID).With("verdict", r.Verdict).With("seq", r.Seq)
	}
	return nil
}

func rejected(e *state.Event, r *store.Result) *problem.Problem {
	p := problem.New(problem.Rejected)
	p.Detail = problem.Text{En: rejectionEn(e, r), Zh: rejectionZh(e, r)}
	p.With("id", e.ID).With("waybill_id", e.WaybillID).With("verdict", r.Verdict).
		With("stage", r.Stage).With("reason", r.Reason).With("seq", r.Seq).
		With("from", r.From).With("allowed", append([]state.ActionType{}, r.Allowed...))
	if r.Cause != 0 {
		p.With("cause", r.Cause)
	}
	return p
}

func rejectionEn(e *state.Event, r *store.Result) string {
	what := fmt.Sprintf("%d (%s)", e.Type, e.Type.Name(false))
	var b strings.Builder
	switch {
	case r.Reason == state.ContradictsNext:
		fmt.Fprintf(&b, "%s at its action_time would contradict event %d, which is known already and comes later.", what, r.Cause)
	case r.Cause != 0:
		fmt.Fprintf(&b, "%s can't follow the stage %s (%s), which the waybill was brought to by event %d.", what, r.From, r.From.Name(false), r.Cause)
	default:
		fmt.Fprintf(&b, "%s can't follow the stage %s (%s).", what, r.From, r.From.Name(false))
	}
	if len(r.Allowed) == 0 {
		b.WriteString(" Nothing is allowed at that point.")
	} else {
		b.WriteString(" Allowed at that point: " + actionNames(r.Allowed, false) + ".")
	}
	fmt.Fprintf(&b, " It is recorded as event %d and not pushed. If its type or time is wrong, send it corrected under a new id; if it is right, an operator can accept it.", r.Seq)
	return b.String()
}

func rejectionZh(e *state.Event, r *store.Result) string {
	what := fmt.Sprintf("%d（%s）", e.Type, e.Type.Name(true))
	var b strings.Builder
	switch {
	case r.Reason == state.ContradictsNext:
		fmt.Fprintf(&b, "按其 action_time，%s 与时间更晚的已知事件 %d 矛盾。", what, r.Cause)
	case r.Cause != 0:
		fmt.Fprintf(&b, "运单处于 %s（%s）阶段（由事件 %d 导致），不能接受 %s。", r.From, r.From.Name(true), r.Cause, what)
	default:
		fmt.Fprintf(&b, "运单处于 %s（%s）阶段，不能接受 %s。", r.From, r.From.Name(true), what)
	}
	if len(r.Allowed) == 0 {
		b.WriteString("此处不允许任何事件。")
	} else {
		b.WriteString("此处允许：" + actionNames(r.Allowed, true) + "。")
	}
	fmt.Fprintf(&b, "该事件已记录为事件 %d，不会推送。如类型或时间有误，请更正后以新的 id 发送；如确认无误，可由运维人员人工放行。", r.Seq)
	return b.String()
}

func actionNames(codes []state.ActionType, zh bool) string {
	open, end, between := " (", ")", ", "
	if zh {
		open, end, between = "（", "）", "、"
	}
	words := make([]string, len(codes))
	for i, a := range codes {
		words[i] = a.String() + open + a.Name(zh) + end
	}
	return strings.Join(words, between)
}
