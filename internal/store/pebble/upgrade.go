package pebble

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/state"
)

// tableFailed1 listed failed pushes in format 1.
const tableFailed1 = 'f'

const (
	upgradeRows = 4096      // Events whose rows of i are written at a time.
	upgradeSay  = 1_000_000 // Events between two lines in the log.
)

// upgrade brings a store of an older format to this one. The format is raised in the last commit: if it does not come to
// that, the next start begins anew, and an older carrier still reads the store.
func (s *Store) upgrade() error {
	version, _, err := readIdentity(s.db)
	if err != nil || version == format {
		return err
	}
	s.opts.Logger.Info("the store is of an older format; building its indexes, which is done once", "format", version)
	if err = s.buildNames(); err == nil && version == 1 {
		err = s.buildLists()
	}
	if err != nil {
		return fmt.Errorf("bring the store from format %d to %d (the next start tries again): %w", version, format, err)
	}
	// What formats 3 to 6 have more is added by and by.
	return s.db.Set(metaFormat, []byte{format}, cdb.Sync)
}

// buildNames makes the table N out of the others. What an earlier try left, and an older carrier did not keep up, goes
// first.
func (s *Store) buildNames() error {
	u := upgrader{s: s, b: s.db.NewBatch()}
	u.check(u.b.DeleteRange([]byte{tableNames}, []byte{tableNames + 1}, nil))
	waybills := 0
	u.check(eachWaybill(s.db, func(k *known) error {
		w, _ := parseWaybill(k.name)
		u.check(u.b.Set(nameKey(nil, w), nil, nil))
		if waybills++; waybills%upgradeRows == 0 {
			u.commit()
		}
		if waybills%upgradeSay == 0 {
			s.opts.Logger.Info("building the index of waybill numbers", "waybills", waybills)
		}
		return u.err
	}))
	u.commit()
	u.check(u.b.Close())
	return u.err
}

// buildLists makes the tables i and b out of the others, drops f, and raises the format.
func (s *Store) buildLists() error {
	u := upgrader{s: s, b: s.db.NewBatch()}
	u.check(u.b.DeleteRange([]byte{tableIndex}, []byte{tableIndex + 1}, nil))
	u.check(u.b.DeleteRange([]byte{tableBits}, []byte{tableBits + 1}, nil))
	u.check(walk(s.db, 0, math.MaxUint64, u.event))
	u.check(u.b.DeleteRange([]byte{tableFailed1}, []byte{tableFailed1 + 1}, nil))
	u.check(u.b.Set(metaSpans, binary.BigEndian.AppendUint64(nil, u.span), nil))
	u.check(u.b.Set(metaFormat, []byte{format}, nil))
	u.commit()
	u.check(u.b.Close())
	if u.err != nil {
		return u.err
	}
	s.opts.Logger.Info("the store's indexes are built", "format", format, "events", u.events)
	return nil
}

type upgrader struct {
	s      *Store
	b      *cdb.Batch
	events int
	span   uint64 // The one whose events are being read; those before it are written.
	tail   *tail
	err    error
}

func (u *upgrader) check(err error) { u.err = errors.Join(u.err, err) }

// commit makes what was written so far durable.
func (u *upgrader) commit() {
	if u.err == nil {
		u.err = u.s.db.Apply(u.b, cdb.Sync)
	}
	u.check(u.b.Close())
	u.b = u.s.db.NewBatch()
}

// event lists one event.
func (u *upgrader) event(r *row) (bool, error) {
	if r.damage != nil {
		u.s.reportDamage(r.damage)
		return true, nil
	}
	rows := u.s.index.rows
	u.reach(r.seq / rows)
	a := arrivalOf(r)
	u.tail.add(r.seq%rows, &a)
	if r.hasPush {
		t := r.push.terms()
		u.list(r.seq, t[:])
	}
	// What was accepted when it came stays accepted, and nothing lists that.
	if r.event.first != state.Accepted {
		e, found, err := readEntry(u.s.db, r.event.event.Waybill(), r.seq)
		if err != nil {
			return false, err
		}
		if found {
			t := termsOfEntry(&e)
			u.list(r.seq, t[:])
		}
	}
	if u.events++; u.events%upgradeRows == 0 {
		u.commit()
	}
	if u.events%upgradeSay == 0 {
		u.s.opts.Logger.Info("building the store's indexes", "events", u.events)
	}
	return u.err == nil, u.err
}

func (u *upgrader) list(seq uint64, terms []term) {
	for _, t := range terms {
		if t.kind != 0 {
			u.check(u.b.Set(termKey(nil, t, seq), nil, nil))
		}
	}
}

// reach writes the span before, once the first event of another comes.
func (u *upgrader) reach(span uint64) {
	if u.tail != nil && u.span != span {
		u.tail.each(func(t term, set bitset) {
			value, err := encodeBits(set)
			u.check(errors.Join(err, u.b.Set(termKey(nil, t, u.span), value, nil)))
		})
		u.tail = nil
	}
	u.span = span
	if u.tail == nil {
		u.tail = newTail(span, u.s.index.rows)
	}
}
