package console

import (
	"net/url"
	"slices"

	"carrier/internal/admin"
	"carrier/internal/state"
	"carrier/internal/store"
)

// filters is the form above a list. It is sent with GET, so that a filtered list has an address to pass on.
type filters struct {
	Path   string
	Hidden url.Values // What is chosen elsewhere on the page, such as a tab.
	Fields []filterField
	Set    bool // Something is filled in: there is something to clear.
}

// filterField is one field of it: a choice if it has options, and else something to type.
type filterField struct {
	Name, Label, Value, Hint string
	Options                  []option
}

// option is one value that can be chosen.
type option struct {
	Value, Text string
	Chosen      bool
}

// filterForm makes the fields with these names, filled with what was given.
func (c *Console) filterForm(v *Visit, given url.Values, names ...string) filters {
	f := filters{Path: v.R.URL.Path, Hidden: url.Values{}}
	for _, name := range names {
		field := filterField{Name: name, Label: v.T("filter." + name), Value: given.Get(name)}
		switch name {
		case "delivery_id":
			field.Options = c.accountOptions(v)
		case "action_type":
			field.Options = actionOptions(v)
		case "waiting_for":
			field.Options = waitingOptions(v)
		case "since", "until":
			field.Hint = v.T("filter.time_hint")
		}
		field.choose(v.T("filter.any"))
		f.Set = f.Set || field.Value != ""
		f.Fields = append(f.Fields, field)
	}
	return f
}

// choose marks the option that was given, and adds what is given and not among them: an account that is not configured
// any more can still be looked at.
func (f *filterField) choose(any string) {
	if f.Options == nil {
		return
	}
	at := slices.IndexFunc(f.Options, func(o option) bool { return o.Value == f.Value })
	switch {
	case at >= 0:
		f.Options[at].Chosen = true
	case f.Value != "":
		f.Options = append(f.Options, option{f.Value, f.Value, true})
	}
	f.Options = slices.Insert(f.Options, 0, option{Text: any})
}

func (c *Console) accountOptions(v *Visit) []option {
	options := []option{}
	for _, a := range c.admin.AccountList().Items {
		options = append(options, option{Value: a.DeliveryID, Text: a.DeliveryID})
	}
	return options
}

func actionOptions(v *Visit) []option {
	var options []option
	for _, a := range state.ActionTypes {
		options = append(options, option{Value: a.String(), Text: v.In(admin.ActionText(a))})
	}
	return options
}

func waitingOptions(v *Visit) []option {
	var options []option
	for _, w := range []store.WaitingFor{store.WaitRetry, store.WaitBreaker, store.WaitAccount, store.WaitToken, store.WaitWaybill} {
		options = append(options, option{Value: string(w), Text: v.T("waiting." + string(w))})
	}
	return options
}

// tab is one way to look at a list.
type tab struct {
	Text  string
	Href  string
	Count *int64 // nil: not counted.
	Here  bool
}
