package pebble

import (
	"bytes"
	"errors"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
)

// waybillTables are those whose keys begin with a waybill's name; in the second ones a number follows.
var (
	waybillTables  = []byte{tableTokens, tableFlags, tableShown, tableDiffers}
	timelineTables = []byte{tableTimeline, tableOrdered}
)

// waybills gives every waybill that any table knows, in the order of their names.
func (x *exporter) waybills() (err error) {
	var cursors []*nameCursor
	defer func() {
		for _, c := range cursors {
			err = errors.Join(err, c.it.Close())
		}
	}()
	for _, table := range append(waybillTables[:len(waybillTables):len(waybillTables)], timelineTables...) {
		it, err := x.db.NewIter(&cdb.IterOptions{LowerBound: []byte{table}, UpperBound: []byte{table + 1}})
		if err != nil {
			return damaged([]byte{table}, err)
		}
		cursors = append(cursors, &nameCursor{it: it, numbered: bytes.IndexByte(timelineTables, table) >= 0})
	}
	for _, c := range cursors {
		c.take(c.it.First())
	}
	for {
		name, err := leastName(cursors)
		if name == nil || err != nil {
			return err
		}
		w, ok := parseWaybill(name)
		if !ok {
			return damaged(name, codec.ErrRecord)
		}
		record, err := x.waybill(w)
		if err != nil {
			return err
		}
		if err := x.use(&store.Record{Waybill: record}); err != nil {
			return err
		}
		for _, c := range cursors {
			c.pass(name)
		}
	}
}

// nameCursor walks the waybills of one table.
type nameCursor struct {
	it       *cdb.Iterator
	numbered bool
	name     []byte // As putWaybill makes it; nil at the end.
}

func (c *nameCursor) take(valid bool) {
	if !valid {
		c.name = nil
		return
	}
	name := c.it.Key()[1:]
	if c.numbered && len(name) >= 9 {
		name = name[:len(name)-9]
	}
	c.name = append(c.name[:0], name...)
}

// pass goes on behind all rows of a waybill.
func (c *nameCursor) pass(name []byte) {
	for c.name != nil && bytes.Equal(c.name, name) {
		c.take(c.it.Next())
	}
}

// leastName is the first name of all; nil if all are at their end.
func leastName(cursors []*nameCursor) (least []byte, err error) {
	for _, c := range cursors {
		if c.name == nil {
			err = errors.Join(err, c.it.Error())
		} else if least == nil || bytes.Compare(c.name, least) < 0 {
			least = c.name
		}
	}
	return bytes.Clone(least), err
}

// longAgo (Unix ms) stands for the moments that the first stores did not keep: elsewhere there must be one.
const longAgo = 1

// waybill reads all that is kept of a waybill.
func (x *exporter) waybill(w state.Waybill) (*store.WaybillRecord, error) {
	r := &store.WaybillRecord{DeliveryID: w.DeliveryID, WaybillID: w.WaybillID}
	k, err := readBlock(x.db, w)
	if err != nil {
		return nil, err
	}
	if k.is(flagParked) {
		r.Parked, r.ParkedAt = true, max(k.parked, longAgo)
	}
	if k.is(flagFrozen) {
		r.Frozen = &k.hold
		if k.hold.Since.IsZero() {
			k.hold.Since = codec.FromMillis(longAgo)
		}
	}
	if r.Tokens, err = readTokens(x.db, x.keys, w); err != nil {
		return nil, err
	}
	orders, err := readOrders(x.db, w)
	if err != nil {
		return nil, err
	}
	for _, o := range orders {
		r.Orders = append(r.Orders, store.OrderRecord{Number: o.number, Order: o.Order})
	}
	return r, errors.Join(x.looks(w, r), x.events(w, r))
}

// looks reads what was seen of a waybill upstream.
func (x *exporter) looks(w state.Waybill, r *store.WaybillRecord) error {
	shown, err := readShown(x.db, w)
	if err != nil {
		return err
	}
	if r.ExpungedAt = shown.expungedAt; shown.known() {
		r.Shown = &shown.Shown
	}
	_, err = read(x.db, waybillKey(nil, tableDiffers, w), func(v []byte) error {
		r.Difference = &store.Difference{}
		return decodeJSON(v, r.Difference)
	})
	return err
}

// events reads a waybill's events, by number.
func (x *exporter) events(w state.Waybill, r *store.WaybillRecord) error {
	return scan(x.db, timelinePrefix(nil, w), func(key, value []byte) (bool, error) {
		entry, err := decodeEntry(keySeq(key), value)
		if err != nil {
			return false, damaged(key, err)
		}
		row, found, err := readRow(x.db, entry.Seq)
		if err == nil && !found && x.filling {
			return true, nil
		}
		if err == nil && !found {
			err = damaged(seqKey(nil, tableEvents, entry.Seq), codec.ErrRecord)
		}
		if err != nil {
			return false, err
		}
		event, err := x.event(&row, entry)
		r.Events = append(r.Events, event)
		return true, err
	})
}

func (x *exporter) event(r *row, entry state.Entry) (e store.EventRecord, err error) {
	rec := &r.event
	e = store.EventRecord{
		Seq: r.seq, Event: rec.event, ReceivedAt: rec.receivedAt, Expunged: rec.expunged(), First: rec.first, Reason: rec.reason,
		Late: rec.flags&flagLate != 0, Gap: rec.flags&flagGap != 0, Now: entry,
	}
	if rec.flags&flagWhy != 0 {
		e.Why = &store.WhyRecord{From: rec.from, Cause: rec.cause, Allowed: rec.allowed}
	}
	if r.hasPush {
		e.Push = new(r.push.PushRecord)
		if e.Push.OpenedAt == e.ReceivedAt {
			e.Push.OpenedAt = 0
		}
	}
	key := idKey(nil, eventID(&rec.event))
	found, err := read(x.db, key, func(v []byte) error {
		_, hash, err := decodeID(v)
		e.Content = hash
		return err
	})
	if err == nil && !found && !x.filling {
		err = damaged(key, codec.ErrRecord)
	}
	return e, err
}
