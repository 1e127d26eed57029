package sandbox

import (
	_ "embed"
	"html/template"
	"maps"
	"net/http"
	"slices"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// page is /: what this is, and what can be tried.
func (s *Sandbox) page(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	_ = pageTemplate.Execute(w, map[string]any{"Host": r.Host, "Stats": s.Stats(), "Open": s.opts.Open,
		"Carriers": slices.Sorted(maps.Keys(s.carriers))})
}
