package app

import (
	"context"
	"fmt"
	"time"

	"carrier/internal/config"
	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/pebble"
	"carrier/internal/store/postgres"
)

// Engine is a store with a name; both engines are one.
type Engine interface {
	store.Store
	// SetTerms puts other terms in force (see store.Judge).
	SetTerms(t store.Terms)
	// Instance is the store's own name, which no other has.
	Instance() string
}

// openStore opens the engine that store.url names.
func (a *App) openStore(ctx context.Context) error {
	keys, err := a.config().Store.TokenKeys()
	if err != nil {
		return fmt.Errorf("store.key_file: %w", err)
	}
	opened, err := a.openEngine(ctx, keys)
	if err != nil {
		return err
	}
	a.store = opened
	return nil
}

func (a *App) openEngine(ctx context.Context, keys [][]byte) (Engine, error) {
	if address, ok := a.config().Store.Postgres(); ok {
		return a.openPostgres(ctx, address, keys)
	}
	if folder, ok := a.config().Store.Folder(); ok {
		return a.openPebble(folder, keys)
	}
	return nil, fmt.Errorf("store.url: %s is neither file:FOLDER nor a postgres:// address", a.config().Store.URL)
}

func (a *App) openPebble(folder string, keys [][]byte) (Engine, error) {
	terms := termsOf(a.config())
	s, err := pebble.Open(folder, pebble.Options{
		Machine: terms.Machine, NoTokenWait: terms.NoTokenWait, DiscardUnknown: terms.DiscardUnknown,
		TokenKeys: keys, Retention: time.Duration(a.config().Store.Retention), MinFreeBytes: uint64(a.config().Store.MinFree),
		Feed: a.feed, Notify: a.notices(), Logger: a.log.With("part", "store"),
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (a *App) openPostgres(ctx context.Context, address string, keys [][]byte) (Engine, error) {
	terms := termsOf(a.config())
	s, err := postgres.Open(ctx, address, postgres.Options{
		Machine: terms.Machine, NoTokenWait: terms.NoTokenWait, DiscardUnknown: terms.DiscardUnknown,
		TokenKeys: keys, Retention: time.Duration(a.config().Store.Retention),
		Feed: a.feed, Notify: a.notices(), Logger: a.log.With("part", "store"),
		Node: a.config().Store.Node, LeaseTime: time.Duration(a.config().Store.Lease),
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// termsOf are by what a configuration has the store judge.
func termsOf(c *config.Config) store.Terms {
	return store.Terms{
		Machine: state.Machine{ReorderWindow: time.Duration(c.State.ReorderWindow)}, NoTokenWait: time.Duration(c.Push.NoTokenWait),
		DiscardUnknown: c.Push.UnknownWaybills == config.UnknownDiscard,
	}
}

// notices hears of new notices; nil, and so that none are kept, where nobody is told.
func (a *App) notices() func() {
	if !a.config().NATS.On() {
		return nil
	}
	return a.notify
}

// feed passes what the store tells on to the pusher. Changes from before the pusher was made are not missed: it
// begins by sweeping the store.
func (a *App) feed(changes []store.Change) {
	if p := a.feedTo.Load(); p != nil {
		p.Feed(changes)
	}
}

// shared tells whether other nodes may have the store open.
func (a *App) shared() bool {
	_, ok := a.config().Store.Postgres()
	return ok
}

// owns tells whether a waybill is this node's to see to.
func (a *App) owns(w state.Waybill) bool {
	_, end, ok := a.store.Begin(w)
	if ok {
		end()
	}
	return ok
}
