package browsertest

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"carrier/internal/server"
)

// place is a page of the console in one of its states.
type place struct {
	name   string
	route  string // As package server lists it: the page that is shown, or the form that leads there.
	status int64
	visit  func(b *tab) int64
}

func get(name, route, path string) place {
	return place{name, "GET " + route, http.StatusOK, func(b *tab) int64 { b.t.Helper(); return b.open(path) }}
}

// sent is what a page's form leads to; button is the one that sends it.
func sent(name, route, path, button string) place {
	return place{name, "POST " + route, http.StatusOK, func(b *tab) int64 {
		b.t.Helper()
		b.open(path)
		return b.follow("sending the form of "+name, clickHidden(button))
	}}
}

func (p place) answered(status int64) place { p.status = status; return p }

// outside are the pages for those who are not logged in.
func outside() []place {
	return []place{
		get("login", "/login", "/login?ended=1"),
		{"login-wrong", "POST /login", http.StatusUnauthorized, func(b *tab) int64 { b.open("/login"); return b.sendToken("wrong") }},
	}
}

// inside are all other pages, empty and full, and those that forms lead to without doing anything yet.
func (s *scene) inside() []place {
	waybill := func(id string) string { return "/waybills/SF/" + id }
	const oneWaybill = "/waybills/:delivery/:waybill"
	return []place{
		get("overview", "/", "/"),
		get("pushes", "/pushes", "/pushes"),
		get("pushes-failed", "/pushes", "/pushes?status=failed"),
		get("pushes-pending", "/pushes", "/pushes?status=pending"),
		get("pushes-none", "/pushes", "/pushes?waybill_id=nobody"),
		get("pushes-wrong", "/pushes", "/pushes?since=yesterday").answered(http.StatusBadRequest),
		get("push-failed", "/pushes/:seq", fmt.Sprintf("/pushes/%d", s.failedPush)),
		sent("plan", "/pushes/replay", "/pushes?status=failed", "button[form=all]"),
		get("waybills", "/waybills", "/waybills"),
		get("waybills-found", "/waybills", "/waybills?q=00001"),
		get("waybills-none", "/waybills", "/waybills?q=99999999"),
		get("waybill-delivered", oneWaybill, waybill(s.delivered)),
		get("waybill-failed", oneWaybill, waybill(s.refused)),
		sent("waybill-upstream", oneWaybill+"/upstream", waybill(s.differs), "form[action*='/upstream'] button:not([formaction])"),
		sent("heal", oneWaybill+"/heal", waybill(s.differs), "button[formaction$='/heal']"),
		sent("confirm-expunge", oneWaybill+"/expunge", waybill(s.delivered), "form[action$='/expunge'] button"),
		get("rejected", "/events/rejected", "/events/rejected"),
		get("held", "/events/held", "/events/held"),
		get("silent", "/silent", "/silent"),
		get("sources", "/sources", "/sources"),
		get("accounts", "/accounts", "/accounts"),
		get("replays", "/replays", "/replays"),
		get("replay", "/replays/:id", "/replays/"+s.replay),
		sent("confirm-cancel", "/replays/:id/cancel", "/replays/"+s.replay, "form[action$='/cancel'] button"),
		get("differences", "/differences", "/differences"),
		get("dead-letters", "/dead-letters", "/dead-letters"),
		get("audit", "/audit", "/audit"),
		get("not-found", "/nowhere", "/nowhere").answered(http.StatusNotFound),
	}
}

// TestEveryPageIsVisited: a page that is added is added to the tours too.
func TestEveryPageIsVisited(t *testing.T) {
	visited := map[string]bool{
		"GET /console/static/:build/:file": true, "GET /console/events": true, "GET /pushes.csv": true, // No pages.
	}
	for _, p := range slices.Concat(outside(), (&scene{}).inside()) {
		visited[p.route] = true
	}
	for _, page := range server.Pages() {
		if route := page.Method + " " + page.Path; page.Method == http.MethodGet && !visited[route] {
			t.Errorf("no test looks at %s", route)
		}
	}
}
