package telemetry

import (
	"cmp"
	"net/http"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Build says what is running.
type Build struct {
	Version   string
	Revision  string // Of the source; empty if not known.
	GoVersion string // Empty: the one this binary was made with.
}

// Metrics counts what happens. All methods are safe for concurrent use, and do nothing on a nil *Metrics.
type Metrics struct {
	registry *prometheus.Registry
	sampler  *sampler
	known    atomic.Pointer[known]

	events, callbacks, attempts, answers, ended, requests, verified *prometheus.CounterVec
	attemptSeconds, delaySeconds, httpTook                          *prometheus.HistogramVec
	nats                                                            natsMetrics
	reloads                                                         reloadMetrics
}

// NewMetrics makes the metrics of one service, in a registry of their own. What is sampled appears once Collect
// has been told where to read it, and names of the configuration are labels once Know has been told of them.
func NewMetrics(b Build) *Metrics {
	b.GoVersion = cmp.Or(b.GoVersion, runtime.Version())
	r := prometheus.NewRegistry()
	m := &Metrics{
		registry:       r,
		sampler:        newSampler(b),
		events:         eventsTotal.counterVec(r),
		callbacks:      callbacksTotal.counterVec(r),
		attempts:       attemptsTotal.counterVec(r),
		answers:        answersTotal.counterVec(r),
		ended:          endedTotal.counterVec(r),
		attemptSeconds: attemptSeconds.histogramVec(r),
		delaySeconds:   delaySeconds.histogramVec(r),
		requests:       requestsTotal.counterVec(r),
		httpTook:       requestSeconds.histogramVec(r),
		verified:       verifyTotal.counterVec(r),
		nats:           newNATSMetrics(r),
		reloads:        newReloadMetrics(r),
	}
	m.Know(Names{})
	r.MustRegister(m.sampler, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.Reloaded(true, time.Now()) // The one that it starts with.
	return m
}

// Collect says where a scrape reads what is sampled; a later call replaces an earlier one.
func (m *Metrics) Collect(s Sources) {
	if m != nil {
		m.sampler.sources.Store(&s)
	}
}

// Handler answers scrapes.
func (m *Metrics) Handler() http.Handler {
	if m == nil {
		return http.NotFoundHandler()
	}
	// One sample that can't be had must not hide the others. OpenMetrics stays off: it drops _total from a counter's
	// name, and carrier_pushes is a gauge beside carrier_pushes_total.
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

// Events counts n events of a source by verdict, or by the word for why there was none.
func (m *Metrics) Events(source, verdict string, n int) {
	if m != nil && n > 0 {
		m.events.WithLabelValues(m.label("source", source), m.label("verdict", verdict)).Add(float64(n))
	}
}

// Callback counts one of WeChat's own pushes by what it was answered. event is empty if it could not be told.
func (m *Metrics) Callback(deliveryID, event, result string) {
	if m != nil {
		m.callbacks.WithLabelValues(m.label("delivery_id", deliveryID), m.label("event", event), m.label("result", result)).Inc()
	}
}

// Attempt counts one request to upstream: what its answer speaks of ("ok" on success), its errcode (nil: there was none)
// and how long it took.
func (m *Metrics) Attempt(deliveryID, scope string, errcode *int, took time.Duration) {
	if m == nil {
		return
	}
	id := m.label("delivery_id", deliveryID)
	m.attempts.WithLabelValues(id, m.label("scope", scope)).Inc()
	code := "none"
	if errcode != nil {
		code = m.label("errcode", strconv.Itoa(*errcode))
	}
	m.answers.WithLabelValues(id, code).Inc()
	m.attemptSeconds.WithLabelValues(id).Observe(seconds(took))
}

// Ended counts a push that ended with a status, and, if that is "delivered", the time since its event was received.
func (m *Metrics) Ended(deliveryID, status string, sinceReceived time.Duration) {
	if m == nil {
		return
	}
	id := m.label("delivery_id", deliveryID)
	m.ended.WithLabelValues(id, m.label("status", status)).Inc()
	if status == "delivered" {
		m.delaySeconds.WithLabelValues(id).Observe(seconds(sinceReceived))
	}
}

// HTTPRequest counts an answered request. route is the pattern that matched, not the path; "" is a path that none did.
func (m *Metrics) HTTPRequest(route string, status int, took time.Duration) {
	if m == nil {
		return
	}
	route = m.label("route", cmp.Or(route, "none"))
	m.requests.WithLabelValues(route, m.label("code", strconv.Itoa(status))).Inc()
	m.httpTook.WithLabelValues(route).Observe(seconds(took))
}

// Verified counts a waybill that was checked upstream, by what came of it.
func (m *Metrics) Verified(result string) {
	if m != nil {
		m.verified.WithLabelValues(m.label("result", result)).Inc()
	}
}

// seconds is d for a metric; a clock that was set back makes it 0.
func seconds(d time.Duration) float64 { return max(0, d).Seconds() }
