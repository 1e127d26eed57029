package pathpush

import (
	"context"
	"fmt"
	"time"
)

// probe has the next push go through although a breaker is open, or the account paused by upstream's answers.
func (a *account) probe(ctx context.Context) error {
	if err := a.restore(ctx); err != nil {
		return err
	}
	a.mu.Lock()
	pause := a.gate.pause
	asked := !needsOperator(&pause) && a.gate.ask(time.Now())
	a.mu.Unlock()
	switch {
	case pause.Guarded:
		return fmt.Errorf("%w: the guard against mass failing stopped account %s; mend the cause and resume it", ErrNothingToProbe, a.id)
	case pause.ByHand:
		return fmt.Errorf("%w: account %s is paused by hand; resume it", ErrNothingToProbe, a.id)
	case asked:
		a.link.Load().creds.Retry() // For want of an access_token the probe would get nowhere.
	}
	if !a.askBreaker() && !asked {
		return fmt.Errorf("%w: account %s is not paused and none of its breakers is open; a half-open one probes by itself",
			ErrNothingToProbe, a.id)
	}
	a.log.Info("an operator asked for a probe")
	a.poke()
	return nil
}

// askBreaker has the next push go to the first host whose breaker is open; false if none is.
func (a *account) askBreaker() bool {
	for _, b := range a.link.Load().breakers {
		if b.ask() {
			return true
		}
	}
	return false
}
