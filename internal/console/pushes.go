package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"carrier/internal/admin"
	"carrier/internal/problem"
	"carrier/internal/store"
)

// Pushes is what the pages about pushes need of package admin.
type Pushes interface {
	Pushes(ctx context.Context, by admin.Actor, q store.Query) (admin.List[admin.PushItem], error)
	PushCounts(deliveryID string) map[store.Status]int64
	Push(ctx context.Context, by admin.Actor, seq uint64) (admin.PushDetail, error)
	Replay(ctx context.Context, by admin.Actor, seq uint64, force bool, reason string) (admin.PushItem, error)
	Discard(ctx context.Context, by admin.Actor, seq uint64, reason string) (admin.PushItem, error)
	Retry(ctx context.Context, by admin.Actor, seq uint64, reason string) (admin.PushItem, error)
}

// pushesView is a list of pushes.
type pushesView struct {
	Tabs    []tab
	Filters filters
	Problem *problem.Problem // What is wrong with the filters; nil: nothing.
	Items   []admin.PushItem
	Pager   Pager
	Asked   url.Values // The filters, as a replay of all that they find takes them.
	Here    string
	CSV     string
}

// pushFilters are the fields above the list; the status is chosen by a tab.
var pushFilters = []string{"waybill_id", "delivery_id", "waiting_for", "errcode", "reason", "action_type", "source", "since", "until"}

// Pushes lists pushes.
func (c *Console) Pushes(v *Visit) error {
	given, err := v.Query()
	if err != nil {
		return err
	}
	view := pushesView{Tabs: c.pushTabs(v, given), Filters: c.filterForm(v, given, pushFilters...), Asked: replayFilter(given)}
	view.Here, view.CSV = v.R.URL.RequestURI(), "/pushes.csv?"+view.Asked.Encode()
	view.Filters.keep("status", given)
	q, err := admin.PushQuery(given, time.Now())
	if p, wrong := errors.AsType[*problem.Problem](err); wrong {
		view.Problem = p
		return v.page(p.Status(), "pushes", view)
	}
	q.Limit = min(q.Limit, admin.MaxChosen) // What is listed can be chosen.
	list, err := c.admin.Pushes(v.Context(), v.By, q)
	if err != nil {
		return err
	}
	view.Items, view.Pager = list.Items, v.Pager(list.NextCursor)
	return v.Show("pushes", view)
}

// replayFilter is what a bulk replay, and an export, take of the filters.
func replayFilter(given url.Values) url.Values {
	asked := url.Values{}
	for _, name := range admin.ReplayFilters() {
		if value := given.Get(name); value != "" {
			asked.Set(name, value)
		}
	}
	return asked
}

// keep carries on a filter that is chosen elsewhere.
func (f *filters) keep(name string, given url.Values) {
	if value := given.Get(name); value != "" {
		f.Hidden.Set(name, value)
	}
}

// pushTabs lead to the pushes of each status. They are counted by account and status only, so with any other filter the
// counts would be wrong, and are left out.
func (c *Console) pushTabs(v *Visit, given url.Values) []tab {
	counted := true
	for _, name := range pushFilters {
		counted = counted && (name == "delivery_id" || !given.Has(name))
	}
	counts := c.admin.PushCounts(given.Get("delivery_id"))
	here := withParam(withParam(v.R.URL.RequestURI(), "cursor", ""), "waiting_for", "")
	var tabs []tab
	var all int64
	for _, status := range store.Statuses() {
		n := counts[status]
		all += n
		t := tab{Text: v.T("push." + status.String()), Href: withParam(here, "status", status.String()), Here: given.Get("status") == status.String()}
		if counted {
			t.Count = &n
		}
		tabs = append(tabs, t)
	}
	first := tab{Text: v.T("pushes.all"), Href: withParam(here, "status", ""), Here: given.Get("status") == ""}
	if counted {
		first.Count = &all
	}
	return append([]tab{first}, tabs...)
}

// Push shows one push.
func (c *Console) Push(v *Visit) error {
	seq, err := v.seq()
	if err != nil {
		return err
	}
	p, err := c.admin.Push(v.Context(), v.By, seq)
	if err != nil {
		return err
	}
	return v.Show("push", p)
}

// seq is the number of a push or an event in the path.
func (v *Visit) seq() (uint64, error) {
	seq, err := strconv.ParseUint(v.Param("seq"), 10, 64)
	if err != nil || seq == 0 {
		return 0, problem.New(problem.NotFound).Sayf("%q is no number of a push. The lists show them.", "%q 不是推送编号。编号见列表。", v.Param("seq"))
	}
	return seq, nil
}

// ReplayPush makes a push pending again. One that was delivered is confirmed first: the customer may see it twice.
func (c *Console) ReplayPush(v *Visit) error {
	return c.onPush(v, "pushes.replayed", func(seq uint64) error {
		_, err := c.admin.Replay(v.Context(), v.By, seq, v.Field("force") == "yes", v.Field("reason"))
		return err
	})
}

// DiscardPush ends a push that will not be sent.
func (c *Console) DiscardPush(v *Visit) error {
	return c.onPush(v, "pushes.discarded", func(seq uint64) error {
		_, err := c.admin.Discard(v.Context(), v.By, seq, v.Field("reason"))
		return err
	})
}

// RetryPush lets a push go at once that waits for its next attempt.
func (c *Console) RetryPush(v *Visit) error {
	return c.onPush(v, "pushes.retried", func(seq uint64) error {
		_, err := c.admin.Retry(v.Context(), v.By, seq, v.Field("reason"))
		return err
	})
}

// onPush carries out an act on a push, and goes back to the page that the form was on.
func (c *Console) onPush(v *Visit, done string, act func(seq uint64) error) error {
	seq, err := v.seq()
	if err != nil {
		return err
	}
	if err := act(seq); err != nil {
		return err
	}
	return v.Done(v.backTo("/pushes/"+strconv.FormatUint(seq, 10)), done, seq)
}

// takesLong gives an answer more time than others have.
func (v *Visit) takesLong(d time.Duration) error {
	err := http.NewResponseController(v.W).SetWriteDeadline(time.Now().Add(d))
	if errors.Is(err, http.ErrNotSupported) {
		return nil // Then there is no deadline either.
	}
	return err
}
