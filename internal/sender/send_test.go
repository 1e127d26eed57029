package sender_test

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"carrier/internal/sender"
	"carrier/internal/state"
)

func TestEverythingArrivesOnceInOrderByteForByte(t *testing.T) {
	for _, test := range []struct {
		name                      string
		events, waybills          int
		batch, parallel, requests int // requests: at least so many.
	}{
		{"nothing", 0, 1, 500, 4, 0},
		{"one event", 1, 1, 500, 4, 1},
		{"one full batch", 500, 1, 500, 4, 1},
		{"one more than a batch", 501, 1, 500, 4, 2},
		{"batches of one", 30, 3, 1, 4, 30},
		{"many waybills", 5000, 700, 500, 4, 10},
		{"one lane", 1200, 7, 1000, 1, 2},
		{"the most lanes", 3000, 1000, 10, 64, 300},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newWebhook(t)
				o := h.options()
				o.Batch, o.Parallel = test.batch, test.parallel
				text := file(test.events, test.waybills)
				got, err := send(t, t.Context(), o, text)
				if err != nil {
					t.Fatal(err)
				}
				if got.Events != test.events || got.Counts[state.Accepted] != test.events || got.Unanswered != 0 || got.NextLine != 0 {
					t.Errorf("of %d events: %+v", test.events, got)
				}
				h.checkOrder()
				if h.n < test.requests || h.most > test.parallel {
					t.Errorf("%d requests, %d of them at once; want at least %d, at most %d at once", h.n, h.most, test.requests, test.parallel)
				}
				want := slices.Sorted(slices.Values(strings.Split(strings.TrimSuffix(text, "\n"), "\n")))
				if got := slices.Sorted(slices.Values(h.lines)); test.events > 0 && !slices.Equal(got, want) {
					t.Error("the lines that arrived are not those of the file")
				}
			})
		})
	}
}

func TestOneLaneKeepsTheOrderOfTheFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newWebhook(t)
		o := h.options()
		o.Batch, o.Parallel = 7, 1
		text := file(100, 9)
		if _, err := send(t, t.Context(), o, text); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(h.lines, "\n") + "\n"; got != text {
			t.Errorf("got\n%s", got)
		}
	})
}

// TestOrderHoldsWhenBatchesFail: a batch that is tried again is not overtaken by the next one of its waybills.
func TestOrderHoldsWhenBatchesFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newWebhook(t)
		h.before = func(w http.ResponseWriter, n int, body []byte) bool {
			switch n % 5 {
			case 1:
				refuse(w, http.StatusTooManyRequests, "Too many requests", "Wait.", "3")
			case 2:
				refuse(w, http.StatusServiceUnavailable, "Store unavailable", "Wait.", "")
			case 3:
				cut(w) // Before anything was taken.
			case 4:
				h.answer(noAnswer{}, body) // Taken, but nobody hears of it.
				cut(w)
			default:
				return false
			}
			return true
		}
		o := h.options()
		o.Batch = 20
		got, err := send(t, t.Context(), o, file(1000, 50))
		if err != nil {
			t.Fatal(err)
		}
		h.checkOrder()
		if len(h.lines) != 1000 || got.Events != 1000 || got.Unanswered != 0 {
			t.Errorf("%d lines were taken; %+v", len(h.lines), got)
		}
		if got.Counts[state.Accepted]+got.Counts[state.Duplicate] != 1000 || got.Counts[state.Duplicate] == 0 {
			t.Errorf("counts are %v", got.Counts)
		}
	})
}

// noAnswer swallows an answer.
type noAnswer struct{}

func (noAnswer) Header() http.Header         { return http.Header{} }
func (noAnswer) Write(b []byte) (int, error) { return len(b), nil }
func (noAnswer) WriteHeader(int)             {}

func TestVerdictsAreCountedAndRefusalsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newWebhook(t)
		verdicts := state.Verdicts()
		h.verdict = func(e *sent) (state.Verdict, string, string) {
			v := verdicts[int(e.ActionTime-1533052800)%len(verdicts)]
			switch v {
			case state.Rejected, state.Invalid, state.Conflict:
				return v, "code_" + v.String(), "because"
			}
			return v, "", ""
		}
		var handed []sender.Refused
		o := h.options()
		o.Batch = 9
		o.Refused = func(r sender.Refused) error { handed = append(handed, r); return nil }
		got, err := send(t, t.Context(), o, file(70, 11))
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range verdicts {
			if got.Counts[v] != 10 {
				t.Errorf("%d %s, want 10", got.Counts[v], v)
			}
		}
		if got.Refusals != 30 || len(handed) != 30 || len(got.Refused) != 20 {
			t.Fatalf("%d refused, %d handed on, %d listed", got.Refusals, len(handed), len(got.Refused))
		}
		// The first 20 by line, whichever lane was faster: in each 7 lines numbers 4 to 6 are refused.
		slices.SortFunc(handed, func(a, b sender.Refused) int { return a.Line - b.Line })
		if !reflect.DeepEqual(got.Refused, handed[:20]) {
			t.Errorf("listed are\n%+v, want\n%+v", got.Refused, handed[:20])
		}
		want := sender.Refused{Line: 4, ID: "e-4", Waybill: "W3", Verdict: state.Rejected, Code: "code_rejected", Message: "because"}
		if !reflect.DeepEqual(got.Refused[0], want) {
			t.Errorf("the first is %+v, want %+v", got.Refused[0], want)
		}
	})
}

func TestRetryAfterIsKeptTo(t *testing.T) {
	for _, test := range []struct {
		name, header string
		status       int
		least, most  time.Duration
	}{
		{"seconds", "7", 429, 7 * time.Second, 7 * time.Second},
		{"a date", "date", 503, 9 * time.Second, 10 * time.Second},
		{"nothing", "", 503, 375 * time.Millisecond, 500 * time.Millisecond},
		{"nonsense", "soon", 502, 375 * time.Millisecond, 500 * time.Millisecond},
		{"a date gone by", "Fri, 01 Jan 1999 15:04:05 GMT", 504, 375 * time.Millisecond, 500 * time.Millisecond},
		{"internal error", "", 500, 375 * time.Millisecond, 500 * time.Millisecond},
		{"slow body", "", 408, 375 * time.Millisecond, 500 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newWebhook(t)
				h.before = func(w http.ResponseWriter, n int, _ []byte) bool {
					if n > 1 {
						return false
					}
					header := test.header
					if header == "date" {
						header = time.Now().Add(10 * time.Second).UTC().Format(http.TimeFormat)
					}
					refuse(w, test.status, "Busy", "Wait.", header)
					return true
				}
				var waited []sender.Progress
				o := h.options()
				o.Progress = func(p sender.Progress) {
					if p.Waiting != nil {
						waited = append(waited, p)
					}
				}
				begun := time.Now()
				if _, err := send(t, t.Context(), o, file(1, 1)); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(begun); took < test.least || took > test.most {
					t.Errorf("it took %s, want %s to %s", took, test.least, test.most)
				}
				if len(waited) != 1 || !strings.Contains(waited[0].Waiting.Error(), "Busy: Wait.") || waited[0].Wait < test.least {
					t.Errorf("told of %+v", waited)
				}
			})
		})
	}
}

func TestGivesUpAndSaysWhereToGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newWebhook(t)
		h.before = func(w http.ResponseWriter, n int, _ []byte) bool {
			if n > 3 {
				refuse(w, http.StatusServiceUnavailable, "Store unavailable", "Nothing was kept.", "2")
			}
			return n > 3
		}
		o := h.options()
		o.Batch, o.Parallel, o.RetryFor = 10, 1, time.Minute
		begun := time.Now()
		got, err := send(t, t.Context(), o, file(1000, 5))
		if err == nil || !strings.Contains(err.Error(), "503 Store unavailable: Nothing was kept.") || !strings.Contains(err.Error(), "1m0s") {
			t.Errorf("the error is %v", err)
		}
		if took := time.Since(begun); took < 50*time.Second || took > time.Minute {
			t.Errorf("it took %s", took)
		}
		if got.Counts[state.Accepted] != 30 || got.NextLine != 31 {
			t.Errorf("%+v", got)
		}
		if got.Events != got.Counts[state.Accepted]+got.Unanswered {
			t.Errorf("%d events, but %d have an answer and %d none", got.Events, got.Counts[state.Accepted], got.Unanswered)
		}
	})
}

func TestWithoutRetriesTheFirstFailureIsTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newWebhook(t)
		h.before = func(w http.ResponseWriter, n int, _ []byte) bool { cut(w); return true }
		o := h.options()
		o.RetryFor = 0
		got, err := send(t, t.Context(), o, file(3, 1))
		if err == nil || !strings.Contains(err.Error(), "is the service running there?") {
			t.Errorf("the error is %v", err)
		}
		if h.n != 1 || got.NextLine != 1 || got.Unanswered != 3 {
			t.Errorf("%d requests; %+v", h.n, got)
		}
	})
}

func TestSomeAnswersAreFinal(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer func(w http.ResponseWriter)
		want   []string
	}{
		{"wrong key", func(w http.ResponseWriter) {
			refuse(w, 401, "Unauthorized", "Send the source's API key.", "")
		}, []string{"401 Unauthorized: Send the source's API key."}},
		{"not found", func(w http.ResponseWriter) { w.WriteHeader(404) }, []string{"404 Not Found", "is that the service's address"}},
		{"redirect", func(w http.ResponseWriter) {
			w.Header().Set("Location", "https://other.test/")
			w.WriteHeader(302)
		}, []string{"leads to https://other.test/"}},
		{"control characters", func(w http.ResponseWriter) {
			refuse(w, 403, "No", "\x1b[2J\nno", "")
		}, []string{"403 No: \uFFFD[2J no"}},
		{"a web page", func(w http.ResponseWriter) { _, _ = io.WriteString(w, "<html>") }, []string{"does not answer as the service does"}},
		{"too few results", func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, `{"results":[{"index":0,"verdict":"accepted"}]}`)
		}, []string{"1 results for 3 events"}},
		{"results out of order", func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, `{"results":[{"index":0,"verdict":"accepted"},{"index":2,"verdict":"held"},{"index":1,"verdict":"held"}]}`)
		}, []string{"result 1", "out of its place"}},
		{"a result without a verdict", func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, `{"results":[{"index":0,"verdict":"accepted"},{"index":1},{"index":2,"verdict":"held"}]}`)
		}, []string{"result 1 without its verdict"}},
		{"an unknown verdict", func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, `{"results":[{"index":0,"verdict":"great"}]}`)
		}, []string{`unknown verdict "great"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newWebhook(t)
				h.before = func(w http.ResponseWriter, _ int, _ []byte) bool { test.answer(w); return true }
				got, err := send(t, t.Context(), h.options(), file(3, 1))
				if err == nil {
					t.Fatal("no error")
				}
				for _, want := range append(test.want, "http://carrier.test/v1/events/batch") {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("the error is %q, want %q in it", err, want)
					}
				}
				if strings.Contains(err.Error(), testKey) || h.n != 1 || got.Unanswered != 3 || got.NextLine != 1 {
					t.Errorf("%q after %d requests; %+v", err, h.n, got)
				}
			})
		})
	}
}

// TestSmallerBodies: a service set to a smaller body gets smaller batches, and what fits into none is refused.
func TestSmallerBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newWebhook(t)
		h.before = func(w http.ResponseWriter, _ int, body []byte) bool {
			if len(body) <= 1000 {
				return false
			}
			refuse(w, http.StatusRequestEntityTooLarge, "Body too large", "More than 1000 bytes.", "")
			return true
		}
		o := h.options()
		o.Parallel = 1
		long := strings.Replace(line(50, "W1"), "到达", strings.Repeat("很", 400), 1)
		text := strings.Replace(file(99, 3), line(50, "W1"), long, 1)
		got, err := send(t, t.Context(), o, text)
		if err != nil {
			t.Fatal(err)
		}
		h.checkOrder()
		if got.Counts[state.Accepted] != 98 || got.Counts[state.Invalid] != 1 || got.Refusals != 1 {
			t.Fatalf("%+v", got)
		}
		if r := got.Refused[0]; r.Line != 50 || r.ID != "e-50" || r.Code != "body_too_large" || !strings.Contains(r.Message, "server.max_body") {
			t.Errorf("%+v", r)
		}
	})
}

// TestGoingOnFromALine: what a first sending left, a second one from its NextLine brings, and nothing is missing.
func TestGoingOnFromALine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newWebhook(t)
		h.before = func(w http.ResponseWriter, n int, _ []byte) bool {
			if n == 8 {
				w.WriteHeader(http.StatusForbidden)
			}
			return n == 8
		}
		text := file(1000, 40)
		o := h.options()
		o.Batch = 25
		first, err := send(t, t.Context(), o, text)
		if err == nil || first.NextLine == 0 {
			t.Fatalf("%v; %+v", err, first)
		}
		src := reading(t, strings.NewReader(text), "events.ndjson")
		src.From(first.NextLine)
		s, err := sender.New(o)
		if err != nil {
			t.Fatal(err)
		}
		second, err := s.Send(t.Context(), src)
		if err != nil || second.Events != 1000-first.NextLine+1 || second.NextLine != 0 {
			t.Errorf("%v; from line %d: %+v", err, first.NextLine, second)
		}
		if len(h.lines) != 1000 {
			t.Errorf("%d lines were taken", len(h.lines))
		}
		h.checkOrder()
	})
}

// TestAMistakeInTheFile: what comes before it is sent, and the summary says where to go on.
func TestAMistakeInTheFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newWebhook(t)
		s, err := sender.New(h.options())
		if err != nil {
			t.Fatal(err)
		}
		text := "id,waybill_id,action_type,action_time,action_msg\ne-1,W,200001,1533052800,到达\ne-2,W,200001,soon,到达\n" +
			"e-3,W,200001,1533052800,到达\ne-4,W,200001,1533052800,\"到\"达\n"
		got, err := s.Send(t.Context(), reading(t, strings.NewReader(text), "events.csv"))
		if err == nil || !strings.HasPrefix(err.Error(), "events.csv: line 5: a closing quote") {
			t.Errorf("the error is %v", err)
		}
		want := counts(map[state.Verdict]int{state.Accepted: 2, state.Invalid: 1})
		if !maps.Equal(got.Counts, want) || got.NextLine != 5 || got.Unanswered != 0 {
			t.Errorf("%+v", got)
		}
		if r := got.Refused[0]; r.Line != 3 || r.ID != "e-2" || r.Waybill != "W" || r.Code != "invalid_event" || !strings.HasPrefix(r.Message, `action_time is "soon"`) {
			t.Errorf("%+v", r)
		}
	})
}

func TestAFullDiskEndsTheSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newWebhook(t)
		h.verdict = func(*sent) (state.Verdict, string, string) { return state.Invalid, "invalid_event", "no" }
		full := errors.New("no space left")
		o := h.options()
		o.Batch, o.Parallel = 5, 1
		o.Refused = func(sender.Refused) error { return full }
		got, err := send(t, t.Context(), o, file(100, 3))
		if !errors.Is(err, full) || h.n != 1 || got.Counts[state.Invalid] != 5 || got.NextLine != 6 {
			t.Errorf("%v after %d requests; %+v", err, h.n, got)
		}
	})
}

func TestProgressAddsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newWebhook(t)
		h.verdict = func(e *sent) (state.Verdict, string, string) {
			if e.ActionTime%10 == 0 {
				return state.Conflict, "conflict", "no"
			}
			return state.Held, "", ""
		}
		var last sender.Progress
		o := h.options()
		o.Progress = func(p sender.Progress) {
			if p.Events < last.Events || p.Bytes < last.Bytes || p.Refused < last.Refused || p.Waiting != nil {
				t.Errorf("after %+v comes %+v", last, p)
			}
			last = p
		}
		text := "\xef\xbb\xbf\n" + strings.ReplaceAll(file(1000, 30), "\n", "\r\n\n")
		if _, err := send(t, t.Context(), o, strings.TrimSuffix(text, "\n")); err != nil {
			t.Fatal(err)
		}
		want := sender.Progress{Events: 1000, Refused: 100, Bytes: int64(len(text) - 1)}
		if last != want {
			t.Errorf("in the end it is %+v, want %+v", last, want)
		}
	})
}
