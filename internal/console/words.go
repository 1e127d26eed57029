package console

import (
	"fmt"
	"html/template"
	"regexp"
	"strings"
	"time"

	"carrier/internal/admin"
	"carrier/internal/state"
)

// listFunctions are what the templates of lists and waybills call, beside functions.
func (f formatter) listFunctions() template.FuncMap {
	return template.FuncMap{
		"name":    f.name,
		"action":  f.action,
		"node":    f.node,
		"waybill": waybillPath,
		"minutes": func(n float64) string { return f.span(n * 60) },
		"usual":   f.usual,
		"deref":   func(n *int) int { return *n },
		"between": func(from, to any) string { return f.span(instant(to).Sub(instant(from)).Seconds()) },
	}
}

// name is a word of the API in the reader's language; kind is what its keys begin with, such as "push.". A word that is in no catalogue, such as an operator's own reason, is
// shown as it is.
func (f formatter) name(kind string, word any) string {
	plain := fmt.Sprint(word)
	if t, ok := catalogue[kind+plain]; ok {
		return t.In(f.lang)
	}
	return plain
}

// node is the type of a node of a trace: WeChat has some that no push has.
func (f formatter) node(kind int64) string {
	if a := state.ActionType(kind); int64(a) == kind && a.Valid() {
		return in(f.lang, admin.ActionText(a))
	}
	return say(f.lang, "waybill.own_node", kind)
}

// waybillPath is the address of a waybill's page.
func waybillPath(deliveryID, waybillID string) string {
	return pathTo("waybills", deliveryID, waybillID)
}

// action is an action type with what it means.
func (f formatter) action(a state.ActionType) string { return in(f.lang, admin.ActionText(a)) }

// usual says for how long waybills may stand still at each stage.
func (f formatter) usual(stages []admin.SilentStage) string {
	all := make([]string, len(stages))
	for i, s := range stages {
		all[i] = in(f.lang, s.Name) + " " + say(f.lang, "silent.hours_of", int(s.After.Hours()))
	}
	return strings.Join(all, say(f.lang, "mark.comma"))
}

// utcMoment is an instant within a sentence of package admin, which writes for programs too.
var utcMoment = regexp.MustCompile(`\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\b`)

// inBeijing is a sentence with its instants as all others on the pages are.
func inBeijing(text string) string {
	return utcMoment.ReplaceAllStringFunc(text, func(moment string) string {
		t, err := time.Parse(time.RFC3339, moment)
		if err != nil {
			return moment
		}
		return t.In(beijing).Format(time.DateTime)
	})
}
