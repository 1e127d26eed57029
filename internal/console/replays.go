package console

import (
	"cmp"
	"context"
	"encoding/json"
	"net/url"
	"strconv"
	"time"

	"carrier/internal/admin"
	"carrier/internal/problem"
	"carrier/internal/store"
)

// Replays is what the pages about replays need of package admin.
type Replays interface {
	ListReplays(ctx context.Context, by admin.Actor, q admin.PageQuery) (admin.List[admin.ReplayItem], error)
	ReadReplay(ctx context.Context, by admin.Actor, id uint64) (admin.ReplayItem, error)
	PauseReplay(ctx context.Context, by admin.Actor, id uint64, reason string) (admin.ReplayItem, error)
	ResumeReplay(ctx context.Context, by admin.Actor, id uint64, reason string) (admin.ReplayItem, error)
	CancelReplay(ctx context.Context, by admin.Actor, id uint64, reason string) (admin.ReplayItem, error)
}

// listView is a page of a list.
type listView[T any] struct {
	Items []T
	Pager Pager
}

// replayRow is a replay as the pages show it.
type replayRow struct{ admin.ReplayItem }

// Through is how many it has dealt with: made pending and ended, or left alone.
func (r replayRow) Through() int64 { return r.Skipped + r.Delivered + r.Failed + r.Discarded }

// Percent is how far it is, in whole percent; one that has just begun and one that is almost done do not look otherwise.
func (r replayRow) Percent() int64 {
	if r.Matched == 0 {
		return 100
	}
	return min(100, 100*r.Through()/r.Matched)
}

// Scope is the filter as the address of a list of pushes has it; empty for all that failed.
func (r replayRow) Scope() url.Values {
	text, err := json.Marshal(r.Filter)
	members := map[string]any{}
	if err == nil {
		err = json.Unmarshal(text, &members)
	}
	values := url.Values{}
	for name, value := range members {
		if text := filterText(value); err == nil && text != "" {
			values.Set(name, text)
		}
	}
	return values
}

func filterText(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return ""
}

// PushesHref is the list of the pushes that the filter finds by now.
func (r replayRow) PushesHref() string {
	scope := r.Scope()
	if scope.Get("status") == "" {
		scope.Set("status", store.Failed.String())
	}
	return "/pushes?" + scope.Encode()
}

// Replays lists the replays.
func (c *Console) Replays(v *Visit) error { return c.showLive(v, "replays", c.replaysView) }

func (c *Console) replaysView(v *Visit) (any, error) {
	values, err := v.listQuery()
	if err != nil {
		return nil, err
	}
	q, err := admin.ReplaysQuery(values, time.Now())
	if err != nil {
		return nil, err
	}
	page, err := c.admin.ListReplays(v.Context(), v.By, q)
	if err != nil {
		return nil, err
	}
	view := listView[replayRow]{Pager: v.Pager(page.NextCursor)}
	for _, item := range page.Items {
		view.Items = append(view.Items, replayRow{item})
	}
	return view, nil
}

// Replay shows one replay and how far it is.
func (c *Console) Replay(v *Visit) error { return c.showLive(v, "replay", c.replayView) }

func (c *Console) replayView(v *Visit) (any, error) {
	id, err := v.replayID()
	if err != nil {
		return nil, err
	}
	item, err := c.admin.ReadReplay(v.Context(), v.By, id)
	return replayRow{item}, err
}

// replayID is the number in the path, or, for who listens to the page, in the address.
func (v *Visit) replayID() (uint64, error) {
	given := cmp.Or(v.Param("id"), v.R.URL.Query().Get("id"))
	id, err := strconv.ParseUint(given, 10, 64)
	if err != nil || id == 0 {
		return 0, problem.New(problem.NotFound).Sayf("%q is no replay; the page Replays lists them.", "%q 不是重放编号；请见“重放”页面。", given)
	}
	return id, nil
}

// PauseReplay stops a running one until it is resumed.
func (c *Console) PauseReplay(v *Visit) error {
	return v.onReplay("replays.paused_now", c.admin.PauseReplay)
}

// ResumeReplay lets a paused one go on.
func (c *Console) ResumeReplay(v *Visit) error {
	return v.onReplay("replays.resumed_now", c.admin.ResumeReplay)
}

// CancelReplay ends one, after it was asked whether that is meant.
func (c *Console) CancelReplay(v *Visit) error {
	if v.Confirmed("") {
		return v.onReplay("replays.cancelled_now", c.admin.CancelReplay)
	}
	id, err := v.replayID()
	if err != nil {
		return err
	}
	item, err := c.admin.ReadReplay(v.Context(), v.By, id)
	if err != nil {
		return err
	}
	row, f := replayRow{item}, formatter{v.lang}
	return v.Confirm(Confirm{
		Title: v.T("replays.cancel_title", item.ID), Lead: []string{v.T("replays.cancel_lead")},
		Facts: []Fact{
			{v.T("replays.matched"), f.count(item.Matched)}, {v.T("replays.through"), f.count(row.Through())}, {v.T("replays.open"), f.count(item.Open)},
		},
		Action: v.R.URL.Path, Reason: true, Submit: v.T("replays.cancel"), Danger: true, Back: "/replays/" + item.ID,
	})
}

// onReplay carries out an act on the replay that the path names, and leads back to its page.
func (v *Visit) onReplay(done string, do func(context.Context, admin.Actor, uint64, string) (admin.ReplayItem, error)) error {
	id, err := v.replayID()
	if err != nil {
		return err
	}
	item, err := do(v.Context(), v.By, id, v.Field("reason"))
	if err != nil {
		return err
	}
	return v.Done("/replays/"+url.PathEscape(item.ID), done, item.ID)
}

// listQuery are the parameters of a list, without those that only say what to listen to.
func (v *Visit) listQuery() (url.Values, error) {
	values, err := v.Query()
	values.Del("of")
	return values, err
}
