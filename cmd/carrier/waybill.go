package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"carrier/internal/adminclient"
)

type waybillCommand struct {
	Show     waybillShow     `cmd:"" help:"Show a waybill's whole story. 查看运单全程"`
	Find     waybillFind     `cmd:"" help:"Find waybills by the end of their number. 按尾号查找运单"`
	Silent   waybillSilent   `cmd:"" help:"List waybills that stand still, the longest first. 列出停滞运单"`
	Upstream waybillUpstream `cmd:"" help:"Lay what WeChat shows beside what was delivered. 对照微信所示轨迹"`
	Heal     waybillHeal     `cmd:"" help:"Push again what WeChat does not show. 补推微信未显示的节点"`
	Freeze   waybillFreeze   `cmd:"" help:"Take its scans, but send nothing. 冻结运单的推送"`
	Thaw     waybillThaw     `cmd:"" help:"Let its pushes go on. 解冻运单的推送"`
	Skip     waybillSkip     `cmd:"" help:"Discard its first open push. 跳过运单的首个推送"`
	Retry    waybillRetry    `cmd:"" help:"Let its first open push go at once. 立即重试运单的首个推送"`
	Token    waybillToken    `cmd:"" help:"Register its Token. 登记运单 Token"`
	Expunge  waybillExpunge  `cmd:"" help:"Forget its personal data for good. 永久清除运单的个人数据"`
}

// theWaybill names the waybill that a command is about.
type theWaybill struct {
	asking
	Waybill    string `arg:"" help:"[DELIVERY_ID/]WAYBILL_ID; the account may be left out where there is only one."`
	DeliveryID string `placeholder:"ID" help:"The account; then WAYBILL is the waybill's number alone, and may hold a /."`
}

// on opens a session and finds out which waybill is meant.
func (t *theWaybill) on(ctx context.Context, w *world, f func(s *session, delivery, waybill string) error) error {
	delivery, waybill, found := strings.Cut(t.Waybill, "/")
	switch {
	case t.DeliveryID != "":
		delivery, waybill = t.DeliveryID, t.Waybill
	case !found:
		delivery, waybill = "", t.Waybill
	}
	if waybill == "" || found && delivery == "" {
		return usageError{fmt.Errorf("%q names no waybill; write DELIVERY_ID/WAYBILL_ID", t.Waybill)}
	}
	return t.with(ctx, w, func(s *session) error {
		if delivery == "" {
			var err error
			if delivery, err = s.onlyAccount(ctx, waybill); err != nil {
				return err
			}
		}
		return f(s, delivery, waybill)
	})
}

// onlyAccount is the account of a service that has one. Of several, the user must say which.
func (s *session) onlyAccount(ctx context.Context, waybill string) (string, error) {
	a, err := s.Accounts(ctx)
	if err != nil {
		return "", err
	}
	var names []string
	for _, account := range a.Value.Items {
		names = append(names, account.DeliveryID)
	}
	switch len(names) {
	case 0:
		return "", errors.New(s.say("the service has no accounts; add one to its configuration", "该服务没有账户，请在其配置中添加"))
	case 1:
		return names[0], nil
	}
	return "", usageError{errors.New(s.sayf("there are several accounts, %s: write one before the waybill, as in %s", "有多个账户：%s；请写在运单号之前，例如 %s",
		strings.Join(names, ", "), waybillName(names[0], waybill)))}
}

type waybillShow struct{ theWaybill }

func (v *waybillShow) Run(ctx context.Context, w *world) error {
	return v.on(ctx, w, func(s *session, delivery, waybill string) error {
		a, err := s.Waybill(ctx, delivery, waybill)
		if err != nil {
			return err
		}
		return show(s, a, s.story)
	})
}

// story shows a waybill: where it stands, what keeps its pushes, each scan with what became of it, each attempt to push
// it, and what its customer sees.
func (s *screen) story(w *adminclient.Waybill) error {
	if err := s.waybillFacts(w); err != nil {
		return err
	}
	if err := s.timeline(w); err != nil {
		return err
	}
	if err := s.waybillAttempts(w); err != nil {
		return err
	}
	return s.shown(w.Shown)
}

func (s *screen) timeline(w *adminclient.Waybill) error {
	if len(w.Timeline) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(s.w); err != nil {
		return err
	}
	t := s.table(
		column{head: "SEQ", right: true}, column{head: s.say("SCANNED AT", "扫描时间")}, column{head: s.say("SCAN", "扫描"), text: true},
		column{head: s.say("TEXT", "文本"), text: true, below: true}, column{head: s.say("VERDICT", "判定")}, column{head: s.say("WHY", "判定原因"), text: true, below: true},
		column{head: s.say("PUSH", "推送")}, column{head: s.say("TRIES", "尝试"), right: true, below: true}, column{head: "ERRCODE", right: true, below: true},
		column{head: s.say("WHY THE PUSH", "推送原因"), text: true, below: true},
	)
	for i := range w.Timeline {
		s.stepRow(t, &w.Timeline[i])
	}
	return t.flush()
}

// shown shows what a customer sees; nil is nothing.
func (s *screen) shown(seen *adminclient.Shown) error {
	if seen == nil {
		return nil
	}
	if _, err := fmt.Fprintln(s.w); err != nil {
		return err
	}
	title := s.sayf("What the customer sees, as WeChat told a merchant's program (version %d, %s):", "客户所见轨迹，由微信告知商家小程序（版本 %d，%s）：",
		seen.Version, s.time(&seen.ReceivedAt))
	if err := s.line(title); err != nil {
		return err
	}
	t := s.table(column{head: s.say("AT", "时间")}, column{head: s.say("WHAT", "动作"), text: true}, column{head: s.say("TEXT", "文本"), text: true})
	for _, a := range seen.Actions {
		t.add(s.unix(a.ActionTime), s.anyAction(a.ActionType), a.ActionMsg)
	}
	return t.flush()
}

func (s *screen) stepRow(t *table, step *adminclient.Step) {
	status, tries, code, why := "-", "", "", ""
	if p := step.Push; p != nil {
		status, tries, code, why = s.shortStatus(&p.PushState), strconv.Itoa(p.Attempts), errcode(p.Errcode), s.why(&p.PushState)
	}
	t.add(number(step.Seq), s.unix(step.ActionTime), s.action(step.ActionType), s.text(step.ActionMsg),
		s.verdict(&step.Decision), cell(s.because(&step.Decision)), status, tries, code, why)
}

func (s *screen) waybillFacts(w *adminclient.Waybill) error {
	var f facts
	f.add(s.say("waybill", "运单"), waybillName(w.DeliveryID, w.WaybillID))
	f.add(s.say("stage", "阶段"), s.stageName(w.StageName, w.Stage))
	f.add("Token", s.tokenState(w))
	if w.Frozen {
		f.add(s.say("frozen", "已冻结"), s.join(s.sayf("since %s by %s", "自 %s，操作人 %s", cell(s.time(w.FrozenSince)), cell(w.FrozenBy)), w.FrozenReason))
	}
	for i := range w.Timeline {
		if p := w.Timeline[i].Push; p != nil && p.Status == "pending" {
			what := cmp.Or(s.why(&p.PushState), s.status(&p.PushState))
			f.add(s.say("next push", "下一推送"), s.join(number(w.Timeline[i].Seq), what))
			break
		}
	}
	return f.print(s)
}

func (s *screen) tokenState(w *adminclient.Waybill) string {
	switch {
	case !w.TokenSet:
		return s.say("none yet; pushes wait for it", "尚无，推送等待中")
	case w.Parked:
		return s.say("refused by WeChat; register a new one, or replay", "被微信拒绝；请登记新的 Token，或重放")
	}
	if at := s.time(w.TokenAt); at != "" {
		return s.sayf("known, the newest since %s", "已登记，最新的登记于 %s", at)
	}
	return s.say("known", "已登记")
}

// waybillAct is a verb on a waybill's pushes.
type waybillAct struct {
	theWaybill
	Reason string `aliases:"because" placeholder:"TEXT" help:"Why, for the audit log."`
}

func (v *waybillAct) do(ctx context.Context, w *world, verb adminclient.WaybillVerb) error {
	return v.on(ctx, w, func(s *session, delivery, waybill string) error {
		a, err := s.ActOnWaybill(ctx, delivery, waybill, verb, v.Reason)
		if err != nil {
			return err
		}
		return show(s, a, s.waybillFacts)
	})
}

type (
	waybillFreeze struct{ waybillAct }
	waybillThaw   struct{ waybillAct }
	waybillSkip   struct{ waybillAct }
	waybillRetry  struct{ waybillAct }
)

func (v *waybillFreeze) Run(ctx context.Context, w *world) error {
	return v.do(ctx, w, adminclient.Freeze)
}
func (v *waybillThaw) Run(ctx context.Context, w *world) error { return v.do(ctx, w, adminclient.Thaw) }
func (v *waybillSkip) Run(ctx context.Context, w *world) error { return v.do(ctx, w, adminclient.Skip) }
func (v *waybillRetry) Run(ctx context.Context, w *world) error {
	return v.do(ctx, w, adminclient.Retry)
}

type waybillToken struct {
	waybillAct
	NewTokenFile string `required:"" placeholder:"FILE" help:"Holds the Token and nothing else; - is standard input."`
}

func (v *waybillToken) Run(ctx context.Context, w *world) error {
	token, err := readToken(w, "--new-token-file", v.NewTokenFile)
	if err != nil {
		return usageError{err}
	}
	return v.on(ctx, w, func(s *session, delivery, waybill string) error {
		a, err := s.PutToken(ctx, delivery, waybill, token, v.Reason)
		if err != nil {
			return err
		}
		return show(s, a, func(t *adminclient.TokenAnswer) error {
			text := s.say("the Token is registered; the waybill's pushes go on with it", "Token 已登记，该运单的推送将使用它继续")
			if !t.Changed {
				text = s.say("this Token was the waybill's newest already; nothing changed", "该 Token 已是运单最新的，未作更改")
			}
			return s.line(s.join(waybillName(delivery, waybill), text))
		})
	})
}

// maxTokenFile bounds what is read of a file that was named by mistake. A Token has at most 256 bytes.
const maxTokenFile = 4096

// readToken reads a waybill's Token from what a flag names.
func readToken(w *world, flag, name string) (string, error) {
	text, err := w.read(name, maxTokenFile)
	token := strings.TrimSpace(strings.TrimPrefix(string(text), "\ufeff"))
	switch {
	case err != nil:
		return "", fmt.Errorf("%s: %w", flag, err)
	case len(text) > maxTokenFile:
		return "", fmt.Errorf("%s: the file is too long for a Token; it must hold the Token and nothing else", flag)
	case token == "":
		return "", fmt.Errorf("%s: there is no Token in it; write the waybill's Token into it", flag)
	}
	return token, nil
}
