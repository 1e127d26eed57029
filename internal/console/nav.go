package console

import "strings"

// navItem is a line of the navigation.
type navItem struct {
	Path, Key string
	Here      bool
}

// places are the pages that the navigation leads to, and the keys of their names.
var places = []navItem{
	{Path: "/", Key: "nav.overview"},
	{Path: "/pushes", Key: "nav.pushes"},
	{Path: "/waybills", Key: "nav.waybills"},
	{Path: "/events/rejected", Key: "nav.rejected"},
	{Path: "/events/held", Key: "nav.held"},
	{Path: "/silent", Key: "nav.silent"},
	{Path: "/sources", Key: "nav.sources"},
	{Path: "/accounts", Key: "nav.accounts"},
	{Path: "/replays", Key: "nav.replays"},
	{Path: "/differences", Key: "nav.differences"},
	{Path: "/dead-letters", Key: "nav.dead_letters"},
	{Path: "/audit", Key: "nav.audit"},
}

// navigation marks the place that a path belongs to.
func navigation(path string) []navItem {
	items := make([]navItem, len(places))
	for i, p := range places {
		p.Here = path == p.Path || p.Path != "/" && strings.HasPrefix(path, p.Path+"/")
		items[i] = p
	}
	return items
}
