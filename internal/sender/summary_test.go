package sender_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"carrier/internal/sender"
	"carrier/internal/state"
)

func TestSummaryForPeople(t *testing.T) {
	well := 11
	for _, test := range []struct {
		name string
		s    sender.Summary
		want string
	}{
		{"all well", sender.Summary{File: "events.csv", Events: 12, Seconds: 0.1234, Counts: map[state.Verdict]int{state.Accepted: 11, state.Held: 1}},
			`events.csv: 12 events in 123ms
accepted   11
held       1
ignored    0
duplicate  0
rejected   0
invalid    0
conflict   0
`},
		{"refused and unanswered", sender.Summary{
			File: "standard input", Events: 1, Seconds: 61.5, Unanswered: 300, Refusals: 23, Counts: map[state.Verdict]int{state.Rejected: 22, state.Invalid: 1},
			Refused: []sender.Refused{
				{Line: 7, ID: "scan-7", Waybill: "W", Verdict: state.Rejected, Code: "rejected", Message: "不允许\nno \x1b[31mway"},
				{Line: 9, Verdict: state.Invalid, Code: "malformed_json", Message: "no JSON"},
			}},
			`standard input: 1 event in 1m1.5s
accepted   0
held       0
ignored    0
duplicate  0
rejected   22
invalid    1
conflict   0
unanswered 300

refused:
  line 7 scan-7: rejected: 不允许 no �[31mway
  line 9: invalid (malformed_json): no JSON
  and 21 more; --refused-to FILE keeps all of them
`},
		{"dry run", sender.Summary{File: "a", DryRun: true, Events: 12, WellFormed: &well, Counts: map[state.Verdict]int{state.Invalid: 1}},
			`a: 12 events in 0s
well formed 11
invalid     1
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			var b strings.Builder
			if err := test.s.WriteText(&b); err != nil {
				t.Fatal(err)
			}
			if b.String() != test.want {
				t.Errorf("got\n%s\nwant\n%s", b.String(), test.want)
			}
		})
	}
}

func TestSummaryForMachines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newWebhook(t)
		h.verdict = func(e *sent) (state.Verdict, string, string) {
			if e.ID == "e-2" {
				return state.Rejected, "rejected", "<不允许>"
			}
			return state.Accepted, "", ""
		}
		got, err := send(t, t.Context(), h.options(), file(2, 1))
		if err != nil {
			t.Fatal(err)
		}
		got.File = "events.csv"
		text, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		want := `{"file":"events.csv","events":2,"counts":{"accepted":1,"conflict":0,"duplicate":0,"held":0,"ignored":0,"invalid":0,"rejected":1},` +
			`"unanswered":0,"refused":1,"refusals":[{"line":2,"id":"e-2","waybill_id":"W0","verdict":"rejected","code":"rejected","message":"\u003c不允许\u003e"}],"seconds":0}`
		if string(text) != want {
			t.Errorf("got\n%s\nwant\n%s", text, want)
		}
	})
}

func TestDryRun(t *testing.T) {
	for _, test := range []struct {
		name, file, text string
		well             int
		codes            string
	}{
		{"lines", "x.ndjson", line(1, "W") + "\n\nno\n[]\n{\"a\":\xff}\n{}{}\n" + line(7, "W"), 2, "3:malformed_json 4:invalid_event 5:not_utf8 6:malformed_json "},
		{"rows", "x.csv", header + "a,,W,1,1,x,\nb,,W,1\nc,,W,x,1,x,\nd,,W,1,1,x,", 2, "3:invalid_event 4:invalid_event "},
		{"nothing", "x.csv", "", 0, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var last sender.Progress
			codes := ""
			got, err := sender.Check(t.Context(), reading(t, strings.NewReader(test.text), test.file), sender.Options{
				Progress: func(p sender.Progress) { last = p },
				Refused:  func(r sender.Refused) error { codes += fmt.Sprintf("%d:%s ", r.Line, r.Code); return nil },
			})
			if err != nil || !got.DryRun || *got.WellFormed != test.well || codes != test.codes || got.Refusals != got.Counts[state.Invalid] ||
				got.Events != test.well+got.Refusals || got.Unanswered != 0 || got.NextLine != 0 {
				t.Errorf("%q, %v; %+v", codes, err, got)
			}
			if last.Events != got.Events || last.Refused != got.Refusals || last.Bytes != int64(len(test.text)) {
				t.Errorf("in the end it is %+v", last)
			}
		})
	}
}

func TestDryRunEnds(t *testing.T) {
	t.Run("at a mistake", func(t *testing.T) {
		got, err := sender.Check(t.Context(), reading(t, strings.NewReader(header+"a,,W,1,1,x,\n\""), "x.csv"), sender.Options{})
		if err == nil || !strings.HasPrefix(err.Error(), "x.csv: line 3: ") || *got.WellFormed != 1 {
			t.Errorf("%v; %+v", err, got)
		}
	})
	t.Run("when what is refused can't be kept", func(t *testing.T) {
		full := errors.New("no space left")
		_, err := sender.Check(t.Context(), reading(t, strings.NewReader(header+"a\nb\n"), "x.csv"), sender.Options{
			Refused: func(sender.Refused) error { return full },
		})
		if !errors.Is(err, full) {
			t.Errorf("the error is %v", err)
		}
	})
	t.Run("when interrupted", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			in, out := io.Pipe()
			defer out.Close()
			go func() { _, _ = io.WriteString(out, "{}\n") }()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			got, err := sender.Check(ctx, reading(t, in, "-"), sender.Options{})
			if !errors.Is(err, context.DeadlineExceeded) || *got.WellFormed != 1 {
				t.Errorf("%v; %+v", err, got)
			}
		})
	})
}

func TestOptionsThatAreRefused(t *testing.T) {
	for _, test := range []struct {
		name string
		o    sender.Options
		want string
	}{
		{"no URL", sender.Options{Key: "k"}, "the URL must be the service's address, such as http://127.0.0.1:8080"},
		{"no scheme", sender.Options{URL: "127.0.0.1:8080", Key: "k"}, "the URL must be the service's address"},
		{"another scheme", sender.Options{URL: "nats://127.0.0.1:4222", Key: "k"}, "the URL must be the service's address"},
		{"a password", sender.Options{URL: "http://u:secret@h", Key: "k"}, "the URL must hold no user, password"},
		{"parameters", sender.Options{URL: "http://h/?key=secret", Key: "k"}, "the URL must hold no user, password"},
		{"no key", sender.Options{URL: "http://h"}, "the source's API key or signing secret is missing"},
		{"both", sender.Options{URL: "http://h", Key: "secret", SigningKey: []byte("secret")}, "give one of them"},
		{"a key of two lines", sender.Options{URL: "http://h", Key: "secret\nsecret"}, "visible ASCII characters"},
		{"a large batch", sender.Options{URL: "http://h", Key: "k", Batch: 1001}, "a batch must have 1 to 1000 events"},
		{"too many", sender.Options{URL: "http://h", Key: "k", Parallel: 65}, "1 to 64 requests in parallel"},
		{"below zero", sender.Options{URL: "http://h", Key: "k", RetryFor: -1}, "must not be below 0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := sender.New(test.o)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secret@") || strings.Contains(err.Error(), "=secret") {
				t.Errorf("the error is %v, want %q", err, test.want)
			}
		})
	}
}
