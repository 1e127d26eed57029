package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"carrier/internal/state"
	"carrier/internal/store"
)

// BenchmarkRead is everything from the bytes of a body to a valid event.
func BenchmarkRead(b *testing.B) {
	r := testRules(b, "SF")
	s := &source{name: "s"}
	now := time.Now()
	for name, body := range map[string]string{
		"plain":      goodEvent,
		"escaped":    strings.Replace(goodEvent, "正在派件", `\u6b63\u5728\u6d3e\u4ef6`, 1),
		"cloudevent": envelopeOf(),
	} {
		b.Run(name, func(b *testing.B) {
			f := formatJSON
			if name == "cloudevent" {
				f = formatCloudEvent
			}
			text := []byte(body)
			b.ReportAllocs()
			for b.Loop() {
				if got := r.read(text, f, nil, s, now); got.problem != nil {
					b.Fatal(got.problem)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	text := []byte(goodEvent)
	b.ReportAllocs()
	for b.Loop() {
		var w wire
		if errs := decode(text, &w); errs != nil {
			b.Fatal(errs)
		}
	}
}

func BenchmarkJSONValid(b *testing.B) {
	text := []byte(goodEvent)
	for b.Loop() {
		if !json.Valid(text) {
			b.Fatal("invalid")
		}
	}
}

func BenchmarkRulesByHand(b *testing.B) {
	r, now := testRules(b, "SF"), time.Now()
	var w wire
	decode([]byte(goodEvent), &w)
	b.ReportAllocs()
	for b.Loop() {
		if !r.kept(&w, now) {
			b.Fatal("broken")
		}
	}
}

func BenchmarkRulesByTags(b *testing.B) {
	r, now := testRules(b, "SF"), time.Now()
	var w wire
	decode([]byte(goodEvent), &w)
	b.ReportAllocs()
	for b.Loop() {
		if err := r.validate.Struct(r.tagged(&w, now)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStandard is what the package replaces: encoding/json, which is less strict, and the validator.
func BenchmarkStandard(b *testing.B) {
	r, now := testRules(b, "SF"), time.Now()
	b.ReportAllocs()
	for b.Loop() {
		s, err := decodeStandard([]byte(goodEvent))
		if err != nil {
			b.Fatal(err)
		}
		t := &tagged{ID: *s.ID, DeliveryID: *s.DeliveryID, WaybillID: *s.WaybillID, ActionType: s.ActionType, ActionTime: s.ActionTime,
			ActionMsg: *s.ActionMsg, Token: *s.Token, rules: r, now: now}
		if err := r.validate.Struct(t); err != nil {
			b.Fatal(err)
		}
	}
}

// noopStore accepts everything at once.
type noopStore struct{ results []store.Result }

func (noopStore) Ready() error { return nil }

func (n noopStore) Apply(_ context.Context, events []state.Event) ([]store.Result, error) {
	return n.results[:len(events)], nil
}

// nullWriter is a ResponseWriter that keeps only its header.
type nullWriter struct{ h http.Header }

func (w nullWriter) Header() http.Header       { return w.h }
func (nullWriter) Write(p []byte) (int, error) { return len(p), nil }
func (nullWriter) WriteHeader(int)             {}

func benchmarkHandler(b *testing.B, path, contentType, body string, change func(*Options, *http.Request)) {
	n := noopStore{results: make([]store.Result, MaxBatch)}
	for i := range n.results {
		n.results[i] = store.Result{Seq: uint64(i), Verdict: state.Accepted, Stage: state.OutForDelivery}
	}
	o := Options{Store: n, Sources: []Source{{Name: "s", APIKey: testKey}}, DeliveryIDs: []string{"SF"}}
	r := httptest.NewRequest(http.MethodPost, path, nil)
	r.Header.Set("Authorization", "Bearer "+testKey)
	r.Header.Set("Content-Type", contentType)
	r.ContentLength = int64(len(body))
	change(&o, r)
	hook, err := New(o)
	if err != nil {
		b.Fatal(err)
	}
	e := echo.New()
	e.POST("/v1/events", hook.Event)
	e.POST("/v1/events/batch", hook.Batch)
	text := []byte(body)
	reader := bytes.NewReader(text)
	w := nullWriter{make(http.Header)}
	b.ReportAllocs()
	for b.Loop() {
		reader.Reset(text)
		clear(w.h)
		r.Body = io.NopCloser(reader)
		e.ServeHTTP(w, r)
	}
}

func BenchmarkEvent(b *testing.B) {
	benchmarkHandler(b, "/v1/events", "application/json", goodEvent, func(*Options, *http.Request) {})
}

func BenchmarkEventSigned(b *testing.B) {
	benchmarkHandler(b, "/v1/events", "application/json", goodEvent, func(o *Options, r *http.Request) {
		key := mustKey(b, vectorSecret)
		o.Sources = []Source{{Name: "s", SigningKeys: [][]byte{key}}}
		now := strconv.FormatInt(time.Now().Unix(), 10)
		r.Header = signed("m", now, sign(key, "m", now, goodEvent))
		r.Header.Set("Content-Type", "application/json")
	})
}

// BenchmarkBatch is a batch of 1,000; ns/event is the figure to look at.
func BenchmarkBatch(b *testing.B) {
	for name, body := range map[string]string{
		"array":  "[" + strings.TrimSuffix(strings.Repeat(goodEvent+",", MaxBatch), ",") + "]",
		"ndjson": strings.Repeat(goodEvent+"\n", MaxBatch),
	} {
		contentType := map[string]string{"array": "application/json", "ndjson": "application/x-ndjson"}[name]
		b.Run(name, func(b *testing.B) {
			benchmarkHandler(b, "/v1/events/batch", contentType, body, func(*Options, *http.Request) {})
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/MaxBatch, "ns/event")
		})
	}
}

// BenchmarkWrongKey is what a stranger costs.
func BenchmarkWrongKey(b *testing.B) {
	benchmarkHandler(b, "/v1/events", "application/json", goodEvent, func(_ *Options, r *http.Request) {
		r.Header.Set("Authorization", "Bearer wrong")
	})
}
