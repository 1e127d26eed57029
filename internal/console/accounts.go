package console

import (
	"context"
	"time"

	"carrier/internal/admin"
	"carrier/internal/problem"
)

// Accounts is what the page about accounts needs of package admin.
type Accounts interface {
	AccountList() admin.List[admin.AccountItem]
	Pause(ctx context.Context, by admin.Actor, deliveryID, reason string) (admin.AccountItem, error)
	Resume(ctx context.Context, by admin.Actor, deliveryID, reason string, letFail time.Duration) (admin.AccountItem, error)
	Probe(ctx context.Context, by admin.Actor, deliveryID, reason string) (admin.AccountItem, error)
}

// Accounts shows how the accounts are, and lets them be paused, resumed and probed.
func (c *Console) Accounts(v *Visit) error { return c.showLive(v, "accounts", c.accountsView) }

func (c *Console) accountsView(*Visit) (any, error) { return c.admin.AccountList().Items, nil }

// PauseAccount stops an account's pushes.
func (c *Console) PauseAccount(v *Visit) error {
	id := v.Param("delivery")
	if _, err := c.admin.Pause(v.Context(), v.By, id, v.Field("reason")); err != nil {
		return err
	}
	return v.Done("/accounts", "accounts.paused_now", id)
}

// ResumeAccount lets them go on.
func (c *Console) ResumeAccount(v *Visit) error {
	letFail, err := v.duration("let_fail_for")
	if err != nil {
		return err
	}
	id := v.Param("delivery")
	if _, err := c.admin.Resume(v.Context(), v.By, id, v.Field("reason"), letFail); err != nil {
		return err
	}
	return v.Done("/accounts", "accounts.resumed_now", id)
}

// ProbeAccount sends one push now.
func (c *Console) ProbeAccount(v *Visit) error {
	id := v.Param("delivery")
	if _, err := c.admin.Probe(v.Context(), v.By, id, v.Field("reason")); err != nil {
		return err
	}
	return v.Done("/accounts", "accounts.probed_now", id)
}

// duration is a field such as 10m; empty is 0.
func (v *Visit) duration(name string) (time.Duration, error) {
	given := v.Field(name)
	if given == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(given)
	if err != nil {
		return 0, problem.New(problem.InvalidRequest).Because(err).Sayf("%s must be a duration such as 10m.", "%s 必须为时长，例如 10m。", name)
	}
	return d, nil
}
