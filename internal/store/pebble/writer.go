package pebble

import (
	"fmt"
	"hash/maphash"
	"time"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/store/engine"
)

// ackLength is how many commits may wait for the disk beside the one that it syncs and the one that is next. With
// more the writer runs ahead of the disk, in commits of a few events each: measured with 256 callers, 8 took 13.5 us
// of CPU an event and made 38,000 a second, 0 takes 10.5 and makes 80,000.
const ackLength = 0

// operation is what the writer does for a caller.
type operation interface {
	// run decides, in the writer goroutine. What it reads may fail; then it leaves no half of an event behind.
	run(x *tx)
	// Finish answers, in the acker goroutine, once that is durable; with an error, if the commit failed.
	Finish(err error)
	// rows is the operation's size.
	rows() int
}

// writer is what the writer goroutine owns.
type writer struct {
	next     uint64 // The next number.
	lastMS   int64  // The time of the newest commit: time does not go back.
	batch    uint64 // Counts batches.
	ids      filter
	waybills filter
	untried  untried
	cache    *cache
	seed     maphash.Seed
	free     chan *tx

	audits  serial
	letters letters
	uses    map[useHash]use
	replays replays
	outbox  outbox
}

func (s *Store) startWriter() {
	s.writerDone.Go(s.writeLoop)
	s.writerDone.Go(s.ackLoop)
}

// writeLoop turns what waits into one commit after the other. There is no timer: while the disk syncs one commit,
// the next one gathers.
func (s *Store) writeLoop() {
	defer close(s.acks)
	for op := range s.ops {
		for op != nil {
			x := s.begin()
			x.do(op)
			op = s.gather(x)
			s.commit(x)
			s.w.cache.age()
			s.w.replays.forget()
		}
	}
}

// gather adds what waits already. It gives back an operation that must begin the next commit; most often nil.
func (s *Store) gather(x *tx) operation {
	for x.rows < engine.MaxRows && !x.full {
		select {
		case op, ok := <-s.ops:
			if !ok {
				return nil
			}
			if _, alone := op.(*expungeOp); alone {
				return op
			}
			x.do(op)
		default:
			return nil
		}
	}
	return nil
}

// commit writes the batch and leaves the wait for the disk to the acker.
func (s *Store) commit(x *tx) {
	if x.err == nil {
		x.err = s.apply(x)
	}
	if x.err != nil {
		s.fail(x.err)
	}
	s.alarm.Expect(x.deadline)
	s.acks <- x
}

func (s *Store) apply(x *tx) (err error) {
	x.finishBatch()
	if x.b.Empty() {
		return nil
	}
	// The engine panics where it can't write its log. The process is about to end, but the callers get an answer.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	x.begun = time.Now()
	x.wrote = true
	s.disk.wrote(x.b.Len())
	return s.db.ApplyNoSyncWait(x.b, cdb.Sync)
}

// ackLoop waits for the disk, commit by commit, and then tells everyone.
// A crash before SyncWait returns leaves either the whole commit or none of it, and nobody was told.
func (s *Store) ackLoop() {
	for x := range s.acks {
		s.acknowledge(x)
		x.reset()
		select {
		case s.w.free <- x:
		default:
		}
	}
}

func (s *Store) acknowledge(x *tx) {
	err := x.err
	if err == nil && x.wrote {
		err = x.b.SyncWait()
		if err != nil {
			s.fail(err)
		}
	}
	if failed := s.failed.Load(); failed != nil {
		err = *failed
	}
	if err == nil {
		// Before anyone is told: who was told finds it in lists.
		s.index.apply(&x.index)
		s.fronts.apply(x.index.fronts)
		s.durable.Store(x.last)
		s.count(x)
		if len(x.changes) > 0 {
			s.opts.Feed(x.changes)
		}
		if x.noticed {
			s.opts.Notify()
		}
	}
	for _, op := range x.ops {
		op.Finish(err)
	}
}

func (s *Store) count(x *tx) {
	if !x.wrote {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commits++
	s.waited += time.Since(x.begun)
	s.rows += uint64(x.rows)
	s.outbox = x.outbox
}
