package postgres

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"carrier/internal/state"
	"carrier/internal/store"
)

// needs is what operations say that they will ask for, to be read in one round trip.
type needs struct {
	waybills map[state.Waybill]bool
	ids      map[eventID]bool
	seqs     map[uint64]bool
	numbers  int
}

func newNeeds() *needs {
	return &needs{waybills: map[state.Waybill]bool{}, ids: map[eventID]bool{}, seqs: map[uint64]bool{}}
}

func compareWaybills(a, b state.Waybill) int {
	return cmp.Or(cmp.Compare(a.DeliveryID, b.DeliveryID), cmp.Compare(a.WaybillID, b.WaybillID))
}

func compareIDs(a, b eventID) int {
	return cmp.Or(cmp.Compare(a.source, b.source), cmp.Compare(a.id, b.id))
}

const (
	// lockWaybills locks in the order of the key, in every transaction of every node, so that none waits for another
	// in a circle.
	lockWaybills = `FROM unnest($1::text[], $2::text[]) AS k(delivery_id, waybill_id)
		JOIN waybills w USING (delivery_id, waybill_id) ORDER BY w.delivery_id, w.waybill_id FOR UPDATE OF w`

	findIDs = `SELECT i.source, i.id, i.seq, i.hash, e.first_verdict, e.first_reason, e.first_late, e.first_gap
		FROM unnest($1::text[], $2::text[]) AS k(source, id) JOIN event_ids i USING (source, id) JOIN events e USING (seq)`

	// takeNumbers runs after the waybills are locked: numbers rise within a waybill.
	takeNumbers = `SELECT nextval('numbers') FROM generate_series(1, $1::integer)`
)

// load begins the transaction, locks the waybills that are needed, and reads the rest, in one round trip.
func (x *tx) load(n *needs) error {
	var batch pgx.Batch
	batch.Queue("BEGIN")
	waybills := slices.SortedFunc(maps.Keys(n.waybills), compareWaybills)
	x.queueOwnership(&batch, waybills)
	x.queueWaybills(&batch, waybills)
	x.queueIDs(&batch, slices.SortedFunc(maps.Keys(n.ids), compareIDs))
	x.queueRows(&batch, slices.Sorted(maps.Keys(n.seqs)))
	x.queueNumbers(&batch, n.numbers)
	batch.Queue("SELECT last FROM serials WHERE name = 'replays'").QueryRow(func(r pgx.Row) error {
		var last int64
		err := r.Scan(&last)
		x.newest = uint64(last)
		return err
	})
	return x.run(&batch)
}

// run sends a batch. Its failure is that of the transaction.
func (x *tx) run(batch *pgx.Batch) error {
	if batch.Len() == 0 {
		return nil
	}
	x.trips++
	if err := x.conn.SendBatch(x.ctx, batch).Close(); err != nil {
		return x.fail(x.lost(err))
	}
	return nil
}

func (x *tx) queueWaybills(batch *pgx.Batch, all []state.Waybill) {
	if len(all) == 0 {
		return
	}
	for _, name := range all {
		x.waybills[name] = newWaybill(name)
	}
	deliveries, ids := waybillKeys(all)
	batch.Queue("SELECT "+waybillFields+" "+lockWaybills, deliveries, ids).Query(func(rows pgx.Rows) error {
		return x.s.scanWaybills(rows, func(w *waybill) {
			x.waybills[w.name] = w
		})
	})
}

func waybillKeys(all []state.Waybill) (deliveries, ids []string) {
	return gather(all, func(w state.Waybill) string { return w.DeliveryID }), gather(all, func(w state.Waybill) string { return w.WaybillID })
}

func (x *tx) queueIDs(batch *pgx.Batch, all []eventID) {
	if len(all) == 0 {
		return
	}
	for _, id := range all {
		x.asked[id] = true
	}
	sources, ids := gather(all, func(i eventID) string { return i.source }), gather(all, func(i eventID) string { return i.id })
	batch.Queue(findIDs, sources, ids).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var id eventID
			var f first
			err := rows.Scan(&id.source, &id.id, (*numberDest)(&f.seq), &f.hash, &smallDest[state.Verdict]{&f.verdict},
				&smallDest[state.Reason]{&f.reason}, &f.late, &f.gap)
			if err != nil {
				return err
			}
			x.ids[id] = f
		}
		return rows.Err()
	})
}

func (x *tx) queueRows(batch *pgx.Batch, seqs []uint64) {
	if len(seqs) == 0 {
		return
	}
	batch.Queue("SELECT "+eventFields+" FROM events e WHERE e.seq = ANY($1::bigint[])", int64s(seqs)).Query(func(rows pgx.Rows) error {
		return scanRows(rows, func(r *row) { x.rows[r.seq] = r })
	})
}

func (x *tx) queueNumbers(batch *pgx.Batch, n int) {
	if n == 0 {
		return
	}
	batch.Queue(takeNumbers, n).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var number int64
			if err := rows.Scan(&number); err != nil {
				return err
			}
			x.numbers = append(x.numbers, uint64(number))
		}
		return rows.Err()
	})
}

func int64s(numbers []uint64) []int64 {
	return gather(numbers, func(n uint64) int64 { return int64(n) })
}

// spareNumbers is how many numbers are taken at once beyond what was foreseen.
const spareNumbers = 16

func (x *tx) takeMore() error {
	var batch pgx.Batch
	x.queueNumbers(&batch, spareNumbers)
	return x.run(&batch)
}

// waybill gives a waybill as it is within this transaction. One that was not foreseen is locked out of order; if that
// makes transactions wait for each other, PostgreSQL ends one of them, and it is made anew.
func (x *tx) waybill(name state.Waybill) (*waybill, error) {
	if x.waybills[name] == nil {
		var batch pgx.Batch
		x.queueWaybills(&batch, []state.Waybill{name})
		if err := x.run(&batch); err != nil {
			return nil, err
		}
	}
	w := x.waybills[name]
	return w, w.damage
}

// row gives an event as it is within this transaction; nil if there is none.
func (x *tx) row(seq uint64) (*row, error) {
	if r := x.rows[seq]; r != nil {
		return r, nil
	}
	if err := x.want([]uint64{seq}); err != nil {
		return nil, err
	}
	return x.rows[seq], nil
}

// want reads events that are not at hand yet, in one round trip.
func (x *tx) want(seqs []uint64) error {
	missing := slices.DeleteFunc(slices.Clone(seqs), func(seq uint64) bool { return x.rows[seq] != nil })
	var batch pgx.Batch
	x.queueRows(&batch, missing)
	return x.run(&batch)
}

// seen tells whether an event with this id came before.
func (x *tx) seen(id eventID) (f first, known bool, err error) {
	if !x.asked[id] {
		var batch pgx.Batch
		x.queueIDs(&batch, []eventID{id})
		if err := x.run(&batch); err != nil {
			return f, false, err
		}
	}
	f, known = x.ids[id]
	return f, known, nil
}

// existing reads the event of a push that there must be.
func (x *tx) existing(w state.Waybill, seq uint64) (*row, error) {
	r, err := x.row(seq)
	switch {
	case err != nil:
		return nil, err
	case r == nil, r.event.Waybill() != w:
		return nil, store.ErrNotFound
	case r.push.Status == store.NoPush:
		return nil, fmt.Errorf("the event has no push: %w", store.ErrState)
	}
	return r, nil
}

// scanWaybills calls use with each row of waybillFields. One that is damaged says so, and hides no others.
func (s *Store) scanWaybills(rows pgx.Rows, use func(*waybill)) error {
	for rows.Next() {
		w := &waybill{}
		if err := rows.Scan(dests(waybillColumns, w)...); err != nil {
			return err
		}
		if err := cmp.Or(w.decode(), s.readTokens(w)); err != nil {
			w.damage = damaged("waybill "+w.name.String(), err)
		}
		use(w)
	}
	return rows.Err()
}

// scanRows calls use with each row of eventFields.
func scanRows(rows pgx.Rows, use func(*row)) error {
	for rows.Next() {
		r := newRow()
		if err := rows.Scan(dests(eventColumns, r)...); err != nil {
			return err
		}
		r.complete()
		use(r)
	}
	return rows.Err()
}

// damaged names what can't be read, and what helps.
func damaged(what string, err error) error {
	return fmt.Errorf("%w: %s (carrier store check tells how much is damaged; restore a backup): %w", store.ErrDamaged, what, err)
}

// lastNumber is the newest number that was given to any event, perhaps one whose transaction has not ended yet.
func (x *tx) lastNumber() (last uint64, err error) {
	var batch pgx.Batch
	batch.Queue("SELECT last_value FROM numbers").QueryRow(func(r pgx.Row) error { return r.Scan((*numberDest)(&last)) })
	return last, x.run(&batch)
}
