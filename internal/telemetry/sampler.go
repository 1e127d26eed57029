package telemetry

import (
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"carrier/internal/store"

	"github.com/prometheus/client_golang/prometheus"
)

// Sources are where a scrape reads. All must answer from memory: they are called at every scrape, by several
// goroutines at once. One that is nil is left out.
type Sources struct {
	Stats    func() store.Stats
	Accounts func() []AccountSnapshot
	// Stages are the waybills that stand still longest.
	Stages func() []StageAge
	// Spans is how many spans were exported and lost.
	Spans func() (exported, lost int64)
}

// AccountSnapshot is how an account stands at the moment.
type AccountSnapshot struct {
	DeliveryID     string
	Breaker        map[string]string // Each upstream host's state: "closed", "open" or "half_open".
	Paused         bool
	GuardTripped   bool // Paused by the guard against mass failing.
	InFlight       int
	TokenExpiresAt time.Time // Zero: there is no access_token.
	NoToken        bool      // It needs none (token_mode none).

	QuotaUsed, QuotaLimit int64     // Calls of updatePath today in Beijing; a limit of 0 is not known.
	QuotaEndsAt           time.Time // Zero: it lasts the day, or that is not known.
}

// StageAge is the waybill of an account that has stood at a stage for longest, of those that customers look at.
type StageAge struct {
	DeliveryID string
	Stage      string
	OldestAt   time.Time // When its newest event came.
}

var breakerStates = []string{"closed", "open", "half_open"}

// sampler reads the sources at a scrape. Nothing of it is kept in between.
type sampler struct {
	build   Build
	sources atomic.Pointer[Sources]
	descs   map[*metric]*prometheus.Desc
}

func newSampler(b Build) *sampler {
	s := &sampler{build: b, descs: make(map[*metric]*prometheus.Desc, len(sampled))}
	for _, m := range sampled {
		s.descs[m] = m.desc()
	}
	return s
}

// Describe implements prometheus.Collector.
func (s *sampler) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range sampled {
		ch <- s.descs[m]
	}
}

// Collect implements prometheus.Collector.
func (s *sampler) Collect(ch chan<- prometheus.Metric) {
	out := scrape{s, ch}
	out.put(&buildInfo, 1, s.build.Version, s.build.Revision, s.build.GoVersion)
	src := s.sources.Load()
	if src == nil {
		return
	}
	var accounts []AccountSnapshot
	if src.Accounts != nil {
		accounts = src.Accounts()
	}
	now := time.Now()
	for _, a := range accounts {
		out.account(a, now)
	}
	if src.Spans != nil {
		exported, lost := src.Spans()
		out.put(&traceSpans, float64(exported), "exported")
		out.put(&traceSpans, float64(lost), "lost")
	}
	if src.Stages != nil {
		out.stages(src.Stages(), now)
	}
	if src.Stats != nil {
		stats := src.Stats()
		out.store(stats, now)
		out.backlog(stats, accounts, now)
	}
}

// scrape is one reading.
type scrape struct {
	*sampler
	ch chan<- prometheus.Metric
}

// put sends one sample. One that can't be made is sent as an error: a panic here would end the process.
func (s scrape) put(m *metric, value float64, labels ...string) {
	for i := range labels {
		labels[i] = label(labels[i])
	}
	typ := prometheus.GaugeValue
	if m.kind == counter {
		typ = prometheus.CounterValue
	}
	sample, err := prometheus.NewConstMetric(s.descs[m], typ, value, labels...)
	if err != nil {
		sample = prometheus.NewInvalidMetric(s.descs[m], err)
	}
	s.ch <- sample
}

func (s scrape) account(a AccountSnapshot, now time.Time) {
	for host, is := range a.Breaker {
		for _, state := range breakerStates {
			s.put(&breakerState, oneIf(is == state), a.DeliveryID, host, state)
		}
	}
	s.put(&accountPaused, oneIf(a.Paused), a.DeliveryID)
	s.put(&guardTripped, oneIf(a.GuardTripped), a.DeliveryID)
	s.put(&inFlight, float64(a.InFlight), a.DeliveryID)
	if !a.TokenExpiresAt.IsZero() {
		s.put(&tokenExpires, float64(a.TokenExpiresAt.UnixMilli())/1000, a.DeliveryID)
	}
	if !a.NoToken {
		s.put(&tokenValid, oneIf(now.Before(a.TokenExpiresAt)), a.DeliveryID)
	}
	s.quota(a)
}

func (s scrape) quota(a AccountSnapshot) {
	s.put(&quotaUsed, float64(a.QuotaUsed), a.DeliveryID)
	if a.QuotaLimit != 0 {
		s.put(&quotaLimit, float64(a.QuotaLimit), a.DeliveryID)
	}
	if !a.QuotaEndsAt.IsZero() {
		s.put(&quotaEnds, float64(a.QuotaEndsAt.UnixMilli())/1000, a.DeliveryID)
	}
}

func (s scrape) store(stats store.Stats, now time.Time) {
	s.put(&heldEvents, float64(stats.Held))
	s.put(&untoldOutcomes, float64(stats.Notices))
	s.put(&oldestUntold, age(stats.OldestNotice, now))
	s.put(&storeCommits, float64(stats.Commits))
	s.put(&storeCommitSeconds, stats.CommitTime.Seconds())
	s.put(&storeRows, float64(stats.Rows))
	if stats.FreeBytes != 0 {
		s.put(&storeFree, float64(stats.FreeBytes))
	}
	if stats.Nodes != nil {
		s.nodes(stats.Nodes, now)
	}
}

// nodes puts how this node stands among others.
func (s scrape) nodes(n *store.NodeStats, now time.Time) {
	s.put(&nodesAlive, float64(n.Alive))
	s.put(&nodeSlots, float64(n.Slots))
	s.put(&nodeTakeovers, float64(n.Takeovers))
	s.put(&storeTrips, float64(n.RoundTrips))
	if !n.RenewedAt.IsZero() {
		s.put(&leaseAge, age(n.RenewedAt, now))
	}
}

// stages puts how long waybills stand still. A stage that is none is a mistake of ours, and left out.
func (s scrape) stages(all []StageAge, now time.Time) {
	for _, a := range all {
		if slices.Contains(words["stage"], a.Stage) {
			s.put(&oldestAtStage, age(a.OldestAt, now), a.DeliveryID, a.Stage)
		}
	}
}

// backlog puts a sample for every account that is configured or has pushes, and for every status: an alert on a
// series that is absent while all is well would never have a first value to compare with.
func (s scrape) backlog(stats store.Stats, accounts []AccountSnapshot, now time.Time) {
	ids := map[string]bool{}
	for _, a := range accounts {
		ids[a.DeliveryID] = true
	}
	for id := range stats.Pushes {
		ids[id] = true
	}
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		for _, status := range store.Statuses() {
			s.put(&pushes, float64(stats.Pushes[id][status]), id, status.String())
		}
		s.put(&oldestPending, age(stats.Oldest[id], now), id)
	}
}

// age is how long ago at was, in seconds; 0 if it is zero.
func age(at, now time.Time) float64 {
	if at.IsZero() {
		return 0
	}
	return seconds(now.Sub(at))
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
