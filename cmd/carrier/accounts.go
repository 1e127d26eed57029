package main

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"time"

	"carrier/internal/adminclient"
)

type accountsCommand struct {
	List   accountsList   `cmd:"" help:"List the accounts and how they are. 列出账户"`
	Show   accountsShow   `cmd:"" help:"Show how an account is, and how long its quota lasts. 查看账户"`
	Pause  accountsPause  `cmd:"" help:"Stop an account's pushes. 暂停账户的推送"`
	Resume accountsResume `cmd:"" help:"Let an account's pushes go on. 恢复账户的推送"`
	Probe  accountsProbe  `cmd:"" help:"Let one push go out now, although the breaker is open or the account paused. 立即试探"`
}

type accountsList struct{ asking }

func (c *accountsList) Run(ctx context.Context, w *world) error {
	return c.with(ctx, w, func(s *session) error {
		a, err := s.Accounts(ctx)
		if err != nil {
			return err
		}
		return show(s, a, func(l *adminclient.Items[adminclient.Account]) error { return s.accounts(l.Items) })
	})
}

// accounts shows a row an account, and below it why any of them does not send.
func (s *screen) accounts(accounts []adminclient.Account) error {
	t := s.table(
		column{head: s.say("ACCOUNT", "账户")}, column{head: s.say("STATE", "状态")}, column{head: s.say("BREAKER", "熔断")},
		column{head: s.say("PENDING", "待推送"), right: true}, column{head: s.say("OLDEST", "最久等待"), right: true},
		column{head: s.say("DELIVERED", "已送达"), right: true}, column{head: s.say("FAILED", "失败"), right: true},
		column{head: s.say("DISCARDED", "已作废"), right: true, below: true}, column{head: s.say("IN FLIGHT", "在途"), right: true, below: true},
		column{head: s.say("QUOTA LEFT", "剩余配额"), right: true, below: true},
		column{head: s.say("ACCESS_TOKEN UNTIL", "ACCESS_TOKEN 有效至"), below: true},
	)
	for i := range accounts {
		a := &accounts[i]
		oldest := "-"
		if a.Counts["pending"] > 0 {
			oldest = s.seconds(a.OldestPendingSeconds)
		}
		t.add(a.DeliveryID, s.accountState(a), s.word(breakerWords, a.Breaker.State), count(a.Counts, "pending"), oldest,
			count(a.Counts, "delivered"), count(a.Counts, "failed"), count(a.Counts, "discarded"), strconv.Itoa(a.InFlight),
			quotaLeft(&a.Quota), cell(s.time(a.AccessTokenExpiresAt)))
	}
	if err := t.flush(); err != nil {
		return err
	}
	for i := range accounts {
		if err := s.accountTroubles(&accounts[i]); err != nil {
			return err
		}
	}
	return nil
}

type accountsShow struct {
	asking
	Account string `arg:"" name:"delivery-id" help:"The account's delivery_id."`
}

func (c *accountsShow) Run(ctx context.Context, w *world) error {
	return c.with(ctx, w, func(s *session) error {
		a, err := s.Account(ctx, c.Account)
		if err != nil {
			return err
		}
		return show(s, a, func(a *adminclient.Account) error {
			if err := s.accounts([]adminclient.Account{*a}); err != nil || s.quotaTrouble(&a.Quota) != "" {
				return err // That said it all.
			}
			return s.line(s.join(a.DeliveryID, s.quota(&a.Quota)))
		})
	})
}

func (s *screen) accountState(a *adminclient.Account) string {
	switch {
	case a.Paused:
		return s.say("paused", "已暂停")
	case a.Guard.Tripped:
		return s.say("guarded", "保护中")
	case a.Breaker.State != "closed" && (a.Fallback == nil || a.Fallback.State != "closed"):
		return s.say("waiting", "等待恢复")
	}
	return s.say("sending", "正常")
}

// accountTroubles says in full what keeps an account.
func (s *screen) accountTroubles(a *adminclient.Account) error {
	var troubles []string
	if a.Paused {
		text := s.say("paused", "已暂停")
		if since := s.time(a.PauseSince); since != "" {
			text += s.sayf(" since %s", "，自 %s", since)
		}
		if until := s.time(a.PausedUntil); until != "" {
			text += s.sayf(" until %s", "，至 %s", until)
		}
		if probe := s.time(a.NextProbeAt); probe != "" {
			text += s.sayf(", next probe %s", "，下次试探 %s", probe)
		}
		troubles = append(troubles, s.join(text, cmp.Or(s.in(a.PauseText), a.PauseReason)))
	}
	if g := &a.Guard; g.Tripped {
		troubles = append(troubles, s.sayf("failing is stopped since %s: %d of %d {3:push|pushes} failed for good; see why, then carrier accounts resume %s, with --let-fail-for to let them fail",
			"自 %s 起不再判为失败：%[3]d 个推送中有 %[2]d 个永久失败；查明原因后执行 carrier accounts resume %[4]s，加 --let-fail-for 则允许其失败", cell(s.time(g.Since)), g.Failed, g.Ended, a.DeliveryID))
	}
	if until := s.time(a.Guard.LetFailUntil); until != "" {
		troubles = append(troubles, s.sayf("pushes may fail for good until %s, whatever the guard finds", "至 %s 允许推送永久失败", until))
	}
	troubles = append(troubles, s.breakerTrouble(&a.Breaker), s.breakerTrouble(a.Fallback), s.quotaTrouble(&a.Quota))
	for _, text := range troubles {
		if text == "" {
			continue
		}
		if err := s.line(s.join(a.DeliveryID, text)); err != nil {
			return err
		}
	}
	return nil
}

// breakerTrouble says what opened a breaker; empty for one that is closed, or none.
func (s *screen) breakerTrouble(b *adminclient.Breaker) string {
	if b == nil || b.State == "closed" || b.State == "" {
		return ""
	}
	text := s.sayf("breaker of %s is %s since %s", "%s 的熔断%s，自 %s", b.Host, s.word(breakerWords, b.State), cell(s.time(b.Since)))
	if probe := s.time(b.NextProbeAt); probe != "" {
		text += s.sayf(", next probe %s", "，下次试探 %s", probe)
	}
	return s.join(text, cmp.Or(s.in(b.OpenedText), b.OpenedBy))
}

// count is a number of a table of them.
func count(counts map[string]int64, name string) string { return strconv.FormatInt(counts[name], 10) }

// accountAct is an act on an account.
type accountAct struct {
	asking
	Account string `arg:"" name:"delivery-id" help:"The account's delivery_id."`
	Reason  string `aliases:"because" placeholder:"TEXT" help:"Why, for the audit log."`
}

func (c *accountAct) do(ctx context.Context, w *world, act func(*session) (adminclient.Answer[adminclient.Account], error)) error {
	return c.with(ctx, w, func(s *session) error {
		a, err := act(s)
		if err != nil {
			return err
		}
		return show(s, a, func(account *adminclient.Account) error { return s.accounts([]adminclient.Account{*account}) })
	})
}

type accountsPause struct{ accountAct }

func (c *accountsPause) Run(ctx context.Context, w *world) error {
	return c.do(ctx, w, func(s *session) (adminclient.Answer[adminclient.Account], error) {
		return s.PauseAccount(ctx, c.Account, c.Reason)
	})
}

type accountsResume struct {
	accountAct
	LetFailFor time.Duration `placeholder:"10m" help:"For so long pushes may fail for good, where too many failures have stopped that."`
}

func (c *accountsResume) Run(ctx context.Context, w *world) error {
	if c.LetFailFor < 0 {
		return usageError{errors.New("--let-fail-for must not be below 0s")}
	}
	return c.do(ctx, w, func(s *session) (adminclient.Answer[adminclient.Account], error) {
		return s.ResumeAccount(ctx, c.Account, c.LetFailFor, c.Reason)
	})
}

type accountsProbe struct{ accountAct }

func (c *accountsProbe) Run(ctx context.Context, w *world) error {
	return c.with(ctx, w, func(s *session) error {
		a, err := s.ProbeAccount(ctx, c.Account, c.Reason)
		if err != nil {
			return err
		}
		return show(s, a, func(account *adminclient.Account) error {
			return errors.Join(s.accounts([]adminclient.Account{*account}), s.line(s.say(
				"One push goes out now; carrier accounts list shows how it went.", "正在放行一个推送；稍后用 carrier accounts list 查看结果。")))
		})
	})
}
