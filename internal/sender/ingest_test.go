package sender_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/labstack/echo/v4"

	"carrier/internal/ingest"
	"carrier/internal/problem"
	"carrier/internal/sender"
	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/wiretest"
)

// machine is a store of nothing but timelines.
type machine struct {
	mu     sync.Mutex
	lines  map[state.Waybill]state.Timeline
	events []state.Event
}

func (m *machine) Ready() error { return nil }

func (m *machine) Apply(_ context.Context, events []state.Event) ([]store.Result, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var results []store.Result
	for _, e := range events {
		seq := uint64(len(m.events) + 1)
		line, d := state.Machine{}.Decide(m.lines[e.Waybill()], state.Entry{Seq: seq, Type: e.Type, Time: e.Time, MsgHash: seq}, 0)
		m.lines[e.Waybill()] = line
		m.events = append(m.events, e)
		results = append(results, store.Result{Verdict: d.Entry.Verdict, Reason: d.Entry.Reason, Gap: d.Entry.Gap, Late: d.Entry.Late, Stage: d.Stage, Seq: seq})
	}
	return results, nil
}

// service is the real webhook, on a real port, over a machine.
func service(t *testing.T, source ingest.Source) (url string, m *machine) {
	t.Helper()
	m = &machine{lines: map[state.Waybill]state.Timeline{}}
	hook, err := ingest.New(ingest.Options{Store: m, Sources: []ingest.Source{source}, DeliveryIDs: []string{"SF"}})
	if err != nil {
		t.Fatal(err)
	}
	e := echo.New()
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		p, ok := errors.AsType[*problem.Problem](err)
		if !ok {
			t.Errorf("the webhook says %v", err)
			p = problem.New(problem.Internal)
		}
		_ = p.Write(c.Response(), c.Request())
	}
	e.POST("/v1/events/batch", hook.Batch)
	srv := httptest.NewServer(e)
	t.Cleanup(srv.Close)
	return srv.URL, m
}

func sendFile(t *testing.T, o sender.Options, path string) (*sender.Summary, error) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, err := sender.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s.Send(t.Context(), reading(t, f, path))
}

// TestSamples: both samples are the same events, all of them legal, and the webhook takes them with a key as well as
// signed.
func TestSamples(t *testing.T) {
	secret := "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("s", 32)))
	signing, err := ingest.ParseSigningSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	var first []state.Event
	for _, test := range []struct {
		name, file string
		source     ingest.Source
		o          sender.Options
	}{
		{"NDJSON with a key", "events.ndjson", ingest.Source{Name: "app", APIKey: testKey}, sender.Options{Key: testKey}},
		{"CSV, signed", "events.csv", ingest.Source{Name: "app", SigningKeys: [][]byte{signing}}, sender.Options{SigningKey: signing}},
	} {
		t.Run(test.name, func(t *testing.T) {
			url, m := service(t, test.source)
			test.o.URL, test.o.Batch, test.o.Parallel = url, 5, 1
			got, err := sendFile(t, test.o, "../../api/samples/"+test.file)
			if err != nil || got.Events != 12 || got.Counts[state.Accepted] != 12 {
				t.Fatalf("%v; %+v", err, got)
			}
			if len(m.lines) != 3 {
				t.Errorf("%d waybills", len(m.lines))
			}
			if first == nil {
				first = m.events
			}
			if !reflect.DeepEqual(m.events, first) {
				t.Errorf("got  %+v\nwant %+v", m.events, first)
			}
			var stages []string
			for _, line := range m.lines {
				stages = append(stages, line.Stage().String())
			}
			if slices.Sort(stages); !slices.Equal(stages, []string{"cancelled", "delivered", "delivery_failed"}) {
				t.Errorf("the stages are %v", stages)
			}
		})
	}
}

// TestRefusalsOfTheService: what the webhook says of an event, of a batch and of a wrong key is told to the user.
func TestRefusalsOfTheService(t *testing.T) {
	url, _ := service(t, ingest.Source{Name: "app", APIKey: testKey})
	o := sender.Options{URL: url, Key: testKey, Parallel: 1}
	bad := `{"id":"e-1","waybill_id":"W","action_type":300003,"action_time":1533052800000,"action_msg":"到"}` + "\n" +
		`{"id":"e-2","waybill_id":"W","action_type":100001,"action_time":1533052800,"action_msg":"到"}` + "\n \n" +
		`{"id":"e-4","waybill_id":"W","action_type":400001,"action_time":1533052801,"action_msg":"到"}` + "\nno JSON\n"
	got, err := send(t, t.Context(), o, bad)
	if err != nil || got.Counts[state.Accepted] != 1 || got.Counts[state.Invalid] != 2 || got.Counts[state.Rejected] != 1 {
		t.Fatalf("%v; %+v", err, got)
	}
	for i, want := range []string{"line 1 e-1: invalid (invalid_event): ", "line 4 e-4: rejected: 400001", "line 5: invalid (malformed_json): "} {
		if got := got.Refused[i].String(); !strings.HasPrefix(got, want) {
			t.Errorf("refused is %q, want %q", got, want)
		}
	}
	if got := string(got.Refused[0].Errors); !strings.HasPrefix(got, `[{"field":"action_time","code":"action_time_milliseconds",`) {
		t.Errorf("the field errors are %s", got)
	}

	o.Language = "zh"
	got, err = send(t, t.Context(), o, "no JSON\n")
	if err != nil || !strings.Contains(got.Refused[0].Message, "合法的 JSON") {
		t.Errorf("%v; %+v", err, got)
	}

	o.Key = "wrong-key"
	_, err = send(t, t.Context(), o, bad)
	if err == nil || !strings.Contains(err.Error(), "401 未通过身份验证: 请在请求头中携带") || strings.Contains(err.Error(), o.Key) {
		t.Errorf("the error is %v", err)
	}
}

// TestNobodyThere: the error for a port that nobody listens on says so.
func TestNobodyThere(t *testing.T) {
	url := "http://" + wiretest.Nobody(t)
	_, err := send(t, t.Context(), sender.Options{URL: url, Key: testKey, Transport: &http.Transport{}}, line(1, "W"))
	if err == nil || !strings.HasPrefix(err.Error(), url+"/v1/events/batch: dial tcp") || !strings.Contains(err.Error(), "is the service running there?") {
		t.Errorf("the error is %v", err)
	}
}
