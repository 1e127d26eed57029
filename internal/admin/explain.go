package admin

import (
	"carrier/internal/state"
	"carrier/internal/store"
)

// explain says why an event's verdict is not a plain accepted one: the rule, the stage before, what was allowed, and
// the event that it is about. It is empty for one that was accepted as it came.
func explain(e *store.Event) Text {
	switch {
	case e.Override:
		return explainOverride(e)
	case e.Verdict == state.Rejected:
		return explainRejection(e)
	case e.Verdict == state.Held:
		return explainHold(e)
	case e.Verdict == state.Ignored:
		return explainRepeat(e)
	}
	return explainPlace(e)
}

// explainRejection: an event that was rejected when it came has From and Allowed; one that was held first, and that an
// operator's override made impossible, has not.
func explainRejection(e *store.Event) Text {
	what := ActionText(e.Event.Type)
	if e.Allowed == nil {
		return textf("Rejected (%[1]s): after what an operator accepted, %[2]s is no legal step any more.",
			"已拒绝（%[1]s）：在运维人员放行其他事件之后，%[3]s不再是合法的流转。", reasonOf(e), what.En, what.Zh)
	}
	at := stageText(e.From)
	var why Text
	switch {
	case e.Reason == state.ContradictsNext:
		why = textf("Rejected (%[1]s): when it was scanned the waybill was %[2]s, and with %[4]s there, event %[6]d would become illegal, which is later and was taken before.",
			"已拒绝（%[1]s）：扫描时运单处于「%[3]s」；若在此处加入 %[5]s，时间更晚且已接收的事件 %[6]d 将变得不合法。",
			reasonOf(e), at.En, at.Zh, what.En, what.Zh, e.Cause)
	case e.Cause != 0:
		why = textf("Rejected (%[1]s): when it was scanned the waybill was %[2]s, where event %[6]d had put it, and %[4]s does not lead on from there.",
			"已拒绝（%[1]s）：扫描时运单处于「%[3]s」（由事件 %[6]d 进入），该阶段不允许 %[5]s。",
			reasonOf(e), at.En, at.Zh, what.En, what.Zh, e.Cause)
	default:
		why = textf("Rejected (%[1]s): when it was scanned the waybill was %[2]s, and %[4]s does not lead on from there.",
			"已拒绝（%[1]s）：扫描时运单处于「%[3]s」，该阶段不允许 %[5]s。", reasonOf(e), at.En, at.Zh, what.En, what.Zh)
	}
	return why.and(allowedText(e))
}

// reasonOf is the rule's word. Rejections from before reasons were kept have none.
func reasonOf(e *store.Event) string {
	if e.Reason == 0 {
		return state.Rejected.String()
	}
	return e.Reason.String()
}

func allowedText(e *store.Event) Text {
	switch {
	case len(e.Allowed) > 0:
		list := listText(e.Allowed, ActionText)
		return textf("Allowed there: %[1]s.", "当时允许：%[2]s。", list.En, list.Zh)
	case e.From.Final():
		return Text{"Nothing is allowed there: that stage is final.", "当时不允许任何事件：该阶段为终态。"}
	}
	return Text{"Nothing is allowed there, because of the events after it.", "受之后事件的限制，当时不允许任何事件。"}
}

// explainHold says what a held event waits for, and until when.
func explainHold(e *store.Event) Text {
	until := textf("At %[1]s it is taken as it is.", "到 %[1]s 仍未到达时按现状接受。", moment(e.HeldUntil))
	if e.Reason == state.BehindHeld {
		return Text{"Held (behind_held): an earlier event of the waybill waits for a missing scan, and this one waits behind it, to keep their order.",
			"暂存（behind_held）：该运单较早的事件正在等待缺失的扫描，为保持顺序，本事件排在其后。"}.and(until)
	}
	what := ActionText(e.Event.Type)
	before := listText(stagesBefore(e.Event.Type), stageText)
	return textf("Held (missing_scan): %[1]s comes only after a scan that makes the waybill one of: %[3]s. No such scan has come yet.",
		"暂存（missing_scan）：%[2]s 之前，运单应已处于以下阶段之一：%[4]s；尚未收到相应的扫描。",
		what.En, what.Zh, before.En, before.Zh).and(until)
}

// stagesBefore lists the stages from which an action type is a plain step.
func stagesBefore(a state.ActionType) []state.Stage {
	var stages []state.Stage
	for _, s := range state.Stages() {
		if _, out := state.Next(s, a); out == state.Legal {
			stages = append(stages, s)
		}
	}
	return stages
}

// explainRepeat says what an ignored event repeats.
func explainRepeat(e *store.Event) Text {
	if e.Reason == state.RepeatsEvent {
		return textf("Ignored (repeats_event): it says word for word what event %d says (same waybill, type, time and text), under another id.",
			"已忽略（repeats_event）：与事件 %d 的内容完全相同（运单、类型、时间、文字一致），仅 id 不同。", e.Cause)
	}
	what := ActionText(e.Event.Type)
	if e.Cause == 0 {
		return textf("Ignored (repeats_stage): the waybill was in that stage already, and %[1]s again says nothing new.",
			"已忽略（repeats_stage）：运单已处于该阶段，重复的 %[2]s 没有新的内容。", what.En, what.Zh)
	}
	return textf("Ignored (repeats_stage): event %[3]d had put the waybill into that stage already, and %[1]s again says nothing new.",
		"已忽略（repeats_stage）：事件 %[3]d 已使运单进入该阶段，重复的 %[2]s 没有新的内容。", what.En, what.Zh, e.Cause)
}

// explainOverride says that an operator decided, and against what.
func explainOverride(e *store.Event) Text {
	text := Text{"Accepted by an operator against the rules; the audit log says by whom and why.",
		"由运维人员不按规则放行；操作人与原因见审计记录。"}
	if e.Allowed == nil {
		return text
	}
	at := stageText(e.From)
	return text.and(textf("It had been rejected: the waybill was %[1]s when it was scanned.", "原判定为拒绝：扫描时运单处于「%[2]s」。",
		at.En, at.Zh)).and(allowedText(e))
}

// explainPlace says what is special about an accepted event's place in the timeline.
func explainPlace(e *store.Event) Text {
	var text Text
	if e.Late {
		text = Text{"Accepted late: it was put in its place before newer events, and the stage did not move back.",
			"迟到但已接受：已插入到较新事件之前，当前阶段不后退。"}
	}
	if e.Gap {
		text = text.and(Text{"Accepted with a gap: a scan that must come before it was never seen.", "已接受，但缺少扫描：之前应有的扫描一直没有收到。"})
	}
	return text
}
