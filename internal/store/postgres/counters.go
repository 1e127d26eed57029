package postgres

import (
	"maps"
	"slices"
	"strings"

	"carrier/internal/state"
	"carrier/internal/store"
)

// counters are figures that are kept as rows change, or changes of them, by name:
//
//	e/VERDICT        events by their first verdict, since the store was made
//	p/STATUS/ACCOUNT pushes
//	held             events held now
//	notices          ends that wait to be told
//	pruned           events that retention deleted
//	abandoned        transactions whose connection broke before they committed, that were looked up
type counters map[string]int64

const (
	counterHeld      = "held"
	counterNotices   = "notices"
	counterPruned    = "pruned"
	counterAbandoned = "abandoned"
)

func eventCounter(v state.Verdict) string { return "e/" + v.String() }

func pushCounter(s store.Status, delivery string) string { return "p/" + s.String() + "/" + delivery }

// move counts a push from one status to another; NoPush is none.
func (c counters) move(delivery string, from, to store.Status) {
	if from == to {
		return
	}
	if from != store.NoPush {
		c[pushCounter(from, delivery)]--
	}
	if to != store.NoPush {
		c[pushCounter(to, delivery)]++
	}
}

func (c counters) add(other counters) {
	for name, n := range other {
		c[name] += n
	}
}

// lists are the counters as a row of commits holds them.
func (c counters) lists() (names []string, deltas []int64) {
	names = []string{}
	for _, name := range slices.Sorted(maps.Keys(c)) {
		if c[name] != 0 {
			names, deltas = append(names, name), append(deltas, c[name])
		}
	}
	if deltas == nil {
		deltas = []int64{}
	}
	return names, deltas
}

// stats are the counters as the interface gives them.
func (c counters) stats() store.Stats {
	st := store.Stats{Pushes: map[string]map[store.Status]int64{}, Events: map[state.Verdict]int64{}}
	for name, n := range c {
		kind, rest, _ := strings.Cut(name, "/")
		switch kind {
		case "e":
			var v state.Verdict
			if v.UnmarshalText([]byte(rest)) == nil && n != 0 {
				st.Events[v] = n
			}
		case "p":
			word, delivery, _ := strings.Cut(rest, "/")
			var status store.Status
			if status.UnmarshalText([]byte(word)) == nil {
				countPushes(st.Pushes, delivery, status, n)
			}
		case counterHeld:
			st.Held = n
		case counterNotices:
			st.Notices = n
		}
	}
	return st
}

// countPushes sets a figure of an account; all its statuses are there.
func countPushes(pushes map[string]map[store.Status]int64, delivery string, status store.Status, n int64) {
	if pushes[delivery] == nil {
		pushes[delivery] = map[store.Status]int64{}
		for _, s := range store.Statuses() {
			pushes[delivery][s] = 0
		}
	}
	pushes[delivery][status] = n
}
