package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"carrier/internal/config"
	"carrier/internal/merchant"
	"carrier/internal/store"
	"carrier/internal/telemetry"
)

// retireAfter is how long merchants that were replaced are kept for those who are asking with their credentials: no
// question of an operator's or the verifier's takes longer.
const retireAfter = time.Minute

// ErrRefused says that a configuration can't be taken over, and that nothing has changed; it is wrapped with why.
var ErrRefused = errors.New("the configuration is not taken over, nothing has changed")

// Reload reads the configuration again and takes all of it over, or nothing: what can't be read, what Check refuses, and
// what only a restart can change (those keys are named) leaves everything as it was. What is under way goes on: a request
// by the rules that it came under, a push with the host and the credentials that it began with.
//
// What came of it is logged, counted and, if something changed, in the audit log, by key and without any secret. The
// error wraps ErrRefused.
func (a *App) Reload(ctx context.Context) error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	changes, err := a.reload(ctx)
	if err != nil {
		a.metrics.Reloaded(false, time.Now())
		err = fmt.Errorf("%w: %w", ErrRefused, err)
		a.log.Error("reloading the configuration failed", "err", strings.ReplaceAll(err.Error(), "\n", "; "))
		return err
	}
	a.metrics.Reloaded(true, time.Now())
	if len(changes) == 0 {
		a.log.Info("configuration reloaded: nothing is different in it")
		return nil
	}
	a.tellReload(ctx, changes)
	for _, w := range a.config().Warnings() {
		a.log.Warn(w)
	}
	return nil
}

// tellReload says what changed, and sets the log's level: the line is written whether the level before or the one from now
// on lets it through.
func (a *App) tellReload(ctx context.Context, changes []config.Change) {
	tell := func() { a.log.Info("configuration reloaded", "changed", joined(changes)) }
	before := a.log.Enabled(ctx, slog.LevelInfo)
	if before {
		tell()
	}
	if anyOf(changes, "log.level") {
		if err := telemetry.SetLevel(a.log, a.config().Log.Level); err != nil {
			a.log.Warn("the log's level stays as it was", "err", err)
		}
	}
	if !before {
		tell()
	}
}

func (a *App) reload(ctx context.Context) ([]config.Change, error) {
	switch {
	case a.stopping.Load():
		return nil, errStopping
	case a.load == nil:
		return nil, errors.New("this service was started without a way to read its configuration again; restart it")
	}
	next, err := a.load()
	if err != nil {
		return nil, err
	}
	changes := a.config().Changes(next)
	if len(changes) == 0 {
		return nil, nil
	}
	if err := needRestart(changes); err != nil {
		return nil, err
	}
	prepared, err := a.prepare(ctx, next, changes)
	if err != nil {
		return nil, err
	}
	if err := a.recordReload(ctx, changes); err != nil {
		prepared.drop()
		return nil, fmt.Errorf("it can't be written to the audit log: %w", err)
	}
	prepared.take()
	return changes, nil
}

// needRestart names the keys that are only read at the start, if any of those changed.
func needRestart(changes []config.Change) error {
	var keys []string
	for _, c := range changes {
		if c.Restart {
			keys = append(keys, c.Key)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return fmt.Errorf("these keys need a restart: %s; restart the service, or set them back and reload again", strings.Join(keys, ", "))
}

func joined(changes []config.Change) string {
	lines := make([]string, len(changes))
	for i, c := range changes {
		lines[i] = c.String()
	}
	return strings.Join(lines, "; ")
}

// reloader is who reloads, in the audit log: whoever may send the process a signal.
const reloader = "system"

// recordReload keeps what changes. As with all acts, what can't be recorded is not done.
func (a *App) recordReload(ctx context.Context, changes []config.Change) error {
	detail := make(map[string]string, len(changes))
	for _, c := range changes {
		detail[c.Key] = c.Text
	}
	text, err := json.Marshal(detail)
	if err != nil {
		return err
	}
	return a.store.Record(ctx, store.AuditEntry{Act: store.Act{By: reloader, Action: store.ActReload, Reason: "SIGHUP", Detail: string(text)}})
}

// prepared is a configuration that all parts can go by. It is taken, or dropped.
type prepared struct {
	changes []config.Change
	takes   []func() // In order. None can fail.
	drops   []func() // What was made for it, and is of no use without it.
}

func (p *prepared) take() {
	for _, take := range p.takes {
		take()
	}
}

func (p *prepared) drop() {
	for _, drop := range p.drops {
		drop()
	}
}

// prepare has every part check what a configuration asks of it, and make ready what it needs for that.
func (a *App) prepare(ctx context.Context, next *config.Config, changes []config.Change) (*prepared, error) {
	p := &prepared{changes: changes}
	for _, part := range []func(context.Context, *config.Config, *prepared) error{
		a.prepareMerchants, a.preparePushes, a.prepareIntake, a.prepareAdmin,
	} {
		if err := part(ctx, next, p); err != nil {
			p.drop()
			return nil, err
		}
	}
	return p, nil
}

// prepareMerchants makes the merchants anew if they changed: their access_tokens are fetched again, when they are needed.
func (a *App) prepareMerchants(_ context.Context, next *config.Config, p *prepared) error {
	p.takes = append(p.takes, func() { a.verifier.Retune(verifyOptions(next)) })
	if !anyOf(p.changes, "merchants") {
		return nil
	}
	made, err := a.newClerks(next)
	if err != nil {
		return err
	}
	p.drops = append(p.drops, made.registry.Close)
	p.takes = append(p.takes, func() { a.retire(a.clerks.Swap(made).registry) })
	return nil
}

// anyOf tells whether anything changed in a section.
func anyOf(changes []config.Change, section string) bool {
	for _, c := range changes {
		if c.Key == section || strings.HasPrefix(c.Key, section+".") || strings.HasPrefix(c.Key, section+"[") {
			return true
		}
	}
	return false
}

// retire closes merchants that were replaced, once nobody can be asking with their credentials any more.
func (a *App) retire(old *merchant.Registry) {
	a.retiring.Go(func() {
		defer old.Close()
		timer := time.NewTimer(retireAfter)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-a.closing:
		}
	})
}

// preparePushes is also what puts the configuration in force: what asks for it finds accounts that the pusher has.
func (a *App) preparePushes(ctx context.Context, next *config.Config, p *prepared) error {
	links, err := a.newLinks(ctx, next)
	if err != nil {
		return err
	}
	before := a.links
	p.drops = append(p.drops, func() {
		for id, link := range links {
			if before[id] != link {
				link.closer(before[id])()
			}
		}
	})
	o := pushOptions(next)
	o.Accounts = pushAccounts(next, links)
	for i := range o.Accounts {
		if old := before[o.Accounts[i].DeliveryID]; old != nil {
			o.Accounts[i].Retired = old.closer(links[o.Accounts[i].DeliveryID])
		}
	}
	take, err := a.pusher.Prepare(o, func(deliveryID string) { before[deliveryID].closer(nil)() })
	if err != nil {
		return err
	}
	p.takes = append(p.takes, func() {
		a.metrics.Know(names(next))
		a.store.SetTerms(termsOf(next))
		take()
		a.links = links
		a.running.Store(next)
	})
	return nil
}

// prepareIntake is taken after the pusher knows all accounts that events may come for.
func (a *App) prepareIntake(_ context.Context, next *config.Config, p *prepared) error {
	accounts, err := a.orderAccounts(next)
	if err != nil {
		return err
	}
	o, err := a.webhookOptions(next)
	if err != nil {
		return err
	}
	take, err := a.webhook.Prepare(o)
	if err != nil {
		return err
	}
	p.takes = append(p.takes, func() {
		a.orders.SetAccounts(accounts)
		take()
	})
	return nil
}

func (a *App) prepareAdmin(_ context.Context, next *config.Config, p *prepared) error {
	p.takes = append(p.takes, func() { a.server.SetTokens(adminTokens(next)) })
	return nil
}
