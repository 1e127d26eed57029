package postgres

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

// Options say how a store is opened. The zero value is a store that waits for no missing scan.
type Options struct {
	Machine state.Machine
	// NoTokenWait is how long a push waits for its waybill's Token before it fails; 24 h by default.
	NoTokenWait time.Duration
	// DiscardUnknown says that the push of a waybill without a Token is discarded at once (store.ReasonUnknown), and
	// not kept waiting for one. A Token that comes later makes it pending all the same.
	DiscardUnknown bool
	// TokenKeys seal Tokens in the database: AES-256 keys of 32 bytes, the newest first, which seals; all of them open.
	// Without any, Tokens are kept as they are. What was kept under another key, or under none, is sealed when it is
	// next written.
	TokenKeys [][]byte
	// Feed hears of pushes that became open; nil: nobody does.
	Feed store.Feed
	// Notify says that notices of ends are to be kept (store.Notices), and hears of every commit of this node that made
	// some. It is called by the engine's own goroutine and must not block or call the store. nil: no notices are made.
	Notify func()
	Logger *slog.Logger
	// Retention is how long what is settled is kept, and told where Notify is given; 0: for ever.
	Retention time.Duration

	// Node is this node's name among those that share the database; by default the host's name with random letters.
	Node string
	// LeaseTime is how long a node owns waybills without a sign of life; 10 s by default.
	LeaseTime time.Duration
	// Committers is how many transactions of this node may be under way at once; 2 by default.
	Committers int
	// OutcomeWait is how long it is tried to find out what became of a transaction whose connection broke while it was
	// being committed; 20 s by default.
	OutcomeWait time.Duration

	// Now is another clock than time.Now, for tests.
	Now func() time.Time

	// realTime: Now tells the real time, and what it says can be held against the database's clock.
	realTime bool

	// These stand for the constants in the engine's own tests.
	partitionRows, maxLetters, maxLetterBytes int64
}

func (o Options) withDefaults() Options {
	o.NoTokenWait = cmp.Or(o.NoTokenWait, 24*time.Hour)
	o.LeaseTime = cmp.Or(o.LeaseTime, 10*time.Second)
	o.Committers = cmp.Or(o.Committers, 2)
	o.OutcomeWait = cmp.Or(o.OutcomeWait, 20*time.Second)
	o.partitionRows = cmp.Or(o.partitionRows, partitionRows)
	o.maxLetters = cmp.Or(o.maxLetters, maxLetters)
	o.maxLetterBytes = cmp.Or(o.maxLetterBytes, maxLetterBytes)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now, o.realTime = time.Now, true
	}
	if o.Node == "" {
		o.Node = nodeName()
	}
	return o
}

func nodeName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "node"
	}
	return fmt.Sprintf("%s-%s", host, rand.Text()[:6])
}
