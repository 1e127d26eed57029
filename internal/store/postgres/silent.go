package postgres

import (
	"context"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
)

// line is the waybills of an account that stand at the same stage, with a Token or without.
type line struct {
	delivery string
	stage    int16
	token    bool
}

const (
	// mayFallSilent is the condition of the index waybills_fronts: not state.Created, Delivered or Void.
	mayFallSilent = `w.stage NOT IN (0, 9, 10)`

	// listLines steps through waybills_fronts from one line to the next, so it costs a look a line.
	listLines = `WITH RECURSIVE lines AS (
			(SELECT w.delivery_id, w.stage, w.token_at IS NOT NULL AS token FROM waybills w WHERE ` + mayFallSilent + `
				ORDER BY w.delivery_id, w.stage, (w.token_at IS NOT NULL) LIMIT 1)
			UNION ALL SELECT n.* FROM lines l CROSS JOIN LATERAL (
				SELECT w.delivery_id, w.stage, w.token_at IS NOT NULL FROM waybills w WHERE ` + mayFallSilent + `
				AND (w.delivery_id, w.stage, (w.token_at IS NOT NULL)) > (l.delivery_id, l.stage, l.token)
				ORDER BY w.delivery_id, w.stage, (w.token_at IS NOT NULL) LIMIT 1) n
		) SELECT delivery_id, stage, token FROM lines`

	// ofLine are a line's waybills as waybills_fronts has them; k has the line.
	ofLine = `w.delivery_id = k.delivery_id AND w.stage = k.stage AND (w.token_at IS NOT NULL) = k.token AND ` + mayFallSilent

	// findSilent takes the first ones of each line, and the first ones of all these. Numbers are in the order of time but
	// for the clocks of nodes: below is a bound, and received_at says it exactly.
	findSilent = `FROM unnest($1::text[], $2::smallint[], $3::boolean[], $4::bigint[], $5::timestamptz[])
			AS k(delivery_id, stage, token, below, before)
		CROSS JOIN LATERAL (SELECT w.* FROM waybills w JOIN events e ON e.seq = w.newest
			WHERE ` + ofLine + ` AND w.newest >= $6 AND w.newest < k.below AND e.received_at < k.before
			ORDER BY w.newest LIMIT $7) w
		ORDER BY w.newest LIMIT $7`

	// oldestOfLines takes the first one of each line.
	oldestOfLines = `SELECT k.delivery_id, k.stage, e.received_at FROM (` + listLines + `) k
		CROSS JOIN LATERAL (SELECT w.newest FROM waybills w WHERE ` + ofLine + ` ORDER BY w.newest LIMIT 1) w
		JOIN events e ON e.seq = w.newest WHERE k.token ORDER BY k.delivery_id, k.stage`
)

// Silent lists waybills of which nothing was accepted for long, the one that fell silent first at the top.
func (s *Store) Silent(ctx context.Context, q store.SilentQuery) (page store.Summaries, err error) {
	from, err := store.AfterNumber(q.After)
	if err != nil {
		return page, err
	}
	limit := min(max(q.Limit, 1), store.MaxLimit)
	err = s.view(ctx, func(t pgx.Tx) error {
		lines, err := wantedLines(ctx, t, &q)
		if err != nil || len(lines) == 0 {
			return err
		}
		below, err := firstNumbers(ctx, t, q.Before)
		if err != nil {
			return err
		}
		list, err := s.listWaybills(ctx, t, findSilent,
			gather(lines, func(l line) string { return l.delivery }),
			gather(lines, func(l line) int16 { return l.stage }),
			gather(lines, func(l line) bool { return l.token }),
			gather(lines, func(l line) int64 { return below[l.before(&q)] }),
			gather(lines, func(l line) pgtype.Timestamptz { return timestamp(l.before(&q).UnixMilli()) }),
			int64(min(from, math.MaxInt64)), limit+1)
		if err != nil {
			return err
		}
		if len(list) > limit {
			page.Next = store.NextNumber(list[limit].newest)
			list = list[:limit]
		}
		page.Items, err = s.summarize(ctx, t, list)
		return err
	})
	return page, s.readError(err)
}

// before is the moment that a query asks of a line; zero: none.
func (l line) before(q *store.SilentQuery) time.Time { return q.Before[state.Stage(l.stage)] }

// wantedLines lists the lines that a query asks for and that have a waybill.
func wantedLines(ctx context.Context, t pgx.Tx, q *store.SilentQuery) (lines []line, err error) {
	rows, err := t.Query(ctx, listLines)
	if err != nil {
		return nil, err
	}
	var l line
	_, err = pgx.ForEachRow(rows, []any{&l.delivery, &l.stage, &l.token}, func() error {
		if !l.before(q).IsZero() && (q.DeliveryID == "" || q.DeliveryID == l.delivery) && (l.token || q.NoToken) {
			lines = append(lines, l)
		}
		return nil
	})
	return lines, err
}

// firstNumbers finds for each moment a number below which all events lie that came before it.
func firstNumbers(ctx context.Context, t pgx.Tx, moments map[state.Stage]time.Time) (map[time.Time]int64, error) {
	numbers := map[time.Time]int64{}
	for _, at := range moments {
		if _, known := numbers[at]; known {
			continue
		}
		f := &search{ctx: ctx, t: t}
		if err := f.span(&store.Query{Until: at}); err != nil {
			return nil, err
		}
		numbers[at] = int64(f.to)
	}
	return numbers, nil
}

// StageAges tells how old the oldest waybill with a Token is, by account and stage.
func (s *Store) StageAges(ctx context.Context) (ages []store.StageAge, err error) {
	err = s.view(ctx, func(t pgx.Tx) error {
		rows, err := t.Query(ctx, oldestOfLines)
		if err != nil {
			return err
		}
		var age store.StageAge
		var ms int64
		_, err = pgx.ForEachRow(rows, []any{&age.DeliveryID, &smallDest[state.Stage]{&age.Stage}, (*stampDest)(&ms)}, func() error {
			age.OldestAt = codec.FromMillis(ms)
			ages = append(ages, age)
			return nil
		})
		return err
	})
	return ages, s.readError(err)
}
