package postgres

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
	"carrier/internal/store/content"
)

// exportPage is how many waybills are read at a time.
const exportPage = 256

// nextWaybills lists the next waybills that any table knows: of each table its next ones, and of these the first. Names
// that hold no zero byte are in the same order as their keys are.
const nextWaybills = `(SELECT delivery_id, waybill_id FROM waybills
		WHERE (delivery_id, waybill_id) > ($1, $2) ORDER BY delivery_id, waybill_id LIMIT $3)
	UNION (SELECT DISTINCT delivery_id, waybill_id FROM orders
		WHERE (delivery_id, waybill_id) > ($1, $2) ORDER BY delivery_id, waybill_id LIMIT $3)
	UNION (SELECT delivery_id, waybill_id FROM shown
		WHERE (delivery_id, waybill_id) > ($1, $2) ORDER BY delivery_id, waybill_id LIMIT $3)
	UNION (SELECT delivery_id, waybill_id FROM differences
		WHERE (delivery_id, waybill_id) > ($1, $2) ORDER BY delivery_id, waybill_id LIMIT $3)
	ORDER BY delivery_id, waybill_id LIMIT $3`

// waybills gives every waybill that any table knows, in the order of their names.
func (x *exporter) waybills() error {
	var last state.Waybill
	for {
		rows, err := x.t.Query(x.ctx, nextWaybills, last.DeliveryID, last.WaybillID, exportPage)
		if err != nil {
			return err
		}
		names, err := pgx.CollectRows(rows, pgx.RowToStructByPos[state.Waybill])
		if err != nil || len(names) == 0 {
			return err
		}
		if err := x.page(names); err != nil {
			return err
		}
		last = names[len(names)-1]
	}
}

// waybillPage is what is read of some waybills.
type waybillPage struct {
	records   map[state.Waybill]*store.WaybillRecord
	timelines map[state.Waybill]state.Timeline
	events    map[uint64]*exportedEvent
}

// exportedEvent is an event with the hash that is kept under its id.
type exportedEvent struct {
	*row
	hash []byte
}

func (x *exporter) page(names []state.Waybill) error {
	p := &waybillPage{
		records: map[state.Waybill]*store.WaybillRecord{}, timelines: map[state.Waybill]state.Timeline{}, events: map[uint64]*exportedEvent{},
	}
	for _, name := range names {
		p.records[name] = &store.WaybillRecord{DeliveryID: name.DeliveryID, WaybillID: name.WaybillID}
	}
	if err := x.readPage(names, p); err != nil {
		return err
	}
	for _, name := range names {
		r := p.records[name]
		if err := x.events(r, p.timelines[name], p.events); err != nil {
			return err
		}
		if holdsNothing(r) {
			continue // A row that is left when all else is forgotten.
		}
		if err := x.use(&store.Record{Waybill: r}); err != nil {
			return err
		}
	}
	return nil
}

func holdsNothing(r *store.WaybillRecord) bool {
	return len(r.Events) == 0 && len(r.Orders) == 0 && len(r.Tokens) == 0 && r.Shown == nil && r.Difference == nil &&
		r.Frozen == nil && !r.Parked && r.ExpungedAt == 0
}

const ofNames = ` FROM unnest($1::text[], $2::text[]) AS k(delivery_id, waybill_id) JOIN `

// readPage reads all of some waybills in two round trips: the second reads the events that the timelines name.
func (x *exporter) readPage(names []state.Waybill, p *waybillPage) error {
	deliveries, ids := waybillKeys(names)
	var batch pgx.Batch
	batch.Queue("SELECT "+waybillFields+ofNames+"waybills w USING (delivery_id, waybill_id)", deliveries, ids).Query(func(rows pgx.Rows) error {
		return x.readWaybills(rows, p)
	})
	batch.Queue("SELECT "+orderFields+", number"+ofNames+"orders o USING (delivery_id, waybill_id) ORDER BY number", deliveries, ids).Query(p.readOrders)
	batch.Queue("SELECT delivery_id, waybill_id, version, received_at, detail, expunged_at"+ofNames+"shown s USING (delivery_id, waybill_id)", deliveries, ids).Query(p.readShown)
	batch.Queue("SELECT "+differenceFields+ofNames+"differences d USING (delivery_id, waybill_id)", deliveries, ids).Query(p.readDifferences)
	if err := x.t.SendBatch(x.ctx, &batch).Close(); err != nil {
		return err
	}
	var seqs []uint64
	for _, t := range p.timelines {
		for i := range t {
			seqs = append(seqs, t[i].Seq)
		}
	}
	rows, err := x.t.Query(x.ctx, "SELECT "+eventFields+`, i.hash FROM events e LEFT JOIN event_ids i ON i.source = e.source AND i.id = e.id
		WHERE e.seq = ANY ($1::bigint[])`, int64s(seqs))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		e := &exportedEvent{row: newRow()}
		if err := rows.Scan(append(dests(eventColumns, e.row), &e.hash)...); err != nil {
			return err
		}
		e.complete()
		p.events[e.seq] = e
	}
	return rows.Err()
}

// readWaybills takes what the rows of waybills say. Tokens that no key opens are an error: they can't be left behind.
func (x *exporter) readWaybills(rows pgx.Rows, p *waybillPage) (err error) {
	scanned := x.s.scanWaybills(rows, func(w *waybill) {
		r := p.records[w.name]
		if w.damage != nil {
			err = cmp.Or(err, w.damage)
			return
		}
		var terr error
		if r.Tokens, terr = x.s.openTokens(w.name, w.tokens); terr != nil {
			err = cmp.Or(err, fmt.Errorf("the Tokens of waybill %s: %w", w.name, terr))
		}
		r.Parked, r.ParkedAt = w.parkedAt != 0, w.parkedAt
		if w.frozenAt != 0 {
			r.Frozen = new(w.hold())
		}
		p.timelines[w.name] = w.timeline
	})
	return cmp.Or(scanned, err)
}

func (p *waybillPage) readOrders(rows pgx.Rows) error {
	for rows.Next() {
		var r store.OrderRecord
		var err error
		if r.Order, err = scanOrder(rows, (*numberDest)(&r.Number)); err != nil {
			return err
		}
		w := p.records[r.Waybill()]
		w.Orders = append(w.Orders, r)
	}
	return rows.Err()
}

func (p *waybillPage) readShown(rows pgx.Rows) error {
	for rows.Next() {
		var w state.Waybill
		r, _, err := scanShown(rows, &w.DeliveryID, &w.WaybillID)
		if err != nil {
			return err
		}
		p.records[w].ExpungedAt = r.expungedAt
		if r.version != nil {
			p.records[w].Shown = new(r.shown())
		}
	}
	return rows.Err()
}

func (p *waybillPage) readDifferences(rows pgx.Rows) error {
	list, err := pgx.CollectRows(rows, scanDifference)
	for i := range list {
		p.records[list[i].Waybill].Difference = &list[i]
	}
	return err
}

// events adds a waybill's events, by number.
func (x *exporter) events(r *store.WaybillRecord, t state.Timeline, read map[uint64]*exportedEvent) error {
	t = slices.SortedFunc(slices.Values(t), func(a, b state.Entry) int { return cmp.Compare(a.Seq, b.Seq) })
	for i := range t {
		e := read[t[i].Seq]
		if e == nil && x.filling {
			continue
		}
		if e == nil {
			return damaged(fmt.Sprintf("event %d is in the timeline of waybill %s, and is not there", t[i].Seq, r.Waybill()), codec.ErrRecord)
		}
		event, err := e.record(&t[i])
		if err != nil && !x.filling {
			return err
		}
		r.Events = append(r.Events, event)
	}
	return nil
}

// record makes the record of an event whose place in the timeline is now.
func (e *exportedEvent) record(now *state.Entry) (store.EventRecord, error) {
	r := store.EventRecord{
		Seq: e.seq, Event: e.event, ReceivedAt: e.receivedAt, Expunged: e.expunged, First: e.first.verdict, Reason: e.first.reason,
		Late: e.first.late, Gap: e.first.gap, Now: *now, Push: e.push.record(now.Ord, e.receivedAt),
	}
	if e.first.cause != 0 || e.first.allowed != nil {
		r.Why = &store.WhyRecord{From: e.first.from, Cause: e.first.cause, Allowed: e.first.allowed}
	}
	if len(e.hash) != len(content.Hash{}) {
		return r, damaged(fmt.Sprintf("the id of event %d is not known", e.seq), codec.ErrRecord)
	}
	r.Content = content.Hash(e.hash)
	return r, nil
}

// record makes the record of a push; nil if there is none.
func (p *pushRecord) record(ord uint64, received int64) *store.PushRecord {
	if p.Status == store.NoPush {
		return nil
	}
	r := p.PushRecord
	r.Ord = ord
	if r.OpenedAt == received {
		r.OpenedAt = 0
	}
	return &r
}
