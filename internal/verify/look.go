package verify

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"go.opentelemetry.io/otel/trace"

	"carrier/internal/spans"
	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/wechat"
)

// lookTimeout bounds one look, access_token and all.
const lookTimeout = 30 * time.Second

// look compares what upstream shows of a waybill with its pushes, and keeps what came of it.
func (r *Runner) look(ctx context.Context, w state.Waybill) {
	ctx, cancel := context.WithTimeoutCause(ctx, lookTimeout, errors.New("looking at a waybill took longer than "+lookTimeout.String()))
	defer cancel()
	ctx, span := r.o.Spans.Root(ctx, "verify", trace.SpanKindClient, time.Time{}, spans.DeliveryID(w.DeliveryID), spans.WaybillID(w.WaybillID))
	defer span.End()
	result, err := r.compare(ctx, w)
	tellSpan(span, result, err)
	switch {
	case ctx.Err() != nil && errors.Is(context.Cause(ctx), context.Canceled):
		return // The service stops.
	case err != nil:
		r.log.Log(ctx, r.level(result, err), "a waybill can't be verified", "delivery_id", w.DeliveryID, "waybill_id", w.WaybillID,
			"result", result, "err", err)
	}
	r.last = result
	if result != "" {
		r.o.Observe(result)
	}
}

// tellSpan tells the span of a look what came of it, but for upstream's words.
func tellSpan(span *spans.Span, result Result, err error) {
	if span == nil {
		return
	}
	span.Set(spans.Result(string(result)))
	if refused, ok := errors.AsType[*wechat.RefusedError](err); ok {
		span.Set(spans.Errcode(refused.Errcode), spans.RID(refused.RID))
	}
	if err != nil {
		span.Fail(string(result))
	}
}

// level is how loudly it is said that a waybill can't be verified: of what goes on in the store once, of what upstream
// says not at all unless somebody looks into it, for unanswered has told what is not about this waybill alone.
func (r *Runner) level(result Result, err error) slog.Level {
	if result == r.last || upstreams(err) {
		return slog.LevelDebug
	}
	return slog.LevelWarn
}

// compare gives "" for a waybill that is not there any more.
func (r *Runner) compare(ctx context.Context, w state.Waybill) (Result, error) {
	story, err := r.o.Store.Waybill(ctx, w)
	if err != nil {
		return r.unread(ctx, w, err)
	}
	merchant, orderID, err := r.upstream().find(ctx, w, Hint{})
	if _, nobody := errors.AsType[*MerchantError](err); nobody {
		return ResultNoOne, nil // Most couriers' waybills are of shops that have not given them their credentials.
	}
	if err != nil {
		return ResultFailed, err
	}
	if orderID != "" && anyLeft(PushesOf(&story)) {
		r.askOrder(ctx, merchant, asked{w, orderID})
	}
	spans.FromContext(ctx).Set(spans.Merchant(merchant.Name))
	if !r.budget.take(merchant.Name, time.Now()) {
		return ResultLimited, nil
	}
	askedAt := time.Now()
	trace, err := traceOf(ctx, merchant, pathQuery(w, orderID, ""))
	if err != nil {
		return r.unanswered(call{merchant.Name, "getPath"}, err), err
	}
	r.answered(call{merchant.Name, "getPath"})
	// Once more: what was sent while upstream was asked would look like a node that nobody sent.
	if story, err = r.o.Store.Waybill(ctx, w); err != nil {
		return r.unread(ctx, w, err)
	}
	pushes := PushesOf(&story)
	report := Compare(pushes, trace, r.upstream().settled(askedAt))
	return r.keep(ctx, w, merchant, &report, OnTheWay(&report, pushes), askedAt)
}

// unread says what came of a waybill that the store did not give.
func (r *Runner) unread(ctx context.Context, w state.Waybill, err error) (Result, error) {
	if errors.Is(err, store.ErrNotFound) { // Retention was faster.
		return "", r.close(ctx, w, false)
	}
	return ResultFailed, err
}

// OnTheWay tells whether something of a waybill that upstream does not show may show yet: it was delivered a moment ago, or
// it is being sent again. The report is of these pushes.
func OnTheWay(report *Report, pushes []store.Push) bool {
	return report.Count(Pending) > 0 || slices.ContainsFunc(pushes, func(p store.Push) bool { return p.Status == store.Pending && p.Replay != 0 })
}

// keep keeps what a report says.
func (r *Runner) keep(ctx context.Context, w state.Waybill, merchant Merchant, report *Report, onTheWay bool, at time.Time) (Result, error) {
	if err := r.o.Store.MarkVerified(ctx, w, report.Seqs(Same, Moved), at); err != nil {
		return ResultFailed, err
	}
	if report.Same() && onTheWay {
		return ResultSame, nil // A difference that is kept stands until what mends it shows.
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
