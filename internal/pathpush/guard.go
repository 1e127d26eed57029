package pathpush

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"carrier/internal/durations"
	"carrier/internal/store"
	"carrier/internal/wechat"
)

// GuardOptions says when failing stops: one wrong setting, here or at upstream, must not turn a day's pushes into dead
// letters that somebody has to sort out.
type GuardOptions struct {
	Share  float64       // More than this share of the ends in Window may not be refusals for good; 0 turns the guard off.
	Min    int           // Refusals in Window that are let through whatever their share.
	Window time.Duration // Rolling, in twenty steps.
}

// GuardSnapshot tells how the guard against mass failing stands.
type GuardSnapshot struct {
	Tripped bool // It stopped the account; an operator has to resume it.
	// Failed of Ended are the pushes that upstream refused for good, of all that were delivered or failed in the window;
	// while Tripped, as they were then (0 after a restart; the reason of the pause has them).
	Failed, Ended int
	Since         time.Time // Of Tripped.
	LetFailUntil  time.Time // The guard is off until then; zero: it is not.
}

// guard counts, in buckets of a rolling window, how pushes end, and says when no more may fail for good. Pushes that fail
// for another reason (a Token, an outage) have their own cures and are only counted among the ends. The account's mutex
// guards it.
type guard struct {
	o       GuardOptions
	start   time.Time
	letFail time.Time // Off until then.
	buckets [guardBuckets]guardBucket
	tripped guardCount // when it last did
}

const (
	guardBuckets = 20
	// guardCodes is how many errcodes a bucket tells apart; those beyond are counted without their code. A cause that
	// makes masses fail has one or two.
	guardCodes = 8
)

// guardBucket is a part of the window.
type guardBucket struct {
	number int64 // since start: a bucket is used again each time around
	guardCount
	codes []errcodes
}

type guardCount struct{ failed, ended int }

type errcodes struct{ code, n int }

func newGuard(o GuardOptions, now time.Time) guard { return guard{o: o, start: now} }

// begin empties the window and switches the guard off for a time, or on if that is 0.
func (g *guard) begin(now time.Time, letFail time.Duration) {
	*g = newGuard(g.o, now)
	if letFail > 0 {
		g.letFail = now.Add(letFail)
	}
}

// retune has the guard go by other options. With another window it counts anew; it stays off for as long as it was to be.
func (g *guard) retune(o GuardOptions, now time.Time) {
	if o.Window == g.o.Window {
		g.o = o
		return
	}
	next := newGuard(o, now)
	next.letFail, next.tripped = g.letFail, g.tripped
	*g = next
}

func (g *guard) off(now time.Time) bool { return g.o.Share <= 0 || now.Before(g.letFail) }

// ended counts a push that was delivered, or failed otherwise than by a refusal.
func (g *guard) ended(now time.Time) {
	if !g.off(now) {
		g.bucket(now).ended++
	}
}

// mayFail tells whether a push may fail that upstream refused with errcode, and counts it if so.
func (g *guard) mayFail(errcode int, now time.Time) bool {
	if g.off(now) {
		return true
	}
	n := g.count(now)
	if n.failed >= g.o.Min && float64(n.failed+1) > g.o.Share*float64(n.ended+1) {
		g.tripped = n
		return false
	}
	b := g.bucket(now)
	b.ended++
	b.failed++
	b.note(errcode)
	return true
}

func (b *guardBucket) note(errcode int) {
	for i := range b.codes {
		if b.codes[i].code == errcode {
			b.codes[i].n++
			return
		}
	}
	if len(b.codes) < guardCodes {
		b.codes = append(b.codes, errcodes{errcode, 1})
	}
}

// number is that of the bucket for now.
func (g *guard) number(now time.Time) int64 {
	return int64(now.Sub(g.start) / max(1, g.o.Window/guardBuckets))
}

func (g *guard) bucket(now time.Time) *guardBucket {
	n := g.number(now)
	b := &g.buckets[n%guardBuckets]
	if b.number != n {
		*b = guardBucket{number: n, codes: b.codes[:0]}
	}
	return b
}

// count sums the window up.
func (g *guard) count(now time.Time) guardCount {
	var sum guardCount
	oldest := g.number(now) - guardBuckets
	for i := range g.buckets {
		if b := &g.buckets[i]; b.number > oldest {
			sum.failed += b.failed
			sum.ended += b.ended
		}
	}
	return sum
}

// commonest lists the errcodes in the window, those met most first.
func (g *guard) commonest(now time.Time) []errcodes {
	sums := map[int]int{}
	oldest := g.number(now) - guardBuckets
	for i := range g.buckets {
		for _, c := range g.buckets[i].codes {
			if g.buckets[i].number > oldest {
				sums[c.code] += c.n
			}
		}
	}
	var all []errcodes
	for code, n := range sums {
		all = append(all, errcodes{code, n})
	}
	slices.SortFunc(all, func(a, b errcodes) int { return cmp.Or(b.n-a.n, a.code-b.code) })
	return all
}

// reason says for people why failing stopped, and what to do, in both languages. errcode is what the push met that may not
// fail any more.
func (g *guard) reason(errcode int, now time.Time) (en, zh string) {
	codes := g.commonest(now)
	if len(codes) == 0 {
		codes = []errcodes{{errcode, 1}}
	}
	codes = codes[:min(3, len(codes))]
	en = fmt.Sprintf("of the %d pushes that ended within %s upstream refused %d for good, so failing stopped "+
		"(push.guard: share %g, min %d). Commonest: %s. Mend the cause, then resume the account; "+
		"or resume it with let_fail_for to let them fail.",
		g.tripped.ended, durations.Text(g.o.Window), g.tripped.failed, g.o.Share, g.o.Min, meanings(codes, false, " (%s)", "; "))
	zh = fmt.Sprintf("%[2]s 内结束的 %[1]d 个推送中，上游永久拒绝了 %[3]d 个，因此不再判为失败"+
		"（push.guard：share %[4]g，min %[5]d）。最常见：%[6]s。请消除原因后恢复该账户；或在恢复时以 let_fail_for 允许其失败。",
		g.tripped.ended, durations.Text(g.o.Window), g.tripped.failed, g.o.Share, g.o.Min, meanings(codes, true, "（%s）", "；"))
	return en, zh
}

// meanings lists errcodes by how often they were met, each with what it means as aside writes it.
func meanings(codes []errcodes, zh bool, aside, between string) string {
	parts := make([]string, len(codes))
	for i, c := range codes {
		parts[i] = fmt.Sprintf("%d × errcode %d", c.n, c.code)
		if what := wechat.Meaning(c.code, zh); what != "" {
			parts[i] += fmt.Sprintf(aside, strings.TrimRight(what, ".。"))
		}
	}
	return strings.Join(parts, between)
}

func (g *guard) snapshot(pause *store.Account, now time.Time) GuardSnapshot {
	s := GuardSnapshot{Tripped: pause.Paused && pause.Guarded}
	n := g.tripped
	if s.Tripped {
		s.Since = pause.Since
	} else {
		n = g.count(now)
	}
	s.Failed, s.Ended = n.failed, n.ended
	if now.Before(g.letFail) {
		s.LetFailUntil = g.letFail
	}
	return s
}

// guardEnd tells the guard how a push ends. If that is one failure too many, the push stays pending as it was, but for the
// attempt, and the account stops until an operator resumes it.
func (a *account) guardEnd(ctx context.Context, push *store.Push, o *store.Outcome) {
	if o.Status == store.Pending {
		return
	}
	stays, reason := a.weigh(o, time.Now())
	if stays {
		*o = store.Outcome{
			Seq: o.Seq, Waybill: o.Waybill, Attempt: o.Attempt, Status: store.Pending,
			Tries: push.Tries, Refusals: push.Refusals, Used: push.Used,
		}
	}
	if reason == "" {
		return
	}
	a.log.Error("account paused by the guard against mass failing", "reason", reason)
	if err := a.keep(ctx); err != nil {
		a.log.Error("keeping the account's pause", "err", err)
	}
}

// weigh counts how a push ends. stays says that it may not fail, and reason is that of the pause that begins with it.
func (a *account) weigh(o *store.Outcome, now time.Time) (stays bool, reason string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if o.Status != store.Failed || o.Reason != store.ReasonRefused {
		a.guard.ended(now)
		return false, ""
	}
	errcode := *o.Attempt.Errcode // A refusal is an answer that could be read.
	if a.gate.pause.Guarded {
		return true, "" // It was under way when the guard tripped.
	}
	if a.guard.mayFail(errcode, now) {
		return false, ""
	}
	p := store.Account{Paused: true, Guarded: true, Since: now}
	p.Reason, p.ReasonZh = a.guard.reason(errcode, now)
	if !a.gate.outlastedBy(p) {
		return true, "" // An operator paused it meanwhile; the guard looks again when he resumes it.
	}
	a.gate.set(p, now)
	return true, p.Reason
}
