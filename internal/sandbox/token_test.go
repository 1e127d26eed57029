package sandbox

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"
)

func basic(t testing.TB, s *Sandbox, appID, secret string) reply {
	t.Helper()
	q := url.Values{"grant_type": {"client_credential"}, "appid": {appID}, "secret": {secret}}
	return call(t, s, http.MethodGet, "/cgi-bin/token?"+q.Encode(), "")
}

func stable(t testing.TB, s *Sandbox, appID string, force bool) reply {
	t.Helper()
	return call(t, s, http.MethodPost, "/cgi-bin/stable_token",
		fmt.Sprintf(`{"grant_type":"client_credential","appid":%q,"secret":"secret","force_refresh":%v}`, appID, force))
}

func TestTokenErrcodes(t *testing.T) {
	apps := []App{{"wx1", "secret1", ""}, {"wx2", "secret2", ""}}
	const basicURL, stableURL = "/cgi-bin/token", "/cgi-bin/stable_token"
	tests := []struct {
		name, method, url, body string
		want                    int
	}{
		{"basic", "GET", basicURL + "?grant_type=client_credential&appid=wx1&secret=secret1", "", 0},
		{"basic by POST", "POST", basicURL + "?grant_type=client_credential&appid=wx1&secret=secret1", "", 43001},
		{"basic without grant_type", "GET", basicURL + "?appid=wx1&secret=secret1", "", 40002},
		{"basic with another grant_type", "GET", basicURL + "?grant_type=client_credentials&appid=wx1&secret=secret1", "", 40002},
		{"basic without appid", "GET", basicURL + "?grant_type=client_credential&secret=secret1", "", 41002},
		{"basic without secret", "GET", basicURL + "?grant_type=client_credential&appid=wx1", "", 41004},
		{"basic, unknown appid", "GET", basicURL + "?grant_type=client_credential&appid=wx9&secret=secret1", "", 40013},
		{"basic, wrong secret", "GET", basicURL + "?grant_type=client_credential&appid=wx1&secret=nobodys", "", 40125},
		{"basic, another app's secret", "GET", basicURL + "?grant_type=client_credential&appid=wx1&secret=secret2", "", 40001},
		{"stable", "POST", stableURL, `{"grant_type":"client_credential","appid":"wx1","secret":"secret1"}`, 0},
		{"stable by GET", "GET", stableURL, "", 43002},
		{"stable, empty", "POST", stableURL, "", 44002},
		{"stable, as a form", "POST", stableURL, "grant_type=client_credential&appid=wx1&secret=secret1", 41002},
		{"stable, no JSON", "POST", stableURL, `{"grant_type":`, 47001},
		{"stable, force_refresh a string", "POST", stableURL, `{"grant_type":"client_credential","appid":"wx1","secret":"secret1","force_refresh":"true"}`, 47001},
		{"stable without appid", "POST", stableURL, `{"grant_type":"client_credential","secret":"secret1"}`, 41002},
		{"stable without secret", "POST", stableURL, `{"grant_type":"client_credential","appid":"wx1"}`, 41004},
		{"stable, another grant_type", "POST", stableURL, `{"grant_type":"x","appid":"wx1","secret":"secret1"}`, 40002},
		{"stable, unknown appid", "POST", stableURL, `{"grant_type":"client_credential","appid":"wx9","secret":"secret1"}`, 40013},
		{"stable, wrong secret", "POST", stableURL, `{"grant_type":"client_credential","appid":"wx1","secret":"nobodys"}`, 40125},
		{"stable, another app's secret", "POST", stableURL, `{"grant_type":"client_credential","appid":"wx1","secret":"secret2"}`, 40125},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := New(Options{Apps: apps})
			got := call(t, s, tt.method, tt.url, tt.body)
			if got.code() != tt.want {
				t.Fatalf("errcode %d (%s), want %d", got.code(), got.Errmsg, tt.want)
			}
			if tt.want != 0 {
				if !ridAtEnd.MatchString(got.Errmsg) || got.AccessToken != "" {
					t.Errorf("answer %+v: want a rid and no access_token", got)
				}
				return
			}
			if got.ExpiresIn != 7200 || !wellFormed(got.AccessToken) || got.Errcode != nil {
				t.Errorf("answer %+v: want a token for 7200 s and no errcode", got)
			}
			if st := s.Stats(); st.TokenFetches != 1 || st.TokenErrors[0] != 1 {
				t.Errorf("Stats() = %+v", st)
			}
		})
	}
}

func TestAnyApp(t *testing.T) {
	s := New(Options{})
	if got := basic(t, s, "wxANY", "first"); got.code() != 0 {
		t.Fatalf("any appid: errcode %d", got.code())
	}
	if got := basic(t, s, "wxANY", "second"); got.code() != 0 {
		t.Errorf("any secret: errcode %d", got.code())
	}
	for i := range maxApps - 1 {
		basic(t, s, fmt.Sprintf("wx%d", i), "s")
	}
	if got := basic(t, s, "wxONE-MORE", "s"); got.code() != 40013 {
		t.Errorf("more than %d appids: errcode %d, want 40013", maxApps, got.code())
	}
}

// works tells what a push with this access_token is answered.
func works(t testing.TB, s *Sandbox, token string) int {
	t.Helper()
	return push(t, s, token, bodyOf("W", "T", 0))
}

func TestBasicTokenLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Open: true})
		a := basic(t, s, "wx1", "secret").AccessToken
		time.Sleep(time.Hour)
		b := basic(t, s, "wx1", "secret").AccessToken
		if a == b {
			t.Fatal("each call gives a new token")
		}
		time.Sleep(5*time.Minute - time.Second)
		if x, y := works(t, s, a), works(t, s, b); x != 0 || y != 0 {
			t.Errorf("within 5 minutes: old %d, new %d; want both 0", x, y)
		}
		time.Sleep(time.Second)
		if x, y := works(t, s, a), works(t, s, b); x != 40001 || y != 0 {
			t.Errorf("after 5 minutes: old %d, new %d; want 40001 and 0", x, y)
		}
		time.Sleep(2*time.Hour - 5*time.Minute)
		if x, y := works(t, s, a), works(t, s, b); x != 40001 || y != 42001 {
			t.Errorf("after 2 hours: old %d, new %d; want 40001 and 42001", x, y)
		}
	})
}

func TestStableTokenLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Open: true})
		a := stable(t, s, "wx1", false)
		time.Sleep(115*time.Minute - time.Second)
		same := stable(t, s, "wx1", false)
		if same.AccessToken != a.AccessToken || same.ExpiresIn != 301 {
			t.Fatalf("before the rotation: expires_in %d, same %v; want the same token with 301 s",
				same.ExpiresIn, same.AccessToken == a.AccessToken)
		}
		time.Sleep(time.Second)
		b := stable(t, s, "wx1", false)
		if b.AccessToken == a.AccessToken || b.ExpiresIn != 7200 {
			t.Fatalf("5 minutes before expiry: expires_in %d; want a new token with 7200 s", b.ExpiresIn)
		}
		time.Sleep(5*time.Minute - time.Second)
		if x, y := works(t, s, a.AccessToken), works(t, s, b.AccessToken); x != 0 || y != 0 {
			t.Errorf("in the overlap: old %d, new %d; want both 0", x, y)
		}
		time.Sleep(time.Second)
		if x, y := works(t, s, a.AccessToken), works(t, s, b.AccessToken); x != 42001 || y != 0 {
			t.Errorf("after it: old %d, new %d; want 42001 and 0", x, y)
		}
	})
}

func TestStableTokenForced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Open: true})
		a := stable(t, s, "wx1", false).AccessToken
		b := stable(t, s, "wx1", true).AccessToken
		if x, y := works(t, s, a), works(t, s, b); x != 40001 || y != 0 || a == b {
			t.Fatalf("forced: old %d, new %d; want the old one dead at once", x, y)
		}
		time.Sleep(30*time.Second - time.Millisecond)
		if got := stable(t, s, "wx1", true).AccessToken; got != b {
			t.Errorf("forced again within 30 s: want the same token")
		}
		time.Sleep(time.Millisecond)
		c := stable(t, s, "wx1", true).AccessToken
		if c == b || works(t, s, b) != 40001 {
			t.Errorf("forced again after 30 s: want a new token, and the old one dead")
		}
		if st := s.Stats(); st.Forced != 3 || st.TokenFetches != 4 {
			t.Errorf("Forced = %d of %d, want 3 of 4", st.Forced, st.TokenFetches)
		}
		for range forcesPerDay - 2 {
			time.Sleep(forceSpacing)
			stable(t, s, "wx1", true)
		}
		time.Sleep(forceSpacing)
		if got := stable(t, s, "wx1", true); got.code() != 45009 {
			t.Errorf("the 21st of a day: errcode %d, want 45009", got.code())
		}
		if got := stable(t, s, "wx1", false); got.code() != 0 {
			t.Errorf("normal mode after it: errcode %d, want 0", got.code())
		}
		time.Sleep(24 * time.Hour)
		if got := stable(t, s, "wx1", true); got.code() != 0 {
			t.Errorf("the next day: errcode %d, want 0", got.code())
		}
	})
}

func TestTokensAreIsolated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Open: true})
		one, two, three := stable(t, s, "wx1", false).AccessToken, basic(t, s, "wx1", "secret").AccessToken, stable(t, s, "wx2", false).AccessToken
		stable(t, s, "wx1", true)
		basic(t, s, "wx1", "secret")
		time.Sleep(6 * time.Minute)
		if x, y, z := works(t, s, one), works(t, s, two), works(t, s, three); x != 40001 || y != 40001 || z != 0 {
			t.Errorf("stable %d, basic %d, another app's %d; want 40001, 40001 and 0", x, y, z)
		}
		four := basic(t, s, "wx1", "secret").AccessToken
		stable(t, s, "wx1", true)
		if got := works(t, s, four); got != 0 {
			t.Errorf("a forced stable token ended a basic one: %d", got)
		}
	})
}

func TestShortTokenLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Open: true, TokenLife: 4 * time.Second})
		a := stable(t, s, "wx1", false)
		if a.ExpiresIn != 4 {
			t.Errorf("expires_in %d, want 4", a.ExpiresIn)
		}
		time.Sleep(3 * time.Second)
		b := stable(t, s, "wx1", false).AccessToken
		if works(t, s, a.AccessToken) != 0 || works(t, s, b) != 0 || a.AccessToken == b {
			t.Error("in the second half of its life a token is rotated, and both work")
		}
		time.Sleep(2 * time.Second)
		if got := works(t, s, a.AccessToken); got != 42001 {
			t.Errorf("after its life: %d, want 42001", got)
		}
	})
}

func TestTokenQuotas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tk := newTokens(nil, 2*time.Hour, newChance(1))
		for range stablePerMin {
			if _, no := tk.fetchStable("wx1", "s", false, time.Now()); no != nil {
				t.Fatalf("within the limit: %d", no.code)
			}
		}
		if _, no := tk.fetchStable("wx1", "s", false, time.Now()); no == nil || no.code != 45011 {
			t.Errorf("call %d of a minute: %+v, want 45011", stablePerMin+1, no)
		}
		time.Sleep(time.Minute)
		if _, no := tk.fetchStable("wx1", "s", false, time.Now()); no != nil {
			t.Errorf("the next minute: %d", no.code)
		}
		for range basicPerDay {
			if _, no := tk.fetchBasic("wx1", "s", time.Now()); no != nil {
				t.Fatalf("within the limit: %d", no.code)
			}
		}
		if _, no := tk.fetchBasic("wx1", "s", time.Now()); no == nil || no.code != 45009 {
			t.Errorf("call %d of a day: %+v, want 45009", basicPerDay+1, no)
		}
	})
}

func TestGrantsAreBounded(t *testing.T) {
	tk := newTokens(nil, 2*time.Hour, newChance(1))
	now := time.Now()
	first, _ := tk.fetchBasic("wx0", "s", now)
	for i := range maxGrants {
		tk.fetchBasic(fmt.Sprintf("wx%d", i%900), "s", now)
	}
	if len(tk.grants) != maxGrants || len(tk.order) != maxGrants {
		t.Errorf("%d grants and %d in order, want %d", len(tk.grants), len(tk.order), maxGrants)
	}
	if _, no := tk.check(first.value, now); no == nil || no.code != 40001 {
		t.Errorf("the oldest: %+v, want it forgotten (40001)", no)
	}
}

func TestDaysBeginInBeijing(t *testing.T) {
	before := time.Date(2026, 3, 1, 15, 59, 59, 0, time.UTC)
	if day(before)+1 != day(before.Add(time.Second)) {
		t.Error("the day does not change at 16:00 UTC")
	}
	if day(before.Add(time.Second)) != day(before.Add(24*time.Hour)) {
		t.Error("the day changes at another time, too")
	}
}

func TestSeedRepeats(t *testing.T) {
	run := func(seed uint64) (out []int) {
		s := New(Options{Seed: seed, Open: true})
		setFaults(t, s, Faults{Trouble: Trouble{Busy: 0.3, Errcodes: map[int]float64{40164: 0.2, 48001: 0.1}}})
		token := stable(t, s, "wx1", false).AccessToken
		for i := range 200 {
			out = append(out, push(t, s, token, bodyOf("W", "T", i)))
		}
		return out
	}
	if a, b := fmt.Sprint(run(7)), fmt.Sprint(run(7)); a != b {
		t.Errorf("the same seed gives\n%s\nand\n%s", a, b)
	}
	if a, b := fmt.Sprint(run(7)), fmt.Sprint(run(8)); a == b {
		t.Error("another seed gives the same")
	}
	if a, b := New(Options{}), New(Options{}); a.Stats().Seed == b.Stats().Seed {
		t.Error("without a seed, two sandboxes have the same")
	}
}
