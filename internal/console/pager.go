package console

// Pager leads through a list whose pages follow each other by cursor.
type Pager struct {
	Next  string // The address of the next page; empty on the last one.
	First string // The address of the first page; empty there.
}

// Pager leads from this page to the one that next, a cursor of package admin, begins.
func (v *Visit) Pager(next string) Pager {
	here := v.R.URL.RequestURI()
	var p Pager
	if next != "" {
		p.Next = withParam(here, "cursor", next)
	}
	if v.R.URL.Query().Has("cursor") {
		p.First = withParam(here, "cursor", "")
	}
	return p
}
