package telemetry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"carrier/internal/spans"
)

// environment sets OpenTelemetry's variables, and no others of them.
func environment(t *testing.T, pairs map[string]string) {
	t.Helper()
	for _, name := range []string{envDisabled, envExporter, envEndpoint, envTracesEndpoint, envProtocol, envTracesProtocol, envSampler,
		envSamplerArg, "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"} {
		t.Setenv(name, pairs[name])
	}
}

func TestTracingIsOffWithoutAnEndpoint(t *testing.T) {
	for name, env := range map[string]map[string]string{
		"nothing is set":       {},
		"only a name":          {"OTEL_SERVICE_NAME": "carrier"},
		"the SDK is off":       {envEndpoint: "http://127.0.0.1:4318", envDisabled: "TRUE"},
		"there is no exporter": {envEndpoint: "http://127.0.0.1:4318", envExporter: "none"},
	} {
		t.Run(name, func(t *testing.T) {
			environment(t, env)
			tracing, err := NewTracing(t.Context(), TracingOptions{})
			if err != nil || tracing != nil || tracing.Tracer() != nil {
				t.Errorf("tracing is %v, %v", tracing, err)
			}
			tracing.Flush()
		})
	}
}

// collector is an OpenTelemetry collector that speaks OTLP over HTTP. It is safe for concurrent use.
type collector struct {
	mu  sync.Mutex
	got []*coltracepb.ExportTraceServiceRequest
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var req coltracepb.ExportTraceServiceRequest
	if err := proto.Unmarshal(body, &req); err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, "not OTLP", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, &req)
}

// TestSpansReachACollector sends spans the whole way, with phone numbers in ids.
func TestSpansReachACollector(t *testing.T) {
	c := &collector{}
	server := httptest.NewUnstartedServer(c)
	server.Config.SetKeepAlivesEnabled(false)
	server.Start()
	defer server.Close()
	environment(t, map[string]string{envEndpoint: server.URL, "OTEL_SERVICE_NAME": "courier-3"})
	tracing, err := NewTracing(t.Context(), TracingOptions{Version: "v1"})
	if err != nil {
		t.Fatal(err)
	}
	_, span := tracing.Tracer().Root(t.Context(), "updatePath", trace.SpanKindClient, time.Time{}, spans.EventID("call 18612345678 \x1b[31mnow"), spans.Errcode(-1))
	span.End()
	tracing.Flush()
	tracing.Flush() // Again does no harm.

	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.got) != 1 || len(c.got[0].ResourceSpans) != 1 {
		t.Fatalf("the collector has %v", c.got)
	}
	text := c.got[0].String()
	for _, want := range []string{"courier-3", "updatePath", "186****5678", "service.version", "v1"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %s", want, text)
		}
	}
	for _, not := range []string{"18612345678", "[31m"} {
		if strings.Contains(text, not) {
			t.Errorf("%q is in %s", not, text)
		}
	}
	if exported, lost := tracing.Counts(); exported != 1 || lost != 0 {
		t.Errorf("%d spans are exported, %d lost", exported, lost)
	}
}

// TestACollectorThatHangs neither holds up who makes spans nor the stop for longer than it is given.
func TestACollectorThatHangs(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(release)
	environment(t, map[string]string{envTracesEndpoint: server.URL})
	log := &bytes.Buffer{}
	tracing, err := NewTracing(t.Context(), TracingOptions{Log: NewLogger(log, "info", "text")})
	if err != nil {
		t.Fatal(err)
	}
	tracer := tracing.Tracer()
	for range 10_000 { // More than wait in the queue.
		_, span := tracer.Root(t.Context(), "x", trace.SpanKindClient, time.Time{})
		span.End()
	}
	tracing.Flush()
}

// failing is an exporter that fails while err is set.
type failing struct {
	*tracetest.InMemoryExporter
	err error
}

func (f *failing) ExportSpans(ctx context.Context, all []sdktrace.ReadOnlySpan) error {
	if f.err != nil {
		return f.err
	}
	return f.InMemoryExporter.ExportSpans(ctx, all)
}

// TestLostSpansAreToldOnce: when it begins, and when it ends.
func TestLostSpansAreToldOnce(t *testing.T) {
	log := &bytes.Buffer{}
	to := &failing{tracetest.NewInMemoryExporter(), errors.New("connection refused " + strings.Repeat("x", 1000))}
	e := newExporter(to, NewLogger(log, "info", "text"))
	one := tracetest.SpanStubs{{Name: "x"}}.Snapshots()
	for range 5 {
		if err := e.ExportSpans(t.Context(), one); err != nil {
			t.Errorf("an error gets out: %v", err)
		}
	}
	to.err = nil
	for range 2 {
		_ = e.ExportSpans(t.Context(), one)
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "connection refused") || len(lines[0]) > 700 || !strings.Contains(lines[1], "takes spans again") {
		t.Errorf("logged is:\n%s", log)
	}
	if e.exported.Load() != 2 || e.lost.Load() != 5 {
		t.Errorf("%d exported, %d lost", e.exported.Load(), e.lost.Load())
	}
	log.Reset()
	o := newOnce(NewLogger(log, "info", "text"))
	for range 3 {
		o.Handle(errors.New("partial success"))
	}
	if strings.Count(log.String(), "\n") != 1 {
		t.Errorf("logged is:\n%s", log)
	}
}

func TestSampler(t *testing.T) {
	sampled := spans.Parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	unsampled := spans.Parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")
	for _, tt := range []struct {
		name, sampler, arg     string
		root, under, underNone bool // Without a parent, with one that is sampled, with one that isn't.
		wrong                  bool
	}{
		{"the default", "", "", true, true, false, false},
		{"always", "always_on", "", true, true, true, false},
		{"never", "always_off", "", false, false, false, false},
		{"what others sample", "parentbased_always_off", "", false, true, false, false},
		{"what others sample, and all else", " ParentBased_Always_On ", "", true, true, false, false},
		{"none by share", "traceidratio", "0", false, false, false, false},
		{"all by share", "traceidratio", "", true, true, true, false},
		{"none by share but what others sample", "parentbased_traceidratio", "0.0", false, true, false, false},
		{"no share", "parentbased_traceidratio", "2", true, true, false, true},
		{"no number", "traceidratio", "NaN", true, true, false, true},
		{"none of them", "jaeger_remote", "", true, true, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := samplerOf(tt.sampler, tt.arg)
			if (err != nil) != tt.wrong {
				t.Errorf("the error is %v", err)
			}
			decide := func(p sdktrace.SamplingParameters) bool {
				p.TraceID = sampled.TraceID()
				return linked{s}.ShouldSample(p).Decision == sdktrace.RecordAndSample
			}
			if got := decide(sdktrace.SamplingParameters{ParentContext: t.Context()}); got != tt.root {
				t.Errorf("without a parent: %v", got)
			}
			for want, sc := range map[bool]trace.SpanContext{tt.under: sampled, tt.underNone: unsampled} {
				if tt.under == tt.underNone {
					continue
				}
				under := decide(sdktrace.SamplingParameters{ParentContext: trace.ContextWithRemoteSpanContext(t.Context(), sc)})
				linkedTo := decide(sdktrace.SamplingParameters{ParentContext: t.Context(), Links: []trace.Link{{SpanContext: sc}}})
				if under != want || linkedTo != want {
					t.Errorf("sampled %v: as a child %v, with a link %v", sc.IsSampled(), under, linkedTo)
				}
			}
		})
	}
}
