package console

import (
	"context"

	"carrier/internal/admin"
	"carrier/internal/state"
	"carrier/internal/verify"
)

// FreezeWaybill holds a waybill's pushes.
func (c *Console) FreezeWaybill(v *Visit) error {
	return c.onWaybill(v, "waybill.frozen_now", c.admin.Freeze)
}

// ThawWaybill lets them go on.
func (c *Console) ThawWaybill(v *Visit) error {
	return c.onWaybill(v, "waybill.thawed_now", c.admin.Thaw)
}

// SkipHead discards the push that holds a waybill up.
func (c *Console) SkipHead(v *Visit) error {
	return c.onWaybill(v, "waybill.skipped_now", c.admin.Skip)
}

// RetryHead lets that push go at once.
func (c *Console) RetryHead(v *Visit) error {
	return c.onWaybill(v, "waybill.retried_now", c.admin.RetryWaybill)
}

// onWaybill carries out an act on the waybill in the path, and goes back to its page.
func (c *Console) onWaybill(v *Visit, done string,
	act func(context.Context, admin.Actor, state.Waybill, string) (admin.WaybillItem, error),
) error {
	w, err := v.ofPath()
	if err != nil {
		return err
	}
	if _, err := act(v.Context(), v.By, w, v.Field("reason")); err != nil {
		return err
	}
	return v.Done(waybillPath(w.DeliveryID, w.WaybillID), done)
}

// PutToken registers a waybill's Token.
func (c *Console) PutToken(v *Visit) error {
	w, err := v.ofPath()
	if err != nil {
		return err
	}
	changed, err := c.admin.PutToken(v.Context(), v.By, w, v.Field("token"), v.Field("reason"))
	if err != nil {
		return err
	}
	if !changed {
		return v.Done(waybillPath(w.DeliveryID, w.WaybillID), "waybill.token_same")
	}
	return v.Done(waybillPath(w.DeliveryID, w.WaybillID), "waybill.token_now")
}

// healView is what a heal would push again.
type healView struct {
	admin.HealItem
	Path string
	Hint verify.Hint
}

// Heal shows what WeChat misses of a waybill, and pushes it again once that is confirmed.
func (c *Console) Heal(v *Visit) error {
	w, err := v.ofPath()
	if err != nil {
		return err
	}
	view := healView{Path: waybillPath(w.DeliveryID, w.WaybillID), Hint: v.hint()}
	if !v.Confirmed("") {
		if view.HealItem, err = c.admin.PlanHeal(v.Context(), v.By, w, view.Hint); err != nil {
			return err
		}
		return v.Show("heal", view)
	}
	done, err := c.admin.Heal(v.Context(), v.By, w, view.Hint, v.Field("reason"))
	switch {
	case err != nil:
		return err
	case done.Replay == nil:
		return v.Done(view.Path, "heal.nothing")
	}
	return v.Done("/replays/"+done.Replay.ID, "heal.begun", len(done.Seqs))
}

// Expunge forgets a waybill's personal data, once its number was typed.
func (c *Console) Expunge(v *Visit) error {
	w, err := v.ofPath()
	if err != nil {
		return err
	}
	path := waybillPath(w.DeliveryID, w.WaybillID)
	if !v.Confirmed(w.WaybillID) {
		lead := []string{v.T("expunge.what"), v.T("expunge.copies")}
		if v.Confirmed("") {
			lead = append(lead, v.T("expunge.mistyped"))
		}
		return v.Confirm(Confirm{
			Title: v.T("expunge.title", w.WaybillID), Lead: lead,
			Action: v.R.URL.Path, Reason: true, Typed: w.WaybillID, Submit: v.T("expunge.submit"), Danger: true, Back: path,
		})
	}
	done, err := c.admin.Expunge(v.Context(), v.By, w, v.Field("reason"))
	if err != nil {
		return err
	}
	to := path
	if len(done.Waybill.Timeline) == 0 && done.Waybill.Shown == nil {
		to = "/waybills" // Nothing of it is known any more.
	}
	return v.Done(to, "expunge.done", done.Events, done.Discarded, done.Tokens, done.Orders)
}
