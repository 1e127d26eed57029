package sender_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"carrier/internal/bus/natstest"
	"carrier/internal/sender"
	"carrier/internal/state"
)

// responder stands in for the service on NATS. It decides as the webhook's stand-in does.
type responder struct {
	*webhook
	requests atomic.Int64
	// before is asked first, if set, with the number of the request, the first of which is 1; true: it has answered.
	before func(r micro.Request, n int64) bool
}

// respond starts the service on a connection.
func respond(t *testing.T, nc *nats.Conn, before func(r micro.Request, n int64) bool) *responder {
	t.Helper()
	h := &responder{webhook: &webhook{t: t, order: map[string][]int{}, seen: map[string]bool{}}, before: before}
	h.serve(nc)
	return h
}

func (h *responder) serve(nc *nats.Conn) {
	h.t.Helper()
	svc, err := micro.AddService(nc, micro.Config{Name: "carrier", Version: "1.0.0", QueueGroup: "carrier"})
	if err == nil {
		err = svc.AddEndpoint("submit", micro.HandlerFunc(h.handle), micro.WithEndpointSubject("carrier.submit.*"))
	}
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *responder) handle(r micro.Request) {
	if got := r.Subject(); got != "carrier.submit.app" {
		h.t.Errorf("the request came to %s", got)
	}
	if got := nats.Header(r.Headers()).Get("content-type"); got != "application/x-ndjson" {
		h.t.Errorf("content-type is %q", got)
	}
	if n := h.requests.Add(1); h.before != nil && h.before(r, n) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bodies = append(h.bodies, bytes.Clone(r.Data()))
	var results []map[string]any
	for line := range bytes.Lines(r.Data()) {
		results = append(results, h.decide(len(results), strings.TrimSuffix(string(line), "\n")))
	}
	if err := r.RespondJSON(map[string]any{"results": results}); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		h.t.Logf("answering: %v", err) // A server that is being restarted loses answers.
	}
}

// answerProblem answers with one, as the service does.
func answerProblem(t *testing.T, r micro.Request, status int, title string, header micro.Headers) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"title": title, "detail": "Do this.", "status": status})
	if err == nil {
		err = r.Error(strconv.Itoa(status), "some_code", body, micro.WithHeaders(header))
	}
	if err != nil {
		t.Error(err)
	}
}

// overNATS are the options of a sender on a connection of its own.
func overNATS(nc *nats.Conn) sender.Options {
	return sender.Options{NATS: nc, Source: "app", RetryFor: 5 * time.Minute}
}

func TestNATSKeepsTheOrderOfWaybills(t *testing.T) {
	s := natstest.Start(t, nil)
	h := respond(t, s.Connect(), nil)
	h.verdict = func(e *sent) (state.Verdict, string, string) {
		if e.ID == "e-12" {
			return state.Rejected, "rejected", "it can't follow"
		}
		return state.Accepted, "", ""
	}
	o := overNATS(s.Connect())
	o.Batch, o.Parallel = 7, 4
	got, err := send(t, t.Context(), o, file(300, 11))
	if err != nil {
		t.Fatal(err)
	}
	if got.Events != 300 || got.Counts[state.Accepted] != 299 || got.Counts[state.Rejected] != 1 || got.Unanswered != 0 {
		t.Errorf("%+v", got)
	}
	if len(got.Refused) != 1 || got.Refused[0].String() != "line 12 e-12: rejected: it can't follow" {
		t.Errorf("refused: %+v", got.Refused)
	}
	h.checkOrder()
}

func TestNATSAsksForALanguage(t *testing.T) {
	s := natstest.Start(t, nil)
	respond(t, s.Connect(), func(r micro.Request, _ int64) bool {
		if got := nats.Header(r.Headers()).Get("accept-language"); got != "zh" {
			t.Errorf("accept-language is %q", got)
		}
		return false
	})
	o := overNATS(s.Connect())
	o.Language = "zh"
	if _, err := send(t, t.Context(), o, file(1, 1)); err != nil {
		t.Fatal(err)
	}
}

// TestNATSRefusals: answers to the batch as a whole end the sending, or are waited out, as those over HTTP.
func TestNATSRefusals(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer func(r micro.Request)
		wait   time.Duration // What is waited before the next try; 0: there is none.
		want   string
	}{
		{"busy", func(r micro.Request) { answerProblem(t, r, 429, "Busy", micro.Headers{"Retry-After": {"7"}}) }, 7 * time.Second, "429 Busy: Do this."},
		{"store", func(r micro.Request) { answerProblem(t, r, 503, "No room", micro.Headers{"retry-after": {"9"}}) }, 9 * time.Second, "503 No room: Do this."},
		{"wrong", func(r micro.Request) { answerProblem(t, r, 415, "Wrong type", nil) }, 0, "415 Wrong type: Do this."},
		{"no problem", func(r micro.Request) { _ = r.Error("404", "lost", nil) }, 0, "404 Not Found: lost"},
		{"no status", func(r micro.Request) { _ = r.Error("E1", "odd", nil) }, 0, "the answer is an error with the code E1, which is none of the service's"},
		{"no answer of ours", func(r micro.Request) { _ = r.Respond([]byte("hello")) }, 0, "does not answer as the service does"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := natstest.Start(t, nil)
			respond(t, s.Connect(), func(r micro.Request, _ int64) bool { tt.answer(r); return true })
			o := overNATS(s.Connect())
			ctx, stop := context.WithCancelCause(t.Context())
			var said error
			o.Progress = func(p sender.Progress) {
				if p.Waiting != nil {
					said = p.Waiting
					if p.Wait != tt.wait {
						t.Errorf("it waits %s, want %s", p.Wait, tt.wait)
					}
					stop(nil)
				}
			}
			got, err := send(t, ctx, o, file(3, 1))
			if tt.wait == 0 {
				said = err
			}
			want := "carrier.submit.app on " + s.URL()
			if said == nil || !strings.HasPrefix(said.Error(), want) || !strings.Contains(said.Error(), tt.want) {
				t.Errorf("it says %v, want %s ... %s", said, want, tt.want)
			}
			if got.Unanswered != 3 || got.NextLine != 1 {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestNATSWaitsForTheService(t *testing.T) {
	s := natstest.Start(t, nil)
	o := overNATS(s.Connect())
	services := s.Connect()
	var said string
	var h *responder
	o.Progress = func(p sender.Progress) {
		if p.Waiting != nil && h == nil {
			said = p.Waiting.Error()
			h = respond(t, services, nil)
		}
	}
	got, err := send(t, t.Context(), o, file(3, 1))
	if err != nil || got.Counts[state.Accepted] != 3 {
		t.Fatalf("%v, %+v", err, got)
	}
	if !strings.Contains(said, "nobody answers there; does the service run, and with the same NATS") {
		t.Errorf("it said %q", said)
	}
}

// TestNATSMaxPayload: batches become as small as the server, or the service, takes them.
func TestNATSMaxPayload(t *testing.T) {
	s := natstest.Start(t, func(o *server.Options) { o.MaxPayload = 3 << 10 })
	h := respond(t, s.Connect(), func(r micro.Request, _ int64) bool {
		if len(r.Data()) > 1500 {
			answerProblem(t, r, 413, "Too large", nil)
			return true
		}
		return false
	})
	long := fmt.Sprintf(`{"id":"e-51","waybill_id":"W1","action_type":200001,"action_time":1533052851,"action_msg":%q}`, strings.Repeat("x", 5000))
	got, err := send(t, t.Context(), overNATS(s.Connect()), file(50, 1)+long+"\n"+line(52, "W1")+"\n")
	if err != nil {
		t.Fatal(err)
	}
	if got.Counts[state.Accepted] != 51 || got.Counts[state.Invalid] != 1 || got.Unanswered != 0 {
		t.Errorf("%+v", got)
	}
	if want := "the NATS server takes no message of this size; raise its max_payload"; len(got.Refused) != 1 ||
		got.Refused[0].Line != 51 || !strings.HasSuffix(got.Refused[0].Message, want) {
		t.Errorf("refused: %+v", got.Refused)
	}
	h.checkOrder()
}

// TestNATSRestarts: a server that goes away in the middle costs nothing but time, also where it swallows the answer.
func TestNATSRestarts(t *testing.T) {
	s := natstest.Start(t, nil)
	restart := make(chan struct{})
	h := respond(t, s.Connect(), func(r micro.Request, n int64) bool {
		if n%5 == 0 {
			restart <- struct{}{} // Before the answer, which is lost.
			return true
		}
		return false
	})
	done := make(chan struct{})
	defer func() { <-done }()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() {
		defer close(done)
		for {
			select {
			case <-restart:
				s.Restart()
			case <-ctx.Done():
				return
			}
		}
	}()
	o := overNATS(s.Connect())
	o.Batch, o.Parallel = 10, 1
	got, err := send(t, t.Context(), o, file(120, 7))
	if err != nil {
		t.Fatal(err)
	}
	if got.Counts[state.Accepted]+got.Counts[state.Duplicate] != 120 || h.requests.Load() < 14 {
		t.Errorf("%d requests, %+v", h.requests.Load(), got)
	}
	h.checkOrder()
}

func TestNATSGivesUp(t *testing.T) {
	t.Run("no answer", func(t *testing.T) {
		s := natstest.Start(t, nil)
		respond(t, s.Connect(), func(micro.Request, int64) bool { return true })
		o := overNATS(s.Connect())
		o.Timeout, o.RetryFor = 50*time.Millisecond, 0
		_, err := send(t, t.Context(), o, file(1, 1))
		if err == nil || !strings.Contains(err.Error(), "no answer within 50ms") {
			t.Errorf("the error is %v", err)
		}
	})
	t.Run("not allowed", func(t *testing.T) {
		s := natstest.Start(t, func(o *server.Options) {
			o.Users = []*server.User{{Username: "u", Password: "canary", Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Allow: []string{"carrier.events.app"}},
			}}}
		})
		_, err := send(t, t.Context(), overNATS(s.Connect(nats.UserInfo("u", "canary"))), file(1, 1))
		if err == nil || !strings.Contains(err.Error(), "does not let this user publish there") || strings.Contains(err.Error(), "canary") {
			t.Errorf("the error is %v", err)
		}
	})
	t.Run("closed", func(t *testing.T) {
		s := natstest.Start(t, nil)
		nc := s.Connect()
		nc.Close()
		_, err := send(t, t.Context(), overNATS(nc), file(1, 1))
		if err == nil || !strings.HasPrefix(err.Error(), "carrier.submit.app: ") || !strings.Contains(err.Error(), "connection closed") {
			t.Errorf("the error is %v", err)
		}
	})
	t.Run("down", func(t *testing.T) {
		s := natstest.Start(t, nil)
		nc := s.Connect()
		s.Down()
		o := overNATS(nc)
		o.RetryFor = 0
		_, err := send(t, t.Context(), o, file(1, 1))
		if err == nil || !strings.Contains(err.Error(), "the connection to NATS") {
			t.Errorf("the error is %v", err)
		}
	})
}

func TestNewOverNATSRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    sender.Options
		want string
	}{
		{"no source", sender.Options{}, "the source's name is missing"},
		{"a wildcard", sender.Options{Source: "*"}, "must hold no space and none of . * >"},
		{"two tokens", sender.Options{Source: "a.b"}, "must hold no space and none of . * >"},
		{"a key", sender.Options{Source: "a", Key: "secret-key"}, "are for HTTP"},
		{"a URL", sender.Options{Source: "a", URL: "http://127.0.0.1"}, "are for HTTP"},
		{"a batch too large", sender.Options{Source: "a", Batch: 1001}, "a batch must have 1 to 1000 events"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.NATS = new(nats.Conn)
			_, err := sender.New(tt.o)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret-key") {
				t.Errorf("the error is %v", err)
			}
		})
	}
}
