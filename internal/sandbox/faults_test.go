package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// far is a client over a real connection, which redirects don't lead anywhere.
func far(t *testing.T, s *Sandbox) (*http.Client, string) {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	client := server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client, server.URL
}

// send makes one push; the answer's body is read to its end.
func send(t *testing.T, client *http.Client, url, body string) (status int, answer []byte, header http.Header, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, resp.Header, err
}

func TestEachFault(t *testing.T) {
	isJSON := func(b []byte) bool { return json.Valid(b) }
	tests := []struct {
		name    string
		faults  Trouble
		applied bool
		check   func(status int, answer []byte, header http.Header, err error) bool
	}{
		{"busy", Trouble{Busy: 1}, false, func(st int, b []byte, _ http.Header, err error) bool {
			return err == nil && st == 200 && strings.HasPrefix(string(b), `{"errcode":-1,"errmsg":"system error rid: `)
		}},
		{"errcodes", Trouble{Errcodes: map[int]float64{40164: 1}}, false, func(st int, b []byte, _ http.Header, err error) bool {
			return err == nil && st == 200 && strings.HasPrefix(string(b), `{"errcode":40164,"errmsg":"invalid ip`)
		}},
		{"errcodes", Trouble{Errcodes: map[int]float64{123456: 1}}, false, func(st int, b []byte, _ http.Header, err error) bool {
			return err == nil && st == 200 && strings.HasPrefix(string(b), `{"errcode":123456,"errmsg":"error 123456 rid: `)
		}},
		{"resets_before", Trouble{ResetsBefore: 1}, false, func(_ int, _ []byte, _ http.Header, err error) bool {
			return errors.Is(err, syscall.ECONNRESET)
		}},
		{"resets", Trouble{Resets: 1}, true, func(_ int, _ []byte, _ http.Header, err error) bool {
			return errors.Is(err, syscall.ECONNRESET)
		}},
		{"html", Trouble{HTML: 1}, false, func(st int, b []byte, h http.Header, err error) bool {
			return err == nil && st == 200 && strings.Contains(string(b), "<html>") && strings.HasPrefix(h.Get("Content-Type"), "text/html")
		}},
		{"half_json", Trouble{HalfJSON: 1}, true, func(st int, b []byte, _ http.Header, err error) bool {
			return err == nil && st == 200 && strings.HasPrefix(string(b), `{"errcode":0`) && !isJSON(b)
		}},
		{"empty", Trouble{Empty: 1}, false, func(st int, b []byte, _ http.Header, err error) bool {
			return err == nil && st == 200 && len(b) == 0
		}},
		{"redirect", Trouble{Redirect: 1}, false, func(st int, b []byte, h http.Header, err error) bool {
			return err == nil && st == 307 && h.Get("Location") == redirectTarget
		}},
		{"huge", Trouble{Huge: 1}, true, func(st int, b []byte, _ http.Header, err error) bool {
			return err == nil && st == 200 && len(b) > hugeBytes && isJSON(b)
		}},
		{"no_errcode", Trouble{NoErrcode: 1}, false, func(st int, b []byte, _ http.Header, err error) bool {
			return err == nil && st == 200 && isJSON(b) && !strings.Contains(string(b), "errcode")
		}},
		{"http_500", Trouble{HTTP500: 1}, false, func(st int, _ []byte, _ http.Header, err error) bool {
			return err == nil && st >= 500 && st <= 504 && st != 501
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := New(Options{Seed: 5, Open: true})
			client, base := far(t, s)
			url := base + updateURL + "?access_token=" + testToken(t, s, "wx1")
			setFaults(t, s, Faults{Trouble: tt.faults})
			status, answer, header, err := send(t, client, url, bodyOf("W", "T", 0))
			if !tt.check(status, answer, header, err) {
				t.Errorf("got status %d, %d bytes %.80q, error %v", status, len(answer), answer, err)
			}
			v, st := s.Nodes("W"), s.Stats()
			if got := len(v.Arrivals) == 1; got != tt.applied || (st.Applied == 1) != tt.applied {
				t.Errorf("applied: %v, counted %d; want %v", got, st.Applied, tt.applied)
			}
			if tt.applied && (!v.Arrivals[0].Unanswered || st.Unanswered != 1) {
				t.Errorf("an applied push without an answer is not marked so: %+v", v.Arrivals[0])
			}
			if n := st.Faults[tt.name]; n != 1 && tt.name != "busy" && tt.name != "errcodes" {
				t.Errorf("Faults = %v, want 1 %s", st.Faults, tt.name)
			}
			setFaults(t, s, Faults{})
			if got := push(t, s, testToken(t, s, "wx1"), bodyOf("W", "T", 0)); got != 0 {
				t.Errorf("healed, the same push gets %d", got)
			}
			if got := s.Nodes("W").Arrivals; got[len(got)-1].Repeat != tt.applied {
				t.Errorf("sent again: repeat %v, want %v", got[len(got)-1].Repeat, tt.applied)
			}
		})
	}
}

func TestHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Open: true})
		token := testToken(t, s, "wx1")
		setFaults(t, s, Faults{Trouble: Trouble{Hang: 1}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		start := time.Now()
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, httptest.NewRequestWithContext(ctx, http.MethodPost, updateURL+"?access_token="+token, strings.NewReader(bodyOf("W", "T", 0))))
		if took := time.Since(start); took != time.Hour || rec.Body.Len() != 0 {
			t.Errorf("ended after %v with %q; want silence until the client goes", took, rec.Body)
		}
		if a := s.Nodes("W").Arrivals; len(a) != 1 || !a[0].Unanswered {
			t.Errorf("arrivals %+v, want one, unanswered", a)
		}
	})
}

// TestHangOfRefused hangs on requests that are refused before their bodies are read: that their clients have gone
// must be seen all the same.
func TestHangOfRefused(t *testing.T) {
	s := New(Options{})
	client, base := far(t, s)
	client.Timeout = 50 * time.Millisecond
	setFaults(t, s, Faults{Trouble: Trouble{Hang: 1}, Token: Trouble{Hang: 1}})
	for _, url := range []string{updateURL, "/cgi-bin/token", "/cgi-bin/stable_token"} {
		if _, _, _, err := send(t, client, base+url, bodyOf("W", "T", 0)); err == nil {
			t.Errorf("%s: an answer", url)
		}
	}
	if st := settled(t, s); st.Faults["hang"] != 1 || st.TokenFaults["hang"] != 2 {
		t.Errorf("Stats() = %+v; want 1 and 2 that hung", st)
	}
	// The server's Close waits for its handlers: it would not come back.
}

func TestClientGoneDuringLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Open: true})
		token := testToken(t, s, "wx1")
		setFaults(t, s, Faults{Trouble: Trouble{Latency: Duration(time.Minute)}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodPost,
			updateURL+"?access_token="+token, strings.NewReader(bodyOf("W", "T", 0))))
		st := s.Stats()
		if st.Applied != 1 || st.Unanswered != 1 || st.Faults["client_gone"] != 1 || st.Errcodes[0] != 0 {
			t.Errorf("Stats() = %+v; want it applied and unanswered", st)
		}
	})
}

func TestOutage(t *testing.T) {
	s := New(Options{Open: true})
	client, base := far(t, s)
	token := testToken(t, s, "wx1")
	setFaults(t, s, Faults{Outage: true})
	if _, _, _, err := send(t, client, base+updateURL+"?access_token="+token, bodyOf("W", "T", 0)); err == nil {
		t.Error("a push in an outage got an answer")
	}
	if _, err := client.Get(base + "/cgi-bin/token?grant_type=client_credential&appid=wx1&secret=s"); err == nil {
		t.Error("a token call in an outage got an answer")
	}
	var f Faults
	own(t, s, http.MethodDelete, "/_sandbox/faults", "", http.StatusOK, &f)
	if f.Outage {
		t.Error("the outage can't be ended")
	}
	if status, _, _, err := send(t, client, base+updateURL+"?access_token="+token, bodyOf("W", "T", 0)); err != nil || status != 200 {
		t.Errorf("after the outage: %d, %v", status, err)
	}
	if st := s.Stats(); st.Pushes != 2 || st.Faults["outage"] != 1 || st.Applied != 1 {
		t.Errorf("Stats() = %+v", st)
	}
}

func TestRedirectFollowed(t *testing.T) {
	s := New(Options{Open: true})
	client, base := far(t, s)
	client.CheckRedirect = nil
	setFaults(t, s, Faults{Trouble: Trouble{Redirect: 1}})
	status, answer, _, err := send(t, client, base+updateURL+"?access_token="+testToken(t, s, "wx1"), bodyOf("W", "T", 0))
	if err != nil || status != 200 || string(answer) != string(okBody) {
		t.Errorf("a careless client gets %d %s, %v; want a success that is none", status, answer, err)
	}
	if st := s.Stats(); st.Redirected != 1 || st.Applied != 0 {
		t.Errorf("Redirected %d, Applied %d; want 1 and 0", st.Redirected, st.Applied)
	}
}

func TestWaybillFaults(t *testing.T) {
	s := New(Options{Open: true})
	token := testToken(t, s, "wx1")
	setFaults(t, s, Faults{
		Trouble:  Trouble{Busy: 1},
		Waybills: map[string]WaybillFault{"W1": {Errcode: 40199, Times: 2}, "W2": {Errcode: 9300507}},
	})
	var got []int
	for range 3 {
		got = append(got, push(t, s, token, bodyOf("W1", "T", 0)), push(t, s, token, bodyOf("W2", "T", 0)))
	}
	if want := []int{40199, 9300507, 40199, 9300507, -1, 9300507}; !reflect.DeepEqual(got, want) {
		t.Errorf("errcodes %v, want %v", got, want)
	}
	if w := s.Faults().Waybills; !maps.Equal(w, map[string]WaybillFault{"W2": {Errcode: 9300507}}) {
		t.Errorf("left: %v, want W2 only", w)
	}
}

func TestExpiredTokens(t *testing.T) {
	s := New(Options{Open: true, Seed: 2})
	token := stable(t, s, "wx1", false).AccessToken
	setFaults(t, s, Faults{ExpireNow: true})
	if got := works(t, s, token); got != 42001 || s.Faults().ExpireNow {
		t.Fatalf("expire_now: errcode %d, still set %v; want 42001, once", got, s.Faults().ExpireNow)
	}
	next := stable(t, s, "wx1", false).AccessToken
	if got := works(t, s, next); got != 0 || next == token {
		t.Fatalf("the next token: errcode %d", got)
	}
	setFaults(t, s, Faults{ExpireTokens: 0.1})
	died := 0
	for range 1000 {
		if got := works(t, s, next); got != 0 {
			if got != 42001 {
				t.Fatalf("errcode %d, want 42001", got)
			}
			died++
			next = stable(t, s, "wx1", false).AccessToken
		}
	}
	if died < 60 || died > 150 {
		t.Errorf("%d of 1000 tokens died, want about 100", died)
	}
}

func TestQuotas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Open: true, TokenLife: 100 * time.Hour})
		one, two := testToken(t, s, "wx1"), testToken(t, s, "wx2")
		setFaults(t, s, Faults{QuotaMinute: 3, QuotaDay: 5})
		count := func(token string, n int) (out []int) {
			for range n {
				out = append(out, works(t, s, token))
			}
			return out
		}
		steps := []struct {
			name  string
			token string
			want  []int
			then  time.Duration
		}{
			{"a minute's quota", one, []int{0, 0, 0, 45011}, 0},
			{"is each app's own", two, []int{0}, time.Minute},
			{"the next minute has its own, the day ends", one, []int{0, 0, 45009}, 10 * time.Hour},
			{"still the same day", one, []int{45009}, 6 * time.Hour},
			{"midnight in Beijing", one, []int{0}, 0},
		}
		for _, st := range steps {
			if got := count(st.token, len(st.want)); !reflect.DeepEqual(got, st.want) {
				t.Errorf("%s: %v, want %v", st.name, got, st.want)
			}
			time.Sleep(st.then)
		}
	})
}

func TestTokenFaults(t *testing.T) {
	s := New(Options{Open: true})
	setFaults(t, s, Faults{Trouble: Trouble{Busy: 1}, Token: Trouble{Errcodes: map[int]float64{40243: 1}}})
	if got := stable(t, s, "wx1", false); got.code() != 40243 || got.AccessToken != "" {
		t.Errorf("answer %+v, want 40243", got)
	}
	setFaults(t, s, Faults{Token: Trouble{Empty: 1}})
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/cgi-bin/stable_token", strings.NewReader("{}")))
	if rec.Body.Len() != 0 {
		t.Errorf("answer %q, want none", rec.Body)
	}
	if st := s.Stats(); st.TokenErrors[40243] != 1 || st.TokenFaults["empty"] != 1 || st.TokenFetches != 2 {
		t.Errorf("Stats() = %+v", st)
	}
}

func TestSharesAddUp(t *testing.T) {
	s := New(Options{Seed: 9, Open: true})
	token := testToken(t, s, "wx1")
	setFaults(t, s, Faults{Trouble: Trouble{Busy: 0.2, NoErrcode: 0.3, Errcodes: map[int]float64{40164: 0.1, 48001: 0.1}}})
	const n = 5000
	for i := range n {
		push(t, s, token, bodyOf("W", "T", i))
	}
	st := s.Stats()
	for _, share := range []struct {
		name string
		got  uint64
		want float64
	}{
		{"busy", st.Errcodes[-1], 0.2}, {"40164", st.Errcodes[40164], 0.1}, {"48001", st.Errcodes[48001], 0.1},
		{"no_errcode", st.Faults["no_errcode"], 0.3}, {"success", st.Errcodes[0], 0.3},
	} {
		if got := float64(share.got) / n; got < share.want-0.03 || got > share.want+0.03 {
			t.Errorf("%s befell %.3f of the pushes, want %.2f", share.name, got, share.want)
		}
	}
}

func TestFaultsAPI(t *testing.T) {
	tests := []struct {
		name, method, body string
		status             int
		want               string // a part of the answer
	}{
		{"show", "GET", "", 200, `"latency":"0s"`},
		{"put", "PUT", `{"busy":0.5,"latency":"50ms","errcodes":{"40164":0.25},"waybills":{"W1":{"errcode":40199,"times":2}}}`, 200, `"errcodes":{"40164":0.25}`},
		{"post", "POST", `{"token":{"hang":1}}`, 200, `"hang":1`},
		{"nothing", "POST", `{}`, 200, `"busy":0`},
		{"delete", "DELETE", "", 200, `"busy":0`},
		{"unknown field", "PUT", `{"buzy":0.5}`, 400, `unknown field \"buzy\"; there are business, busy, callback, empty, errcodes`},
		{"unknown field within", "PUT", `{"token":{"outage":true}}`, 400, `unknown field \"outage\"`},
		{"share above 1", "PUT", `{"resets":1.5}`, 400, "resets is 1.5: a share is from 0 to 1"},
		{"share below 0", "PUT", `{"token":{"busy":-1}}`, 400, "token.busy is -1"},
		{"shares above 1 together", "PUT", `{"busy":0.7,"html":0.7}`, 400, "add up to 1.4"},
		{"errcode share above 1", "PUT", `{"errcodes":{"40164":2}}`, 400, "errcodes.40164 is 2"},
		{"errcode 0", "PUT", `{"errcodes":{"0":0.1}}`, 400, "errcode 0 is success"},
		{"errcode in words", "PUT", `{"errcodes":{"busy":0.1}}`, 400, "errcodes"},
		{"latency a number", "PUT", `{"latency":50}`, 400, `latency: number is not what belongs there: write a duration like \"50ms\"`},
		{"latency without a unit", "PUT", `{"latency":"50"}`, 400, "is no duration"},
		{"latency negative", "PUT", `{"latency":"-1s"}`, 400, "can't be negative"},
		{"share a string", "PUT", `{"busy":"0.5"}`, 400, "busy: string is not what belongs there: write a share"},
		{"outage a string", "PUT", `{"outage":"yes"}`, 400, "write true or false"},
		{"quota a fraction", "PUT", `{"quota_day":1.5}`, 400, "write a whole number"},
		{"quota negative", "PUT", `{"quota_day":-1}`, 400, "0 is no limit"},
		{"waybill without errcode", "PUT", `{"waybills":{"W1":{"times":2}}}`, 400, "waybills.W1: give an errcode"},
		{"waybill with both", "PUT", `{"waybills":{"W1":{"errcode":1,"fault":"drop"}}}`, 400, "not both"},
		{"waybill with an unknown fault", "PUT", `{"waybills":{"W1":{"fault":"errcodes"}}}`, 400, "there are busy, resets_before, resets, html"},
		{"waybill with a fault", "PUT", `{"waybills":{"W1":{"fault":"drop","times":1}}}`, 200, `"W1":{"fault":"drop","times":1}`},
		{"trace", "PUT", `{"trace":{"drop":0.1,"duplicate":0.2}}`, 200, `"trace":{"drop":0.1,"duplicate":0.2,"change":0}`},
		{"trace shares above 1 together", "PUT", `{"trace":{"drop":0.5,"change":0.6}}`, 400, "the shares of trace add up to 1.1"},
		{"business", "PUT", `{"business":{"busy":2}}`, 400, "business.busy is 2"},
		{"waybill times negative", "PUT", `{"waybills":{"W1":{"errcode":1,"times":-2}}}`, 400, "times is -2"},
		{"expire_tokens above 1", "PUT", `{"expire_tokens":2}`, 400, "expire_tokens is 2"},
		{"no body", "PUT", "", 400, "the body is empty"},
		{"no JSON", "PUT", "busy=1", 400, "no JSON that can be read"},
		{"two documents", "PUT", "{}{}", 400, "something follows"},
		{"another method", "OPTIONS", "", 405, "OPTIONS is not possible here"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := New(Options{})
			rec := httptest.NewRecorder()
			s.ServeHTTP(rec, httptest.NewRequest(tt.method, "/_sandbox/faults", strings.NewReader(tt.body)))
			if rec.Code != tt.status || !strings.Contains(rec.Body.String(), tt.want) {
				t.Errorf("%d %s\nwant %d with %s", rec.Code, rec.Body, tt.status, tt.want)
			}
			if rec.Code != 200 && !reflect.DeepEqual(s.Faults(), Faults{}) {
				t.Errorf("refused, but set: %+v", s.Faults())
			}
		})
	}
}

func TestFaultsReplaceAndPatch(t *testing.T) {
	s := New(Options{})
	var f Faults
	own(t, s, "PUT", "/_sandbox/faults", `{"busy":0.5,"errcodes":{"40164":0.1}}`, 200, &f)
	own(t, s, "PATCH", "/_sandbox/faults", `{"latency":"1s","errcodes":{"48001":0.1}}`, 200, &f)
	want := Faults{Trouble: Trouble{Busy: 0.5, Latency: Duration(time.Second), Errcodes: map[int]float64{40164: 0.1, 48001: 0.1}}}
	if !reflect.DeepEqual(f, want) || !reflect.DeepEqual(s.Faults(), want) {
		t.Errorf("after PATCH %+v, want %+v", f, want)
	}
	f = Faults{}
	own(t, s, "POST", "/_sandbox/faults", `{"html":0.5}`, 200, &f)
	if want := (Faults{Trouble: Trouble{HTML: 0.5}}); !reflect.DeepEqual(s.Faults(), want) {
		t.Errorf("after POST %+v, want %+v", s.Faults(), want)
	}
}

func TestFaultsAreCopied(t *testing.T) {
	s := New(Options{})
	given := Faults{Waybills: map[string]WaybillFault{"W": {Errcode: 1, Times: 1}}, Trouble: Trouble{Errcodes: map[int]float64{1: 0.1}}}
	setFaults(t, s, given)
	given.Waybills["V"], given.Errcodes[2] = WaybillFault{Errcode: 2, Times: 2}, 5
	shown := s.Faults()
	shown.Waybills["X"] = WaybillFault{Errcode: 3, Times: 3}
	if got := fmt.Sprint(s.Faults().Waybills, s.Faults().Errcodes); got != "map[W:{1  1}] map[1:0.1]" {
		t.Errorf("faults changed from outside: %s", got)
	}
}

func TestOtherSitesAreKeptOut(t *testing.T) {
	s := New(Options{})
	req := httptest.NewRequest(http.MethodPost, "/_sandbox/faults", strings.NewReader(`{"outage":true}`))
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, req)
	if rec.Code != http.StatusForbidden || s.Faults().Outage {
		t.Errorf("another site's page: %d, outage %v; want 403", rec.Code, s.Faults().Outage)
	}
}
