package pebble

import (
	"hash/maphash"
	"slices"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
	"carrier/internal/store/seal"
)

// hashWaybill is the hash by which the filter of waybills knows one.
func hashWaybill(seed maphash.Seed, w state.Waybill) uint64 { return maphash.Comparable(seed, w) }

// waybill gives the writer's view of a waybill: cached, new, or read. Once it returns, the waybill stays cached at least
// until the commit is written.
func (x *tx) waybill(name state.Waybill) (*waybill, error) {
	if w := x.w.cache.get(name); w != nil {
		return w, nil
	}
	w := &waybill{name: name, head: state.Head{Plain: true}}
	hash := hashWaybill(x.w.seed, name)
	if x.w.waybills.maybe(hash) {
		if err := x.load(w); err != nil {
			return nil, err
		}
	}
	x.w.waybills.add(hash)
	x.w.cache.put(w)
	return w, nil
}

// load fills in what is stored of a waybill.
func (x *tx) load(w *waybill) error {
	t, err := readTimeline(x.s.db, w.name)
	if err != nil {
		return err
	}
	w.adopt(t)
	tokens, err := readTokens(x.s.db, x.s.keys, w.name)
	if w.sealed = x.s.isSealed(err); err != nil && !w.sealed {
		return err
	}
	if len(tokens) > 0 {
		w.token, w.tokenAt = tokens[0].Value, tokens[0].At
	}
	if w.block, err = readBlock(x.s.db, w.name); err != nil {
		return err
	}
	w.front = frontOf(t, !w.lacksToken())
	w.named = len(t) > 0 || !w.lacksToken()
	w.open, err = x.countOpen(w, t)
	return err
}

// adopt sums up a timeline, and keeps it if it takes more than the sum to decide the next event.
func (w *waybill) adopt(t state.Timeline) {
	w.head, w.timeline = t.Head(), nil
	if !w.head.Plain {
		w.timeline = t
	}
}

// countOpen counts the pushes of a timeline that are pending, and notes the one accepted last.
func (x *tx) countOpen(w *waybill, t state.Timeline) (int, error) {
	n, newest := 0, uint64(0)
	for i := range t {
		if t[i].Ord == 0 {
			continue
		}
		rec, err := x.push(w.name, t[i].Seq, t[i].Ord)
		if err != nil {
			return 0, err
		}
		if rec.Status == store.Pending {
			n++
			if t[i].Ord > newest {
				w.newest, newest = t[i].Seq, t[i].Ord
			}
		}
	}
	return n, nil
}

// push reads the push of an accepted event as it is within this commit.
func (x *tx) push(w state.Waybill, seq, ord uint64) (pushRecord, error) {
	if rec, ok := x.pushes[seq]; ok {
		return rec, nil
	}
	if x.w.untried.has(seq, w) {
		return untriedPush(ord), nil
	}
	rec, err := readPush(x.s.db, seq, ord)
	x.noteIndexed(seq, &rec)
	return rec, err
}

// savePush writes a push, and lists it under what filters ask for.
func (x *tx) savePush(seq uint64, rec pushRecord) {
	x.pushes[seq] = rec
	x.dated = x.dated || rec.DoneAt == x.now
	x.w.untried.remove(seq)
	x.indexPush(seq, &rec)
	x.key = seqKey(x.key[:0], tablePushes, seq)
	x.value = encodePush(x.value[:0], &rec)
	x.set(x.key, x.value)
}

// timeline gives a waybill's timeline as it is within this commit, for the caller to change.
func (x *tx) timeline(w *waybill) (state.Timeline, error) {
	if w.timeline != nil {
		return slices.Clone(w.timeline), nil
	}
	t, err := readTimeline(x.s.db, w.name)
	if err != nil {
		return nil, err
	}
	for i := range x.written {
		if x.written[i].w == w {
			t = overlay(t, x.written[i].e)
		}
	}
	return t, nil
}

// overlay puts an entry in its place, and takes out the one with the same number.
func overlay(t state.Timeline, e state.Entry) state.Timeline {
	t = slices.DeleteFunc(t, func(old state.Entry) bool { return old.Seq == e.Seq })
	return t.Insert(e)
}

// putEntry writes an entry of a timeline.
func (x *tx) putEntry(w *waybill, e *state.Entry) {
	x.written = append(x.written, entryOf{w, *e})
	x.key = timelineKey(x.key[:0], w.name, e.Seq)
	x.value = encodeEntry(x.value[:0], e)
	x.set(x.key, x.value)
}

// event reads an event that may have come within this commit.
func (x *tx) event(seq uint64) (eventRecord, error) {
	if rec, ok := x.waiting[seq]; ok {
		return rec, nil
	}
	rec, found, err := readEvent(x.s.db, seq)
	if err == nil && !found {
		err = damaged(seqKey(nil, tableEvents, seq), codec.ErrRecord)
	}
	return rec, err
}

// readEvent reads a row of l.
func readEvent(db cdb.Reader, seq uint64) (rec eventRecord, found bool, err error) {
	found, err = read(db, seqKey(nil, tableEvents, seq), func(v []byte) error {
		rec, err = decodeEvent(v)
		return err
	})
	return rec, found, err
}

// readPush reads a row of r; where there is none, the push is pending and was never tried.
func readPush(db cdb.Reader, seq, ord uint64) (pushRecord, error) {
	rec := untriedPush(ord)
	_, err := read(db, seqKey(nil, tablePushes, seq), func(v []byte) (err error) {
		rec, err = decodePush(v)
		return err
	})
	return rec, err
}

// readTimeline reads a waybill's rows of w.
func readTimeline(db cdb.Reader, w state.Waybill) (state.Timeline, error) {
	var t state.Timeline
	err := scan(db, timelinePrefix(nil, w), func(key, value []byte) (bool, error) {
		e, err := decodeEntry(keySeq(key), value)
		if err != nil {
			return false, damaged(key, err)
		}
		t = t.Insert(e)
		return true, nil
	})
	return t, err
}

// readTokens reads a waybill's Tokens, newest first.
func readTokens(db cdb.Reader, keys seal.Keys, w state.Waybill) (tokens []store.TokenRecord, err error) {
	key := waybillKey(nil, tableTokens, w)
	_, err = read(db, key, func(v []byte) (err error) {
		tokens, err = openTokens(keys, key, v)
		return err
	})
	return tokens, err
}

// newestToken is when a waybill's newest Token came (Unix ms); 0 if it has none. It needs no key.
func newestToken(db cdb.Reader, w state.Waybill) (at int64, err error) {
	_, err = read(db, waybillKey(nil, tableTokens, w), func(v []byte) (err error) {
		at, err = tokensAt(v)
		return err
	})
	return at, err
}

// readBlock reads why a waybill's pushes are kept; nil if they are not.
func readBlock(db cdb.Reader, w state.Waybill) (k *block, err error) {
	_, err = read(db, waybillKey(nil, tableFlags, w), func(v []byte) (err error) {
		k, err = decodeBlock(v)
		return err
	})
	return k, err
}

// scan calls use with the rows whose keys begin with prefix, in order, until it returns false.
func scan(db cdb.Reader, prefix []byte, use func(key, value []byte) (more bool, err error)) error {
	return scanRange(db, prefix, after(prefix), use)
}

// scanRange calls use with the rows from lower to before upper, in order, until it returns false. use must not keep
// key and value.
func scanRange(db cdb.Reader, lower, upper []byte, use func(key, value []byte) (more bool, err error)) (err error) {
	it, err := db.NewIter(&cdb.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return damaged(lower, err)
	}
	defer func() {
		if cerr := it.Close(); err == nil && cerr != nil {
			err = damaged(lower, cerr)
		}
	}()
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return damaged(it.Key(), err)
		}
		if more, err := use(it.Key(), value); err != nil || !more {
			return err
		}
	}
	return it.Error()
}
