// Package storetest is the suite that every storage engine passes: what the comments of [store.Store] promise, and
// what carrier relies on beyond single calls. It uses nothing of an engine but the interface, a way to open the same
// store again, and a clock.
package storetest

import (
	"context"
	"testing"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

// Options are what an engine is opened with.
type Options struct {
	Machine        state.Machine
	NoTokenWait    time.Duration
	DiscardUnknown bool
	TokenKeys      [][]byte // Under which Tokens are kept, newest first.
	Retention      time.Duration
	Feed           store.Feed
	Notify         func()           // Hears of notices; nil: none are kept.
	Now            func() time.Time // The only clock that the engine may tell time by.
}

// Engine is an engine with what tests need beside the interface.
type Engine interface {
	store.Store
	// Tick does what is due by Options.Now, all of it, and returns when that is durable.
	Tick(ctx context.Context) error
	// SetTerms puts other terms in force, for what is decided from then on.
	SetTerms(t store.Terms)
}

// Opener opens the store called home: the same data, if it was opened and closed before in the same test.
type Opener func(t testing.TB, home string, o Options) Engine

// Run runs the suite.
func Run(t *testing.T, open Opener) {
	for _, group := range []struct {
		name  string
		tests map[string]func(*fixture)
	}{
		{"apply", applyTests}, {"hold", holdTests}, {"token", tokenTests}, {"settle", settleTests},
		{"replay", replayTests}, {"replays", replaysTests}, {"resend", resendTests}, {"byhand", byHandTests}, {"audit", auditTests},
		{"waiting", waitingTests}, {"sweep", sweepTests}, {"feed", feedTests}, {"query", queryTests},
		{"stats", statsTests}, {"life", lifeTests}, {"orders", orderTests}, {"cancel", cancelTests}, {"uses", useTests},
		{"unknown", unknownTests}, {"sealed", sealedTests}, {"expunge", expungeTests}, {"notices", noticeTests},
		{"shown", shownTests}, {"verified", verifiedTests}, {"trace", traceTests},
		{"secrets", secretTests}, {"overview", overviewTests}, {"terms", termsTests},
	} {
		for name, test := range group.tests {
			t.Run(group.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				f := newFixture(t, open)
				test(f)
				f.check()
			})
		}
	}
	t.Run("model", func(t *testing.T) { t.Parallel(); runModel(t, open) })
	t.Run("queries", func(t *testing.T) { t.Parallel(); runQueries(t, open) })
}
