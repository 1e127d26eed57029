package telemetry

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"carrier/internal/store"

	"github.com/prometheus/client_golang/prometheus"
)

// page is /metrics taken apart.
type page struct {
	t       *testing.T
	help    map[string]string
	kind    map[string]string
	labels  map[string][]string // Of each family, sorted; without le.
	samples map[string]float64  // By name and labels, as printed.
}

func read(t *testing.T, m *Metrics) *page {
	t.Helper()
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if rec.Code != http.StatusOK {
		t.Fatalf("status %d: %s", rec.Code, rec.Body)
	}
	p := &page{t, map[string]string{}, map[string]string{}, map[string][]string{}, map[string]float64{}}
	family := ""
	for line := range strings.Lines(rec.Body.String()) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "# HELP "):
			name, text, _ := strings.Cut(line[len("# HELP "):], " ")
			family, p.help[name] = name, text
		case strings.HasPrefix(line, "# TYPE "):
			name, kind, _ := strings.Cut(line[len("# TYPE "):], " ")
			p.kind[name] = kind
		default:
			p.sample(family, line)
		}
	}
	return p
}

func (p *page) sample(family, line string) {
	p.t.Helper()
	i := strings.LastIndexByte(line, ' ')
	value, err := strconv.ParseFloat(line[i+1:], 64)
	if err != nil {
		p.t.Fatalf("%s: %v", line, err)
	}
	p.samples[line[:i]] = value
	_, inner, _ := strings.Cut(strings.TrimSuffix(line[:i], "}"), "{")
	names := []string{}
	for pair := range strings.SplitSeq(inner, `",`) {
		if name, _, ok := strings.Cut(pair, "="); ok && name != "le" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	p.labels[family] = names
}

// want checks samples, and that no others have the same name.
func (p *page) want(name string, samples map[string]float64) {
	p.t.Helper()
	got := map[string]float64{}
	for key, value := range p.samples {
		if n, rest, _ := strings.Cut(key, "{"); n == name {
			got[strings.TrimSuffix(rest, "}")] = value
		}
	}
	if !maps.Equal(got, samples) {
		p.t.Errorf("%s is\n%v, want\n%v", name, got, samples)
	}
}

// busy is a Metrics in which every metric has a sample.
func busy() *Metrics {
	m := NewMetrics(Build{Version: "v1.2.3", Revision: "abc"})
	m.Know(Names{Sources: []string{"courier-app"}, DeliveryIDs: []string{"SF"}, Routes: []string{"/v1/events"}, Errcodes: []int{0, -1}})
	m.Collect(Sources{
		Spans: func() (int64, int64) { return 7, 1 },
		Stages: func() []StageAge {
			return []StageAge{{"SF", "in_transit", time.Now().Add(-time.Hour)}, {"SF", "nonsense", time.Now()}}
		},
		Stats: func() store.Stats {
			return store.Stats{
				Pushes: map[string]map[store.Status]int64{
					"SF": {store.Pending: 3, store.Delivered: 4}, "OLD": {store.Failed: 1},
				},
				Held: 2, Oldest: map[string]time.Time{"SF": time.Now().Add(-90 * time.Second)},
				Notices: 6, OldestNotice: time.Now().Add(-90 * time.Second),
				Commits: 10, CommitTime: 1500 * time.Millisecond, Rows: 20, FreeBytes: 1 << 30,
				Nodes: &store.NodeStats{Alive: 3, Slots: 86, RenewedAt: time.Now().Add(-2 * time.Second), Takeovers: 1, RoundTrips: 25},
			}
		},
		Accounts: func() []AccountSnapshot {
			return []AccountSnapshot{
				{
					DeliveryID: "SF", Breaker: map[string]string{"a.example": "half_open", "b.example": "closed"},
					Paused: true, GuardTripped: true, InFlight: 7, TokenExpiresAt: time.Unix(1_700_000_000, 500_000_000),
					QuotaUsed: 900, QuotaLimit: 1000, QuotaEndsAt: time.Unix(1_700_000_100, 0),
				},
				{DeliveryID: "YTO", NoToken: true},
			}
		},
	})
	m.Events("courier-app", "accepted", 2)
	m.Events("courier-app", "accepted", 1)
	m.Events("", "unauthorized", 1)
	m.Callback("SF", "add_waybill", "accepted")
	m.Callback("", "", "unknown")
	m.Attempt("SF", "ok", new(0), 30*time.Millisecond)
	m.Attempt("SF", "upstream", nil, 10*time.Second)
	m.Ended("SF", "delivered", 2*time.Hour)
	m.Ended("SF", "failed", time.Hour)
	m.HTTPRequest("/v1/events", 202, 3*time.Millisecond)
	m.HTTPRequest("", 404, time.Millisecond)
	m.NATSConnected(true)
	m.NATSReconnected()
	m.NATSMessages("acked", 5)
	m.NATSMessages("dead", 1)
	m.NATSRedelivered(2)
	m.NATSBacklog(7, 3)
	m.Verified("same")
	return m
}

func TestCounted(t *testing.T) {
	p := read(t, busy())
	p.want("carrier_callbacks_total", map[string]float64{
		`delivery_id="",event="",result="unknown"`: 1, `delivery_id="SF",event="add_waybill",result="accepted"`: 1,
	})
	p.want("carrier_events_total", map[string]float64{
		`source="courier-app",verdict="accepted"`: 3, `source="",verdict="unauthorized"`: 1,
	})
	p.want("carrier_push_attempts_total", map[string]float64{
		`delivery_id="SF",scope="ok"`: 1, `delivery_id="SF",scope="upstream"`: 1,
	})
	p.want("carrier_push_answers_total", map[string]float64{`delivery_id="SF",errcode="0"`: 1, `delivery_id="SF",errcode="none"`: 1})
	p.want("carrier_pushes_total", map[string]float64{
		`delivery_id="SF",status="delivered"`: 1, `delivery_id="SF",status="failed"`: 1,
	})
	p.want("carrier_push_attempt_duration_seconds_count", map[string]float64{`delivery_id="SF"`: 2})
	p.want("carrier_push_attempt_duration_seconds_sum", map[string]float64{`delivery_id="SF"`: 10.03})
	// Only what was delivered has a delay, and two hours are within the buckets.
	p.want("carrier_delivery_delay_seconds_count", map[string]float64{`delivery_id="SF"`: 1})
	p.want("carrier_delivery_delay_seconds_sum", map[string]float64{`delivery_id="SF"`: 7200})
	for le, want := range map[string]float64{"3600": 0, "14400": 1, "259200": 1, "+Inf": 1} {
		key := `carrier_delivery_delay_seconds_bucket{delivery_id="SF",le="` + le + `"}`
		if got, ok := p.samples[key]; !ok || got != want {
			t.Errorf("%s is %v (%v), want %v", key, got, ok, want)
		}
	}
	p.want("carrier_http_requests_total", map[string]float64{
		`code="202",route="/v1/events"`: 1, `code="404",route="none"`: 1,
	})
	p.want("carrier_http_request_duration_seconds_count", map[string]float64{
		`route="/v1/events"`: 1, `route="none"`: 1,
	})
}

func TestSampled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // For the clock: the age is exact.
		p := read(t, busy())
		p.want("carrier_pushes", map[string]float64{
			`delivery_id="SF",status="pending"`: 3, `delivery_id="SF",status="delivered"`: 4,
			`delivery_id="SF",status="failed"`: 0, `delivery_id="SF",status="discarded"`: 0,
			`delivery_id="YTO",status="pending"`: 0, `delivery_id="YTO",status="delivered"`: 0,
			`delivery_id="YTO",status="failed"`: 0, `delivery_id="YTO",status="discarded"`: 0,
			`delivery_id="OLD",status="pending"`: 0, `delivery_id="OLD",status="delivered"`: 0,
			`delivery_id="OLD",status="failed"`: 1, `delivery_id="OLD",status="discarded"`: 0,
		})
		p.want("carrier_oldest_pending_seconds", map[string]float64{
			`delivery_id="SF"`: 90, `delivery_id="YTO"`: 0, `delivery_id="OLD"`: 0,
		})
		p.want("carrier_held_events", map[string]float64{"": 2})
		p.want("carrier_nats_untold_outcomes", map[string]float64{"": 6})
		p.want("carrier_nats_oldest_untold_outcome_seconds", map[string]float64{"": 90})
		p.want("carrier_breaker_state", map[string]float64{
			`delivery_id="SF",host="a.example",state="closed"`:    0,
			`delivery_id="SF",host="a.example",state="open"`:      0,
			`delivery_id="SF",host="a.example",state="half_open"`: 1,
			`delivery_id="SF",host="b.example",state="closed"`:    1,
			`delivery_id="SF",host="b.example",state="open"`:      0,
			`delivery_id="SF",host="b.example",state="half_open"`: 0,
		})
		p.want("carrier_account_paused", map[string]float64{`delivery_id="SF"`: 1, `delivery_id="YTO"`: 0})
		p.want("carrier_account_guard_tripped", map[string]float64{`delivery_id="SF"`: 1, `delivery_id="YTO"`: 0})
		p.want("carrier_pushes_in_flight", map[string]float64{`delivery_id="SF"`: 7, `delivery_id="YTO"`: 0})
		p.want("carrier_access_token_expires_timestamp_seconds", map[string]float64{`delivery_id="SF"`: 1_700_000_000.5})
		p.want("carrier_store_commits_total", map[string]float64{"": 10})
		p.want("carrier_store_commit_seconds_total", map[string]float64{"": 1.5})
		p.want("carrier_store_rows_total", map[string]float64{"": 20})
		p.want("carrier_store_free_bytes", map[string]float64{"": 1 << 30})
		p.want("carrier_waybill_stage_oldest_seconds", map[string]float64{`delivery_id="SF",stage="in_transit"`: 3600})
		p.want("carrier_nodes", map[string]float64{"": 3})
		p.want("carrier_node_slots", map[string]float64{"": 86})
		p.want("carrier_node_takeovers_total", map[string]float64{"": 1})
		p.want("carrier_node_lease_age_seconds", map[string]float64{"": 2})
		p.want("carrier_store_round_trips_total", map[string]float64{"": 25})
		p.want("carrier_trace_spans_total", map[string]float64{`outcome="exported"`: 7, `outcome="lost"`: 1})
		p.want("carrier_build_info", map[string]float64{
			`goversion="` + runtime.Version() + `",revision="abc",version="v1.2.3"`: 1,
		})
	})
}

// TestReferenceIsWhatMetricsShows: the table and the page hold the same names, types, labels and meanings.
func TestReferenceIsWhatMetricsShows(t *testing.T) {
	p := read(t, busy())
	rows := tableRows(t, Reference(false))
	for name, row := range rows {
		if row.kind != p.kind[name] || row.meaning != p.help[name] || !slices.Equal(row.labels, p.labels[name]) {
			t.Errorf("the table says %+v of %s, /metrics %s %v: %s", row, name, p.kind[name], p.labels[name], p.help[name])
		}
	}
	for name := range p.kind {
		own := strings.HasPrefix(name, "carrier_")
		if _, ok := rows[name]; own != ok {
			t.Errorf("%s: in the table %v, our own %v", name, ok, own)
		}
		if !own && !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			t.Errorf("%s is neither ours nor of the runtime or the process", name)
		}
	}
	for _, name := range []string{"go_goroutines", "process_resident_memory_bytes"} {
		if _, ok := p.kind[name]; !ok && runtime.GOOS == "linux" {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestReferenceInChinese(t *testing.T) {
	en, zh := tableRows(t, Reference(false)), tableRows(t, Reference(true))
	if len(en) != len(zh) {
		t.Errorf("%d rows, in English %d", len(zh), len(en))
	}
	for name, row := range zh {
		if row.kind != en[name].kind || !slices.Equal(row.labels, en[name].labels) {
			t.Errorf("%s is %+v, in English %+v", name, row, en[name])
		}
		if !strings.ContainsFunc(row.meaning, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
			t.Errorf("%s means %q", name, row.meaning)
		}
	}
}

type row struct {
	kind    string
	labels  []string
	meaning string
}

func tableRows(t *testing.T, table string) map[string]row {
	t.Helper()
	rows := map[string]row{}
	for i, line := range strings.Split(strings.TrimSuffix(table, "\n"), "\n") {
		cols := strings.Split(line, "|")
		if len(cols) != 6 {
			t.Fatalf("line %d has %d columns: %s", i, len(cols)-2, line)
		}
		if i < 2 {
			continue
		}
		labels := []string{}
		for l := range strings.SplitSeq(cols[3], ",") {
			if l = strings.Trim(l, " `"); l != "" {
				labels = append(labels, l)
			}
		}
		slices.Sort(labels)
		name := strings.Trim(cols[1], " `")
		if _, ok := rows[name]; ok {
			t.Errorf("%s is there twice", name)
		}
		rows[name] = row{strings.TrimSpace(cols[2]), labels, strings.TrimSpace(cols[4])}
	}
	return rows
}

func TestScrapeWithoutSources(t *testing.T) {
	tests := []struct {
		name    string
		sources *Sources
	}{
		{"none yet", nil}, {"empty", &Sources{}},
		{"nothing known", &Sources{Stats: func() store.Stats { return store.Stats{} },
			Accounts: func() []AccountSnapshot { return nil }}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := NewMetrics(Build{GoVersion: "go9"})
			if tt.sources != nil {
				m.Collect(*tt.sources)
			}
			p := read(t, m)
			p.want("carrier_build_info", map[string]float64{`goversion="go9",revision="",version=""`: 1})
			p.want("carrier_pushes", map[string]float64{})
			p.want("carrier_store_free_bytes", map[string]float64{})
		})
	}
}

// TestSeriesAreBounded: nothing that is not known becomes a label, whatever is told.
func TestSeriesAreBounded(t *testing.T) {
	m := busy()
	before := len(read(t, m).samples)
	const strange = "strange-"
	for i := range 500 {
		text := strange + strconv.Itoa(i)
		m.Events(text, text, 1)
		m.Callback(text, text, text)
		m.Attempt(text, text, new(1000+i), time.Second)
		m.Ended(text, text, time.Second)
		m.HTTPRequest("/"+text, 600+i, time.Second)
		m.NATSMessages(text, 1)
		m.Verified(text)
	}
	after := read(t, m).samples
	for name := range after {
		if strings.Contains(name, strange) {
			t.Fatalf("there is a series %s", name)
		}
	}
	// One more series of each counter, and of each histogram its buckets, sum and count.
	if more := len(after) - before; more > 100 {
		t.Errorf("%d series came of strange words", more)
	}
	for name, value := range map[string]float64{
		`carrier_events_total{source="other",verdict="other"}`: 500, `carrier_push_answers_total{delivery_id="other",errcode="other"}`: 500,
		`carrier_http_requests_total{code="other",route="other"}`: 500,
	} {
		if after[name] != value {
			t.Errorf("%s is %v, want %v", name, after[name], value)
		}
	}
}

func TestCollectReplacesItsSources(t *testing.T) {
	m := busy()
	m.Collect(Sources{Stats: func() store.Stats { return store.Stats{Held: 99} }})
	p := read(t, m)
	p.want("carrier_held_events", map[string]float64{"": 99})
	p.want("carrier_account_paused", map[string]float64{})
}

func TestNilMetricsDoNothing(t *testing.T) {
	var m *Metrics
	m.Collect(Sources{})
	m.Events("s", "accepted", 1)
	m.Attempt("SF", "ok", new(0), 1)
	m.Ended("SF", "delivered", 1)
	m.HTTPRequest("/", 200, 1)
	m.NATSConnected(true)
	m.NATSReconnected()
	m.NATSMessages("acked", 1)
	m.NATSRedelivered(1)
	m.NATSBacklog(1, 1)
	m.Verified("same")
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if rec.Code != http.StatusNotFound {
		t.Errorf("status %d, want 404", rec.Code)
	}
}

func TestOddValuesAreSurvived(t *testing.T) {
	m := NewMetrics(Build{Version: "\xff"})
	m.Events("\xff\xfe", "accepted", 1)
	m.Events("s", "accepted", 0)
	m.Events("s", "accepted", -1) // A counter panics on it.
	m.Attempt("\xff", "\xff", new(77), -time.Second)
	m.Ended("\xff", "delivered", -time.Hour)
	m.HTTPRequest("\xff", -1, -1)
	m.Verified("\xff")
	m.Collect(Sources{
		Stats: func() store.Stats {
			return store.Stats{Oldest: map[string]time.Time{"SF": time.Now().Add(time.Hour)}}
		},
		// The same account twice makes two samples of one name; the rest must still be shown.
		Accounts: func() []AccountSnapshot { return []AccountSnapshot{{DeliveryID: "SF"}, {DeliveryID: "SF"}} },
	})
	p := read(t, m)
	p.want("carrier_events_total", map[string]float64{`source="other",verdict="accepted"`: 1})
	p.want("carrier_oldest_pending_seconds", map[string]float64{`delivery_id="SF"`: 0})
	p.want("carrier_delivery_delay_seconds_sum", map[string]float64{`delivery_id="other"`: 0})
}

// TestRegistriesAreTheirOwn: two services in one process (tests, the demo) must not meet in a global.
func TestRegistriesAreTheirOwn(t *testing.T) {
	a, b := NewMetrics(Build{}), NewMetrics(Build{})
	a.Events("s", "accepted", 1)
	read(t, b).want("carrier_events_total", map[string]float64{})
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "carrier_") {
			t.Errorf("%s is in the default registry", f.GetName())
		}
	}
}
