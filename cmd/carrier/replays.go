package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"carrier/internal/adminclient"
)

type replaysCommand struct {
	List   replaysList   `cmd:"" help:"List replays, newest first. 列出重放任务"`
	Show   replaysShow   `cmd:"" help:"Show one replay. 查看重放任务"`
	Follow replaysFollow `cmd:"" help:"Follow a replay to its end; non-zero exit if any push was not delivered. 跟随重放任务直到结束"`
	Pause  replaysPause  `cmd:"" help:"Make no more pushes pending for now. 暂停重放任务"`
	Resume replaysResume `cmd:"" help:"Go on with a paused replay. 继续重放任务"`
	Cancel replaysCancel `cmd:"" help:"End a replay; what it made pending already goes on. 取消重放任务"`
}

type replaysList struct {
	asking
	paging
}

func (r *replaysList) Run(ctx context.Context, w *world) error {
	return r.with(ctx, w, func(s *session) error {
		t := s.table(
			column{head: "ID", right: true}, column{head: s.say("STATUS", "状态")}, column{head: s.say("STARTED", "开始时间")},
			column{head: s.say("BY", "操作人"), below: true}, column{head: s.say("MATCHED", "符合"), right: true}, column{head: s.say("DELIVERED", "已送达"), right: true},
			column{head: s.say("FAILED", "失败"), right: true}, column{head: s.say("OPEN", "进行中"), right: true},
			column{head: s.say("OF", "范围"), text: true, below: true}, column{head: s.say("REASON", "原因"), text: true, below: true},
		)
		return list(ctx, s, s.Replays(), r.paging, t, s.replayRow)
	})
}

func (s *screen) replayRow(t *table, r *adminclient.Replay) {
	n := func(n int64) string { return strconv.FormatInt(n, 10) }
	t.add(r.ID, s.word(replayWords, r.Status), s.time(&r.CreatedAt), r.By, n(r.Matched), n(r.Delivered), n(r.Failed), n(r.Open),
		s.selection(r), r.Reason)
}

// selection says which pushes a replay is of.
func (s *screen) selection(r *adminclient.Replay) string {
	if r.Seq != 0 {
		return s.sayf("push %d", "推送 %d", r.Seq)
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(r.Filter)) {
		switch value := r.Filter[name].(type) {
		case nil:
		case float64: // As encoding/json reads numbers; codes are whole.
			parts = append(parts, name+"="+strconv.FormatFloat(value, 'f', -1, 64))
		default:
			if text := fmt.Sprint(value); text != "" {
				parts = append(parts, name+"="+text)
			}
		}
	}
	return strings.Join(parts, " ")
}

type theReplay struct {
	asking
	ID string `arg:"" help:"The replay's number."`
}

type replaysShow struct{ theReplay }

func (r *replaysShow) Run(ctx context.Context, w *world) error {
	return r.with(ctx, w, func(s *session) error {
		a, err := s.Replay(ctx, r.ID)
		if err != nil {
			return err
		}
		return show(s, a, s.replay)
	})
}

// replay shows one replay.
func (s *screen) replay(r *adminclient.Replay) error {
	var f facts
	n := func(n int64) string { return strconv.FormatInt(n, 10) }
	f.add(s.say("replay", "重放"), r.ID)
	f.add(s.say("status", "状态"), s.word(replayWords, r.Status))
	f.add(s.say("of", "范围"), s.selection(r))
	f.add(s.say("started", "开始"), s.sayf("%s by %s", "%s，操作人 %s", s.time(&r.CreatedAt), r.By))
	f.add(s.say("reason", "原因"), r.Reason)
	f.add(s.say("ended", "结束"), s.time(r.EndedAt))
	if r.Rate > 0 {
		f.add(s.say("rate", "速率"), s.sayf("%v a second at most", "每秒最多 %v 个", r.Rate))
	}
	if r.SkipSuperseded {
		f.add(s.say("superseded", "被取代的"), s.say("left out", "不发送"))
	}
	f.add(s.say("matched", "符合"), n(r.Matched))
	f.add(s.say("sent again", "已重新推送"), n(r.Requeued))
	f.add(s.say("left as they were", "未处理"), n(r.Skipped))
	f.add(s.say("delivered", "已送达"), n(r.Delivered))
	f.add(s.say("failed", "失败"), n(r.Failed))
	f.add(s.say("discarded", "已作废"), n(r.Discarded))
	f.add(s.say("on their way", "推送中"), n(r.Open))
	if r.Status == "paused" || len(r.Waiting) > 0 {
		f.add(s.say("waits", "等待"), s.holdUp(r))
	}
	return f.print(s)
}

type replaysFollow struct{ theReplay }

func (r *replaysFollow) Run(ctx context.Context, w *world) error {
	return r.with(ctx, w, func(s *session) error {
		a, err := s.Replay(ctx, r.ID)
		if err != nil {
			return err
		}
		return s.follow(ctx, a)
	})
}

// replayAct is an act on a replay.
type replayAct struct {
	theReplay
	Reason string `aliases:"because" placeholder:"TEXT" help:"Why, for the audit log."`
}

func (r *replayAct) do(ctx context.Context, w *world, verb adminclient.ReplayVerb) error {
	return r.with(ctx, w, func(s *session) error {
		a, err := s.ActOnReplay(ctx, r.ID, verb, r.Reason)
		if err != nil {
			return err
		}
		return show(s, a, s.replay)
	})
}

type (
	replaysPause  struct{ replayAct }
	replaysResume struct{ replayAct }
	replaysCancel struct{ replayAct }
)

func (r *replaysPause) Run(ctx context.Context, w *world) error {
	return r.do(ctx, w, adminclient.PauseReplay)
}

func (r *replaysResume) Run(ctx context.Context, w *world) error {
	return r.do(ctx, w, adminclient.ResumeReplay)
}

func (r *replaysCancel) Run(ctx context.Context, w *world) error {
	return r.do(ctx, w, adminclient.CancelReplay)
}
