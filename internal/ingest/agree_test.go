package ingest

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"carrier/internal/problem"
	"carrier/internal/state"
	"carrier/internal/store"
)

// sending is what is sent both ways, and what the store makes of it.
type sending struct {
	header http.Header // With a content-type: without one, the two ways differ on purpose.
	body   string
	batch  bool
	result store.Result // Of every event.
	err    error        // Of Apply.
	ready  error
}

// trail is what a sending leaves: what its sender is told, and everything else.
type trail struct {
	answer   string
	after    int // Seconds, of Retry-After.
	events   []state.Event
	observed map[string]int
	log      string
}

func (a *trail) differ(b *trail) string {
	for _, d := range []struct {
		what string
		same bool
	}{
		{"answer", a.answer == b.answer},
		{"time to wait", a.after == b.after},
		{"events", slices.Equal(a.events, b.events)},
		{"counts", maps.Equal(a.observed, b.observed)},
		{"log", a.log == b.log},
	} {
		if !d.same {
			return fmt.Sprintf("the %s differ\n%+v\n%+v", d.what, a, b)
		}
	}
	return ""
}

// disagree sends s by HTTP and as a message whose names of headers are respelled, and tells of a difference.
func (s *sending) disagree(t *testing.T, respell func(string) string) string {
	byHTTP := newBench(t, restricted)
	s.prepare(byHTTP)
	path := "/v1/events"
	if s.batch {
		path += "/batch"
	}
	r := newPost(path, s.body)
	for name, values := range s.header {
		r.Header[name] = values
	}
	a := byHTTP.do(r)
	after, _ := strconv.Atoi(a.Header().Get("Retry-After"))
	want := byHTTP.trail(a.text, after)

	byMessage := newBench(t, restricted)
	s.prepare(byMessage)
	h := make(headers)
	for name, values := range s.header {
		h[respell(name)] = values
	}
	answer, after := s.take(byMessage, message(s.body, h))
	got := byMessage.trail(answer, after)
	return want.differ(&got)
}

func (s *sending) prepare(b *bench) {
	b.store.ready = s.ready
	b.store.decide = func(events []state.Event) ([]store.Result, error) {
		return slices.Repeat([]store.Result{s.result}, len(events)), s.err
	}
}

// take gives what a way that answers would answer.
func (s *sending) take(b *bench, m Message) (answer string, after int) {
	language := problem.Negotiate(s.header.Get("Accept-Language"))
	text, p := []byte(nil), (*problem.Problem)(nil)
	if s.batch {
		text, p = b.hook.TakeBatch(b.t.Context(), m)
	} else {
		r := b.takeOne(m)
		text, p = r.Answer, r.Problem
	}
	if p != nil {
		return string(p.JSON(language)), p.RetrySeconds()
	}
	return string(text), 0
}

var logTime = regexp.MustCompile(`"time":"[^"]*"`)

func (b *bench) trail(answer string, after int) trail {
	return trail{
		answer: answer, after: after, events: b.store.all(), observed: b.observed,
		log: string(logTime.ReplaceAll(bytes.Clone(b.log.Bytes()), nil)),
	}
}

// TestBothWaysAgree sends every malformed body, and many drawn sendings, by HTTP and as messages.
func TestBothWaysAgree(t *testing.T) {
	plain := http.Header{"Content-Type": {"application/json"}}
	for _, c := range malformedCases() {
		s := sending{header: plain, body: c.body, result: store.Result{Seq: 1, Verdict: state.Accepted}}
		if d := s.disagree(t, strings.ToLower); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
	fit, mixed := fitShapes(), mixedShapes()
	rapid.Check(t, func(rt *rapid.T) {
		s := drawSending(rt, fit, mixed)
		if d := s.disagree(t, func(name string) string { return drawSpelling(rt, name) }); d != "" {
			rt.Fatalf("%+v: %s", s, d)
		}
	})
}

// shape is a form in which events are sent, with bodies to send in it.
type shape struct {
	contentType string
	batch       bool
	binary      bool
	bodies      []string
}

// fitShapes are the forms with bodies of their own, of which many are well.
func fitShapes() []shape {
	clouds := []string{envelopeOf(), envelopeOf("id", "-"), envelopeOf("traceparent", quoted(goodTrace)), envelopeOf("data", good())}
	plain := []string{good(), goodEvent, with("delivery_id", `"YTO"`), noID(), with("action_type", "1"), "{", "\xff"}
	many := append([]string{"7"}, plain[:5]...)
	return []shape{
		{"application/json", false, false, plain},
		{"application/json", false, true, []string{noID(), with("id", `"ce-1"`), good(), "{"}},
		{"application/cloudevents+json", false, false, clouds},
		{"application/json", true, false, []string{"[" + strings.Join(many, ",") + "]", "[]", "{}", "["}},
		{"application/x-ndjson", true, false, []string{strings.Join(append(many, plain...), "\n"), "", strings.Repeat("[]\n", MaxBatch+1)}},
		{"application/cloudevents-batch+json", true, false, []string{"[" + strings.Join(clouds, ",") + "]"}},
	}
}

// mixedShapes are all media types with bodies that need not fit.
func mixedShapes() (all []shape) {
	for _, contentType := range []string{"application/json", "application/cloudevents+json", "application/x-ndjson",
		"application/cloudevents-batch+json", "application/json; charset=gbk", "text/plain", ""} {
		for _, batch := range []bool{false, true} {
			all = append(all, shape{contentType, batch, batch, seedBodies()})
		}
	}
	return all
}

func drawSending(t *rapid.T, fit, mixed []shape) sending {
	as := rapid.OneOf(rapid.SampledFrom(fit), rapid.SampledFrom(mixed)).Draw(t, "shape")
	s := sending{
		body: rapid.SampledFrom(as.bodies).Draw(t, "body"), batch: as.batch, header: http.Header{"Content-Type": {as.contentType}},
		result: store.Result{
			Seq: 7, Verdict: rapid.SampledFrom(state.Verdicts()).Draw(t, "verdict"), Original: state.Accepted, Late: rapid.Bool().Draw(t, "late"),
			From: state.PickedUp, Allowed: []state.ActionType{state.Transit}, Cause: rapid.Uint64Range(0, 1).Draw(t, "cause"),
		},
		ready: rapid.SampledFrom([]error{nil, nil, nil, nil, nil, nil, store.ErrDiskLow}).Draw(t, "ready"),
		err:   rapid.SampledFrom([]error{nil, nil, nil, nil, store.ErrClosing, store.ErrDamaged}).Draw(t, "err"),
	}
	// add gives a header one of values, or none; now and then two.
	add := func(name string, counts []int, values ...string) {
		for range rapid.SampledFrom(counts).Draw(t, "number of "+name) {
			s.header.Add(name, rapid.SampledFrom(values).Draw(t, name))
		}
	}
	often, seldom := []int{1, 1, 1, 1, 1, 1, 1, 1, 0, 2}, []int{0, 0, 0, 0, 0, 0, 0, 1}
	if as.binary {
		add("Ce-Id", often, "ce-1", "ce-1", "%41", "%", "")
		add("Ce-Source", often, "/s")
		add("Ce-Type", often, "t")
		add("Ce-Specversion", often, "1.0", "1.0", "1.0", "0.3")
		add("Ce-Traceparent", often, otherTrace)
	}
	add("Accept-Language", often, "zh", "en", "de, zh;q=0.5")
	add("Traceparent", often, goodTrace, "x")
	add("Content-Encoding", seldom, "identity", "gzip")
	return s
}

// drawSpelling is a name in another letter case.
func drawSpelling(t *rapid.T, name string) string {
	return strings.Map(func(r rune) rune {
		if rapid.Bool().Draw(t, "upper") {
			return []rune(strings.ToUpper(string(r)))[0]
		}
		return []rune(strings.ToLower(string(r)))[0]
	}, name)
}

// FuzzMessage sends what a stranger may publish: any name, any header, any body.
func FuzzMessage(f *testing.F) {
	f.Add("courier-app", "Nats-Msg-Id", "a", "traceparent", goodTrace, []byte(noID()), false)
	f.Add("dispatch", "content-type", "application/cloudevents+json", "CE-ID", "%41", []byte(envelopeOf()), false)
	f.Add("wechat", "ce-id", "a", "Ce-Id", "b", []byte(good()), false)
	f.Add("a.b", "", "", "x y", "\xff\x00", []byte("{"), false)
	f.Add("x", "CONTENT-type", "application/x-ndjson", "accept-language", "zh", []byte(good()+"\n"+noID()), true)
	f.Fuzz(func(t *testing.T, source, name1, value1, name2, value2 string, body []byte, batch bool) {
		b := newBench(t)
		m := Message{Source: source, Header: headers{name1: {value1}, name2: {value2}}, Body: bytes.Clone(body)}
		if batch {
			if answer, p := b.hook.TakeBatch(t.Context(), m); (p == nil) == (answer == nil) {
				t.Errorf("answer %s and problem %v", answer, p)
			}
		} else {
			r := b.takeOne(m)
			if len(b.store.all()) != 0 != r.Durable() {
				t.Errorf("stored %v, and said %s", b.store.all(), outcome(&r))
			}
		}
		if !bytes.Equal(m.Body, body) || len(m.Header[name1]) != 1 || len(m.Header[name2]) != 1 {
			t.Errorf("the message was changed: %v", m)
		}
		for _, e := range b.store.all() {
			if e.Source != source || !isSourceName(source) || source == reservedSource || e.Trace != "" && !isTraceparent(e.Trace) {
				t.Errorf("stored %+v of %q", e, source)
			}
		}
		for label := range b.observed {
			if source, _, _ := strings.Cut(label, " "); source != "courier-app" && source != OtherSource {
				t.Errorf("a label of a stranger's: %q", label)
			}
		}
	})
}

// BenchmarkTake is a Take of 1,000 messages; ns/event is the figure to look at, beside BenchmarkBatch's.
func BenchmarkTake(b *testing.B) {
	n := noopStore{results: slices.Repeat([]store.Result{{Seq: 1, Verdict: state.Accepted, Stage: state.OutForDelivery}}, MaxBatch)}
	hook, err := New(Options{Store: n, Sources: []Source{{Name: "s", APIKey: testKey}}, DeliveryIDs: []string{"SF"}})
	if err != nil {
		b.Fatal(err)
	}
	for name, h := range map[string]headers{
		"bare":    nil,
		"headers": {"Content-Type": {"application/json"}, "Nats-Msg-Id": {"scan-0001"}, "traceparent": {goodTrace}},
	} {
		b.Run(name, func(b *testing.B) {
			messages := slices.Repeat([]Message{{Source: "s", Header: h, Body: []byte(goodEvent)}}, MaxBatch)
			b.ReportAllocs()
			for b.Loop() {
				if r := hook.Take(b.Context(), messages); !r[MaxBatch-1].Durable() {
					b.Fatal(r[MaxBatch-1].Problem)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/MaxBatch, "ns/event")
		})
	}
}
