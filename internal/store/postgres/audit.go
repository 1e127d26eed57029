package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"carrier/internal/store"
	"carrier/internal/store/codec"
)

// Record keeps an act that changes nothing in the store.
func (s *Store) Record(ctx context.Context, e store.AuditEntry) error {
	err := s.change(ctx, 0, func(x *tx) error {
		x.audit(e.Act, e)
		return nil
	})
	if err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	return nil
}

// auditRows bounds the rows that are looked at for one page of the audit log.
const auditRows = 20_000

// auditFields are what scanAudit takes.
const auditFields = `number, at, by, origin, action, reason, detail, delivery_id, waybill_id, seq, replay`

// auditPage finds entries among auditRows numbers: they have no gaps.
const auditPage = `SELECT ` + auditFields + ` FROM audit
	WHERE number < $1 AND number >= $2 AND ($3 = '' OR by = $3) AND ($4 = '' OR action = $4)
		AND ($5 = '' OR delivery_id = $5) AND ($6 = '' OR waybill_id = $6)
		AND ($7::timestamptz IS NULL OR at >= $7) AND ($8::timestamptz IS NULL OR at < $8)
	ORDER BY number DESC LIMIT $9`

// Audit lists the audit log, newest first. It has a row for each thing that a person did, so they are looked at one by
// one.
func (s *Store) Audit(ctx context.Context, q store.AuditQuery) (page store.Page[store.AuditEntry], err error) {
	limit := min(max(q.Limit, 1), store.MaxLimit)
	err = s.view(ctx, func(t pgx.Tx) error {
		before := int64(q.Before)
		if before <= 0 {
			if err := t.QueryRow(ctx, "SELECT coalesce(max(number), 0) + 1 FROM audit").Scan(&before); err != nil {
				return err
			}
		}
		from := max(before-auditRows, 1)
		rows, err := t.Query(ctx, auditPage, before, from, text(q.By), text(q.Action), text(q.DeliveryID), text(q.WaybillID),
			ceilStamp(q.Since), ceilStamp(q.Until), limit+1)
		if err != nil {
			return err
		}
		page.Items, err = pgx.CollectRows(rows, scanAudit)
		page.Next = cutPage(&page.Items, limit, func(e *store.AuditEntry) uint64 { return e.Number })
		if page.Next == 0 && from > 1 {
			page.Next = uint64(from)
		}
		return err
	})
	if err != nil {
		return page, fmt.Errorf("audit log: %w", s.readError(err))
	}
	return page, nil
}

func scanAudit(row pgx.CollectableRow) (e store.AuditEntry, err error) {
	var at int64
	err = row.Scan((*numberDest)(&e.Number), (*stampDest)(&at), &e.By, &e.From, &e.Action, &e.Reason, &e.Detail,
		&e.DeliveryID, &e.WaybillID, (*numberDest)(&e.Seq), (*numberDest)(&e.Replay))
	e.At = codec.FromMillis(at)
	return e, err
}
