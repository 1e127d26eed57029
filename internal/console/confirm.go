package console

import "net/url"

// Confirm is a page that asks before something is done. The form that it holds sends Hidden again, with Confirmed set,
// to the path that asked.
type Confirm struct {
	Title  string
	Lead   []string // What will happen, in sentences.
	Facts  []Fact
	Action string     // The path that the form is sent to.
	Hidden url.Values // What was asked for.
	Reason bool       // Ask why.
	// Typed is what must be typed to confirm, for what can't be undone; empty: a click is enough.
	Typed  string
	Submit string
	Danger bool
	Back   string // Where "no" leads.
}

// Fact is a figure or a word with its name.
type Fact struct{ Name, Value string }

// confirmed is the field that a confirming form has.
const confirmed = "confirmed"

// Confirmed tells whether the form was sent from a page that asked, and what was to be typed was.
func (v *Visit) Confirmed(typed string) bool {
	return v.Field(confirmed) == "yes" && (typed == "" || v.Field("typed") == typed)
}

// Confirm answers with a page that asks. Fields of its own (the reason, what is typed) are not sent twice.
func (v *Visit) Confirm(ask Confirm) error {
	hidden := url.Values{}
	for name, values := range ask.Hidden {
		if name != confirmed && name != "typed" && (name != "reason" || !ask.Reason) {
			hidden[name] = values
		}
	}
	ask.Hidden = hidden
	if ask.Back == "" {
		ask.Back = v.back()
	}
	return v.Show("confirm", ask)
}
