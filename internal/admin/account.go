package admin

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"carrier/internal/pathpush"
	"carrier/internal/problem"
	"carrier/internal/store"
	"carrier/internal/telemetry"
)

// AccountItem tells how an account is.
type AccountItem struct {
	DeliveryID           string       `json:"delivery_id"`
	Breaker              BreakerItem  `json:"breaker"`
	Fallback             *BreakerItem `json:"fallback_breaker"` // null without a fallback host
	Paused               bool         `json:"paused"`
	PauseReason          string       `json:"pause_reason"`
	PauseText            Text         `json:"pause_text"` // The same in both languages.
	PauseSince           *time.Time   `json:"pause_since"`
	PausedUntil          *time.Time   `json:"paused_until"`
	NextProbeAt          *time.Time   `json:"next_probe_at"` // Of a pause that upstream's answers asked for.
	AccessTokenExpiresAt *time.Time   `json:"access_token_expires_at"`
	AccountCounts
	Waiting        int64     `json:"waiting"` // Pending pushes: what waits while it is paused or its breaker open.
	InFlight       int       `json:"in_flight"`
	ConcurrencyNow int       `json:"concurrency_now"` // Less than configured while it recovers.
	Guard          GuardItem `json:"guard"`
	Quota          QuotaItem `json:"quota"`
}

// BreakerItem tells how a host's breaker is.
type BreakerItem struct {
	Host        string     `json:"host"`
	State       string     `json:"state"`
	Since       time.Time  `json:"since"`
	OpenedBy    string     `json:"opened_by"`
	OpenedText  Text       `json:"opened_text"` // The same in both languages.
	NextProbeAt *time.Time `json:"next_probe_at"`
}

// GuardItem tells how the guard against mass failing is.
type GuardItem struct {
	Tripped      bool       `json:"tripped"` // It paused the account.
	Failed       int        `json:"failed"`  // Refused for good within its window, of
	Ended        int        `json:"ended"`   // those that ended.
	Since        *time.Time `json:"since"`   // When it tripped.
	LetFailUntil *time.Time `json:"let_fail_until"`
}

func breakerItem(b *pathpush.BreakerSnapshot) BreakerItem {
	return BreakerItem{
		Host: b.Host, State: b.State, Since: b.Since.UTC(), OpenedBy: b.OpenedBy, OpenedText: Text{b.OpenedBy, b.OpenedByZh},
		NextProbeAt: instant(b.NextProbeAt),
	}
}

func accountItem(s *pathpush.Snapshot, stats *store.Stats, now time.Time) AccountItem {
	item := AccountItem{
		DeliveryID: s.DeliveryID, Breaker: breakerItem(&s.Breakers[0]),
		// Upstream's words may repeat the push that they answer; whoever it is for, an account's page needs no number.
		Paused: s.Paused, PauseReason: telemetry.MaskPhones(s.PauseReason), PauseText: pauseText(s), PausedUntil: instant(s.PausedUntil),
		NextProbeAt: instant(s.NextProbeAt), AccessTokenExpiresAt: instant(s.AccessTokenExpiresAt),
		AccountCounts: countsOf(stats, s.DeliveryID, now), InFlight: s.InFlight, ConcurrencyNow: s.Concurrency,
		Guard: GuardItem{
			Tripped: s.Guard.Tripped, Failed: s.Guard.Failed, Ended: s.Guard.Ended,
			Since: instant(s.Guard.Since), LetFailUntil: instant(s.Guard.LetFailUntil),
		},
	}
	item.Quota = quotaItem(&s.Quota)
	item.Waiting = item.Counts[store.Pending]
	if s.Paused {
		item.PauseSince = instant(s.PausedSince)
	}
	if len(s.Breakers) > 1 {
		fallback := breakerItem(&s.Breakers[1])
		item.Fallback = &fallback
	}
	return item
}

// pausedBy begins the reason of a pause for which an operator gave none.
const pausedBy = "paused by "

// pauseText is why an account is paused, in both languages. An operator's own words are the same in both.
func pauseText(s *pathpush.Snapshot) Text {
	zh := cmp.Or(s.PauseReasonZh, s.PauseReason)
	if name, ok := strings.CutPrefix(zh, pausedBy); ok {
		zh = "由 " + name + " 暂停"
	}
	return Text{telemetry.MaskPhones(s.PauseReason), telemetry.MaskPhones(zh)}
}

// AccountList tells how the accounts are, as configured.
func (s *Service) AccountList() List[AccountItem] {
	stats, now := s.Store.Stats(), time.Now()
	items := []AccountItem{}
	for _, snap := range s.Pusher.Snapshots() {
		items = append(items, accountItem(&snap, &stats, now))
	}
	return List[AccountItem]{Items: items}
}

// Pause stops an account's pushes until it is resumed; that outlives a restart.
func (s *Service) Pause(ctx context.Context, by Actor, deliveryID, reason string) (AccountItem, error) {
	if reason == "" {
		reason = pausedBy + by.Name
	}
	return s.onAccount(ctx, by, deliveryID, by.act(store.ActPause, reason), func() error {
		return s.Pusher.Pause(ctx, deliveryID, reason)
	})
}

// maxLetFail bounds for how long the guard against mass failing can be switched off.
const maxLetFail = 24 * time.Hour

// Resume lets an account's pushes go on. letFail above 0 lets them fail as they may for that long, whatever share it is.
func (s *Service) Resume(ctx context.Context, by Actor, deliveryID, reason string, letFail time.Duration) (AccountItem, error) {
	if letFail < 0 || letFail > maxLetFail {
		return AccountItem{}, invalidField("let_fail_for", "range",
			problem.Textf("let_fail_for must be a duration from 0s to %s.", "let_fail_for 必须为 0s 到 %s 的时长。", maxLetFail))
	}
	act := by.act(store.ActResume, reason)
	if letFail > 0 {
		act.Detail = "let_fail_for " + letFail.String()
	}
	return s.onAccount(ctx, by, deliveryID, act, func() error { return s.Pusher.Resume(ctx, deliveryID, letFail) })
}

// Probe sends one push now although the account's breaker is open, or although upstream's answers paused it.
func (s *Service) Probe(ctx context.Context, by Actor, deliveryID, reason string) (AccountItem, error) {
	if a, ok := s.account(deliveryID); ok && !a.Paused && a.Breaker.State == "closed" && (a.Fallback == nil || a.Fallback.State == "closed") {
		return AccountItem{}, nothingToProbe(&a) // Not worth an entry in the audit log.
	}
	return s.onAccount(ctx, by, deliveryID, by.act(store.ActProbe, reason), func() error { return s.Pusher.Probe(ctx, deliveryID) })
}

// onAccount records an act on an account, carries it out, and tells how the account is then.
func (s *Service) onAccount(ctx context.Context, by Actor, deliveryID string, act store.Act, do func() error) (AccountItem, error) {
	if err := errors.Join(s.known(deliveryID), checkReason(act.Reason, false)); err != nil {
		return AccountItem{}, err
	}
	if err := s.record(ctx, store.AuditEntry{Act: act, DeliveryID: deliveryID}); err != nil {
		return AccountItem{}, err
	}
	err := do()
	a, ok := s.account(deliveryID)
	switch {
	case errors.Is(err, pathpush.ErrNothingToProbe):
		return AccountItem{}, nothingToProbe(&a)
	case err != nil:
		return AccountItem{}, storeProblem(err)
	case !ok:
		return AccountItem{}, problem.New(problem.NotFound)
	}
	s.acted(by, act.Action, "delivery_id", deliveryID, "reason", act.Reason, "detail", act.Detail)
	return a, nil
}

// account tells how one account is.
func (s *Service) account(deliveryID string) (AccountItem, bool) {
	stats := s.Store.Stats()
	for _, snap := range s.Pusher.Snapshots() {
		if snap.DeliveryID == deliveryID {
			return accountItem(&snap, &stats, time.Now()), true
		}
	}
	return AccountItem{}, false
}

// nothingToProbe says why a probe would be of no use.
func nothingToProbe(a *AccountItem) error {
	out := problem.New(problem.ConflictState).With("breaker", a.Breaker.State).With("paused", a.Paused).
		With("pause_reason", a.PauseReason)
	if a.Paused {
		return out.Say("The account was paused by an operator or by the guard, not by upstream's answers: a probe finds nothing out. Resume it.",
			"该账户由运维人员或保护机制暂停，而非上游返回所致，试探没有意义。请直接恢复（resume）。")
	}
	return out.Say("No breaker of the account is open and it is not paused: its pushes go out by themselves.",
		"该账户没有打开的熔断器，也未暂停，推送会自动发出。")
}
