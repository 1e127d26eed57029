package verify

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/wechat"
)

// lookTimeout bounds one look, access_token and all.
const lookTimeout = 30 * time.Second

// quotaUsed is upstream's errcode for a day's quota that is used up.
const quotaUsed = 45009

// look compares what upstream shows of a waybill with its pushes, and keeps what came of it.
func (r *Runner) look(ctx context.Context, w state.Waybill) {
	ctx, cancel := context.WithTimeoutCause(ctx, lookTimeout, errors.New("looking at a waybill took longer than "+lookTimeout.String()))
	defer cancel()
	result, err := r.compare(ctx, w)
	switch {
	case ctx.Err() != nil && errors.Is(context.Cause(ctx), context.Canceled):
		return // The service stops.
	case err != nil:
		r.log.Log(ctx, r.level(result), "a waybill can't be verified", "delivery_id", w.DeliveryID, "waybill_id", w.WaybillID,
			"result", result, "err", err)
	}
	r.last = result
	if result != "" {
		r.o.Observe(result)
	}
}

// level is how loudly it is said that a waybill can't be verified: what goes on is said once, and what is about one
// waybill alone not at all unless somebody looks into it.
func (r *Runner) level(result Result) slog.Level {
	if result == ResultRefused || result == r.last {
		return slog.LevelDebug
	}
	return slog.LevelWarn
}

// compare gives "" for a waybill that is not there any more.
func (r *Runner) compare(ctx context.Context, w state.Waybill) (Result, error) {
	story, err := r.o.Store.Waybill(ctx, w)
	if errors.Is(err, store.ErrNotFound) { // Retention was faster.
		return "", r.close(ctx, w, false)
	}
	if err != nil {
		return ResultFailed, err
	}
	merchant, orderID, err := r.upstream.find(ctx, w, Hint{})
	if _, nobody := errors.AsType[*MerchantError](err); nobody {
		return ResultNoOne, nil // Most couriers' waybills are of shops that have not given them their credentials.
	}
	if err != nil {
		return ResultFailed, err
	}
	pushes := PushesOf(&story)
	if orderID != "" && anyLeft(pushes) {
		r.askOrder(ctx, merchant, asked{w, orderID})
	}
	if !r.budget.take(merchant.Name, time.Now()) {
		return ResultLimited, nil
	}
	askedAt := time.Now()
	path, err := merchant.GetPath(ctx, pathQuery(w, orderID, ""))
	if err != nil {
		return r.unanswered(merchant, err)
	}
	report := Compare(pushes, path.PathItemList, r.upstream.settled(askedAt))
	return r.keep(ctx, w, merchant, &report, askedAt)
}

// unanswered says what an error of a call is.
func (r *Runner) unanswered(merchant Merchant, err error) (Result, error) {
	refused, ok := errors.AsType[*wechat.RefusedError](err)
	if !ok {
		return ResultFailed, err
	}
	if refused.Errcode == quotaUsed {
		r.budget.end(merchant.Name)
	}
	return ResultRefused, err
}

// keep keeps what a report says.
func (r *Runner) keep(ctx context.Context, w state.Waybill, merchant Merchant, report *Report, at time.Time) (Result, error) {
	if err := r.o.Store.MarkVerified(ctx, w, report.Seqs(Same, Moved), at); err != nil {
		return ResultFailed, err
	}
	if report.Same() {
		if err := r.close(ctx, w, true); err != nil {
			return ResultFailed, err
		}
		return ResultSame, nil
	}
	d := store.Difference{
		Waybill: w, Merchant: merchant.Name, Missing: report.Seqs(Missing), Changed: report.Seqs(Changed), Moved: report.Seqs(Moved),
		Extra: report.Count(Extra),
	}
	if err := r.o.Store.PutDifference(ctx, d); err != nil {
		return ResultFailed, err
	}
	if r.differ(w, true) {
		r.log.Warn("the customer does not see what was delivered; GET /admin/v1/waybills/DELIVERY_ID/WAYBILL_ID/upstream shows it, and heal pushes again what is missing",
			"delivery_id", w.DeliveryID, "waybill_id", w.WaybillID, "missing", len(d.Missing), "changed", len(d.Changed), "moved", len(d.Moved), "extra", d.Extra)
	}
	return ResultDifferent, nil
}

// close forgets a waybill's difference, if it has one, because upstream agrees or there is nothing left to compare.
func (r *Runner) close(ctx context.Context, w state.Waybill, agrees bool) error {
	closed, err := r.o.Store.CloseDifference(ctx, w, agrees)
	if err != nil {
		return err
	}
	r.differ(w, false)
	if closed && agrees {
		r.log.Info("the customer sees what was delivered again", "delivery_id", w.DeliveryID, "waybill_id", w.WaybillID)
	}
	return nil
}

// differ notes whether a waybill differs, and tells whether that is new.
func (r *Runner) differ(w state.Waybill, does bool) (news bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	news = r.differs[w] != does
	if delete(r.differs, w); does {
		r.differs[w] = true
	}
	return news
}
