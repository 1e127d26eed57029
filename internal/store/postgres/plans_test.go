package postgres

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/engine"
)

// planWaybills is how many waybills TestPlans fills a database with. With few of them, it is seen that the statements
// can go by their indexes; with many, that PostgreSQL has them do so by its own figures, too.
var planWaybills = flag.Int("plan.waybills", 3000, "waybills that TestPlans fills a database with")

// TestPlans sees that waybills are found by the end of their number, and silent ones, along the indexes made for it,
// whatever is kept beside.
func TestPlans(t *testing.T) {
	s := openStore(t, testOptions(t))
	fillWaybills(t, s, *planWaybills)
	for _, statement := range []string{"ANALYZE waybills", "ANALYZE events"} {
		if _, err := s.pool.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	now := pgtype.Timestamptz{Time: time.Now().Add(time.Hour), Valid: true}
	prefix := store.Reversed("0042")
	for _, c := range []struct {
		name, sql string
		args      []any
		index     string
		most      int // Rows of waybills that it may look at.
	}{
		{"find", "SELECT " + waybillFields + " " + findWaybills, []any{prefix, "", "", behind(prefix), 101}, "waybills_reversed", 102},
		{"lines", listLines, nil, "waybills_fronts", 20},
		{"silent", "SELECT " + waybillFields + " " + findSilent,
			[]any{[]string{"SF"}, []int16{int16(state.PickedUp)}, []bool{true}, []int64{1 << 60}, []pgtype.Timestamptz{now}, int64(0), 101},
			"waybills_fronts", 102},
		{"ages", oldestOfLines, nil, "waybills_fronts", 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan := explain(t, s, c.sql, c.args...)
			t.Log(plan)
			if !strings.Contains(plan, c.index) || strings.Contains(plan, "Seq Scan on waybills") {
				t.Errorf("it does not go along %s:\n%s", c.index, plan)
			}
			if rows := rowsOfWaybills(t, plan); rows > c.most {
				t.Errorf("it looks at %d rows of waybills, want %d at most:\n%s", rows, c.most, plan)
			}
		})
	}
}

// fillWaybills has a scan of each of many waybills.
func fillWaybills(t *testing.T, s *Store, n int) {
	t.Helper()
	for from := 0; from < n; from += engine.MaxRows {
		var events []state.Event
		for i := from; i < min(n, from+engine.MaxRows); i++ {
			events = append(events, scanOf(fmt.Sprintf("SF%012d", i), 1, state.PickupDone))
		}
		if _, err := s.Apply(t.Context(), events); err != nil {
			t.Fatal(err)
		}
	}
}

// explain is the way that PostgreSQL took to carry a statement out, as connections of the store have it.
func explain(t *testing.T, s *Store, sql string, args ...any) string {
	t.Helper()
	rows, err := s.pool.Query(t.Context(), "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) "+sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// rowsOfWaybills adds up the rows that were read of waybills, and those that were read in vain.
func rowsOfWaybills(t *testing.T, plan string) (sum int) {
	t.Helper()
	inWaybills := false
	for line := range strings.Lines(plan) {
		var rows, loops int
		switch _, actual, found := strings.Cut(line, "(actual "); {
		case found:
			inWaybills = strings.Contains(line, " on waybills ")
			if !inWaybills {
				continue
			}
			if _, err := fmt.Sscanf(actual, "rows=%d loops=%d", &rows, &loops); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			sum += rows * loops
		case inWaybills && strings.Contains(line, "Rows Removed by"):
			_, number, _ := strings.Cut(line, ": ")
			if _, err := fmt.Sscan(number, &rows); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			sum += rows
		}
	}
	return sum
}
