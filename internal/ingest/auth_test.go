package ingest

import (
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"carrier/internal/problem"
)

func TestBearer(t *testing.T) {
	for _, tt := range []struct {
		name    string
		headers []header
		ok      bool
	}{
		{"right", nil, true},
		{"scheme in lower case", []header{{"Authorization", "bearer " + testKey}}, true},
		{"two spaces", []header{{"Authorization", "Bearer  " + testKey}}, true},
		{"none", []header{{"Authorization", "-"}}, false},
		{"empty", []header{{"Authorization", ""}}, false},
		{"scheme only", []header{{"Authorization", "Bearer"}}, false},
		{"empty key", []header{{"Authorization", "Bearer "}}, false},
		{"key only", []header{{"Authorization", testKey}}, false},
		{"other scheme", []header{{"Authorization", "Basic " + testKey}}, false},
		{"wrong key", []header{{"Authorization", "Bearer wrong"}}, false},
		{"start of the key", []header{{"Authorization", "Bearer " + testKey[:len(testKey)-1]}}, false},
		{"longer than the key", []header{{"Authorization", "Bearer " + testKey + "x"}}, false},
		{"key in capitals", []header{{"Authorization", "Bearer " + strings.ToUpper(testKey)}}, false},
		{"space behind", []header{{"Authorization", "Bearer " + testKey + " "}}, false},
		{"very long", []header{{"Authorization", "Bearer " + strings.Repeat("x", 100_000)}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			a := b.post("/v1/events", good(), tt.headers...)
			if tt.ok {
				if a.Code != 202 {
					t.Errorf("got %d: %s", a.Code, a.text)
				}
				return
			}
			a.is(401, problem.Unauthorized)
			if got := a.Header().Get("WWW-Authenticate"); !strings.HasPrefix(got, "Bearer ") {
				t.Errorf("WWW-Authenticate %q", got)
			}
			if len(b.store.applied) != 0 || b.observed[" unauthorized"] != 1 {
				t.Errorf("%d calls of Apply, observed %v", len(b.store.applied), b.observed)
			}
		})
	}
	t.Run("two headers", func(t *testing.T) {
		r := newPost("/v1/events", good())
		r.Header["Authorization"] = []string{"Bearer " + testKey, "Bearer other"}
		newBench(t).do(r).is(401, problem.Unauthorized)
	})
}

func TestSourcesAreToldApart(t *testing.T) {
	b := newBench(t, func(o *Options) {
		o.Sources = nil
		for i := range 20 {
			o.Sources = append(o.Sources, Source{Name: fmt.Sprint("s", i), APIKey: fmt.Sprint("key-", i)})
		}
	})
	for i := range 20 {
		b.post("/v1/events", good(), header{"Authorization", fmt.Sprint("Bearer key-", i)})
	}
	for i, e := range b.store.all() {
		if want := fmt.Sprint("s", i); e.Source != want {
			t.Errorf("event %d came from %s, want %s", i, e.Source, want)
		}
	}
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(o *Options) {
			o.Sources[0].Rate = 2
			o.Sources = append(o.Sources, Source{Name: "free", APIKey: "free-key"})
		})
		body := strings.Replace(good(), "1533052800", "900000000", 1)
		send := func(want int) *answer {
			t.Helper()
			a := b.post("/v1/events", body)
			if a.Code != want {
				t.Fatalf("got %d, want %d: %s", a.Code, want, a.text)
			}
			return a
		}
		send(202)
		send(202)
		a := send(429)
		a.is(429, problem.RateLimited)
		if got := a.Header().Get("Retry-After"); got != "1" {
			t.Errorf("Retry-After %q, want 1", got)
		}
		if b.observed["courier-app limited"] != 1 {
			t.Errorf("observed %v", b.observed)
		}
		if a := b.post("/v1/events", body, header{"Authorization", "Bearer free-key"}); a.Code != 202 {
			t.Errorf("another source is limited too: %s", a.text)
		}
		time.Sleep(500 * time.Millisecond) // One event's worth; the refused one cost nothing.
		send(202)
		send(429)
	})
}

func TestBatchPaysForItsEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(o *Options) { o.Sources[0].Rate = 10 })
		event := strings.Replace(good(), "1533052800", "900000000", 1)
		batch := strings.Repeat(event+"\n", 200)
		ndjson := header{"Content-Type", "application/x-ndjson"}
		if a := b.post("/v1/events/batch", batch, ndjson); a.Code != 200 {
			t.Fatalf("a batch larger than the burst: got %d: %s", a.Code, a.text)
		}
		// 200 events at 10 a second, of which the burst paid for 10, and one more must be free.
		a := b.post("/v1/events", event)
		a.is(429, problem.RateLimited)
		if got := a.Header().Get("Retry-After"); got != "20" {
			t.Errorf("Retry-After %q, want 20", got)
		}
		time.Sleep(19 * time.Second)
		b.post("/v1/events", event).is(429, problem.RateLimited)
		time.Sleep(100 * time.Millisecond)
		if a := b.post("/v1/events", event); a.Code != 202 {
			t.Errorf("after the time: got %d: %s", a.Code, a.text)
		}
	})
}

func TestSlowRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(o *Options) { o.Sources[0].Rate = 0.01 })
		event := strings.Replace(good(), "1533052800", "900000000", 1)
		if a := b.post("/v1/events", event); a.Code != 202 {
			t.Fatalf("got %d: %s", a.Code, a.text)
		}
		a := b.post("/v1/events", event)
		a.is(429, problem.RateLimited)
		if got := a.Header().Get("Retry-After"); got != "100" {
			t.Errorf("Retry-After %q, want 100", got)
		}
	})
}

func TestOperatorMistakes(t *testing.T) {
	key := make([]byte, 32)
	for _, tt := range []struct {
		name   string
		change func(*Options)
		want   string // Empty: no mistake.
	}{
		{"none", func(*Options) {}, ""},
		{"no sources", func(o *Options) { o.Sources = nil }, ""},
		{"no accounts", func(o *Options) { o.DeliveryIDs = nil }, ""},
		{"signing and key", func(o *Options) { o.Sources[0].SigningKeys = [][]byte{key} }, ""},
		{"no name", func(o *Options) { o.Sources[0].Name = "" }, "source number 1 has no name"},
		{"same name", func(o *Options) { o.Sources = append(o.Sources, Source{Name: "courier-app", APIKey: "k"}) }, `"courier-app" is there twice`},
		{"no credentials", func(o *Options) { o.Sources[0].APIKey = "" }, "needs an api_key or a signing_secret"},
		{"space in the key", func(o *Options) { o.Sources[0].APIKey = "a b" }, "visible ASCII"},
		{"line end in the key", func(o *Options) { o.Sources[0].APIKey = "ab\n" }, "visible ASCII"},
		{"long key", func(o *Options) { o.Sources[0].APIKey = strings.Repeat("k", 513) }, "visible ASCII"},
		{"same key", func(o *Options) { o.Sources = append(o.Sources, Source{Name: "b", APIKey: testKey}) }, `same api_key as source "courier-app"`},
		{"empty signing key", func(o *Options) { o.Sources[0].SigningKeys = [][]byte{nil} }, "24 to 64 bytes"},
		{"same signing key", func(o *Options) {
			o.Sources[0].SigningKeys = [][]byte{key}
			o.Sources = append(o.Sources, Source{Name: "b", SigningKeys: [][]byte{key}})
		}, "same signing_secret"},
		{"unknown account", func(o *Options) { o.Sources[0].DeliveryIDs = []string{"XX"} }, `delivery_id "XX" is no configured account`},
		{"negative rate", func(o *Options) { o.Sources[0].Rate = -1 }, "rate"},
		{"NaN rate", func(o *Options) { o.Sources[0].Rate = math.NaN() }, "rate"},
		{"infinite rate", func(o *Options) { o.Sources[0].Rate = math.Inf(1) }, "rate"},
		{"negative body", func(o *Options) { o.MaxBody = -1 }, "largest body"},
		{"negative message", func(o *Options) { o.MaxActionMsg = -1 }, "longest action_msg"},
		{"negative future", func(o *Options) { o.MaxFuture = -1 }, "max_future"},
		{"negative age", func(o *Options) { o.MaxAge = -1 }, "max_age"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := Options{Store: &fakeStore{t: t}, Sources: []Source{{Name: "courier-app", APIKey: testKey}}, DeliveryIDs: []string{"SF"}}
			tt.change(&o)
			_, err := New(o)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), testKey) {
				t.Errorf("the error tells the key: %v", err)
			}
		})
	}
	t.Run("all are told", func(t *testing.T) {
		_, err := New(Options{Store: &fakeStore{t: t}, MaxAge: -1, Sources: []Source{{Name: "a"}, {Name: "b"}}})
		for _, want := range []string{`source "a"`, `source "b"`, "max_age"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v lacks %s", err, want)
			}
		}
	})
}

func TestSourceHidesItsKeys(t *testing.T) {
	s := Source{Name: "courier-app", APIKey: testKey, SigningKeys: [][]byte{[]byte("sign-with-this-key-here!")}}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "source", s)
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s", s, s, s, s), fmt.Sprint([]Source{s}), log.String()} {
		if strings.Contains(text, testKey) || strings.Contains(text, "sign-with") || !strings.Contains(text, "courier-app") {
			t.Errorf("printed as %s", text)
		}
	}
}
