package console

import (
	"context"
	"errors"
	"time"

	"carrier/internal/admin"
	"carrier/internal/problem"
	"carrier/internal/state"
	"carrier/internal/store"
)

// Events is what the pages about rejected and held events need of package admin.
type Events interface {
	Events(ctx context.Context, by admin.Actor, q store.Query) (admin.List[admin.EventItem], error)
	Accept(ctx context.Context, by admin.Actor, seq uint64, reason string) (admin.EventItem, error)
}

// eventsView is a list of events of one verdict.
type eventsView struct {
	Verdict state.Verdict
	Filters filters
	Problem *problem.Problem // What is wrong with the filters; nil: nothing.
	Items   []admin.EventItem
	Pager   Pager
}

// Held tells whether the events wait for a scan; else they were rejected.
func (e eventsView) Held() bool { return e.Verdict == state.Held }

// Rejected lists the events that have no place in their waybill's timeline.
func (c *Console) Rejected(v *Visit) error { return c.events(v, state.Rejected) }

// Held lists the events that wait for a missing scan.
func (c *Console) Held(v *Visit) error { return c.events(v, state.Held) }

func (c *Console) events(v *Visit, verdict state.Verdict) error {
	given, err := v.Query()
	if err != nil {
		return err
	}
	view := eventsView{
		Verdict: verdict,
		Filters: c.filterForm(v, given, "waybill_id", "delivery_id", "action_type", "source", "since", "until"),
	}
	q, err := admin.EventQuery(given, time.Now())
	if p, wrong := errors.AsType[*problem.Problem](err); wrong {
		view.Problem = p
		return v.page(p.Status(), "events", view)
	}
	q.Verdict = verdict
	list, err := c.admin.Events(v.Context(), v.By, q)
	if err != nil {
		return err
	}
	view.Items, view.Pager = list.Items, v.Pager(list.NextCursor)
	return v.Show("events", view)
}

// AcceptEvent takes a rejected event into its waybill's timeline.
func (c *Console) AcceptEvent(v *Visit) error {
	seq, err := v.seq()
	if err != nil {
		return err
	}
	e, err := c.admin.Accept(v.Context(), v.By, seq, v.Field("reason"))
	if err != nil {
		return err
	}
	return v.Done(v.backTo(waybillPath(e.DeliveryID, e.WaybillID)), "events.accepted", seq)
}
