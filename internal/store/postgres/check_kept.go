package postgres

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"carrier/internal/state"
	"carrier/internal/store"
)

// counters compares the counters with the rows.
func (c *checker) counters() error {
	kept := counters{}
	if err := scanCounters(c.ctx, c.t, kept); err != nil {
		return err
	}
	var notices int64
	if err := c.t.QueryRow(c.ctx, "SELECT count(*) FROM notices").Scan(&notices); err != nil {
		return err
	}
	c.counts[counterNotices] = notices
	c.eventCounters(kept)
	all := maps.Clone(kept)
	all.add(c.counts)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if name == counterPruned || name == counterAbandoned || strings.HasPrefix(name, "e/") {
			continue
		}
		if kept[name] != c.counts[name] {
			c.problem("the counter %s says %d, and it is %d", name, kept[name], c.counts[name])
		}
	}
	return nil
}

// eventCounters counts what retention deleted as if it were there: its verdicts are not known any more.
func (c *checker) eventCounters(kept counters) {
	missing := int64(0)
	for _, v := range state.Verdicts() {
		name := eventCounter(v)
		if kept[name] < c.counts[name] {
			c.problem("the counter of %s events says %d, and there are %d", v, kept[name], c.counts[name])
		}
		missing += kept[name] - c.counts[name]
	}
	if missing != kept[counterPruned] {
		c.problem("by the counters %d events were deleted for their age, and %d are gone", kept[counterPruned], missing)
	}
}

// replays compares what each replay counts as still open with the pushes that are pending in its name.
func (c *checker) replays() error {
	err := c.each("SELECT id, status, detail::text FROM replays", func(rows pgx.Rows) error {
		var id uint64
		var status store.ReplayStatus
		var detail string
		if err := rows.Scan((*numberDest)(&id), &smallDest[store.ReplayStatus]{&status}, &detail); err != nil {
			return err
		}
		var r store.Replay
		switch err := json.Unmarshal([]byte(detail), &r); {
		case err != nil:
			c.problem("replay %d: %v", id, err)
			return nil
		case r.ID != id || r.Status != status:
			c.problem("replay %d says that it is replay %d and %s, and is listed as %s", id, r.ID, r.Status, status)
		}
		if got := c.pending[id]; got != r.Open() {
			c.problem("replay %d counts %d pushes that have not ended, and %d are pending", id, r.Open(), got)
		}
		delete(c.pending, id)
		return nil
	})
	for _, id := range slices.Sorted(maps.Keys(c.pending)) {
		c.problem("%d pushes are pending in the name of replay %d, which is not there", c.pending[id], id)
	}
	return err
}

// notices checks that all ends that are to be told are ends of known events.
func (c *checker) notices() error {
	return c.each(`SELECT n.number, e.seq IS NULL, n.nth < 1 OR n.nth > e.ends + (e.verdict = 5)::integer,
			n.nth = e.ends AND e.status > 1 AND e.status <> n.status
		FROM notices n LEFT JOIN events e USING (seq) WHERE n.difference IS NULL AND (e.seq IS NULL
			OR n.nth < 1 OR n.nth > e.ends + (e.verdict = 5)::integer OR n.nth = e.ends AND e.status > 1 AND e.status <> n.status)
		ORDER BY n.number LIMIT 100`, func(rows pgx.Rows) error {
		var number int64
		var lost, tooOften, otherwise *bool
		if err := rows.Scan(&number, &lost, &tooOften, &otherwise); err != nil {
			return err
		}
		switch {
		case *lost:
			c.problem("notice %d: its event is not known", number)
		case *tooOften:
			c.problem("notice %d: its event has not ended so often", number)
		default:
			c.problem("notice %d: its event ended in another way", number)
		}
		return nil
	})
}

// secrets checks that every secret can be opened.
func (c *checker) secrets() error {
	return c.each("SELECT name, value FROM secrets ORDER BY name", func(rows pgx.Rows) error {
		var name string
		var value []byte
		if err := rows.Scan(&name, &value); err != nil {
			return err
		}
		if _, err := c.s.keys.OpenSecret(secretPlace(name), value); err != nil {
			c.problem("the secret %s: %v", name, err)
		}
		return nil
	})
}

// shown checks that all of what customers are shown can be read.
func (c *checker) shown() error {
	return c.each("SELECT delivery_id, waybill_id, detail::text FROM shown WHERE detail IS NOT NULL", func(rows pgx.Rows) error {
		var w state.Waybill
		var text string
		if err := rows.Scan(&w.DeliveryID, &w.WaybillID, &text); err != nil {
			return err
		}
		var detail shownDetail
		if err := json.Unmarshal([]byte(text), &detail); err != nil {
			c.problem("what is shown of waybill %s: %v", w, err)
		}
		return nil
	})
}

// letters compares what is counted of dead letters with what is there.
func (c *checker) letters() error {
	var count, bytes, last, found, size, highest int64
	err := c.t.QueryRow(c.ctx, `SELECT t.count, t.bytes, t.last, l.count, l.bytes, l.last FROM letter_totals t, (
		SELECT count(*) AS count, coalesce(sum(`+letterBytes+`), 0)::bigint AS bytes, coalesce(max(number), 0) AS last
		FROM dead_letters) l`).Scan(&count, &bytes, &last, &found, &size, &highest)
	if err == nil && (count != found || bytes != size || last < highest) {
		c.problem("of dead letters, %d are counted with %d bytes, up to number %d; there are %d with %d bytes, up to number %d",
			count, bytes, last, found, size, highest)
	}
	return err
}
