package pebble

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"sync"
	"time"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/store"
	"carrier/internal/store/codec"
	"carrier/internal/store/engine"
	"carrier/internal/store/seal"
)

// format is the version of the layout that the package comment describes. A store of a higher one is refused.
//
//	1  the beginning
//	2  lists by the tables i and b, and no longer f
//	3  orders, sealed Tokens, expunged events
//	4  what customers are shown, traces of events, notices and how often events ended, what was verified, what accounts
//	   used of quotas
//	5  notices of waybills' differences
//	6  how attempts were sent, waybills by the ends of their numbers (table N), reasons of pauses and dead letters in Chinese
const format = 6

// Open opens the store in a folder, or makes one where the folder is empty or missing. It refuses a folder whose
// database or whose INSTANCE file is missing while the other is there: a lost store must not look like a new one.
func Open(dir string, o Options) (*Store, error) {
	s := newStore(dir, o.withDefaults())
	if err := s.prepare(); err != nil {
		return nil, fmt.Errorf("store %s: %w", dir, err)
	}
	if err := errors.Join(s.upgrade(), s.load()); err != nil {
		return nil, errors.Join(fmt.Errorf("store %s: %w", dir, err), s.release())
	}
	s.disk.look()
	// Before the writer starts: what it adds from here on is in its own filters, whatever the rebuild has read by then.
	s.w.ids.building, s.w.waybills.building = true, true
	s.expectRows()
	// Before the writer starts, too: the indexes hear of all that is not in the snapshot.
	snapshot := s.db.NewSnapshot()
	s.startWriter()
	s.startBackground(snapshot)
	return s, nil
}

func newStore(dir string, o Options) *Store {
	s := &Store{
		opts: o, dir: dir,
		ops: make(chan operation, engine.QueueLength), acks: make(chan *tx, ackLength),
		stop: make(chan struct{}), alarm: engine.NewAlarm(), reports: engine.Reports{Logger: o.Logger},
		totals: newCounters(), oldest: map[string]time.Time{},
		w: writer{cache: newCache(o.Waybills), seed: maphash.MakeSeed(), free: make(chan *tx, ackLength+2)},
	}
	s.SetTerms(store.Terms{Machine: o.Machine, NoTokenWait: o.NoTokenWait, DiscardUnknown: o.DiscardUnknown})
	s.w.untried = newUntried(s.w.seed)
	s.keeper.hints, s.keeper.touched = map[string]uint64{}, map[uint64]bool{}
	s.index, s.fronts = newIndex(o.spanRows), newFronts(o.spanRows)
	s.washer.views = new(sync.WaitGroup)
	s.disk = diskWatch{fs: o.FS, dir: dir, min: o.MinFreeBytes}
	return s
}

// prepare makes ready what reading the store takes: the keys for Tokens, and its files.
func (s *Store) prepare() (err error) {
	if s.keys, err = seal.New(s.opts.TokenKeys); err != nil {
		return err
	}
	return s.openFiles()
}

// openFiles opens the database below, under a lock, and sees that it is the one that belongs here.
func (s *Store) openFiles() (err error) {
	home := newHome(s.opts.FS, s.dir)
	if err := home.inspect(); err != nil {
		return err
	}
	if s.readOnly && (!home.exists || home.found == "") {
		return errors.New("there is no whole store in this folder: INSTANCE or the folder db is missing")
	}
	if s.lock, err = home.takeLock(); err != nil {
		return err
	}
	defer func() {
		if err != nil && !errors.Is(err, errDiskFull) {
			err = errors.Join(err, s.lock.Close())
		}
	}()
	s.cache = cdb.NewCache(s.opts.cacheSize())
	s.patient.FS = s.opts.FS
	log := &engineLog{log: s.opts.Logger, fatal: s.fail, disk: &s.patient, full: make(chan error, 1)}
	s.washer.logs.FS = &s.patient
	opts := s.opts.engineOptions(log, &s.washer.logs, s.cache)
	opts.Lock, opts.ReadOnly = s.lock, s.readOnly
	if s.db, err = openEngine(home.database, opts, log.full); err != nil {
		s.cache.Unref()
		return err
	}
	if s.instance, err = home.identify(s.db); err != nil {
		s.cache.Unref()
		return errors.Join(err, s.db.Close())
	}
	return nil
}

// errDiskFull is why a start was given up, though the engine below goes on trying.
var errDiskFull = errors.New("free some space on the disk and start again; nothing is lost")

// openEngine opens the database below. Before it is open, the engine writes the log of the last run as tables, and where
// there is no room for them it tries for ever; full says so, and the engine is left to itself, with its files and their
// lock, until the process ends.
func openEngine(dir string, opts *cdb.Options, full <-chan error) (*cdb.DB, error) {
	type opened struct {
		db  *cdb.DB
		err error
	}
	done := make(chan opened, 1)
	go func() {
		db, err := openUnlessDamaged(dir, opts)
		done <- opened{db, err}
	}()
	select {
	case o := <-done:
		return o.db, o.err
	case err := <-full:
		return nil, fmt.Errorf("%w: %w", errDiskFull, err)
	}
}

// openUnlessDamaged makes damage that the engine panics over an error, too.
func openUnlessDamaged(dir string, opts *cdb.Options) (db *cdb.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
		if err != nil {
			err = fmt.Errorf("the database can't be opened: %w. If a file is damaged or missing, move the folder "+
				"aside and restore a backup; carrier store check tells how much of a backup is whole", err)
		}
	}()
	return cdb.Open(dir, opts)
}

// load reads what the writer must know at the start. It reads no more than the counters and a few single rows.
func (s *Store) load() error {
	if err := s.beginServing(); err != nil {
		return err
	}
	next, err := readNumber(s.db, metaNext, 1)
	if err != nil {
		return err
	}
	low, err := readNumber(s.db, metaLow, 1)
	if err != nil {
		return err
	}
	spans, err := readNumber(s.db, metaSpans, 0)
	if err != nil {
		return err
	}
	s.index.stored = spans
	s.w.next = next
	s.low.Store(low)
	s.durable.Store(next - 1)
	if err := s.loadNumbered(); err != nil {
		return err
	}
	s.loadUses()
	if err := s.loadClock(); err != nil {
		return err
	}
	s.washer.due.Store(true) // A crash may have left something; a look costs nothing.
	return scan(s.db, []byte{tableCounters}, func(key, value []byte) (bool, error) {
		if err := s.totals.load(string(key[1:]), value); err != nil {
			return false, damaged(key, err)
		}
		return true, nil
	})
}

// loadNumbered reads where the tables stand that are numbered by themselves.
func (s *Store) loadNumbered() (err error) {
	s.w.replays.known = map[uint64]*store.Replay{}
	if s.w.audits, err = lastOf(s.db, tableAudit); err != nil {
		return err
	}
	if err = s.loadLetters(); err != nil {
		return err
	}
	if s.w.replays.last, err = lastOf(s.db, tableReplays); err != nil {
		return err
	}
	return s.loadOutbox()
}

// readNumber reads a row that is one number.
func readNumber(db cdb.Reader, key []byte, otherwise uint64) (uint64, error) {
	n := otherwise
	_, err := read(db, key, func(v []byte) error {
		if len(v) != 8 {
			return codec.ErrRecord
		}
		n = binary.BigEndian.Uint64(v)
		return nil
	})
	return n, err
}

// loadClock sees to it that time does not go back over a restart, whatever the clock says: numbers must be in the order
// of received_at, and a replay tells what ended before it was made from what ended after it.
func (s *Store) loadClock() error {
	ended, err := readNumber(s.db, metaClock, 0)
	if err != nil {
		return err
	}
	received, err := newestReceived(s.db)
	s.w.lastMS = max(received, int64(ended))
	return err
}

// newestReceived is when the newest event came, in Unix milliseconds; 0 if there is none.
func newestReceived(db cdb.Reader) (ms int64, err error) {
	err = walkBack(db, 0, math.MaxUint64, func(r *row) (bool, error) {
		ms = r.event.receivedAt
		return r.damage != nil, nil
	})
	return ms, err
}

// startBackground starts what goes on beside the writer until the store closes. snapshot is of the start.
func (s *Store) startBackground(snapshot *cdb.Snapshot) {
	s.background.Go(func() { s.buildFrom(snapshot) })
	s.background.Go(s.rebuildFilters)
	s.background.Go(s.watchDeadlines)
	s.background.Go(s.housekeep)
	s.background.Go(s.watchWasher)
}
