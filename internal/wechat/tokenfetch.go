package wechat

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// Waiting after fetches that failed: between backoffMin and a limit that doubles up to backoffMax.
const (
	backoffMin = time.Second
	backoffMax = time.Minute
)

// TokenError says why there is no access_token. It holds no secret.
type TokenError struct {
	Errcode int       // What upstream answered instead of one; 0 if there was no answer.
	Scope   Scope     // Upstream, rate, account; or credential: they are given and refused again.
	RetryAt time.Time // No fetch is made before.
	Err     error     // The cause: a *CallError if there was no answer.
}

// Error names the cause and, for an errcode that is known, what to do.
func (e *TokenError) Error() string {
	text := fmt.Sprintf("no access_token (%s): %v", e.Scope, e.Err)
	if e.Errcode == 0 {
		return text
	}
	return text + ": " + cmp.Or(e.Meaning(false), "an errcode that is not documented")
}

// Chinese is Error in Chinese. What a cause says stays as it is.
func (e *TokenError) Chinese() string {
	cause := fmt.Sprint(e.Err)
	if known, ok := errors.AsType[*advice](e.Err); ok {
		cause = known.zh
	}
	text := fmt.Sprintf("没有 access_token（%s）：%s", e.Scope, cause)
	if e.Errcode == 0 {
		return text
	}
	return text + "：" + cmp.Or(e.Meaning(true), "未见于文档的 errcode")
}

// advice is a cause of a TokenError that people can do something about.
type advice struct{ en, zh string }

func (a *advice) Error() string { return a.en }

// Meaning says what its errcode means, and what to do about it, in Chinese when zh is set; "" if that is not known.
func (e *TokenError) Meaning(zh bool) string {
	info, ok := fetchErrcodeByCode[e.Errcode]
	switch {
	case !ok:
		return Meaning(e.Errcode, zh)
	case zh:
		return info.zh
	}
	return info.en
}

// Unwrap is the cause.
func (e *TokenError) Unwrap() error { return e.Err }

// join gives the fetch under way, beginning one if there is none. It needs mu.
func (a *AccessToken) join() *flight {
	if a.flight != nil {
		return a.flight
	}
	f := &flight{done: make(chan struct{})}
	if a.closed {
		f.err = &TokenError{Scope: ScopeUpstream, Err: errors.New("stopped")}
		close(f.done)
		return f
	}
	a.flight = f
	a.flights.Go(func() { a.fly(f) })
	return f
}

// fly fetches, if need be by force, and tells all who wait.
func (a *AccessToken) fly(f *flight) {
	g, err := a.ask(false)
	forced := false
	if err == nil && a.mustForce(g) {
		forced = true
		g, err = a.force()
	}

	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if err == nil && g.accessToken == a.refused {
		err = &TokenError{Scope: ScopeCredential, Err: errSameAgain}
	}
	switch {
	case err == nil:
		a.keep(g, forced)
		f.token, f.at = a.token, a.bornAt
	case a.valid(now): // A refresh ahead of time that failed takes nothing away from who waits.
		a.fail(now, err)
		f.token, f.at = a.token, a.bornAt
	default:
		a.fail(now, err)
		f.err = err
	}
	a.flight = nil
	close(f.done)
	a.wake()
}

var (
	errSameAgain error = &advice{
		"upstream gives the same access_token again that it refuses in calls; if this goes on, reset the AppSecret in the Mini Program console",
		"上游再次返回了它在调用中拒绝的同一个 access_token；若持续如此，请在小程序后台重置 AppSecret",
	}
	errForceSpent error = &advice{
		"upstream gives the same access_token again that it refuses in calls, and no refresh may be forced now (20 a day, 30 s apart): " +
			"another program may force them for the same appid",
		"上游再次返回了它在调用中拒绝的同一个 access_token，且暂不能强制刷新（每天 20 次，间隔 30 秒）：可能有其他程序在为同一 appid 强制刷新",
	}
)

// ask asks one host after the other, until one is not in trouble. Each has its own time.
func (a *AccessToken) ask(force bool) (g grant, err *TokenError) {
	for i, c := range a.o.Clients {
		if i > 0 && a.life.Err() == nil {
			a.log.Debug("access_token: asking the next host", "host", c.Host(), "error", err)
		}
		if g, err = a.askOne(c, force); err == nil || err.Scope != ScopeUpstream {
			break
		}
	}
	return g, err
}

func (a *AccessToken) askOne(c *Client, force bool) (grant, *TokenError) {
	if a.o.OnFetch == nil {
		return a.askHost(c, force)
	}
	ended := a.o.OnFetch(a.o.AppID, c.Host(), force)
	g, err := a.askHost(c, force)
	ended(err)
	return g, err
}

func (a *AccessToken) askHost(c *Client, force bool) (grant, *TokenError) {
	g, err := a.fetch(a.life, c, a.o.Timeout, force)
	missing, isMissing := errors.AsType[*TokenError](err)
	switch {
	case isMissing:
		return grant{}, missing
	case err != nil:
		return grant{}, &TokenError{Scope: ScopeUpstream, Err: err}
	case g.Errcode != 0:
		return grant{}, &TokenError{Errcode: g.Errcode, Scope: fetchScopeOf(g.Errcode),
			Err: fmt.Errorf("errcode %d: %s", g.Errcode, cmp.Or(g.Errmsg, "without words"))}
	}
	return g, nil
}

// mustForce tells whether only force brings an access_token that works: upstream gave the very one that it refuses.
// While another one is valid there is no need.
func (a *AccessToken) mustForce(g grant) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.o.Mode == ModeStable && g.accessToken == a.refused && !a.valid(time.Now())
}

// force fetches by force, if the limits allow it. The time is noted, and kept by OnForced, before the call: after a
// crash in between the day has one too few, never one too many.
func (a *AccessToken) force() (grant, *TokenError) {
	times, err := a.noteForce(time.Now())
	if err != nil {
		return grant{}, err
	}
	if a.o.OnForced != nil {
		a.o.OnForced(times)
	}
	a.log.Warn("access_token: forcing a refresh, since upstream refuses the one that it gives", "forced_within_a_day", len(times))
	return a.ask(true)
}

// noteForce enters a forced refresh at now. If the limits forbid one, the error says when to come back: when 30 s
// have passed, or, where the day's are used up, after the usual wait, since upstream makes new ones by itself too.
func (a *AccessToken) noteForce(now time.Time) ([]time.Time, *TokenError) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forced = recentForces(a.forced, now)
	if len(a.forced) >= forceLimit {
		return nil, &TokenError{Scope: ScopeCredential, RetryAt: now.Add(backoffMax), Err: errForceSpent}
	}
	if n := len(a.forced); n > 0 {
		if next := a.forced[n-1].Add(forceApart); now.Before(next) {
			return nil, &TokenError{Scope: ScopeCredential, RetryAt: next, Err: errForceSpent}
		}
	}
	a.forced = append(a.forced, now)
	return slices.Clone(a.forced), nil
}

// recentForces is those of the last day, in order. One in the future (the clock was set back) counts as now, lest it
// blocks for longer than a day.
func recentForces(times []time.Time, now time.Time) []time.Time {
	recent := make([]time.Time, 0, len(times)+1)
	for _, t := range times {
		if t.After(now) {
			t = now
		}
		if now.Sub(t) < forceDay {
			recent = append(recent, t)
		}
	}
	slices.SortFunc(recent, time.Time.Compare)
	return recent
}

// keep takes a grant over. It needs mu.
func (a *AccessToken) keep(g grant, forced bool) {
	life := minLife
	if s := g.expiresIn; s > int64(maxLife/time.Second) {
		life = maxLife
	} else if s > int64(minLife/time.Second) {
		life = time.Duration(s) * time.Second
	}
	a.expiresAt = g.at.Add(life)
	a.refreshAt = g.at.Add(a.freshFor(life))

	level := slog.LevelDebug
	if g.accessToken != a.token {
		a.token, a.bornAt = g.accessToken, time.Now()
		a.generation++
		level = slog.LevelInfo
	}
	if a.failure != nil {
		a.failure, a.failures = nil, 0
		level = slog.LevelInfo
	}
	a.log.Log(a.life, level, "access_token: fetched", "generation", a.generation, "expires_in_seconds", g.expiresIn, "forced", forced)
}

// freshFor is after which part of its life the next one is fetched.
//
//	stable  every 5 minutes, never later than half of what is left
//	others  15 minutes before the end, never before half of its life: each fetch may end the one before
func (a *AccessToken) freshFor(life time.Duration) time.Duration {
	if a.o.Mode == ModeStable {
		return min(stableEvery, life/2)
	}
	return max(life-basicAhead, life/2)
}

// fail remembers a failure, and until when. It needs mu. The same failure in a row is logged once.
func (a *AccessToken) fail(now time.Time, e *TokenError) {
	a.failures++
	wait := now.Add(a.backoff(a.failures))
	if e.Scope == ScopeRate {
		// 45011 counts by the minute. 45009 counts by the day, but was seen for limits of a minute too.
		wait = later(wait, now.Truncate(time.Minute).Add(time.Minute+a.jitter(time.Second)))
	}
	if e.RetryAt.IsZero() {
		e.RetryAt = wait
	}
	level := slog.LevelWarn
	if last := a.failure; last != nil && last.Scope == e.Scope && last.Errcode == e.Errcode || a.life.Err() != nil {
		level = slog.LevelDebug
	}
	a.failure, a.failedAt = e, now
	a.log.Log(a.life, level, "access_token: none could be fetched", "scope", string(e.Scope), "errcode", e.Errcode,
		"error", e, "retry_in", e.RetryAt.Sub(now).Round(time.Millisecond))
}

// backoff is the wait after the nth failure in a row: full jitter between 1 s and a limit of 2 s, 4 s, ... 60 s.
func (a *AccessToken) backoff(n int) time.Duration {
	limit := backoffMax
	if n < 6 {
		limit = backoffMin << n
	}
	return backoffMin + a.jitter(limit-backoffMin)
}
