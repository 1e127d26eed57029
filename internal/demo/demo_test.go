package demo

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"carrier/internal/sandbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func options(out *bytes.Buffer) Options {
	return Options{
		For: time.Second, Rate: 20, Out: out, Log: slog.New(slog.DiscardHandler), Version: "test",
		Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", SandboxListen: "127.0.0.1:0", NATSListen: "127.0.0.1:0",
	}
}

// TestDemo runs the whole loop, on a good day and on a bad one.
func TestDemo(t *testing.T) {
	for _, faults := range []bool{false, true} {
		var out bytes.Buffer
		o := options(&out)
		o.Faults = faults
		if err := Run(t.Context(), o); err != nil {
			t.Errorf("faults %t: %v\n%s", faults, err, &out)
		}
		for _, want := range []string{"carrier demo is up", "CARRIER_API_KEY=", "CARRIER_SIGNING_SECRET=whsec_", "CARRIER_ADMIN_URL=", "\n  carrier pushes replay --status failed --dry-run\n", "summary", "traces verified", "orders at WeChat", "Tokens by callback", "outcomes told"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("faults %t: %q is missing in\n%s", faults, want, &out)
			}
		}
		if strings.Contains(out.String(), "(0 cancelled") { // The third order is, even if time is up.
			t.Errorf("faults %t: no order was cancelled in\n%s", faults, &out)
		}
	}
}

// TestDemoEndsWithItsContext: Ctrl-C is a good end, with a summary.
func TestDemoEndsWithItsContext(t *testing.T) {
	var out bytes.Buffer
	o := options(&out)
	o.For = 0
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o.Out = &watched{Writer: &out, text: "Sample traffic is running", seen: func() { time.AfterFunc(100*time.Millisecond, cancel) }}
	if err := Run(ctx, o); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
	if !strings.Contains(out.String(), "summary") {
		t.Errorf("no summary in\n%s", &out)
	}
}

// TestDemoEndsBesideWhatWaits: who has tried a scan of a waybill that nobody ordered waits no longer for the summary.
func TestDemoEndsBesideWhatWaits(t *testing.T) {
	var out bytes.Buffer
	o := options(&out)
	o.For = 0
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o.Out = &watched{Writer: &out, text: "Sample traffic is running", seen: func() {
		key := regexp.MustCompile(`CARRIER_API_KEY=(\w+)`).FindSubmatch(out.Bytes())
		events := regexp.MustCompile(`events +(http://\S+)`).FindSubmatch(out.Bytes())
		go func() {
			defer cancel()
			body := `{"id":"1","delivery_id":"SF","waybill_id":"NOBODYS","action_type":100001,"action_time":1533052800,"action_msg":"x"}`
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, string(events[1])+"/v1/events", strings.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			req.Header.Set("Authorization", "Bearer "+string(key[1]))
			req.Header.Set("Content-Type", "application/json")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = resp.Body.Close() }()
			if resp.StatusCode != http.StatusAccepted {
				t.Errorf("it is answered %s", resp.Status)
			}
		}()
	}}
	began := time.Now()
	if err := Run(ctx, o); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
	if !strings.Contains(out.String(), "pushes pending            1\n") || time.Since(began) > drainFor {
		t.Errorf("after %v the summary is\n%s", time.Since(began), &out)
	}
}

// watched tells when a text was written, in one piece.
type watched struct {
	io.Writer
	text string
	seen func()
}

func (w *watched) Write(b []byte) (int, error) {
	n, err := w.Writer.Write(b)
	if bytes.Contains(b, []byte(w.text)) {
		w.seen()
	}
	return n, err
}

// TestTakenPortsAreReplaced: somebody else may sit on the usual ports.
func TestTakenPortsAreReplaced(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	var out bytes.Buffer
	o := options(&out)
	o.Listen, o.SandboxListen = l.Addr().String(), l.Addr().String()
	if err := Run(t.Context(), o); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
}

func TestSummaryError(t *testing.T) {
	boom := errors.New("boom")
	tests := []struct {
		name string
		s    summary
		want string
	}{
		{"nothing", summary{}, ""},
		{"lost", summary{lost: []string{"x"}}, "1 lost, 0 out of order, 0 wrong about orders and 0 errors"},
		{"out of order", summary{outOfOrder: []string{"x", "y"}, upstream: sandbox.Stats{Overlaps: 1}}, "0 lost, 3 out of order"},
		{"an order", summary{badOrders: []string{"x"}}, "1 wrong about orders"},
		{"an error", summary{errors: []error{boom}}, "boom"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.s.err()
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "%!") {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestTraces: what WeChat shows otherwise than delivered fails a run, and so does what it can't be asked about.
func TestTraces(t *testing.T) {
	var s summary
	s.addTrace("1", comparison{Same: true, Totals: map[string]int{"same": 3, "own": 1}}, nil)
	if s.verified != 1 || s.err() != nil {
		t.Errorf("%d are verified; %v", s.verified, s.err())
	}
	s.addTrace("2", comparison{Totals: map[string]int{"missing": 1, "changed": 1, "moved": 2}}, nil)
	s.addTrace("3", comparison{Totals: map[string]int{"extra": 1}}, nil)
	s.addTrace("4", comparison{}, errors.New("boom"))
	if s.verified != 1 || len(s.lost) != 1 || len(s.outOfOrder) != 2 || len(s.errors) != 1 {
		t.Errorf("%d are verified, lost are %q, out of order %q, errors %v", s.verified, s.lost, s.outOfOrder, s.errors)
	}
}
