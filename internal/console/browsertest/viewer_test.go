package browsertest

import (
	"strings"
	"testing"
)

// acts are what a viewer could send from a page, but for the question that changes nothing here.
const acts = `[...document.querySelectorAll("main form[method=post]")].filter((f) => !f.action.includes("/upstream")).
	flatMap((f) => [...f.elements]).concat([...document.querySelectorAll("main button[form], main button[formaction]")]).
	filter((e) => (e.tagName === "BUTTON" || e.type === "submit") && !e.disabled).map((e) => e.outerHTML.slice(0, 120)).join("\n")`

// TestPagesOfViewers looks at every page as one who may only read: there is nothing to act with, and no phone number.
func TestPagesOfViewers(t *testing.T) {
	t.Parallel()
	s := startScene(t)
	b := openTab(t, s.Admin)
	b.open("/login?lang=zh-CN&theme=light")
	b.logIn(s.Viewer)
	masked := 0
	for _, p := range s.inside() {
		if !strings.HasPrefix(p.route, "GET ") {
			continue // What a form leads to: those that act are refused, as the tests of package console show.
		}
		name := "viewer-" + p.name
		if status := p.visit(b); status != p.status {
			t.Errorf("%s was answered %d, want %d", name, status, p.status)
		}
		if found := eval[string](b, acts); found != "" {
			t.Errorf("%s offers a viewer what is an operator's:\n%s", name, found)
		}
		html := eval[string](b, "document.documentElement.outerHTML")
		if strings.Contains(html, "18666666666") {
			t.Errorf("%s shows a phone number to a viewer", name)
		}
		masked += strings.Count(html, "186****6666")
		for _, width := range widths {
			b.resize(width)
			b.fits(name, width)
			b.screenshot(name, width)
		}
		b.well(name)
	}
	if masked == 0 {
		t.Error("no page has a masked number: the test looks at nothing")
	}
}
