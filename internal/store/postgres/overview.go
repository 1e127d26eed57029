package postgres

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
)

const (
	// findWaybills goes along waybills_reversed. The database's lower is that of store.Reversed: what is of the collation
	// "C" has no other letters than A to Z.
	findWaybills = `FROM waybills w WHERE (reverse(lower(w.waybill_id)), w.delivery_id, w.waybill_id) >= ($1, $2, $3)
		AND reverse(lower(w.waybill_id)) < $4 AND (w.token_at IS NOT NULL OR w.timeline <> '\x0100')
		ORDER BY reverse(lower(w.waybill_id)), w.delivery_id, w.waybill_id LIMIT $5`

	// countFailed takes the events of some waybills.
	countFailed = `SELECT delivery_id, waybill_id, count(*) FROM events WHERE seq = ANY ($1::bigint[]) AND status = 3
		GROUP BY delivery_id, waybill_id`
)

// Find lists the waybills whose number ends in a text.
func (s *Store) Find(ctx context.Context, q store.FindQuery) (page store.Summaries, err error) {
	prefix := store.Reversed(q.End)
	from := []string{prefix, "", ""}
	if q.After != "" {
		if from = strings.Split(q.After, "\x00"); len(from) != 3 {
			return page, fmt.Errorf("find waybills: %q is no place in the list", q.After)
		}
	}
	limit := min(max(q.Limit, 1), store.MaxLimit)
	err = s.view(ctx, func(t pgx.Tx) error {
		list, err := s.listWaybills(ctx, t, findWaybills, from[0], from[1], from[2], behind(prefix), limit+1)
		if err != nil {
			return err
		}
		if len(list) > limit {
			next := list[limit].name
			page.Next = strings.Join([]string{store.Reversed(next.WaybillID), next.DeliveryID, next.WaybillID}, "\x00")
			list = list[:limit]
		}
		page.Items, err = s.summarize(ctx, t, list)
		return err
	})
	return page, s.readError(err)
}

// behind is the first text behind all that begin with a prefix, character by character.
func behind(prefix string) string {
	for prefix != "" {
		r, size := utf8.DecodeLastRuneInString(prefix)
		prefix = prefix[:len(prefix)-size]
		switch r {
		case utf8.MaxRune:
			continue
		case 0xd7ff: // Between here and there are no characters.
			r = 0xdfff
		}
		return prefix + string(r+1)
	}
	return string(utf8.MaxRune)
}

// listWaybills reads rows of waybills, in the order of the query.
func (s *Store) listWaybills(ctx context.Context, t pgx.Tx, from string, args ...any) (list []*waybill, err error) {
	rows, err := t.Query(ctx, "SELECT "+waybillFields+" "+from, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	err = s.scanWaybills(rows, func(w *waybill) { list = append(list, w) })
	return list, err
}

// summarize reads what there is to tell of some waybills. One that is damaged hides no others.
func (s *Store) summarize(ctx context.Context, t pgx.Tx, list []*waybill) ([]store.Summary, error) {
	var accepted, ends []uint64
	for _, w := range list {
		accepted = append(accepted, w.accepted()...)
		ends = append(ends, w.newest, newestOf(w.timeline))
	}
	rows, err := readRows(ctx, t, ends)
	if err != nil {
		return nil, err
	}
	bySeq := map[uint64]*row{}
	for _, r := range rows {
		bySeq[r.seq] = r
	}
	failed := map[state.Waybill]int{}
	if len(accepted) > 0 {
		counts, err := t.Query(ctx, countFailed, int64s(accepted))
		if err != nil {
			return nil, err
		}
		var w state.Waybill
		var n int
		if _, err := pgx.ForEachRow(counts, []any{&w.DeliveryID, &w.WaybillID, &n}, func() error {
			failed[w] = n
			return nil
		}); err != nil {
			return nil, err
		}
	}
	var all []store.Summary
	for _, w := range list {
		if w.damage != nil {
			s.reports.Once("a waybill can't be read and is left out of lists", w.damage)
			continue
		}
		all = append(all, w.summary(bySeq, failed[w.name]))
	}
	return all, nil
}

// newestOf is the event of a timeline that came last; 0 if it is empty.
func newestOf(t state.Timeline) (seq uint64) {
	for i := range t {
		seq = max(seq, t[i].Seq)
	}
	return seq
}

// summary is what there is to tell of a waybill. rows has its newest events, but for those that retention has deleted.
func (w *waybill) summary(rows map[uint64]*row, failed int) store.Summary {
	sum := store.Summary{
		Waybill: w.name, Stage: w.timeline.Stage(), TokenSet: w.tokenAt != 0, Parked: w.parkedAt != 0, Frozen: w.frozenAt != 0,
		Open: len(w.open), Failed: failed,
	}
	if r := rows[w.newest]; r != nil {
		sum.Newest = new(r.storeEvent())
	}
	if r := rows[newestOf(w.timeline)]; r != nil {
		sum.HeardAt = codec.FromMillis(r.receivedAt)
	}
	return sum
}
