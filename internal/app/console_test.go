package app_test

import (
	"bufio"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// visitor is a browser that is logged in to a service's console.
type visitor struct {
	http.Client
	base string
}

func logIn(t *testing.T, s *service, token string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := &visitor{http.Client{Jar: jar, Transport: &http.Transport{}}, s.Admin}
	t.Cleanup(v.CloseIdleConnections)
	page := v.post(t, "/login", url.Values{"token": {token}})
	if !strings.Contains(page, `id="troubles"`) {
		t.Fatalf("the log-in led to %s", page)
	}
	return v
}

func (v *visitor) get(t *testing.T, path string) string {
	t.Helper()
	res, err := v.Get(v.base + path)
	return read(t, res, err)
}

func (v *visitor) post(t *testing.T, path string, form url.Values) string {
	t.Helper()
	res, err := v.PostForm(v.base+path, form)
	return read(t, res, err)
}

func read(t *testing.T, res *http.Response, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s was answered %d: %s", res.Request.URL, res.StatusCode, body)
	}
	return string(body)
}

// TestConsole goes through the pages of a service at work: what came in is counted, an act on an account takes effect and
// is in the audit log, and a page that is open live follows, and does not keep the service from stopping.
func TestConsole(t *testing.T) {
	up := apptest.NewUpstream(t, sandbox.Options{Open: true})
	settings := apptest.NewSettings(t, sf(up))
	s := start(t, settings)
	v := logIn(t, s, settings.Operator)
	live := v.listen(t, "/console/events?of=overview")

	s.Accept(t, story("CONSOLE", 100001, 200001)...)
	s.Settled(t, soon)
	live.until(t, `<dt>Events in</dt>`, `taken 2`, `delivered 2`)
	page := v.get(t, "/sources")
	for _, want := range []string{apptest.Scanner, `data-label="accepted">2</td>`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page about sources has no %q: %s", want, page)
		}
	}

	if page := v.post(t, "/accounts/SF/pause", url.Values{"reason": {"they move house"}}); !strings.Contains(page, "SF is paused.") {
		t.Errorf("the pause led to %s", page)
	}
	live.until(t, "SF is paused: they move house")
	if page := v.get(t, "/audit"); !strings.Contains(page, "account.pause") || !strings.Contains(page, "they move house") {
		t.Errorf("the audit log shows %s", page)
	}
	v.post(t, "/accounts/SF/resume", nil)
	live.until(t, "All is well")

	began := time.Now()
	s.stop()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("with a page open live the stop took %s", took)
	}
	live.end(t)
}

// livePage is a page that is open live.
type livePage struct {
	parts chan string
}

func (v *visitor) listen(t *testing.T, path string) *livePage {
	t.Helper()
	res, err := v.Get(v.base + path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	if got := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || got != "text/event-stream" {
		t.Fatalf("%s was answered %d %s", path, res.StatusCode, got)
	}
	l := &livePage{make(chan string, 1000)}
	go func() {
		defer close(l.parts)
		var part strings.Builder
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			if lines.Text() == "" {
				l.parts <- part.String()
				part.Reset()
			}
			part.WriteString(strings.TrimPrefix(lines.Text(), "data: ") + "\n")
		}
	}()
	return l
}

// until waits for a part that has all of these.
func (l *livePage) until(t *testing.T, want ...string) {
	t.Helper()
	late := time.After(soon)
	last := ""
	for {
		select {
		case part, ok := <-l.parts:
			if !ok {
				t.Fatalf("the page ended; its last part was %s", last)
			}
			if last = part; hasAll(part, want) {
				return
			}
		case <-late:
			t.Fatalf("the page does not show %q; its last part was %s", want, last)
		}
	}
}

func hasAll(text string, want []string) bool {
	for _, w := range want {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

// end waits until nothing more comes.
func (l *livePage) end(t *testing.T) {
	t.Helper()
	late := time.After(soon)
	for {
		select {
		case _, ok := <-l.parts:
			if !ok {
				return
			}
		case <-late:
			t.Fatal("the page goes on")
		}
	}
}
