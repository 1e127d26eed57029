package adminclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"carrier/internal/wiretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testToken = "0123456789abcdef0123456789abcdef"

// serve starts a service that answers with h, and a client of it.
func serve(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	c, err := New(Options{URL: srv.URL, Token: testToken, Language: "zh", UserAgent: "test/1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.http.CloseIdleConnections)
	return c
}

func TestNewRefuses(t *testing.T) {
	for _, test := range []struct {
		name string
		o    Options
		want string
	}{
		{"no scheme", Options{URL: "127.0.0.1:8081", Token: testToken}, "must be like http://127.0.0.1:8081"},
		{"another scheme", Options{URL: "ftp://host", Token: testToken}, "must be like http://"},
		{"no host", Options{URL: "http://", Token: testToken}, "must be like http://"},
		{"a port alone", Options{URL: "http://:8081", Token: testToken}, "must be like http://"},
		{"a password", Options{URL: "http://ops:secret@host", Token: testToken}, "must hold no user"},
		{"a query", Options{URL: "http://host?a=b", Token: testToken}, "must end before any ?"},
		{"a fragment", Options{URL: "http://host#a", Token: testToken}, "must end before any ?"},
		{"no token", Options{URL: "http://host"}, "no admin token"},
		{"a token of two words", Options{URL: "http://host", Token: "secret token"}, "visible ASCII"},
		{"a token with a line feed", Options{URL: "http://host", Token: "secret\nX-Header: y"}, "visible ASCII"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := New(test.o)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("the error is %v, want %q and no secret", err, test.want)
			}
		})
	}
}

// TestRequests looks at what each call sends.
func TestRequests(t *testing.T) {
	type sent struct{ method, uri, body string }
	var got sent
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = sent{r.Method, r.RequestURI, strings.TrimSpace(string(body))}
		for name, want := range map[string]string{"Authorization": "Bearer " + testToken, "Accept-Language": "zh", "User-Agent": "test/1"} {
			if r.Header.Get(name) != want {
				t.Errorf("%s is %q, want %q", name, r.Header.Get(name), want)
			}
		}
		if r.Header.Get("Content-Type") != map[bool]string{true: "application/json"}[len(body) > 0] {
			t.Errorf("Content-Type is %q with a body of %d bytes", r.Header.Get("Content-Type"), len(body))
		}
		_, _ = io.WriteString(w, "{}")
	})
	ctx := t.Context()
	filter := Filter{"status": "failed", "errcode": "-1", "action_type": "300003", "since": "24h"}
	for _, test := range []struct {
		name string
		call func() error
		want sent
	}{
		{"push", func() error { _, err := c.Push(ctx, 7); return err }, sent{"GET", "/admin/v1/pushes/7", ""}},
		{"replay a push", func() error { _, err := c.ReplayPush(ctx, 7, true, "why"); return err },
			sent{"POST", "/admin/v1/pushes/7/replay", `{"force":true,"reason":"why"}`}},
		{"discard a push", func() error { _, err := c.DiscardPush(ctx, 7, "<b>"); return err },
			sent{"POST", "/admin/v1/pushes/7/discard", `{"reason":"<b>"}`}},
		{"accept an event", func() error { _, err := c.AcceptEvent(ctx, 8, "seen"); return err },
			sent{"POST", "/admin/v1/events/8/accept", `{"reason":"seen"}`}},
		{"waybill", func() error { _, err := c.Waybill(ctx, "顺丰", "A/B?C%D"); return err },
			sent{"GET", "/admin/v1/waybills/%E9%A1%BA%E4%B8%B0/A%2FB%3FC%25D", ""}},
		{"freeze a waybill", func() error { _, err := c.ActOnWaybill(ctx, "SF", "1", Freeze, "hold"); return err },
			sent{"POST", "/admin/v1/waybills/SF/1/freeze", `{"reason":"hold"}`}},
		{"expunge a waybill", func() error { _, err := c.Expunge(ctx, "SF", "A/B", "asked for"); return err },
			sent{"POST", "/admin/v1/waybills/SF/A%2FB/expunge", `{"reason":"asked for"}`}},
		{"a Token", func() error { _, err := c.PutToken(ctx, "SF", "1", "T", ""); return err },
			sent{"PUT", "/admin/v1/waybills/SF/1/token", `{"token":"T"}`}},
		{"accounts", func() error { _, err := c.Accounts(ctx); return err }, sent{"GET", "/admin/v1/accounts", ""}},
		{"pause an account", func() error { _, err := c.PauseAccount(ctx, "SF", "x"); return err },
			sent{"POST", "/admin/v1/accounts/SF/pause", `{"reason":"x"}`}},
		{"resume an account", func() error { _, err := c.ResumeAccount(ctx, "SF", 0, ""); return err },
			sent{"POST", "/admin/v1/accounts/SF/resume", `{"reason":""}`}},
		{"let it fail", func() error { _, err := c.ResumeAccount(ctx, "SF", 10*time.Minute, ""); return err },
			sent{"POST", "/admin/v1/accounts/SF/resume", `{"reason":"","let_fail_for":"10m0s"}`}},
		{"probe an account", func() error { _, err := c.ProbeAccount(ctx, "SF", ""); return err },
			sent{"POST", "/admin/v1/accounts/SF/probe", `{"reason":""}`}},
		{"dry run", func() error { _, err := c.DryRun(ctx, ReplayRequest{Filter: filter, Rate: 5}); return err },
			sent{"POST", "/admin/v1/replays", `{"filter":{"action_type":300003,"errcode":-1,"since":"24h","status":"failed"},"dry_run":true,"rate":5,"reason":"","skip_superseded":false}`}},
		{"replay", func() error {
			_, err := c.StartReplay(ctx, ReplayRequest{Filter: Filter{"errcode": "all"}, DryRun: true, Reason: "r", SkipSuperseded: true})
			return err
		}, sent{"POST", "/admin/v1/replays", `{"filter":{"errcode":"all"},"dry_run":false,"rate":0,"reason":"r","skip_superseded":true}`}},
		{"one replay", func() error { _, err := c.Replay(ctx, "../12"); return err }, sent{"GET", "/admin/v1/replays/..%2F12", ""}},
		{"pause a replay", func() error { _, err := c.ActOnReplay(ctx, "12", PauseReplay, ""); return err },
			sent{"POST", "/admin/v1/replays/12/pause", `{"reason":""}`}},
		{"stats", func() error { _, err := c.Stats(ctx); return err }, sent{"GET", "/admin/v1/stats", ""}},
		{"pushes", func() error { return first(c.Pushes(filter).Pages(ctx, 5, "c d")) },
			sent{"GET", "/admin/v1/pushes?action_type=300003&cursor=c+d&errcode=-1&limit=5&since=24h&status=failed", ""}},
		{"events", func() error { return first(c.Events(Filter{"verdict": "rejected"}).Pages(ctx, 0, "")) },
			sent{"GET", "/admin/v1/events?limit=1000&verdict=rejected", ""}},
		{"replays", func() error { return first(c.Replays().Pages(ctx, 2000, "")) }, sent{"GET", "/admin/v1/replays?limit=1000", ""}},
		{"audit", func() error { return first(c.Audit(Filter{"by": "ops"}).Pages(ctx, 1, "")) }, sent{"GET", "/admin/v1/audit?by=ops&limit=1", ""}},
		{"dead letters", func() error { return first(c.DeadLetters().Pages(ctx, 1, "")) }, sent{"GET", "/admin/v1/dead-letters?limit=1", ""}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := test.call(); err != nil || got != test.want {
				t.Errorf("%v; sent %+v, want %+v", err, got, test.want)
			}
		})
	}
}

// first reads the first page of a list.
func first[T any](pages func(yield func(Page[T], error) bool)) error {
	for _, err := range pages {
		return err
	}
	return errors.New("there is no page")
}

func TestAnswersComeDecodedAndRaw(t *testing.T) {
	const body = `{"seq":7,"event_id":"e","action_type":300003,"status":"pending","waiting_for":"waybill","attempts":[{"errcode":9300507,"outcome_unknown":true,` +
		`"replay":"12","meaning":{"en":"wrong Token","zh":"错误"}}],"tries":3,"errcode":9300507,"waiting":{"for":"waybill","since":null,"behind":5,"text":{"en":"behind 5","zh":""}},"new_member":[1]}`
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
	a, err := c.Push(t.Context(), 7)
	if err != nil {
		t.Fatal(err)
	}
	if string(a.Raw) != body {
		t.Errorf("raw is %s", a.Raw)
	}
	p := a.Value
	if p.Seq != 7 || p.Tries != 3 || len(p.Attempts) != 1 || *p.Attempts[0].Errcode != 9300507 || !p.Attempts[0].Unknown ||
		p.Attempts[0].Replay != "12" || p.Attempts[0].Meaning.In(true) != "错误" || p.Status != "pending" || p.Waiting.Behind != 5 || p.Waiting.Text.In(true) != "behind 5" {
		t.Errorf("decoded: %+v", p)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the other address got a request with %q", r.Header.Get("Authorization"))
	}))
	t.Cleanup(elsewhere.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, status) })
		_, err := c.Stats(t.Context())
		refusal, ok := errors.AsType[*Refusal](err)
		if !ok || refusal.Status != status || refusal.Location != elsewhere.URL {
			t.Errorf("%d: the error is %#v", status, err)
		}
		if _, err := c.PauseAccount(t.Context(), "SF", ""); err == nil {
			t.Errorf("%d: an act was redirected", status)
		}
	}
}

// TestPlainHTTPTakesNoProxy: a proxy would read the token.
func TestPlainHTTPTakesNoProxy(t *testing.T) {
	proxied := transport().(*http.Transport).Proxy
	r, err := http.NewRequest(http.MethodGet, "http://carrier.example/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if u, err := proxied(r); u != nil || err != nil {
		t.Errorf("the proxy is %v, %v", u, err)
	}
}

func TestRefusals(t *testing.T) {
	for _, test := range []struct {
		name        string
		status      int
		contentType string
		body        string
		want        Refusal
		says        string
	}{
		{"a problem", 409, "application/problem+json; charset=utf-8",
			`{"title":"T","detail":"It is delivered.","code":"conflict_state","push_status":"delivered"}`,
			Refusal{Status: 409, Title: "T", Detail: "It is delivered.", Code: "conflict_state", PushStatus: "delivered"}, "It is delivered."},
		{"fields", 400, "application/problem+json",
			`{"title":"T","detail":"Correct the fields.","code":"invalid_filter","errors":[{"field":"status","code":"value","message":"status must be x."},{"field":"limit","code":"value","message":"a number."},{"field":"","message":"whole"}]}`,
			Refusal{Status: 400, Title: "T", Detail: "Correct the fields.", Code: "invalid_filter",
				Errors: []FieldError{{"status", "value", "status must be x."}, {"limit", "value", "a number."}, {"", "", "whole"}}},
			"status must be x. limit: a number. whole"},
		{"no detail", 404, "application/problem+json", `{"title":"Not found","code":"not_found"}`,
			Refusal{Status: 404, Title: "Not found", Code: "not_found"}, "Not found"},
		{"a verdict", 409, "application/problem+json", `{"detail":"d","verdict":"accepted"}`, Refusal{Status: 409, Detail: "d", Verdict: "accepted"}, "d"},
		{"a replay", 409, "application/problem+json", `{"detail":"d","replay_status":"done"}`, Refusal{Status: 409, Detail: "d", ReplayStatus: "done"}, "d"},
		{"a page", 502, "text/html", `<h1>Bad gateway</h1>`, Refusal{Status: 502}, "answers 502 Bad Gateway"},
		{"a broken problem", 500, "application/problem+json", `{"detail":`, Refusal{Status: 500}, "answers 500 Internal Server Error"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", test.contentType)
				w.Header().Set("Retry-After", "3")
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			})
			_, err := c.DiscardPush(t.Context(), 1, "x")
			got, ok := errors.AsType[*Refusal](err)
			if !ok {
				t.Fatalf("the error is %v", err)
			}
			want := test.want
			want.URL, want.Path, want.RetryAfter = c.base, "/admin/v1/pushes/1/discard", 3*time.Second
			if !reflect.DeepEqual(*got, want) || !strings.HasSuffix(err.Error(), test.says) {
				t.Errorf("got %+v\nwant %+v\nsaying %q", *got, want, err)
			}
		})
	}
}

func TestTemporary(t *testing.T) {
	for status := 300; status < 600; status++ {
		if got, want := (&Refusal{Status: status}).Temporary(), status == 429 || status >= 500; got != want {
			t.Errorf("%d: %v", status, got)
		}
	}
}

func TestNoAnswer(t *testing.T) {
	gone := "http://" + wiretest.Nobody(t)
	cutOff := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "{")
	}))
	t.Cleanup(cutOff.Close)
	release := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(slow.Close)
	t.Cleanup(func() { close(release) })

	for _, test := range []struct {
		name, url string
		says      string
		unsure    bool // Of an act.
	}{
		{"nobody there", gone, "refused", false},
		{"cut off", cutOff.URL, "broke off", true},
		{"too slow", slow.URL, "no answer within 50ms", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := New(Options{URL: test.url, Token: testToken, Timeout: 50 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.http.CloseIdleConnections)
			_, err = c.Stats(t.Context())
			u, ok := errors.AsType[*Unreachable](err)
			if !ok || u.Unsure || u.URL != test.url || !strings.Contains(err.Error(), test.says) {
				t.Errorf("reading: %#v, %v", err, err)
			}
			_, err = c.PauseAccount(t.Context(), "SF", "")
			if u, ok := errors.AsType[*Unreachable](err); !ok || u.Unsure != test.unsure {
				t.Errorf("acting: %#v", err)
			}
			if strings.Contains(fmt.Sprintf("%#v %v", err, err), testToken) {
				t.Errorf("the error holds the token: %#v", err)
			}
		})
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the user pressed Ctrl-C")
	c := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel(why)
		<-r.Context().Done()
	})
	if _, err := c.Stats(ctx); !errors.Is(err, why) {
		t.Errorf("the error is %v", err)
	}
}

func TestUnreadableAnswers(t *testing.T) {
	for _, body := range []string{"", "<html>", `[]`, `{"seq":"seven"}`, `{"items":[{"seq":"x"}]}`, `{"items":{}}`} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
		_, err := c.Push(t.Context(), 1)
		if strings.Contains(body, "items") {
			err = first(c.Pushes(nil).Pages(t.Context(), 1, ""))
		}
		if _, ok := errors.AsType[*Unreadable](err); !ok || !strings.Contains(err.Error(), c.base) {
			t.Errorf("%q: the error is %v", body, err)
		}
	}
}

// TestPages lists what a service gives in pages of any length, also empty ones: each row once, in order, and no more
// than were asked for.
func TestPages(t *testing.T) {
	var short int // Rows that the service leaves out of each page.
	const rows = 2500
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		limit, err := strconv.Atoi(r.FormValue("limit"))
		from, _ := strconv.Atoi(r.FormValue("cursor"))
		if err != nil || limit < 1 || limit > MaxPage || r.FormValue("status") != "failed" {
			t.Errorf("the query is %s", r.URL.RawQuery)
		}
		to := min(rows, from+max(0, limit-short))
		if short > 0 && from == 0 {
			to = 1 // Almost empty.
		}
		var items []string
		for seq := from; seq < to; seq++ {
			items = append(items, fmt.Sprintf(`{"seq":%d}`, seq+1))
		}
		next := strconv.Itoa(to)
		if to == rows {
			next = ""
		}
		_, _ = fmt.Fprintf(w, `{"items":[%s],"next_cursor":%q}`, strings.Join(items, ","), next)
	})
	rapid.Check(t, func(rt *rapid.T) {
		limit := rapid.IntRange(0, 3000).Draw(rt, "limit")
		short = rapid.IntRange(0, 3).Draw(rt, "short")
		if limit > 0 && limit <= short {
			return // Such a service never gives anything.
		}
		want := rows
		if limit > 0 {
			want = min(limit, rows)
		}
		got := 0
		for page, err := range c.Pushes(Filter{"status": "failed"}).Pages(rt.Context(), limit, "") {
			if err != nil {
				rt.Fatal(err)
			}
			for i, p := range page.Items {
				got++
				if p.Seq != uint64(got) || string(page.Raw[i]) != fmt.Sprintf(`{"seq":%d}`, got) {
					rt.Fatalf("row %d is %d, %s", got, p.Seq, page.Raw[i])
				}
			}
			if done := got == rows; done != (page.Next == "") {
				rt.Fatalf("after %d rows the cursor is %q", got, page.Next)
			}
			if short > 0 && limit > 0 && limit-got <= short {
				return
			}
		}
		if got != want {
			rt.Fatalf("%d rows with limit %d, want %d", got, limit, want)
		}
	})
}

// TestPagesThatRepeat: a list that never ends must not be asked for without end.
func TestPagesThatRepeat(t *testing.T) {
	asked := 0
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		asked++
		_, _ = io.WriteString(w, `{"items":[{}],"next_cursor":"a"}`)
	})
	var last error
	for _, err := range c.Pushes(nil).Pages(t.Context(), 0, "") {
		last = err
	}
	if last == nil || asked != 2 {
		t.Errorf("asked %d times, error %v", asked, last)
	}
}

func TestFilterJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := Filter(rapid.MapOf(rapid.SampledFrom([]string{"errcode", "status", "action_type"}), rapid.String()).Draw(t, "filter"))
		raw, err := json.Marshal(f)
		var back map[string]any
		if err != nil || json.Unmarshal(raw, &back) != nil || len(back) != len(f) {
			t.Errorf("%q became %s, %v", f, raw, err)
		}
	})
}

func TestTextIn(t *testing.T) {
	both := Text{En: "e", Zh: "中"}
	if both.In(false) != "e" || both.In(true) != "中" || (Text{En: "e"}).In(true) != "e" || (Text{Zh: "中"}).In(false) != "中" || (Text{}).In(true) != "" {
		t.Error("a text is not in the language asked for, or the one that there is")
	}
}

// TestBackup: a copy comes as it is; one that breaks off is an error, and nothing that redirects gets the token.
func TestBackup(t *testing.T) {
	var answer http.HandlerFunc
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || r.URL.Path != "/admin/v1/store/backup" || strings.TrimSpace(string(body)) != `{"reason":"nightly"}` {
			t.Errorf("asked for %s %s %s", r.Method, r.URL, body)
		}
		answer(w, r)
	})
	c.timeout = 20 * time.Millisecond // Does not count here.

	answer = func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "first, ")
		_ = http.NewResponseController(w).Flush()
		time.Sleep(3 * c.timeout)
		_, _ = io.WriteString(w, "second")
	}
	archive, err := c.Backup(t.Context(), "nightly")
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(archive)
	if err := errors.Join(err, archive.Close()); err != nil || string(got) != "first, second" {
		t.Errorf("got %q, %v", got, err)
	}

	answer = func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "first, ")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	if archive, err = c.Backup(t.Context(), "nightly"); err != nil {
		t.Fatal(err)
	}
	if _, err = io.ReadAll(archive); err == nil {
		t.Error("a copy that broke off looks whole")
	}
	_ = archive.Close()

	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a redirect was followed, with %d headers", len(r.Header))
	}))
	t.Cleanup(other.Close)
	answer = func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	}
	_, err = c.Backup(t.Context(), "nightly")
	if refusal, ok := errors.AsType[*Refusal](err); !ok || refusal.Location != other.URL {
		t.Errorf("a redirect: %v", err)
	}
}

// TestReplaysHaveLonger: what counts a store's rows is not given up as early as the rest.
func TestReplaysHaveLonger(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(60 * time.Millisecond)
		_, _ = io.WriteString(w, "{}")
	})
	c.timeout = 20 * time.Millisecond
	if _, err := c.DryRun(t.Context(), ReplayRequest{}); err != nil {
		t.Errorf("a dry run: %v", err)
	}
	if _, err := c.StartReplay(t.Context(), ReplayRequest{}); err != nil {
		t.Errorf("a replay: %v", err)
	}
	if _, err := c.Stats(t.Context()); err == nil {
		t.Error("the figures were waited for")
	}
}
