package pebble

import (
	"encoding/binary"
	"fmt"
	"strings"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
)

// counters are the figures that are kept as rows change.
type counters struct {
	events [state.NumVerdicts]int64             // By first verdict, since the store was made.
	pushes map[string]*[store.NumStatuses]int64 // By account and status: the rows there are.
	held   int64                                // Events held now.
	pruned int64                                // Events that retention deleted.
}

func newCounters() counters { return counters{pushes: map[string]*[store.NumStatuses]int64{}} }

// account is the row of an account, made if missing.
func (c *counters) account(delivery string) *[store.NumStatuses]int64 {
	a := c.pushes[delivery]
	if a == nil {
		a = new([store.NumStatuses]int64)
		c.pushes[delivery] = a
	}
	return a
}

// move counts a push from one status to another; NoPush is none.
func (c *counters) move(delivery string, from, to store.Status) {
	a := c.account(delivery)
	if from != store.NoPush {
		a[from]--
	}
	if to != store.NoPush {
		a[to]++
	}
}

// reset zeroes all, and keeps the accounts' rows for the next commit.
func (c *counters) reset() {
	for _, a := range c.pushes {
		*a = [store.NumStatuses]int64{}
	}
	c.events, c.held, c.pruned = [state.NumVerdicts]int64{}, 0, 0
}

// countDeltas adds the commit's changes to the totals, and writes the counters that changed.
func (s *Store) countDeltas(x *tx) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, t := &x.delta, &s.totals
	for v, n := range d.events {
		x.count(&t.events[v], n, "e/", state.Verdict(v).String(), "")
	}
	for delivery, row := range d.pushes {
		for status, n := range row {
			if n != 0 {
				x.count(&t.account(delivery)[status], n, "p/", store.Status(status).String()+"/", delivery)
			}
		}
	}
	x.count(&t.held, d.held, "held", "", "")
	x.count(&t.pruned, d.pruned, "pruned", "", "")
}

// count adds n to a total and writes it under the name given in parts.
func (x *tx) count(total *int64, n int64, table, kind, name string) {
	if n == 0 {
		return
	}
	*total += n
	x.key = counterKey(x.key[:0], table)
	x.key = append(append(x.key, kind...), name...)
	x.value = binary.BigEndian.AppendUint64(x.value[:0], uint64(*total))
	x.set(x.key, x.value)
}

// load takes in a row of c.
func (c *counters) load(name string, value []byte) error {
	if len(value) != 8 {
		return codec.ErrRecord
	}
	n := int64(binary.BigEndian.Uint64(value))
	table, rest, _ := strings.Cut(name, "/")
	switch table {
	case "e":
		var v state.Verdict
		if err := v.UnmarshalText([]byte(rest)); err != nil {
			return err
		}
		c.events[v] = n
	case "p":
		name, delivery, _ := strings.Cut(rest, "/")
		var status store.Status
		if err := status.UnmarshalText([]byte(name)); err != nil {
			return err
		}
		c.account(delivery)[status] = n
	case "held":
		c.held = n
	case "pruned":
		c.pruned = n
	default:
		return fmt.Errorf("unknown counter %q", name)
	}
	return nil
}
