package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"carrier/internal/store"
)

// ownershipLocks is the class of the advisory locks that stand for what nodes own. A transaction that goes by what its
// node owns holds the node's lock, shared with the node's others; who changes any of that takes it alone
// (queueQuiet).
const ownershipLocks = 0x63617272 // "carr"

const (
	// register takes a number that no node had before.
	register = `INSERT INTO nodes (name, expires_at) VALUES ($1, clock_timestamp() + $2::bigint * interval '1 microsecond')
		RETURNING number`
	// renew also revives a row that expired and that nobody buried: nothing was taken from this node then.
	renew = `UPDATE nodes SET expires_at = clock_timestamp() + $2::bigint * interval '1 microsecond', leaving = $3
		WHERE number = $1 RETURNING number`
	listNodes = `SELECT number, leaving, (extract(epoch FROM expires_at - clock_timestamp()) * 1e6)::bigint FROM nodes ORDER BY number`

	// bury skips rows that another node is about to bury, or that are being renewed.
	bury = `DELETE FROM nodes WHERE number IN (
			SELECT number FROM nodes WHERE number <> $1 AND expires_at < clock_timestamp() FOR UPDATE SKIP LOCKED
		) RETURNING number`
	setFree       = `UPDATE leases SET owner = 0, epoch = epoch + 1 WHERE owner = ANY($1::integer[])`
	setDutiesFree = `UPDATE duties SET owner = 0, epoch = epoch + 1 WHERE owner = ANY($1::integer[])`

	// stillAlive keeps this node from being buried in the middle of what follows; without it nothing is taken.
	stillAlive  = `SELECT 1 FROM nodes WHERE number = $1 AND expires_at > clock_timestamp() FOR UPDATE`
	releaseSome = `UPDATE leases SET owner = 0, epoch = epoch + 1 WHERE owner = $1 AND slot = ANY($2::smallint[])`
	takeSome    = `UPDATE leases SET owner = $1, epoch = epoch + 1 WHERE slot IN (
			SELECT slot FROM leases WHERE owner = 0 ORDER BY slot LIMIT $2 FOR UPDATE SKIP LOCKED)`
	releaseDuties = `UPDATE duties SET owner = 0, epoch = epoch + 1 WHERE owner = $1 AND name = ANY($2::text[])`
	takeDuties    = `INSERT INTO duties AS d (name, owner, epoch) SELECT unnest($2::text[]), $1, 1
		ON CONFLICT (name) DO UPDATE SET owner = $1, epoch = d.epoch + 1 WHERE d.owner = 0`
)

// view is what the database says of the nodes and of what they own.
type view struct {
	rank, live int              // This node's place among those that share the slots, and their number.
	leaving    bool             // This node is not among them.
	dead       bool             // Some node's row has expired.
	nextDeath  time.Duration    // Until the next one may; 0: there is no other.
	owners     [slots]int32     // 0: free.
	duties     map[string]int32 // Likewise.
}

// target is how many slots are this node's fair share.
func (v *view) target() int {
	if v.leaving || v.live == 0 {
		return 0
	}
	share := slots / v.live
	if v.rank < slots%v.live {
		share++
	}
	return share
}

// keep says which of its slots a node goes on with: as many as are its fair share, always the same ones.
func (v *view) keep(me int32) (keep [slots]bool) {
	left := v.target()
	for slot, owner := range v.owners {
		if owner == me && left > 0 {
			keep[slot] = true
			left--
		}
	}
	return keep
}

// round renews the lease, buries dead nodes, and moves this node's share toward what is fair. It says when the next one
// is due.
func (l *leases) round(ctx context.Context) (again time.Duration, err error) {
	every, retry := l.every(), l.every()/4
	ctx, cancel := context.WithTimeoutCause(ctx, every, fmt.Errorf("PostgreSQL took longer than %s", every))
	defer cancel()
	v, err := l.renew(ctx)
	if err != nil {
		return retry, err
	}
	if v.dead {
		if err := l.bury(ctx); err != nil {
			return retry, err
		}
		if v, err = l.renew(ctx); err != nil {
			return retry, err
		}
	}
	moved, err := l.move(ctx, v)
	if err != nil {
		return retry, err
	}
	if moved {
		if v, err = l.renew(ctx); err != nil {
			return retry, err
		}
	}
	l.adopt(v)
	if v.nextDeath > 0 {
		// To the millisecond after it, so that what a dead node owned does not wait for the next regular round.
		every = min(every, v.nextDeath+time.Millisecond)
	}
	return every, nil
}

// renew extends the lease, or registers the node, and reads how things stand. It also tells of breakers.
func (l *leases) renew(ctx context.Context) (*view, error) {
	l.mu.Lock()
	number, leaving, news := l.number, l.leaving, l.news
	l.news = map[breakerName]store.BreakerNews{}
	if !l.valid(time.Now()) {
		clear(news) // How upstream was to a node that has been away is no news any more.
	}
	l.mu.Unlock()
	v, err := l.ask(ctx, number, leaving, news)
	if err != nil {
		l.tellAgain(news)
		return nil, err
	}
	return v, nil
}

// ask is renew of the node of a number; 0: it is not registered.
func (l *leases) ask(ctx context.Context, number int32, leaving bool, news map[breakerName]store.BreakerNews) (*view, error) {
	v := &view{leaving: leaving, duties: map[string]int32{}}
	asked := time.Now()
	if number != 0 {
		err := l.o.Pool.QueryRow(ctx, renew, number, l.o.Lease.Microseconds(), leaving).Scan(&number)
		if errors.Is(err, pgx.ErrNoRows) {
			number = 0
			l.buried()
		} else if err != nil {
			return nil, err
		}
	}
	batch := &pgx.Batch{}
	if number == 0 {
		asked = time.Now()
		if err := l.o.Pool.QueryRow(ctx, register, l.o.Name, l.o.Lease.Microseconds()).Scan(&number); err != nil {
			return nil, err
		}
		queueNote(batch, &note{Node: number, Leases: true})
	}
	l.extend(number, asked)
	l.queueView(batch, v, number)
	for _, b := range news {
		queueNote(batch, &note{Node: number, Breaker: &b})
	}
	queueNote(batch, &note{Node: number, Ping: true})
	return v, l.o.Pool.SendBatch(ctx, batch).Close()
}

// buried notes that other nodes took this one for dead: all that it had is theirs.
func (l *leases) buried() {
	l.mu.Lock()
	l.number = 0
	lost := l.dropAll()
	l.mu.Unlock()
	l.tellLost(lost, "other nodes took this one for dead")
}

// queueView reads how things stand.
func (l *leases) queueView(batch *pgx.Batch, v *view, me int32) {
	batch.Queue(listNodes).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var number int32
			var leaving bool
			var left int64
			if err := rows.Scan(&number, &leaving, &left); err != nil {
				return err
			}
			v.count(me, number, leaving, time.Duration(left)*time.Microsecond)
		}
		return rows.Err()
	})
	batch.Queue("SELECT slot, owner FROM leases").Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var slot int16
			var owner int32
			if err := rows.Scan(&slot, &owner); err != nil {
				return err
			}
			v.owners[slot] = owner
		}
		return rows.Err()
	})
	batch.Queue("SELECT name, owner FROM duties").Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var name string
			var owner int32
			if err := rows.Scan(&name, &owner); err != nil {
				return err
			}
			v.duties[name] = owner
		}
		return rows.Err()
	})
}

// count takes in a node, in the order of their numbers.
func (v *view) count(me, number int32, leaving bool, left time.Duration) {
	if number != me {
		if left <= 0 {
			v.dead = true
			return
		}
		if v.nextDeath == 0 || left < v.nextDeath {
			v.nextDeath = left
		}
	}
	if leaving {
		return
	}
	if number < me {
		v.rank++
	}
	v.live++
}

// bury sets free what nodes owned whose leases have ended.
func (l *leases) bury(ctx context.Context) error {
	return pgx.BeginFunc(ctx, l.o.Pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, bury, l.me())
		if err != nil {
			return err
		}
		dead, err := pgx.CollectRows(rows, pgx.RowTo[int32])
		if err != nil || len(dead) == 0 {
			return err
		}
		batch := &pgx.Batch{}
		for _, number := range dead {
			queueQuiet(batch, number)
		}
		batch.Queue(setFree, dead)
		batch.Queue(setDutiesFree, dead)
		queueNote(batch, &note{Node: l.me(), Leases: true})
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return err
		}
		l.mu.Lock()
		l.found += uint64(len(dead))
		l.mu.Unlock()
		l.o.Log.Warn("nodes gave no sign of life: what they owned is free", "nodes", dead)
		return nil
	})
}

// plan is what a round changes.
type plan struct {
	release       []int16
	take          int
	releaseDuties []string
	takeDuties    []string
}

func (p *plan) isNothing() bool {
	return len(p.release) == 0 && p.take == 0 && len(p.releaseDuties) == 0 && len(p.takeDuties) == 0
}

// move hands over slots that are too many and idle, and takes free ones that are missing.
func (l *leases) move(ctx context.Context, v *view) (moved bool, err error) {
	me := l.me()
	p := l.plan(v, me)
	if p.isNothing() {
		return false, nil
	}
	err = pgx.BeginFunc(ctx, l.o.Pool, func(tx pgx.Tx) error {
		var one int
		if err := tx.QueryRow(ctx, stillAlive, me).Scan(&one); err != nil {
			return err // pgx.ErrNoRows: others took this node for dead.
		}
		batch := &pgx.Batch{}
		if len(p.release) > 0 || p.take > 0 {
			queueQuiet(batch, me)
		}
		batch.Queue(releaseSome, me, p.release)
		batch.Queue(takeSome, me, p.take)
		batch.Queue(releaseDuties, me, p.releaseDuties)
		batch.Queue(takeDuties, me, p.takeDuties)
		if len(p.release)+len(p.releaseDuties) > 0 {
			queueNote(batch, &note{Node: me, Leases: true})
		}
		return tx.SendBatch(ctx, batch).Close()
	})
	if err != nil {
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, slot := range p.release {
		if h := l.held[slot]; h != nil {
			h.cut(errLeaseEnded)
			l.held[slot] = nil
		}
	}
	return true, nil
}

// plan says what to change. It lets no more pushes begin of slots that are too many; they are released when those under
// way are through.
func (l *leases) plan(v *view, me int32) plan {
	l.mu.Lock()
	var p plan
	var lost []int16
	mine, free := 0, 0
	for _, owner := range v.owners {
		switch owner {
		case me:
			mine++
		case 0:
			free++
		}
	}
	keep := v.keep(me)
	for slot, owner := range v.owners {
		if owner != me || keep[slot] {
			continue
		}
		if h := l.held[slot]; h != nil && !h.ended {
			l.giveUp(h)
			lost = append(lost, int16(slot))
		}
		if l.idle(int16(slot)) {
			p.release = append(p.release, int16(slot))
		}
	}
	p.take = max(0, min(v.target()-mine, free))
	p.releaseDuties, p.takeDuties = l.planDuties(v, me)
	l.mu.Unlock()
	l.tellLost(lost, "they are handed to another node")
	return p
}

// idle tells whether nothing of a slot is under way. l.mu is held.
func (l *leases) idle(slot int16) bool {
	if h := l.held[slot]; h != nil && h.flights > 0 {
		return false
	}
	for h := range l.ending {
		if h.slot == slot {
			return false
		}
	}
	return true
}

// adopt takes over what the database says that this node owns.
func (l *leases) adopt(v *view) {
	var lost []int16
	gained := 0
	l.telling.Lock()
	defer l.telling.Unlock()
	l.mu.Lock()
	l.alive = max(1, v.live)
	keep := v.keep(l.number)
	for slot, owner := range v.owners {
		h := l.held[slot]
		switch {
		case owner != l.number && h != nil:
			l.drop(int16(slot))
			lost = append(lost, int16(slot))
		case keep[slot] && (h == nil || h.ended) && l.hold(int16(slot)):
			gained++
		}
	}
	l.adoptDuties(v)
	missed := l.countSilence()
	l.mu.Unlock()
	l.tellLost(lost, "they are another node's")
	l.tellGained(gained)
	if l.polls(time.Now(), gained) {
		l.o.Feed([]store.Change{{Shared: &store.Shared{Sweep: true}}})
	}
	if missed {
		l.o.Feed([]store.Change{{Shared: &store.Shared{Sweep: true, Missed: true}}})
	}
}

// How many regular rounds pass before all that is open is looked for, whatever was told: once slots were gained, and in
// quiet times.
const (
	pollSoon  = 2
	pollEvery = 15
)

// polls tells whether this round is to have all that is open looked for that is not in memory: the safety net under the
// news, which a connection may lose, some time after slots were gained and now and then.
func (l *leases) polls(now time.Time, gained int) bool {
	if gained > 0 {
		l.pollAt = now.Add(pollSoon * l.every())
	}
	if now.Before(l.pollAt) {
		return false
	}
	l.pollAt = now.Add(pollEvery * l.every())
	return true
}

// unregister hands over all at once.
func (l *leases) unregister(ctx context.Context, number int32) error {
	batch := &pgx.Batch{}
	queueQuiet(batch, number)
	batch.Queue(setFree, []int32{number})
	batch.Queue(setDutiesFree, []int32{number})
	batch.Queue("DELETE FROM nodes WHERE number = $1", number)
	queueNote(batch, &note{Node: number, Leases: true})
	return l.o.Pool.SendBatch(ctx, batch).Close()
}

// queueQuiet waits until no transaction is under way that goes by what a node owns, and lets none begin before this one
// ends. Else one might change what is open of a waybill that it takes for its own, after the next owner has read that,
// and tell nobody; or of one that it takes for another's, after this node took it and read it, and tell all but itself.
func queueQuiet(batch *pgx.Batch, node int32) {
	batch.Queue("SELECT pg_advisory_xact_lock($1, $2)", int32(ownershipLocks), node)
}

// ownedBy reads which of slots a node owns by the word of the database, and keeps that so until the transaction ends.
func ownedBy(batch *pgx.Batch, node int32, of []int16, mine map[int16]bool) {
	batch.Queue("SELECT pg_advisory_xact_lock_shared($1, $2)", int32(ownershipLocks), node)
	// A statement of its own: it must see what was committed while the lock was waited for.
	batch.Queue("SELECT slot FROM leases WHERE owner = $1 AND slot = ANY($2::smallint[])", node, of).Query(func(rows pgx.Rows) error {
		owned, err := pgx.CollectRows(rows, pgx.RowTo[int16])
		for _, slot := range owned {
			mine[slot] = true
		}
		return err
	})
}
