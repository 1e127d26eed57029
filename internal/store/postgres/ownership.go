package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"carrier/internal/state"
	"carrier/internal/store"
)

// ownPoolConns is how many connections the leases may take, beside the store's.
const ownPoolConns = 2

// join makes this one of the nodes that share the database, and takes what nobody owns.
func (s *Store) join(ctx context.Context, config *pgxpool.Config) error {
	own := config.Copy()
	own.MinConns, own.MaxConns = 1, ownPoolConns
	own.ConnConfig.RuntimeParams["application_name"] = "carrier leases"
	pool, err := pgxpool.NewWithConfig(ctx, own)
	if err != nil {
		return err
	}
	s.leases = newLeases(leaseOptions{
		Pool: pool, Name: s.opts.Node, Lease: s.opts.LeaseTime, Log: s.opts.Logger.With("node", s.opts.Node), Feed: s.feed,
	})
	hearing := &listener{config: own.ConnConfig, leases: s.leases, feed: s.feed, notify: s.notify, log: s.leases.o.Log}
	// Before anything is this node's: what is told of that must be heard.
	conn, err := hearing.open(ctx)
	if err == nil {
		if err = s.leases.start(ctx); err != nil {
			_ = conn.Close(ctx) // err says more.
		}
	}
	if err != nil {
		pool.Close()
		return err
	}
	s.background.Go(func() { s.leases.run(s.stop) })
	s.background.Go(func() { hearing.run(s.stop, conn) })
	return nil
}

// leave hands over what this node owns and closes the connections for it.
func (s *Store) leave(ctx context.Context) error {
	err := s.leases.close(ctx)
	s.leases.o.Pool.Close()
	return err
}

// feed tells the lanes of something; one at a time.
func (s *Store) feed(changes []store.Change) {
	s.feeding.Lock()
	defer s.feeding.Unlock()
	if s.opts.Feed != nil {
		s.opts.Feed(changes)
	}
}

// notify tells of new notices that another node made.
func (s *Store) notify() {
	s.feeding.Lock()
	defer s.feeding.Unlock()
	if s.opts.Notify != nil {
		s.opts.Notify()
	}
}

// Begin asks leave to send a push (store.Ownership).
func (s *Store) Begin(w state.Waybill) (lease context.Context, end func(), ok bool) {
	return s.leases.Begin(w)
}

// Nodes is how many nodes share the database (store.Ownership).
func (s *Store) Nodes() int { return s.leases.Nodes() }

// While does something whenever it is this node's duty (store.Ownership).
func (s *Store) While(ctx context.Context, duty store.Duty, f func(context.Context) error) error {
	return s.leases.While(ctx, duty, f)
}

// HandOver gives all slots to the other nodes (store.Ownership).
func (s *Store) HandOver() { s.leases.HandOver() }

// Tell lets the other nodes know of a breaker (store.Ownership).
func (s *Store) Tell(b store.BreakerNews) { s.leases.Tell(b) }

// queueOwnership reads whether waybills are this node's by the word of the database. That holds until the transaction
// ends: whoever takes them over waits for it.
func (x *tx) queueOwnership(batch *pgx.Batch, all []state.Waybill) {
	x.node = x.s.leases.me()
	if len(all) == 0 || x.node == 0 {
		return // A node that is not registered owns nothing; what is free is under 0.
	}
	wanted := map[int16]bool{}
	of := make([]int16, 0, min(len(all), slots))
	for _, w := range all {
		if slot := slotOf(w); !wanted[slot] {
			wanted[slot] = true
			of = append(of, slot)
		}
	}
	ownedBy(batch, x.node, of, x.mine)
}

// checkOwner says whether what came of a waybill's push may be recorded by this node.
func (x *tx) checkOwner(w state.Waybill) error {
	if !x.mine[slotOf(w)] {
		return fmt.Errorf("waybill %s: %w", w, store.ErrNotOwner)
	}
	return nil
}

// queueNews tells the other nodes of what this transaction changed that is theirs to push.
func (x *tx) queueNews(batch *pgx.Batch) {
	var theirs []state.Waybill
	for w := range x.touched {
		if !x.mine[slotOf(w)] {
			theirs = append(theirs, w)
		}
	}
	queueWaybillNotes(batch, x.node, theirs)
	for _, account := range x.accounts {
		queueNote(batch, &note{Node: x.node, Account: account})
	}
	if len(x.notices) > 0 {
		queueNote(batch, &note{Node: x.node, Notices: true})
	}
}

// ownChanges are the changes that concern lanes of this node; of a waybill that is to be read again, only that. If the
// node was taken for dead since the transaction began, what it knew then may be out of date.
func (x *tx) ownChanges() (own []store.Change) {
	known := x.s.leases.me() == x.node
	for _, c := range x.changes {
		w := x.waybills[c.Waybill]
		switch {
		case !x.mine[slotOf(c.Waybill)] || w.reloaded && !c.Reload:
		case known:
			own = append(own, w.asLeft(c))
		default:
			own = append(own, store.Change{Waybill: c.Waybill, Reload: true})
		}
	}
	return own
}

var _ store.Store = (*Store)(nil)
