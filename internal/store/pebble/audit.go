package pebble

import (
	"context"
	"fmt"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/store"
	"carrier/internal/store/codec"
	"carrier/internal/store/engine"
)

// audit keeps an act with what it was done to; if it is no person's, it does nothing.
func (x *tx) audit(act store.Act, on store.AuditEntry) {
	if act == (store.Act{}) {
		return
	}
	on.Act, on.At = act, codec.FromMillis(x.now)
	on.Number = x.w.audits.take()
	x.putJSON(seqKey(nil, tableAudit, on.Number), on)
}

// Record keeps an act that changes nothing in the store.
func (s *Store) Record(ctx context.Context, e store.AuditEntry) error {
	op := &recordOp{entry: e}
	if err := s.write(ctx, op, &op.Waiter); err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	return nil
}

type recordOp struct {
	engine.Waiter
	entry store.AuditEntry
}

func (o *recordOp) rows() int { return 1 }
func (o *recordOp) run(x *tx) { x.audit(o.entry.Act, o.entry) }

// auditRows bounds the rows that are looked at for one page of the audit log.
const auditRows = 20_000

// Audit lists the audit log, newest first. It has a row for each thing that a person did, so they are looked at one by
// one.
func (s *Store) Audit(_ context.Context, q store.AuditQuery) (page store.Page[store.AuditEntry], err error) {
	limit, rows := min(max(q.Limit, 1), store.MaxLimit), 0
	look := func(number uint64, value []byte) (bool, error) {
		if rows++; rows > auditRows || len(page.Items) == limit {
			page.Next = number + 1
			return false, nil
		}
		var e store.AuditEntry
		if err := decodeJSON(value, &e); err != nil {
			return false, err
		}
		if e.At.Before(q.Since) {
			return false, nil
		}
		if selected(&q, &e) {
			page.Items = append(page.Items, e)
		}
		return true, nil
	}
	err = s.view(func(db cdb.Reader) error { return newestFirst(db, tableAudit, q.Before, look) })
	return page, err
}

func selected(q *store.AuditQuery, e *store.AuditEntry) bool {
	is := func(want, got string) bool { return want == "" || want == got }
	return is(q.By, e.By) && is(q.Action, e.Action) && is(q.DeliveryID, e.DeliveryID) && is(q.WaybillID, e.WaybillID) &&
		(q.Until.IsZero() || e.At.Before(q.Until))
}
