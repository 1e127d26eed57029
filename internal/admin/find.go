package admin

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"carrier/internal/problem"
	"carrier/internal/state"
	"carrier/internal/store"
)

// MinFindChars is how many of a waybill number's last characters must be given at least: fewer find too much. A whole
// number may be shorter.
const MinFindChars = 4

// Search says which waybills are looked for.
type Search struct {
	Text  string // A waybill's number, or its last characters, in either case.
	Limit int
	After string // The place in the list behind which the page begins; empty: the first one.
}

// findFilters reads a search whose text comes under a name.
func findFilters(name string) []filter[Search] {
	return append([]filter[Search]{
		{name, func(q *Search, value string, _ time.Time) bool {
			q.Text = strings.TrimSpace(value)
			return state.IsWaybillID(q.Text)
		}, problem.Textf("a waybill number, or at least the last %d characters of one", "运单号，或其末尾至少 %d 位", MinFindChars)},
	}, placePaging("waybills", func(q *Search) (*int, *string) { return &q.Limit, &q.After })...)
}

// FindQuery reads which waybills to look for.
func FindQuery(values url.Values, now time.Time) (Search, error) {
	return findQuery("ends_with", values, now)
}

// TypedQuery is FindQuery for what a person typed into a form.
func TypedQuery(values url.Values, now time.Time) (Search, error) { return findQuery("q", values, now) }

func findQuery(name string, values url.Values, now time.Time) (Search, error) {
	q, err := parse(values, findFilters(name), Search{Limit: defaultLimit}, now)
	if err == nil && q.Text == "" {
		return q, needed(name)
	}
	return q, err
}

// needed refuses a list without a filter that must be there.
func needed(name string) error {
	p := problem.New(problem.InvalidFilter)
	p.Errors = []problem.FieldError{{Field: name, Code: "required", Message: problem.Text{En: name + " is missing.", Zh: "缺少 " + name + "。"}}}
	return p
}

// FoundList is a page of the waybills that were found.
type FoundList struct {
	List[SummaryItem]
	Short bool `json:"-"` // The text is too short to be looked for as the end of a number.
}

// Find finds waybills by their number or its end, in all accounts: whole numbers first. If the rest fits on the page, those
// that were heard of last are at the top; else they are in the order of their numbers, from the last character on.
func (s *Service) Find(ctx context.Context, by Actor, q Search) (FoundList, error) {
	page, err := s.Store.Find(ctx, store.FindQuery{End: q.Text, After: q.After, Limit: q.Limit})
	if err != nil {
		return FoundList{}, storeProblem(err)
	}
	found := FoundList{List: summaries("waybills", &page, by), Short: utf8.RuneCountInString(q.Text) < MinFindChars}
	whole := store.Reversed(q.Text)
	isWhole := func(item *SummaryItem) bool { return store.Reversed(item.WaybillID) == whole }
	switch {
	case found.Short: // Whole numbers are at the top, so all of them are on the page.
		found.NextCursor = ""
		found.Items = slices.DeleteFunc(found.Items, func(item SummaryItem) bool { return !isWhole(&item) })
	case q.After == "" && found.NextCursor == "":
		slices.SortStableFunc(found.Items, func(a, b SummaryItem) int {
			return cmp.Or(trueFirst(isWhole(&a), isWhole(&b)), b.heardAt().Compare(a.heardAt()))
		})
	}
	return found, nil
}

func trueFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}
