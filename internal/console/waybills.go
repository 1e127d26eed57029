package console

import (
	"context"
	"errors"
	"net/url"
	"time"

	"carrier/internal/admin"
	"carrier/internal/problem"
	"carrier/internal/state"
)

// Finder is what the search and the page about silent waybills need of package admin.
type Finder interface {
	Find(ctx context.Context, by admin.Actor, q admin.Search) (admin.FoundList, error)
	Silent(ctx context.Context, by admin.Actor, q admin.Silence) (admin.SilentList, error)
}

// foundView is what a search found.
type foundView struct {
	Text    string
	Problem *problem.Problem
	admin.FoundList
	Pager Pager
}

// Waybills finds waybills by their number, or its last digits. One whole number that is there leads to its page at once.
func (c *Console) Waybills(v *Visit) error {
	given, err := v.Query()
	if err != nil {
		return err
	}
	view := foundView{Text: given.Get("q")}
	if view.Text == "" {
		return v.Show("waybills", view)
	}
	q, err := admin.TypedQuery(given, time.Now())
	if p, wrong := errors.AsType[*problem.Problem](err); wrong {
		view.Problem = p
		return v.page(p.Status(), "waybills", view)
	}
	if view.FoundList, err = c.admin.Find(v.Context(), v.By, q); err != nil {
		return err
	}
	if whole := exactly(view.Items, q.Text); len(whole) == 1 {
		return v.Redirect(waybillPath(whole[0].DeliveryID, whole[0].WaybillID))
	}
	view.Pager = v.Pager(view.NextCursor)
	return v.Show("waybills", view)
}

// exactly are the waybills with a number, and no longer one.
func exactly(items []admin.SummaryItem, number string) (whole []admin.SummaryItem) {
	for i := range items {
		if items[i].WaybillID == number {
			whole = append(whole, items[i])
		}
	}
	return whole
}

// silentView is the waybills that stand still.
type silentView struct {
	Tabs    []tab
	Filters filters
	Problem *problem.Problem
	Stages  []admin.SilentStage
	Hours   string // That were given; empty: what is usual for each stage.
	All     bool   // Also without a Token.
	admin.SilentList
	Pager Pager
}

// Silent lists waybills of which nothing came for long.
func (c *Console) Silent(v *Visit) error {
	given, err := v.Query()
	if err != nil {
		return err
	}
	view := silentView{
		Tabs: silentTabs(v, given), Stages: admin.SilentStages(), Hours: given.Get("hours"), All: given.Get("no_token") == "1",
		Filters: c.filterForm(v, given, "delivery_id"),
	}
	view.Filters.keep("stage", given)
	q, err := admin.SilentQuery(given, time.Now())
	if p, wrong := errors.AsType[*problem.Problem](err); wrong {
		view.Problem = p
		return v.page(p.Status(), "silent", view)
	}
	if view.SilentList, err = c.admin.Silent(v.Context(), v.By, q); err != nil {
		return err
	}
	view.Pager = v.Pager(view.NextCursor)
	return v.Show("silent", view)
}

// silentTabs lead to each stage.
func silentTabs(v *Visit, given url.Values) []tab {
	here := withParam(v.R.URL.RequestURI(), "cursor", "")
	stage := given.Get("stage")
	tabs := []tab{{Text: v.T("filter.any"), Href: withParam(here, "stage", ""), Here: stage == ""}}
	for _, s := range admin.SilentStages() {
		key := s.Stage.String()
		tabs = append(tabs, tab{Text: v.In(s.Name), Href: withParam(here, "stage", key), Here: stage == key})
	}
	return tabs
}

// ofPath is the waybill in the path.
func (v *Visit) ofPath() (state.Waybill, error) {
	w := state.Waybill{DeliveryID: v.Param("delivery"), WaybillID: v.Param("waybill")}
	if !state.IsWaybillID(w.WaybillID) {
		return w, problem.New(problem.NotFound).Say("That is no waybill number: it has 1 to 64 characters, none of them a space or invisible.",
			"不是有效的运单号：应为 1 到 64 个字符，不含空格和不可见字符。")
	}
	return w, nil
}
