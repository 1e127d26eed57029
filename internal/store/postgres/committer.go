package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"carrier/internal/store"
	"carrier/internal/store/engine"
)

// maxAttempts bounds how often a transaction is made anew of which it is certain that nothing was kept.
const maxAttempts = 5

// operation is what a committer does for a caller.
type operation interface {
	// needs names what run will ask for.
	needs(n *needs)
	// run decides. What it reads may fail; then it leaves no half of a change behind. It may run again in another
	// transaction, if nothing was kept of this one.
	run(x *tx)
	// Finish answers, once that is durable; with an error, if the transaction failed.
	Finish(err error)
	// rows is the operation's size.
	rows() int
}

// committer turns what waits into one transaction after the other.
type committer struct {
	s   *Store
	ops chan operation
}

func (s *Store) startCommitters() {
	for range s.opts.Committers {
		c := &committer{s: s, ops: make(chan operation, engine.QueueLength)}
		s.committers = append(s.committers, c)
		s.committersDone.Go(c.loop)
	}
}

// loop has no timer: while one transaction is under way, the next one gathers.
func (c *committer) loop() {
	for op := range c.ops {
		c.commit(c.gather(op))
	}
}

// gather adds what waits already.
func (c *committer) gather(op operation) []operation {
	ops, rows := []operation{op}, op.rows()
	for rows < engine.MaxRows {
		select {
		case op, ok := <-c.ops:
			if !ok {
				return ops
			}
			ops, rows = append(ops, op), rows+op.rows()
		default:
			return ops
		}
	}
	return ops
}

// commit carries operations out and answers them.
func (c *committer) commit(ops []operation) {
	n := newNeeds()
	for _, op := range ops {
		op.needs(n)
	}
	c.s.busy.take(n.waybills)
	begun := time.Now()
	x, err := c.s.transact(ops, n)
	if err == nil {
		c.s.committed(x, time.Since(begun))
	}
	if unknown, ok := errors.AsType[*unknownError](err); ok {
		c.s.doubt(n)
		c.s.committersDone.Go(func() { c.s.resolve(unknown.id, n) })
	}
	c.s.busy.free(n.waybills)
	if err != nil && len(ops) > 1 && isRefusedData(err) {
		// One of them holds what the database refuses. The others must not suffer for it.
		for i := range ops {
			c.commit(ops[i : i+1])
		}
		return
	}
	for _, op := range ops {
		op.Finish(err)
	}
}

// doubt has the lanes read waybills of which it is not known what a transaction left, and has whatever is signed from
// now on tell itself from that. The waybills are still held.
func (s *Store) doubt(n *needs) {
	s.pens.Add(1)
	s.reload(n)
}

// resolve goes on looking up what became of a transaction, for as long as it takes, and has the lanes read once more:
// it may have been kept after they did.
func (s *Store) resolve(id [16]byte, n *needs) {
	for {
		if _, err := s.abandon(s.stop, id); err == nil {
			s.reload(n)
			return
		}
		select {
		case <-s.stop.Done():
			return
		case <-time.After(lookUpPause):
		}
	}
}

// reload has the lanes read waybills, as far as they are this node's.
func (s *Store) reload(n *needs) {
	changes := make([]store.Change, 0, len(n.waybills))
	for w := range n.waybills {
		if s.leases.owns(w) {
			changes = append(changes, store.Change{Waybill: w, Reload: true})
		}
	}
	s.feed(changes)
}

// pen is what this node signs waybills with: its name, and how often it did not know what became of a transaction.
func (s *Store) pen() string {
	if n := s.pens.Load(); n > 0 {
		return fmt.Sprintf("%s#%d", s.opts.Node, n)
	}
	return s.opts.Node
}

// transact makes the transaction, and makes it anew where it is certain that nothing was kept and another try may do
// better.
func (s *Store) transact(ops []operation, n *needs) (x *tx, err error) {
	for attempt := range maxAttempts {
		x, err = s.try(ops, n)
		s.noteTrouble(err)
		if err == nil || !isConflict(err) && (!isLost(err) || attempt > 0) {
			break
		}
		switch {
		case isLost(err):
			s.pool.Reset() // Most often all connections broke.
		case lacksPartition(err):
			s.partitions.covered.Store(0) // What was there is looked up anew.
		}
	}
	return x, s.refused(err)
}

// try makes the transaction once.
func (s *Store) try(ops []operation, n *needs) (x *tx, err error) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), transactionTimeout, errTimeout)
	defer cancel()
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, &lostError{err}
	}
	defer conn.Release() // A connection within a transaction is closed by that.
	x = s.newTx(ctx, conn.Conn())
	if err := x.load(n); err != nil {
		return nil, x.rollback(err)
	}
	for _, op := range ops {
		x.size += op.rows()
		if op.run(x); x.broken != nil {
			return nil, x.rollback(x.broken)
		}
	}
	if x.isNothing() {
		return x, x.rollback(nil)
	}
	committed, err := x.save()
	switch {
	case committed || err == nil:
		return x, nil
	case x.conn.IsClosed():
		return s.lookUp(x, err)
	}
	return nil, x.rollback(err)
}

// rollback ends a transaction of which nothing is to be kept, and returns why.
func (x *tx) rollback(why error) error {
	if x.conn.IsClosed() {
		return why
	}
	_, err := x.conn.Exec(x.ctx, "ROLLBACK")
	return cmp.Or(why, x.lost(err))
}

const (
	// abandon takes the id of a transaction, unless that is taken.
	abandon = `INSERT INTO commits (id, names, deltas) VALUES ($1, ARRAY['` + counterAbandoned + `'], '{1}') ON CONFLICT DO NOTHING`
	// isAbandoned tells who has it. An earlier look-up may, of which the answer was lost.
	isAbandoned = `SELECT names = ARRAY['` + counterAbandoned + `'] FROM commits WHERE id = $1`
)

// lookUp finds out what became of a transaction whose connection broke while it was being committed. It takes the id
// that the transaction writes: if the transaction has it already, it committed; if not, it never will, as it can't take
// the id any more. While it is still under way, PostgreSQL makes us wait for its end.
func (s *Store) lookUp(x *tx, cause error) (*tx, error) {
	s.opts.Logger.Warn("the connection broke during a commit; looking up what became of it", "err", cause)
	ctx, cancel := context.WithTimeoutCause(context.Background(), s.opts.OutcomeWait, errTimeout)
	defer cancel()
	for {
		abandoned, err := s.abandon(ctx, x.id)
		switch {
		case err == nil && !abandoned:
			return x, nil
		case err == nil:
			return nil, &lostError{cause}
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: the connection broke during a commit, and whether that was kept can't be found out now: %w",
				s.where, &unknownError{cause, x.id})
		case <-time.After(lookUpPause):
		}
	}
}

// abandon sees to it that a transaction that has not committed never will; false if it did.
func (s *Store) abandon(ctx context.Context, id [16]byte) (abandoned bool, err error) {
	batch := &pgx.Batch{}
	batch.Queue(abandon, id)
	batch.Queue(isAbandoned, id).QueryRow(func(row pgx.Row) error { return row.Scan(&abandoned) })
	return abandoned, s.pool.SendBatch(ctx, batch).Close()
}

// committed tells everyone of a transaction that is durable.
func (s *Store) committed(x *tx, took time.Duration) {
	if x.isNothing() {
		return
	}
	s.count(x, took)
	s.feeding.Lock()
	defer s.feeding.Unlock()
	if own := x.ownChanges(); len(own) > 0 {
		s.opts.Feed(own)
	}
	if len(x.notices) > 0 {
		s.opts.Notify()
	}
	s.alarm.Expect(x.deadline)
}
