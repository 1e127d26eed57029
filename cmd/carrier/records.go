package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"carrier/internal/adminclient"
)

type auditCommand struct {
	asking
	By         *string `placeholder:"NAME" help:"The name of the admin token."`
	Action     *string `placeholder:"ACTION" help:"What was done, such as push.replay."`
	DeliveryID *string `placeholder:"ID" help:"The account."`
	WaybillID  *string `placeholder:"ID" help:"The waybill."`
	Since      *string `placeholder:"TIME" help:"At or after: RFC 3339, or a duration back from now such as 24h."`
	Until      *string `placeholder:"TIME" help:"Before."`
	paging
}

func (a *auditCommand) Run(ctx context.Context, w *world) error {
	filter, err := given(map[string]*string{
		"by": a.By, "action": a.Action, "delivery_id": a.DeliveryID, "waybill_id": a.WaybillID, "since": a.Since, "until": a.Until,
	})
	if err != nil {
		return err
	}
	return a.with(ctx, w, func(s *session) error {
		t := s.table(
			column{head: "ID", right: true}, column{head: s.say("AT", "时间")}, column{head: s.say("BY", "操作人")}, column{head: s.say("FROM", "来自"), below: true},
			column{head: s.say("ACTION", "操作")}, column{head: s.say("OF", "对象")}, column{head: s.say("REASON", "原因"), text: true, below: true},
			column{head: s.say("DETAIL", "详情"), text: true, below: true},
		)
		return list(ctx, s, s.Audit(filter), a.paging, t, s.auditRow)
	})
}

func (s *screen) auditRow(t *table, e *adminclient.AuditEntry) {
	of := []string{}
	if e.DeliveryID != "" {
		of = append(of, waybillName(e.DeliveryID, e.WaybillID))
	}
	if e.Seq != 0 {
		of = append(of, s.sayf("push %d", "推送 %d", e.Seq))
	}
	if e.Replay != "" {
		of = append(of, s.sayf("replay %s", "重放 %s", e.Replay))
	}
	t.add(e.ID, s.time(&e.At), e.By, e.From, e.Action, strings.Join(of, " "), e.Reason, e.Detail)
}

type deadLettersCommand struct {
	asking
	paging
}

func (d *deadLettersCommand) Run(ctx context.Context, w *world) error {
	return d.with(ctx, w, func(s *session) error {
		t := s.table(
			column{head: "ID", right: true}, column{head: s.say("RECEIVED AT", "收到时间")}, column{head: s.say("SOURCE", "来源")},
			column{head: s.say("SUBJECT", "主题"), below: true}, column{head: s.say("CODE", "代码")}, column{head: s.say("WHY", "原因"), text: true, below: true},
			column{head: s.say("BODY", "内容"), text: true, below: true},
		)
		return list(ctx, s, s.DeadLetters(), d.paging, t, s.deadLetterRow)
	})
}

func (s *screen) deadLetterRow(t *table, d *adminclient.DeadLetter) {
	body := d.BodyBase64
	if d.Body != nil {
		body = *d.Body
	}
	t.add(d.ID, s.time(&d.ReceivedAt), d.Source, d.Subject, d.Code, cmp.Or(s.in(d.Text), d.Reason), body)
}

type statsCommand struct{ asking }

func (c *statsCommand) Run(ctx context.Context, w *world) error {
	return c.with(ctx, w, func(s *session) error {
		a, err := s.Stats(ctx)
		if err != nil {
			return err
		}
		return show(s, a, s.stats)
	})
}

// stats shows the service's figures, and a row an account.
func (s *screen) stats(st *adminclient.Stats) error {
	var f facts
	f.add(s.say("version", "版本"), st.Version)
	f.add(s.say("up since", "启动于"), s.sayf("%s, %s ago", "%s，已运行 %s", s.time(&st.StartedAt), s.seconds(st.UptimeSeconds)))
	f.add(s.say("events", "事件"), s.counts(st.Events, verdictWords))
	f.add(s.say("held now", "当前暂存"), strconv.FormatInt(st.Held, 10))
	f.add(s.say("pushes", "推送"), s.counts(st.Pushes, statusWords))
	f.add(s.say("replays running", "进行中的重放"), strconv.FormatInt(st.ReplaysRunning, 10))
	f.add(s.say("store", "存储"), s.sayf("%d {1:commit|commits} of %d {2:row|rows}, %.2f ms each", "提交 %d 次，共 %d 行，平均 %.2f 毫秒", st.Store.Commits, st.Store.Rows, st.Store.CommitMS))
	if st.Store.FreeBytes != nil {
		f.add(s.say("free space", "剩余空间"), size(*st.Store.FreeBytes))
	}
	if err := f.print(s); err != nil || len(st.Accounts) == 0 {
		return err
	}
	if _, err := fmt.Fprintln(s.w); err != nil {
		return err
	}
	t := s.table(
		column{head: s.say("ACCOUNT", "账户")}, column{head: s.say("PENDING", "待推送"), right: true}, column{head: s.say("OLDEST", "最久等待"), right: true},
		column{head: s.say("DELIVERED", "已送达"), right: true}, column{head: s.say("FAILED", "失败"), right: true},
		column{head: s.say("DISCARDED", "已作废"), right: true},
	)
	for _, name := range slices.Sorted(maps.Keys(st.Accounts)) {
		a := st.Accounts[name]
		t.add(name, count(a.Counts, "pending"), s.seconds(a.OldestPendingSeconds), count(a.Counts, "delivered"),
			count(a.Counts, "failed"), count(a.Counts, "discarded"))
	}
	return t.flush()
}

// counts lists numbers with their names, in the order of the names.
func (s *screen) counts(counts map[string]int64, names dictionary) string {
	text := ""
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		if text != "" {
			text += s.say(", ", "，")
		}
		text += fmt.Sprintf("%d %s", counts[name], s.word(names, name))
	}
	return text
}

// size is a number of bytes for people.
func size(bytes float64) string {
	for _, unit := range []string{"B", "KiB", "MiB", "GiB"} {
		if bytes < 1024 {
			return fmt.Sprintf("%.4g %s", bytes, unit)
		}
		bytes /= 1024
	}
	return fmt.Sprintf("%.4g TiB", bytes)
}
