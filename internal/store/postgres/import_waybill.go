package postgres

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
)

// What is written may be there already, under a key that another waybill had when the source was read before: a number, an
// id or an order that has gone from one to another. The newer one counts.
var (
	importEvents = insertEvents + replacing("seq", eventColumns)
	importIDs    = insertIDs + " ON CONFLICT (source, id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash"
	importOrder  = keepOrder + ` ON CONFLICT (delivery_id, biz_id, order_id) DO UPDATE SET waybill_id = excluded.waybill_id,
		shop_app_id = excluded.shop_app_id, result_code = excluded.result_code, result_msg = excluded.result_msg,
		waybill_data = excluded.waybill_data, received_at = excluded.received_at, cancelled_at = excluded.cancelled_at, number = excluded.number`
)

func replacing[R any](key string, columns []column[R]) string {
	var set []string
	for _, c := range columns {
		if c.name != key {
			set = append(set, c.name+" = excluded."+c.name)
		}
	}
	return fmt.Sprintf(" ON CONFLICT (%s) DO UPDATE SET %s", key, strings.Join(set, ", "))
}

// forgetWaybills deletes all rows of waybills; names are keys without their kind.
func (w *importing) forgetWaybills(names []string) error {
	if len(names) == 0 {
		return nil
	}
	deliveries, ids := make([]string, len(names)), make([]string, len(names))
	for i, name := range names {
		deliveries[i], ids[i], _ = strings.Cut(name, "\x00")
	}
	if err := w.forgetEvents(deliveries, ids); err != nil {
		return err
	}
	for _, table := range []string{"waybills", "orders", "shown", "differences"} {
		w.batch.Queue("DELETE FROM "+table+" t"+ofWaybills, deliveries, ids)
	}
	return nil
}

const (
	forgetEvents = `DELETE FROM events e USING unnest($1::bigint[], $2::text[], $3::text[]) AS k(seq, delivery_id, waybill_id)
		WHERE e.seq = k.seq AND e.delivery_id = k.delivery_id AND e.waybill_id = k.waybill_id RETURNING e.seq, e.source, e.id`
	forgetIDs = `DELETE FROM event_ids i USING unnest($1::bigint[], $2::text[], $3::text[]) AS k(seq, source, id)
		WHERE i.source = k.source AND i.id = k.id AND i.seq = k.seq`
)

// forgetEvents deletes the events that the timelines of waybills name, unless they are another's by now, and so their ids.
func (w *importing) forgetEvents(deliveries, ids []string) error {
	rows, err := w.t.Query(w.ctx, "SELECT "+waybillFields+ofNames+"waybills w USING (delivery_id, waybill_id)", deliveries, ids)
	if err != nil {
		return err
	}
	defer rows.Close()
	var seqs []int64
	var of []state.Waybill
	err = w.s.scanWaybills(rows, func(row *waybill) {
		for i := range row.timeline {
			seqs, of = append(seqs, int64(row.timeline[i].Seq)), append(of, row.name)
		}
	})
	if err != nil || len(seqs) == 0 {
		return err
	}
	deliveries, ids = waybillKeys(of)
	deleted, err := w.t.Query(w.ctx, forgetEvents, seqs, deliveries, ids)
	if err != nil {
		return err
	}
	gone, err := pgx.CollectRows(deleted, pgx.RowToStructByPos[struct {
		Seq        int64
		Source, ID string
	}])
	if err != nil {
		return err
	}
	seqs = seqs[:0]
	var sources, names []string
	for _, g := range gone {
		seqs, sources, names = append(seqs, g.Seq), append(sources, g.Source), append(names, g.ID)
	}
	w.batch.Queue(forgetIDs, seqs, sources, names)
	return nil
}

// keepWaybills queues waybills of which nothing is there.
func (w *importing) keepWaybills(records []*store.WaybillRecord) error {
	var waybills []*waybill
	var events []*row
	var eventIDs []*idRow
	for _, r := range records {
		if err := w.kept(r); err != nil {
			return err
		}
		row := w.importWaybill(r)
		if len(r.Events) > 0 || len(r.Orders) > 0 || len(r.Tokens) > 0 || r.Parked || r.Frozen != nil {
			waybills = append(waybills, row) // An order's waybill always has a row: retention goes by that.
		}
		for i := range r.Events {
			e := &r.Events[i]
			events = append(events, w.importEvent(row, e))
			eventIDs = append(eventIDs, &idRow{eventID{e.Event.Source, e.Event.ID}, e.Seq, e.Content[:]})
		}
	}
	if len(waybills) > 0 {
		w.batch.Queue(insertWaybills, arrays(waybillColumns, waybills)...)
	}
	if len(events) == 0 {
		return nil
	}
	if err := w.cover(events); err != nil {
		return err
	}
	w.batch.Queue(importEvents, arrays(eventColumns, events)...)
	w.batch.Queue(importIDs, arrays(idColumns, eventIDs)...)
	return nil
}

// kept queues what lies beside a waybill's row.
func (w *importing) kept(r *store.WaybillRecord) error {
	for i := range r.Orders {
		o := &r.Orders[i]
		w.batch.Queue(importOrder, orderArgs(&o.Order, o.Number)...)
	}
	if r.Shown != nil || r.ExpungedAt != 0 {
		row := shownRow{expungedAt: r.ExpungedAt}
		if r.Shown != nil {
			row.version, row.receivedAt = &r.Shown.Version, codec.Millis(r.Shown.ReceivedAt)
			row.detail = shownDetail{OrderID: r.Shown.OrderID, Actions: r.Shown.Actions}
		}
		detail, err := row.encode()
		if err != nil {
			return err
		}
		w.batch.Queue(`INSERT INTO shown (delivery_id, waybill_id, version, received_at, detail, expunged_at) VALUES ($1, $2, $3, $4, $5, $6)`,
			r.DeliveryID, r.WaybillID, row.version, timestamp(row.receivedAt), detail, timestamp(row.expungedAt))
	}
	if d := r.Difference; d != nil {
		detail, err := json.Marshal(differenceOf(d))
		if err != nil {
			return err
		}
		w.batch.Queue("INSERT INTO differences ("+differenceFields+") VALUES ($1, $2, $3, $4, $5)",
			r.DeliveryID, r.WaybillID, timestamp(codec.Millis(d.FoundAt)), timestamp(codec.Millis(d.CheckedAt)), detail)
	}
	return nil
}

// importWaybill makes a waybill's row.
func (w *importing) importWaybill(r *store.WaybillRecord) *waybill {
	row := newWaybill(r.Waybill())
	if r.Parked {
		row.parkedAt = r.ParkedAt
	}
	if r.Frozen != nil {
		row.frozenAt, row.frozenBy, row.frozen = codec.Millis(r.Frozen.Since), text(r.Frozen.By), text(r.Frozen.Reason)
	}
	if len(r.Tokens) > 0 {
		row.tokens, row.tokenAt = w.s.sealTokens(row.name, r.Tokens), r.Tokens[0].At
	}
	for i := range r.Events {
		row.timeline = row.timeline.Insert(r.Events[i].Now)
	}
	for i := range r.Events {
		if p := r.Events[i].Push; p != nil && p.Status == store.Pending {
			row.opened(r.Events[i].Seq, p.Ord)
		}
	}
	row.encode()
	return row
}

// importEvent makes the row of an event and its push.
func (w *importing) importEvent(of *waybill, e *store.EventRecord) *row {
	r := &row{
		seq: e.Seq, slot: of.slot, event: e.Event, expunged: e.Expunged, receivedAt: e.ReceivedAt, entry: e.Now,
		first: answer{verdict: e.First, reason: e.Reason, late: e.Late, gap: e.Gap},
	}
	r.event.Token = ""
	if e.Why != nil {
		r.first.from, r.first.cause, r.first.allowed = e.Why.From, e.Why.Cause, e.Why.Allowed
	}
	if p := e.Push; p != nil {
		r.push = pushRecord{PushRecord: *p, doneAfter: w.newestBefore(p.DoneAt)}
		r.push.Reason = text(p.Reason)
		if r.push.OpenedAt == 0 {
			r.push.OpenedAt = e.ReceivedAt
		}
	}
	return r
}

// openReplay is a replay that has not ended, and when it was made (Unix ms).
type openReplay struct {
	id   uint64
	made int64
}

// replay queues a replay.
func (w *importing) replay(r *store.Replay) error {
	detail, err := json.Marshal(r)
	if err != nil {
		return err
	}
	w.batch.Queue("INSERT INTO replays (id, status, detail) VALUES ($1, $2, $3)", int64(r.ID), int16(r.Status), string(detail))
	return nil
}

// newestBefore is the newest replay that was made before a push ended; 0 if there is none, or the push has not ended. It
// matters only to replays that still look for pushes: what ended after one was made is none of its.
func (w *importing) newestBefore(doneAt int64) (id uint64) {
	for _, r := range w.open {
		if r.made < doneAt {
			id = max(id, r.id)
		}
	}
	return id
}

// loadOpen reads the replays that have not ended. Their records come before those of waybills.
func (w *importing) loadOpen() error {
	if w.open != nil {
		return nil
	}
	w.open = []openReplay{}
	rows, err := w.t.Query(w.ctx, "SELECT id, (detail->>'CreatedAt')::timestamptz FROM replays WHERE status IN (1, 2) ORDER BY id")
	if err != nil {
		return err
	}
	var id int64
	var made time.Time
	_, err = pgx.ForEachRow(rows, []any{&id, &made}, func() error {
		w.open = append(w.open, openReplay{uint64(id), made.UnixMilli()})
		return nil
	})
	return err
}

// cover makes the partitions of events that are missing. An old store's numbers begin high: what lies below is left out.
func (w *importing) cover(events []*row) error {
	var bounds []int64
	for _, e := range events {
		bounds = append(bounds, w.s.partitions.bound(e.seq))
	}
	slices.Sort(bounds)
	for _, bound := range slices.Compact(bounds) {
		if err := w.s.partitions.coverOne(w.ctx, w.t, bound); err != nil {
			return err
		}
	}
	return nil
}
