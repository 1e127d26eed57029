package browsertest

import (
	"fmt"
	"html"
	"net/http"
	"strings"
	"testing"

	"carrier/internal/app/apptest"
)

// TestOtherSitesCanDoNothing: a page of another site sends the console's forms with the operator's own browser, and
// shows the console in a frame. Each is refused and changes nothing. Another port of the same machine is another origin
// of the same site, to which even a SameSite=Strict cookie goes.
func TestOtherSitesCanDoNothing(t *testing.T) {
	t.Parallel()
	s := startPlain(t)
	s.fails(t, "FORGED")
	seq := s.Accept(t, story("FORGED", 100001)...)[0]
	s.failed(t, 1)
	evil := apptest.Serve(t, forms(s.Admin))
	for name, origin := range map[string]string{"same site": evil, "another site": strings.Replace(evil, "127.0.0.1", "localhost", 1)} {
		t.Run(name, func(t *testing.T) {
			b := openTab(t, s.Admin)
			b.allowed = append(b.allowed, origin)
			b.logIn(s.Operator)
			b.well("the log-in")
			for _, path := range []string{fmt.Sprintf("/pushes/%d/replay", seq), fmt.Sprintf("/pushes/%d/discard", seq), "/accounts/SF/pause", "/waybills/SF/FORGED/expunge", "/logout", "/login"} {
				b.openURL(origin + "/?to=" + path)
				if status := b.click("button"); status != http.StatusForbidden {
					t.Errorf("%s was answered %d", path, status)
				}
				b.says("The form was sent from another site's page, so nothing was done.")
			}
			b.well("the forms")
			b.openURL(origin + "/frame")
			if !strings.Contains(strings.Join(b.troubles(), "\n"), "frame-ancestors") {
				t.Error("another page can show the console in a frame")
			}
			if b.open("/pushes"); b.path() != "/pushes" {
				t.Errorf("the session is gone: the list leads to %s", b.path())
			}
		})
	}
	if p := s.GetPush(t, seq); p.Status != "failed" || len(p.Attempts) != 1 || p.ActionMsg == "" {
		t.Errorf("the push is %+v", p)
	}
	if a := s.Account(t, "SF"); a.Paused {
		t.Error("the account is paused")
	}
	var audit struct{ Items []struct{ Action string } }
	if s.Call(t, http.MethodGet, "/admin/v1/audit", nil, http.StatusOK, &audit); len(audit.Items) != 0 {
		t.Errorf("the audit log has %v", audit.Items)
	}
}

// forms is another site: pages with a form of the console's, and one that shows it in a frame.
func forms(console string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		const page = `<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>x</title>`
		if r.URL.Path == "/frame" {
			_, _ = fmt.Fprintf(w, page+`<iframe src="%s/"></iframe>`, console)
			return
		}
		_, _ = fmt.Fprintf(w, page+`<form method="post" action="%s"><input name="reason" value="forged"><input name="confirmed" value="yes"><button>win</button></form>`,
			html.EscapeString(console+r.FormValue("to")))
	})
}
