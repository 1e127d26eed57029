package console

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"time"

	"carrier/internal/admin"
	"carrier/internal/problem"
	"carrier/internal/replay"
)

// Bulk is what replays of many pushes need of package admin.
type Bulk interface {
	PlanChosen(ctx context.Context, by admin.Actor, seqs []uint64) (admin.PlanItem, error)
	ReplayChosen(ctx context.Context, by admin.Actor, seqs []uint64, reason string) (admin.ChosenItem, error)
	PlanReplay(ctx context.Context, by admin.Actor, r replay.Request) (admin.PlanItem, error)
	StartReplay(ctx context.Context, by admin.Actor, r replay.Request) (admin.ReplayItem, error)
}

// planView is what a replay would do, before it is done.
type planView struct {
	admin.PlanItem
	ByVerdict []planTotal
	Action    string     // The path that the form is sent to.
	Hidden    url.Values // What was asked for.
	Filter    []Fact     // The same in words; none if pushes were chosen one by one.
	Because   string     // Why it is done; for the audit log.
	Rate      string
	Skip      bool
	Bulk      bool // A filter says which: the rate can be set, and later stages left out.
	Back      string
}

// becauseField says why a replay is made, for the audit log. It is not called reason, as in other forms: that is a filter
// here, the reason for which pushes failed.
const becauseField = "because"

// planTotal is how many pushes meet one fate.
type planTotal struct {
	Verdict replay.Verdict
	Count   int
}

func newPlanView(v *Visit, plan admin.PlanItem) planView {
	view := planView{PlanItem: plan, Action: v.R.URL.Path, Hidden: url.Values{}, Because: v.Field(becauseField), Back: v.backTo("/pushes")}
	for _, verdict := range replay.Verdicts() {
		if n := plan.Totals[verdict]; n > 0 {
			view.ByVerdict = append(view.ByVerdict, planTotal{verdict, n})
		}
	}
	view.Hidden.Set("back", view.Back)
	return view
}

// backTo is the page of the console that a form names as the one to go back to.
func (v *Visit) backTo(otherwise string) string {
	if to := v.Field("back"); to != "" && local(to) {
		return to
	}
	return otherwise
}

// ReplayChosen shows what a replay of the chosen pushes would do, and does it once that is confirmed.
func (c *Console) ReplayChosen(v *Visit) error {
	form, err := v.Form()
	if err != nil {
		return err
	}
	seqs, err := numbers(form["seq"])
	if err != nil {
		return err
	}
	if v.Confirmed("") {
		done, err := c.admin.ReplayChosen(v.Context(), v.By, seqs, v.Field(becauseField))
		if err != nil {
			return err
		}
		if len(done.Refused) > 0 {
			return v.Done(v.backTo("/pushes"), "bulk.chosen_partly", len(done.Replayed), len(done.Refused), done.Refused[0].Seq)
		}
		return v.Done(v.backTo("/pushes"), "bulk.chosen_done", len(done.Replayed))
	}
	plan, err := c.admin.PlanChosen(v.Context(), v.By, seqs)
	if err != nil {
		return err
	}
	view := newPlanView(v, plan)
	view.Hidden["seq"] = form["seq"]
	return v.Show("plan", view)
}

func numbers(texts []string) ([]uint64, error) {
	var all []uint64
	for _, text := range texts {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return nil, problem.New(problem.InvalidRequest).Because(err).Say("The form names something that is no push. Go back and choose again.",
				"表单中有无效的推送编号。请返回后重新选择。")
		}
		all = append(all, n)
	}
	return all, nil
}

// filterWords are what the keys of the words begin with that some filters take.
var filterWords = map[string]string{"status": "push.", "waiting_for": "waiting.", "reason": "why."}

func filterFact(v *Visit, name, value string) Fact {
	if kind, ok := filterWords[name]; ok {
		value = formatter{v.lang}.name(kind, value)
	}
	return Fact{v.T("filter." + name), value}
}

// counting bounds the time that a bulk replay, or its dry run, has to count what it is of: it reads every push that the
// filter finds.
const counting = 10 * time.Minute

// ReplayAll shows what a replay of all that a filter finds would do, and starts it once that is confirmed.
func (c *Console) ReplayAll(v *Visit) error {
	form, err := v.Form()
	if err != nil {
		return err
	}
	asked := replayFilter(form)
	request, err := replayRequest(v, asked)
	if err != nil {
		return err
	}
	if err := v.takesLong(counting + time.Minute); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(v.Context(), counting)
	defer cancel()
	if v.Confirmed("") {
		kept, err := c.admin.StartReplay(ctx, v.By, request)
		if err != nil {
			return err
		}
		return v.Done("/replays/"+kept.ID, "bulk.started", kept.Matched)
	}
	plan, err := c.admin.PlanReplay(ctx, v.By, request)
	if err != nil {
		return err
	}
	view := newPlanView(v, plan)
	view.Bulk, view.Rate, view.Skip = true, v.Field("rate"), request.SkipSuperseded
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		view.Hidden.Set(name, asked.Get(name))
		view.Filter = append(view.Filter, filterFact(v, name, asked.Get(name)))
	}
	return v.Show("plan", view)
}

// replayRequest reads what is asked for. A relative time becomes a fixed one in asked, so that what is confirmed is what
// was shown.
func replayRequest(v *Visit, asked url.Values) (r replay.Request, err error) {
	if r.Filter, err = admin.ReplayQuery(asked, time.Now()); err != nil {
		return r, err
	}
	for name, at := range map[string]time.Time{"since": r.Filter.Since, "until": r.Filter.Until} {
		if !at.IsZero() {
			asked.Set(name, at.In(beijing).Format(time.RFC3339Nano))
		}
	}
	r.Reason, r.SkipSuperseded = v.Field(becauseField), v.Field("skip_superseded") == "yes"
	if rate := v.Field("rate"); rate != "" {
		if r.Rate, err = strconv.ParseFloat(rate, 64); err != nil {
			return r, problem.New(problem.InvalidRequest).Because(err).Say("The rate must be a number of pushes a second, such as 50.",
				"速率应为每秒推送数，例如 50。")
		}
	}
	return r, nil
}
