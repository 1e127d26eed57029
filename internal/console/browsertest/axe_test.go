package browsertest

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
)

// axeFile is axe-core, as npm installs it here (package.json).
const axeFile = "node_modules/axe-core/axe.min.js"

// violation is a rule of axe-core that a page breaks.
type violation struct {
	ID     string   `json:"id"`
	Impact string   `json:"impact"`
	Help   string   `json:"help"`
	Where  []string `json:"where"`
}

// runAxe looks at the page. What comes through the DevTools protocol runs in spite of the page's policy, which stays as
// it is.
const runAxe = `axe.run(document, {resultTypes: ["violations"]}).then((found) => found.violations.map((v) => ({
	id: v.id, impact: v.impact, help: v.help, where: v.nodes.slice(0, 5).map((n) => n.html.slice(0, 200) + " " + n.failureSummary)})))`

// TestAccessibility holds every page against axe-core in both themes, on a desk and on a phone: nothing that is serious
// or critical. The colours are the same at every width, so the second theme is looked at on the desk only.
func TestAccessibility(t *testing.T) {
	t.Parallel()
	browser(t)
	axe, err := os.ReadFile(axeFile)
	if errors.Is(err, fs.ErrNotExist) {
		missing(t, "axe-core is not installed: run npm ci in internal/console/browsertest")
	}
	if err != nil {
		t.Fatal(err)
	}
	s := startScene(t)
	for i, theme := range themes {
		t.Run(theme, func(t *testing.T) {
			s.tour(t, look{langs[i], theme}, func(b *tab, name string) {
				eval[struct{}](b, string(axe)+";({})")
				for _, width := range widths[:len(widths)-i] {
					b.resize(width)
					for _, v := range eval[[]violation](b, runAxe) {
						report := t.Errorf
						if v.Impact != "serious" && v.Impact != "critical" {
							report = t.Logf
						}
						report("%s, %d pixels wide: %s: %s (%s)\n%s", name, width, v.Impact, v.Help, v.ID, strings.Join(v.Where, "\n"))
					}
				}
				b.well(name)
			})
		})
	}
}
