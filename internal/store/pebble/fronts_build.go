package pebble

import (
	"bytes"
	"errors"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/state"
	"carrier/internal/store/codec"
)

// buildFronts reads the fronts from the state of the store at the start.
func (s *Store) buildFronts(snapshot cdb.Reader) {
	f := s.fronts
	b := indexBuild{s: s}
	err := eachWaybill(snapshot, func(k *known) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.read = min(f.read+uint64(len(k.timeline)), f.total)
		if k.damage != nil {
			s.reportDamage(k.damage)
			return b.goOn()
		}
		if at := frontOf(k.timeline, k.token); at.seq != 0 {
			w, _ := parseWaybill(k.name)
			f.found(w.DeliveryID, at)
		}
		return b.goOn()
	})
	if err != nil && !s.stopping() {
		s.opts.Logger.Error("silent waybills can't be found until a restart", "err", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left, f.read, f.total, f.err = nil, 0, 0, err
}

// expectRows says how many rows of w there are to be read: about as many as events.
func (s *Store) expectRows() {
	rows := -s.totals.pruned
	for _, n := range s.totals.events {
		rows += n
	}
	s.fronts.total = uint64(max(rows, 1))
}

// known is a waybill of which an event or a Token is kept.
type known struct {
	name     []byte // As putWaybill makes it.
	timeline state.Timeline
	token    bool
	damage   error // A row of its timeline can't be read.
}

// eachWaybill calls use with every waybill of which an event or a Token is kept, in order. use must not keep it.
func eachWaybill(db cdb.Reader, use func(*known) error) (err error) {
	tokens, err := db.NewIter(&cdb.IterOptions{LowerBound: []byte{tableTokens}, UpperBound: []byte{tableTokens + 1}})
	if err != nil {
		return damaged([]byte{tableTokens}, err)
	}
	defer func() { err = errors.Join(err, tokens.Close()) }()
	walk := waybillWalk{use: use, tokens: tokens, more: tokens.First()}
	err = scan(db, []byte{tableTimeline}, walk.entry)
	return errors.Join(err, walk.end())
}

// waybillWalk walks the tables w and k side by side.
type waybillWalk struct {
	use    func(*known) error
	tokens *cdb.Iterator
	more   bool
	at     known // What was read so far of a waybill with events.
}

// entry takes in a row of w.
func (k *waybillWalk) entry(key, value []byte) (bool, error) {
	if len(key) < 10 {
		return false, damaged(key, codec.ErrRecord)
	}
	if name := key[1 : len(key)-9]; !bytes.Equal(name, k.at.name) { // A zero byte and the number end it.
		if err := k.handOver(); err != nil {
			return false, err
		}
		k.at = known{name: append(k.at.name[:0], name...), timeline: k.at.timeline[:0]}
	}
	e, err := decodeEntry(keySeq(key), value)
	if err != nil {
		k.at.damage = damaged(bytes.Clone(key), err)
		return true, nil
	}
	k.at.timeline = k.at.timeline.Insert(e)
	return true, nil
}

// handOver hands on the waybill whose rows were read, and those with nothing but a Token before it.
func (k *waybillWalk) handOver() error {
	if len(k.at.name) == 0 {
		return nil
	}
	if err := k.scanless(k.at.name); err != nil {
		return err
	}
	if k.at.token = k.more && bytes.Equal(k.tokens.Key()[1:], k.at.name); k.at.token {
		k.more = k.tokens.Next()
	}
	return k.use(&k.at)
}

// scanless hands on the waybills before a name that have nothing but a Token; nil: all.
func (k *waybillWalk) scanless(before []byte) error {
	for ; k.more && (before == nil || bytes.Compare(k.tokens.Key()[1:], before) < 0); k.more = k.tokens.Next() {
		if err := k.use(&known{name: k.tokens.Key()[1:], token: true}); err != nil {
			return err
		}
	}
	return nil
}

func (k *waybillWalk) end() error {
	return errors.Join(k.handOver(), k.scanless(nil), k.tokens.Error())
}
