package console

import (
	"maps"

	"carrier/internal/admin"
	"carrier/internal/problem"
)

// texts is a part of the catalogue: what the pages say, by key, in both languages. A key begins with what it belongs to.
type texts map[string]problem.Text

// catalogue is all of it. Each page's texts stand in a file beside the page.
var catalogue = collect(
	frameTexts, accountTexts, overviewTexts, sourceTexts, replayTexts, recordTexts,
	filterTexts, pushTexts, eventTexts, waybillTexts, silentTexts, csvTexts,
)

// collect joins parts; a key that is in two of them is a programmer's mistake.
func collect(parts ...texts) texts {
	all := texts{}
	for _, part := range parts {
		for key := range part {
			if _, twice := all[key]; twice {
				panic("console: the text " + key + " is in the catalogue twice")
			}
		}
		maps.Copy(all, part)
	}
	return all
}

// say is a text of the catalogue, with the values filled in. A key that is not there is a programmer's mistake: it
// panics, and a test of each page and key shows it first.
func say(l problem.Language, key string, args ...any) string {
	t, ok := catalogue[key]
	if !ok {
		panic("console: no text " + key + " in the catalogue")
	}
	if len(args) == 0 {
		return t.In(l)
	}
	return problem.Sprintf(t.In(l), args...)
}

// in is a text of package admin in a language.
func in(l problem.Language, t admin.Text) string {
	if l == problem.Chinese {
		return t.Zh
	}
	return t.En
}
