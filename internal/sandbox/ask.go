package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"carrier/internal/durations"
)

// ask pushes an event to its carrier until a usable answer comes, three times at most, through the faults of
// callbacks. It ends early, with ctx's error, when whoever ordered has gone.
func (s *Sandbox) ask(ctx context.Context, p *eventPush) (result, error) {
	plan := s.faults.drawCallback()
	if err := durations.Wait(ctx, time.Duration(plan.delay)); err != nil {
		return result{}, err
	}
	s.forge(ctx, p, plan)
	next := s.wires(p, plan)
	var got result
	var err error
	if plan.concurrent {
		got, err = s.askAtOnce(ctx, p, next)
	} else {
		got, err = s.askInTurn(ctx, p, next)
	}
	if ctx.Err() != nil {
		return result{}, ctx.Err()
	}
	if err != nil {
		return result{}, errors.New(p.mask.show([]byte(err.Error())))
	}
	if plan.repeat {
		s.repeat(ctx, p, got, next())
	}
	return got, nil
}

// wires makes what is sent: the same content each time, signed and encrypted anew, unless the plan says otherwise.
func (s *Sandbox) wires(p *eventPush, plan callbackPlan) func() *wire {
	key := p.to.key
	if plan.previousKey && p.to.previous != nil {
		key = p.to.previous
	}
	anew := func() *wire { return s.wireOf(p.to, p.content, key, time.Now()) }
	if plan.sameQuery {
		return sync.OnceValue(anew)
	}
	return anew
}

func (s *Sandbox) askInTurn(ctx context.Context, p *eventPush, next func() *wire) (got result, err error) {
	for n := 1; n <= pushAttempts && ctx.Err() == nil; n++ {
		rec := p.record(kindPush, n)
		got, err = s.attempt(ctx, p, next(), &rec)
		if err == nil && s.faults.dropsAnswer() {
			err = errDropped
		}
		s.note(p.mask, rec, err)
		if err == nil {
			return got, nil
		}
	}
	return result{}, err
}

// askAtOnce sends all three at the same time, as an unstable network may deliver them. The answers are to agree.
func (s *Sandbox) askAtOnce(ctx context.Context, p *eventPush, next func() *wire) (result, error) {
	var wg sync.WaitGroup
	recs, got, errs := make([]Callback, pushAttempts), make([]result, pushAttempts), make([]error, pushAttempts)
	for i := range pushAttempts {
		w := next()
		recs[i] = p.record(kindPush, i+1)
		wg.Go(func() { got[i], errs[i] = s.attempt(ctx, p, w, &recs[i]) })
	}
	wg.Wait()
	best := -1 // The one that did it says 0; another may say that it is done already.
	for i := range errs {
		if errs[i] == nil && s.faults.dropsAnswer() {
			errs[i] = errDropped
		}
		if errs[i] == nil && (best < 0 || got[best].code != 0 && got[i].code == 0) {
			best = i
		}
	}
	for i, rec := range recs {
		if errs[i] == nil && !p.mayFollow(got[best], got[i]) {
			errs[i] = fmt.Errorf("copies that were sent at once are answered differently: %v, %v", got[best], got[i])
		}
		s.note(p.mask, rec, errs[i])
	}
	if best < 0 {
		return result{}, errs[0]
	}
	return got[best], nil
}

// repeat sends a push once more though it was answered. The order does not depend on it.
func (s *Sandbox) repeat(ctx context.Context, p *eventPush, first result, w *wire) {
	rec := p.record(kindRepeat, 1)
	got, err := s.attempt(ctx, p, w, &rec)
	if err == nil && !p.mayFollow(first, got) {
		err = fmt.Errorf("the repeat is answered differently: %v after %v", got, first)
	}
	s.note(p.mask, rec, err)
}

// forge sends what a carrier must refuse, before the push itself: the same push with another Token, signed by
// somebody who doesn't know how, or not encrypted.
func (s *Sandbox) forge(ctx context.Context, p *eventPush, plan callbackPlan) {
	other := p.content.with(map[string]string{"Token": s.chance.text(len(p.token))})
	if plan.forgeSignature {
		w := s.wireOf(p.to, other, p.to.key, time.Now())
		for _, name := range []string{"signature", "msg_signature"} {
			if w.query.Has(name) {
				w.query.Set(name, signature(s.chance.text(32)))
			}
		}
		s.sendForged(ctx, p, w, kindForgedSignature)
	}
	if plan.forgePlain && p.to.encrypts() {
		s.sendForged(ctx, p, s.wireOf(p.to, other, nil, time.Now()), kindForgedPlain)
	}
}

func (s *Sandbox) sendForged(ctx context.Context, p *eventPush, w *wire, kind string) {
	rec := p.record(kind, 1)
	begun := time.Now()
	status, answer, err := s.exchange(ctx, p.to, http.MethodPost, w.query, w.body)
	rec.At, rec.Took, rec.Status, rec.Answer = begun.UTC(), Duration(time.Since(begun)), status, p.mask.show(answer)
	if err == nil && status < 400 {
		err = errors.New("a forged push is answered with success; 401 is wanted")
	}
	s.note(p.mask, rec, err)
}

// note keeps what happened, and logs it without its contents.
func (s *Sandbox) note(m masker, rec Callback, err error) {
	if err != nil {
		rec.Mistake = m.show([]byte(err.Error()))
		rec.Unanswered = rec.Status == 0 || rec.Status >= http.StatusInternalServerError || errors.Is(err, errDropped)
	}
	rec = s.callbacks.add(rec)
	log := s.log.With("delivery_id", rec.DeliveryID, "event", rec.Event, "kind", rec.Kind, "attempt", rec.Attempt,
		"order_id", rec.OrderID, "waybill_id", rec.WaybillID, "status", rec.Status, "took", time.Duration(rec.Took))
	if err != nil {
		log.Warn("the answer to a callback can't be used", "mistake", rec.Mistake)
		return
	}
	log.Debug("callback answered")
}
