package pebble

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	cdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"carrier/internal/state"
	"carrier/internal/store/engine"
)

// washer sees to it that what was expunged leaves the files, too. A log-structured store only adds: the old rows stay
// in its tables until they are merged, and in its logs, which are written over and over, for longer. Expunged waybills
// wait in the table e until
//
//   - everything that reads an older state of the store has ended,
//   - the tables that hold their rows were merged down to the last level, and
//   - all logs from before were replaced, and deleted.
//
// That takes seconds, goes on beside the traffic, and begins anew after a crash. It can't reach backups, nor what the
// file system or the disk keep of deleted files.
type washer struct {
	due  atomic.Bool // There may be rows in e.
	mu   sync.Mutex  // Held for a whole run.
	logs logFS
	// views are of the present; a run waits for those of before it.
	viewsMu sync.Mutex
	views   *sync.WaitGroup
}

// washWaybills bounds the waybills of one run.
const washWaybills = 256

// see notes that a view begins; done that it ended.
func (h *washer) see() (done func()) {
	h.viewsMu.Lock()
	defer h.viewsMu.Unlock()
	h.views.Add(1)
	return h.views.Done
}

// waitForViews returns once all views that had begun have ended.
func (h *washer) waitForViews() {
	h.viewsMu.Lock()
	old := h.views
	h.views = new(sync.WaitGroup)
	h.viewsMu.Unlock()
	old.Wait()
}

// watchWasher washes what is expunged, until the store closes.
func (s *Store) watchWasher() {
	ctx, cancel := context.WithCancelCause(context.Background())
	var stopper sync.WaitGroup
	stopper.Go(func() {
		select {
		case <-s.stop:
			cancel(errStopped)
		case <-ctx.Done():
		}
	})
	defer stopper.Wait()
	defer cancel(nil)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var failed trouble
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
		failed.note(s, "expunged data are still in the store's files; trying again", s.wash(ctx))
	}
}

// wash takes what was expunged out of the files.
func (s *Store) wash(ctx context.Context) error {
	s.washer.mu.Lock()
	defer s.washer.mu.Unlock()
	for s.washer.due.Load() {
		// Its snapshot is of the start, and no view.
		if err := s.index.wait(ctx); err != nil {
			return err
		}
		s.washer.due.Store(false)
		more, err := s.washSome(ctx)
		if err != nil || more {
			s.washer.due.Store(true)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) washSome(ctx context.Context) (more bool, err error) {
	names, keys, err := s.unwashed()
	if err != nil || len(names) == 0 {
		return false, err
	}
	s.washer.waitForViews()
	if err := s.rewrite(ctx, keys); err != nil {
		return false, err
	}
	op := &washedOp{names: names}
	return len(names) == washWaybills, s.write(ctx, op, &op.Waiter)
}

// unwashed lists waybills of e, and the keys of all their rows that may have held what was expunged.
func (s *Store) unwashed() (names []state.Waybill, keys [][]byte, err error) {
	err = s.view(func(db cdb.Reader) error {
		err := scan(db, []byte{tableUnwashed}, func(key, _ []byte) (bool, error) {
			w, _ := parseWaybill(key[1:])
			names = append(names, w)
			return len(names) < washWaybills, nil
		})
		if err != nil {
			return err
		}
		for _, w := range names {
			if keys, err = appendRowKeys(db, keys, w); err != nil {
				return err
			}
		}
		return nil
	})
	slices.SortFunc(keys, bytes.Compare)
	return names, keys, err
}

func appendRowKeys(db cdb.Reader, keys [][]byte, w state.Waybill) ([][]byte, error) {
	keys = append(keys, waybillKey(nil, tableTokens, w), waybillKey(nil, tableShown, w))
	err := scan(db, timelinePrefix(nil, w), func(key, _ []byte) (bool, error) {
		seq := keySeq(key)
		keys = append(keys, seqKey(nil, tableEvents, seq), seqKey(nil, tablePushes, seq))
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	return keys, scan(db, orderedPrefix(nil, w), func(_, value []byte) (bool, error) {
		keys = append(keys, append([]byte{tableOrders}, value...))
		return true, nil
	})
}

// rewrite has the engine merge the tables that hold some rows, and go through so many logs that it has none left from
// before: each flush ends one, and it keeps memtables+1 to write over, which logFS has it delete instead.
func (s *Store) rewrite(ctx context.Context, keys [][]byte) error {
	s.files.RLock()
	defer s.files.RUnlock()
	if s.released {
		return errStopped
	}
	for _, key := range keys {
		if err := s.db.Compact(ctx, key, append(key, 0), false); err != nil {
			return err
		}
	}
	s.washer.logs.retire()
	for range memtables + 2 {
		if err := s.db.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// washedOp takes waybills out of e.
type washedOp struct {
	engine.Waiter
	names []state.Waybill
}

func (o *washedOp) rows() int { return 1 }

func (o *washedOp) run(x *tx) {
	for _, w := range o.names {
		x.del(waybillKey(nil, tableUnwashed, w))
	}
}

// logFS is a file system that does not write over logs that were retired: it deletes them instead, which the engine
// allows for (vfs.FS, ReuseForWrite).
type logFS struct {
	vfs.FS
	newest, retired atomic.Uint64 // Numbers of logs.
}

// created hears of each new log.
func (f *logFS) created(info cdb.WALCreateInfo) { f.newest.Store(uint64(info.FileNum)) }

// retire says that no log that there is now may be written over.
func (f *logFS) retire() { f.retired.Store(f.newest.Load()) }

func (f *logFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if n, ok := f.logNumber(from); !ok || n > f.retired.Load() {
		return f.FS.ReuseForWrite(from, to, c)
	}
	file, err := f.FS.Create(to, c)
	if err == nil {
		err = f.FS.Remove(from)
	}
	if err != nil && file != nil {
		err = errors.Join(err, file.Close())
	}
	return file, err
}

// logNumber reads the number off a log's name, such as 000042.log.
func (f *logFS) logNumber(path string) (uint64, bool) {
	name, ok := strings.CutSuffix(f.PathBase(path), ".log")
	n, err := strconv.ParseUint(name, 10, 64)
	return n, ok && err == nil
}
