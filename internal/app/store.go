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
	// Instance is the store's own name, which no other has.
	Instance() string
}

// openStore opens the engine that store.url names.
func (a *App) openStore(ctx context.Context) error {
	keys, err := a.cfg.Store.TokenKeys()
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
	if address, ok := a.cfg.Store.Postgres(); ok {
		return a.openPostgres(ctx, address, keys)
	}
	if folder, ok := a.cfg.Store.Folder(); ok {
		return a.openPebble(folder, keys)
	}
	return nil, fmt.Errorf("store.url: %s is neither file:FOLDER nor a postgres:// address", a.cfg.Store.URL)
}

func (a *App) openPebble(folder string, keys [][]byte) (Engine, error) {
	s, err := pebble.Open(folder, pebble.Options{
		Machine: a.machine(), NoTokenWait: time.Duration(a.cfg.Push.NoTokenWait), DiscardUnknown: a.discardsUnknown(),
		TokenKeys: keys, Retention: time.Duration(a.cfg.Store.Retention), MinFreeBytes: uint64(a.cfg.Store.MinFree),
		Feed: a.feed, Notify: a.notices(), Logger: a.log.With("part", "store"),
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (a *App) openPostgres(ctx context.Context, address string, keys [][]byte) (Engine, error) {
	s, err := postgres.Open(ctx, address, postgres.Options{
		Machine: a.machine(), NoTokenWait: time.Duration(a.cfg.Push.NoTokenWait), DiscardUnknown: a.discardsUnknown(),
		TokenKeys: keys, Retention: time.Duration(a.cfg.Store.Retention),
		Feed: a.feed, Notify: a.notices(), Logger: a.log.With("part", "store"),
		Node: a.cfg.Store.Node, LeaseTime: time.Duration(a.cfg.Store.Lease),
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (a *App) machine() state.Machine {
	return state.Machine{ReorderWindow: time.Duration(a.cfg.State.ReorderWindow)}
}

func (a *App) discardsUnknown() bool { return a.cfg.Push.UnknownWaybills == config.UnknownDiscard }

// notices hears of new notices; nil, and so that none are kept, where nobody is told.
func (a *App) notices() func() {
	if !a.cfg.NATS.On() {
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
	_, ok := a.cfg.Store.Postgres()
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
