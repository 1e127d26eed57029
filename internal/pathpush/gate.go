package pathpush

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"carrier/internal/store"
	"carrier/internal/wechat"
)

// gate lets an account's pushes through, or holds them all: for a pause (an operator's, or one that upstream's answers
// ask for), for a rate limit, or while there is no access_token. The account's mutex guards it.
type gate struct {
	pause   store.Account // What is kept of it over a restart.
	changes uint64        // of pause, so far
	// opens counts how often the gate was opened: the answer to what was sent before that says nothing of now.
	opens uint64

	probeAt time.Time // Paused, not by hand: when one push may find out whether the reason is gone.
	probing bool
	asked   bool // An operator wants a probe now.
	probes  int  // so far, for their backoff

	holdUntil  time.Time // No access_token before that.
	holdReason words
	holdKind   string // What of the reason does not change from one attempt to the next.
}

const (
	firstProbe = time.Minute
	lastProbe  = 10 * time.Minute

	// limitSlack is for clocks that differ.
	limitSlack   = 2 * time.Second
	longestLimit = 24*time.Hour + limitSlack
	// newDay is for how long after midnight a used-up quota is taken for yesterday's.
	newDay = 10 * time.Minute
)

// probeAfter is how long upstream itself says that an answer holds (WeChat: 获取稳定版接口调用凭据, errcodes).
var probeAfter = map[int]time.Duration{
	89507: time.Hour,      // the IP was refused for an hour
	89506: 24 * time.Hour, // the IP was refused for a day
}

// beijing is the zone of upstream's day: China has had one without summer time since 1991, so this is exact.
var beijing = time.FixedZone("Asia/Shanghai", 8*60*60)

// dayQuotaEnded is the errcode of a call whose quota of the day is used up.
const dayQuotaEnded = 45009

// needsOperator tells whether only an operator ends a pause: his own, or the guard's.
func needsOperator(p *store.Account) bool { return p.ByHand || p.Guarded }

// admit says whether a push may go at now; if not, when to ask again (zero: when woken). A probe must be told of with
// beginProbe, and its end with probed.
func (g *gate) admit(now time.Time) (ok, probe bool, again time.Time) {
	if g.pause.Paused {
		switch {
		case needsOperator(&g.pause), g.probing:
			return false, false, time.Time{}
		case g.asked:
			return true, true, time.Time{}
		case !g.pause.Until.IsZero():
			return false, false, g.pause.Until
		case now.Before(g.probeAt):
			return false, false, g.probeAt
		}
		return true, true, time.Time{}
	}
	if now.Before(g.holdUntil) {
		return false, false, g.holdUntil
	}
	return true, false, time.Time{}
}

// wantsProbe tells whether a push is to find out if the pause still has a reason: now, or when it is due.
func (g *gate) wantsProbe() bool {
	return g.pause.Paused && !needsOperator(&g.pause) && (g.asked || g.pause.Until.IsZero())
}

// over tells whether a pause ended by itself. One that seems to last longer than upstream's limits can was begun by a
// clock that was wrong then, or is now.
func (g *gate) over(now time.Time) bool {
	if !g.pause.Paused || g.pause.Until.IsZero() {
		return false
	}
	left := g.pause.Until.Sub(now)
	return left <= 0 || left > longestLimit
}

// closed says what the account's pushes wait for, and why.
func (g *gate) closed(now time.Time) (reason words, until time.Time, closed bool) {
	switch {
	case g.pause.Paused && !g.over(now):
		return words{g.pause.Reason, g.pause.ReasonZh}, g.pause.Until, true
	case now.Before(g.holdUntil):
		return g.holdReason, g.holdUntil, true
	}
	return words{}, time.Time{}, false
}

// restore takes over a pause from before a restart. The first push may find out at once whether it still has a reason.
func (g *gate) restore(kept store.Account, now time.Time) {
	g.pause, g.probeAt = kept, now
}

// outlastedBy tells whether a pause that an answer asks for goes beyond the present one. Answers come in late and in any
// order: one about a minute's limit must not end a day's pause, and none an operator's or the guard's.
func (g *gate) outlastedBy(p store.Account) bool {
	old := &g.pause
	switch {
	case !old.Paused:
		return true
	case needsOperator(old):
		return false
	case old.Until.IsZero():
		return p.Until.IsZero() && p.Errcode != old.Errcode
	}
	return p.Until.IsZero() || p.Until.After(old.Until)
}

// set begins a pause, keeping what else is known of the account.
func (g *gate) set(a store.Account, now time.Time) {
	a.ForcedAt, a.Quota = g.pause.ForcedAt, g.pause.Quota
	g.pause, g.probes, g.probing, g.asked = a, 0, false, false
	g.probeAt = now.Add(cmp.Or(probeAfter[a.Errcode], firstProbe))
	g.changes++
}

// open ends any pause or wait.
func (g *gate) open() {
	changes := g.changes
	if g.pause.Paused {
		changes++
	}
	*g = gate{pause: store.Account{ForcedAt: g.pause.ForcedAt, Quota: g.pause.Quota}, opens: g.opens + 1, changes: changes}
}

// ask makes the next push a probe, whenever the next one would be due, or ends the wait for an access_token. False if
// nothing is held but by people.
func (g *gate) ask(now time.Time) bool {
	switch {
	case g.pause.Paused:
		g.asked = !g.probing
		return true
	case now.Before(g.holdUntil):
		g.holdUntil = now
		return true
	}
	return false
}

// beginProbe notes that a probe is on its way, and tells whether an operator asked for it.
func (g *gate) beginProbe() (asked bool) {
	asked, g.asked, g.probing = g.asked, false, true
	return asked
}

// probed puts the next probe off after one that didn't end the pause. One that an operator asked for is beside the
// schedule: the next stays where it was.
func (g *gate) probed(asked bool, now time.Time) {
	g.probing = false
	if asked && now.Before(g.probeAt) {
		return
	}
	g.probes++
	wait := cmp.Or(probeAfter[g.pause.Errcode], min(lastProbe, firstProbe<<min(g.probes, 8)))
	g.probeAt = now.Add(wait)
}

// pauseFor is the pause that an answer of the account or the rate scope asks for, to a request that was sent at a time;
// said is what upstream said.
func pauseFor(scope wechat.Scope, errcode int, said words, sent time.Time) store.Account {
	a := store.Account{Paused: true, Since: sent, Errcode: errcode}
	if scope == wechat.ScopeRate {
		a.Until = rateEnds(errcode, sent)
	}
	a.Reason = fmt.Sprintf("errcode %d: %s", errcode, said.en)
	if what := wechat.Meaning(errcode, false); what != "" && !strings.Contains(said.en, what) {
		a.Reason += "; " + what
	}
	a.ReasonZh = fmt.Sprintf("errcode %d：%s", errcode, said.zh)
	if what := wechat.Meaning(errcode, true); what != "" && !strings.Contains(said.zh, what) {
		a.ReasonZh += "；" + what
	}
	return a
}

// rateEnds is when a limit that a request met lets requests through again: the per-minute one (45011) with the next
// minute, the day's quota (45009) with the next day in Beijing. What counts is when the request was sent: an answer
// from after midnight may tell of the quota of the day before. For the same reason a quota that is used up just after
// midnight is asked for again every minute, lest a clock that is a few seconds ahead of upstream's costs a whole day.
func rateEnds(errcode int, sent time.Time) time.Time {
	day := dayOf(sent)
	if errcode == dayQuotaEnded && sent.Sub(day) >= newDay {
		return dayEnd(day).Add(limitSlack)
	}
	return sent.Truncate(time.Minute).Add(time.Minute + limitSlack)
}
