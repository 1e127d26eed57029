package wechat

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// Times that an access_token is subject to. Sources: WeChat, getStableAccessToken and getAccessToken, 使用说明.
const (
	// minLife is for how long one is used at least, whatever expires_in says: with less, upstream's nonsense (0, a
	// negative number) would become a fetch a push. A token that ends sooner is refused, which costs one fetch.
	minLife = time.Minute
	// maxLife is the longest life that upstream documents; what claims more is fetched again all the same.
	maxLife = 2 * time.Hour
	// stableEvery: upstream asks to call stable_token at least this often and to use what it gives.
	stableEvery = 5 * time.Minute
	// basicAhead is how long before expiry the basic mode fetches the next one. The two overlap for 5 minutes.
	basicAhead = 15 * time.Minute
	// youngLife: one that is refused before this age was not worn out; somebody or something else ends their lives.
	youngLife = time.Minute
	// forceApart and forceLimit: a forced refresh more often than that is not done by upstream.
	forceApart = 30 * time.Second
	forceLimit = 20
	forceDay   = 24 * time.Hour
	// accountEvery is how often Run tries where only a person can help; somebody who asks may have it tried sooner.
	accountEvery = 5 * time.Minute

	defaultFetchTimeout = 5 * time.Second
)

// AccessTokenOptions say whose access_token is kept, and where it comes from.
type AccessTokenOptions struct {
	// Clients are the main host, then what to fall back to: the next one is tried when one is in trouble (no
	// readable answer, HTTP 5xx, errcode -1). At least one unless Mode is ModeNone.
	Clients []*Client
	AppID   string
	// Secret reveals the AppSecret; it is asked for with each fetch and shown nowhere.
	Secret func() string
	// Mode is ModeStable (default), ModeBasic or ModeNone.
	Mode string
	// Forced is when refreshes were forced within the last day, as OnForced reported them before a restart.
	Forced []time.Time
	// OnForced is called before each forced refresh with the times to keep, the new one included. It may take its
	// time, but a fetch waits for it.
	OnForced func([]time.Time)
	OnFetch  FetchObserver // nil: nobody is told.
	Logger   *slog.Logger  // nil: none.
	// Timeout bounds the answer of one host; default 5s. Nobody who waits can shorten it for the others.
	Timeout time.Duration
}

// FetchObserver is told that a host is asked for the access_token of an appid, by force or not. What it returns is told how
// that ended: with nil, or why there is none. It is called by one goroutine at a time for each appid, and must be quick.
type FetchObserver func(appID, host string, force bool) (ended func(*TokenError))

// AccessToken keeps an account's access_token. However many ask for it at once, or complain about it at once or over
// time, it is fetched once.
//
// It is safe for concurrent use. The zero value is of no use; see [NewAccessToken].
type AccessToken struct {
	o      AccessTokenOptions
	fetch  fetch
	log    *slog.Logger
	jitter func(time.Duration) time.Duration // Uniform in [0, d).

	// A fetch belongs to all who wait for it, so it ends with life, not with the context of who began it.
	life    context.Context
	end     context.CancelFunc
	flights sync.WaitGroup
	changed chan struct{} // Of capacity 1: wakes Run to plan anew.

	mu         sync.Mutex // Guards all below.
	closed     bool
	token      string    // "" if there is none: never fetched, or refused.
	generation uint64    // How many different ones there were.
	bornAt     time.Time // When token was first given to us.
	expiresAt  time.Time
	refreshAt  time.Time
	refused    string  // The latest one that upstream refused; never used again.
	young      int     // How many in a row were refused young.
	flight     *flight // The fetch under way; nil if there is none.
	failure    *TokenError
	failures   int       // In a row.
	failedAt   time.Time // Of failure.
	forced     []time.Time
}

// fetch asks a host for an access_token, a new one if force is set. The error is a *CallError, or a *TokenError where
// something is missing before the host can be asked.
type fetch func(ctx context.Context, c *Client, within time.Duration, force bool) (grant, error)

// flight is one fetch. Its results may be read once done is closed.
type flight struct {
	done  chan struct{}
	token string
	at    time.Time // When token was first given to us.
	err   error
}

// NewAccessToken makes a keeper of access_tokens. It fetches nothing before Get or Run. Options that a program can't
// mean (an unknown mode, no client, no secret) are a programmer's mistake: it panics.
func NewAccessToken(o AccessTokenOptions) *AccessToken {
	o.Mode = cmp.Or(o.Mode, ModeStable)
	switch {
	case o.Mode != ModeStable && o.Mode != ModeBasic && o.Mode != ModeNone:
		panic(fmt.Sprintf("wechat: token mode %q is none of stable, basic, none", o.Mode))
	case o.Mode != ModeNone && len(o.Clients) == 0:
		panic("wechat: an access_token needs a client to be fetched with")
	case o.Mode != ModeNone && o.Secret == nil:
		panic("wechat: an access_token needs the AppSecret to be fetched with")
	}
	return newAccessToken(o, func(ctx context.Context, c *Client, within time.Duration, force bool) (grant, error) {
		if o.Mode == ModeBasic {
			return c.basicToken(ctx, within, o.AppID, o.Secret())
		}
		return c.stableToken(ctx, within, o.AppID, o.Secret(), force)
	})
}

func newAccessToken(o AccessTokenOptions, f fetch) *AccessToken {
	o.Timeout = cmp.Or(max(o.Timeout, 0), defaultFetchTimeout)
	life, end := context.WithCancel(context.Background())
	return &AccessToken{
		o:       o,
		fetch:   f,
		log:     cmp.Or(o.Logger, slog.New(slog.DiscardHandler)).With("appid", o.AppID),
		jitter:  rand.N[time.Duration],
		life:    life,
		end:     end,
		changed: make(chan struct{}, 1),
		forced:  recentForces(o.Forced, time.Now()),
	}
}

// Get gives the access_token: at once if one is valid, else after the one fetch that all share. In ModeNone it is "".
//
// The error is a *TokenError. Fetches that fail are remembered until the error's RetryAt, so that a storm of Gets is
// no storm of fetches. When ctx ends first the error wraps its cause, and the fetch goes on for the others.
func (a *AccessToken) Get(ctx context.Context) (string, error) {
	token, _, err := a.Dated(ctx)
	return token, err
}

// Dated is Get, with when this process was first given that access_token: what may be told of a secret to tell it from
// others. It is zero in ModeNone.
func (a *AccessToken) Dated(ctx context.Context) (token string, at time.Time, err error) {
	if a.o.Mode == ModeNone {
		return "", time.Time{}, nil
	}
	a.mu.Lock()
	now := time.Now()
	if a.valid(now) {
		defer a.mu.Unlock()
		return a.token, a.bornAt, nil
	}
	if e := a.failure; e != nil && now.Before(e.RetryAt) {
		a.mu.Unlock()
		return "", time.Time{}, e
	}
	f := a.join()
	a.mu.Unlock()

	select {
	case <-f.done:
		return f.token, f.at, f.err
	case <-ctx.Done():
		return "", time.Time{}, &TokenError{Scope: ScopeUpstream, Err: fmt.Errorf("gave up waiting for it: %w", context.Cause(ctx))}
	}
}

// Refused says that upstream refused token (scope credential). If it is the current one it is dropped, and changed is
// true; the next Get fetches. If it is not, somebody else complained first, and nothing happens.
func (a *AccessToken) Refused(token string) (changed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if token == "" || token != a.token {
		return false
	}
	now := time.Now()
	a.refused, a.token = token, ""
	a.expiresAt, a.refreshAt = time.Time{}, time.Time{}
	if now.Sub(a.bornAt) < youngLife {
		a.young++
	} else {
		a.young = 0
	}
	// The first one may be chance: it is replaced at once. If its successor dies young too, fetching at the speed of
	// refusals would use up the day's fetches within minutes.
	if a.young > 1 {
		a.fail(now, &TokenError{Scope: ScopeCredential, RetryAt: now.Add(a.backoff(a.young - 1)), Err: errDiesYoung})
	}
	a.wake()
	return true
}

// errDiesYoung tells of a war over access_tokens.
var errDiesYoung error = &advice{
	"upstream refuses access_tokens moments after it gave them: another program fetches them for the same appid; " +
		"use token_mode stable in all of them, or give this one its own Mini Program",
	"上游刚返回 access_token 就拒绝它：有其他程序在为同一 appid 获取；请全部使用 token_mode stable，或为本服务使用单独的小程序",
}

// Retry forgets that fetches failed: the next Get, or Run, tries at once. For an operator who has corrected the cause.
func (a *AccessToken) Retry() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failure, a.failures, a.young = nil, 0, 0
	a.wake()
}

// Life is when the access_token was first given to this process, as of Dated, and when it ends; both are zero if there is
// none.
func (a *AccessToken) Life() (from, until time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.token == "" {
		return time.Time{}, time.Time{}
	}
	return a.bornAt, a.expiresAt
}

// Failure is why the last fetch brought none; nil if it did, or none was made since Retry.
func (a *AccessToken) Failure() *TokenError {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failure
}

// Run fetches the access_token and keeps it fresh ahead of its expiry, until ctx ends; it returns nil then. A fetch
// that fails is no end: it is tried again, and logged when the failure changes.
func (a *AccessToken) Run(ctx context.Context) error {
	if a.o.Mode == ModeNone {
		<-ctx.Done()
		return nil
	}
	for {
		timer := time.NewTimer(a.untilRefresh(time.Now()))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-a.changed:
			timer.Stop()
		case <-timer.C:
			a.refresh(ctx)
		}
	}
}

// Close ends a fetch under way and waits for its end; the last thing to do with an AccessToken. Get then gives what
// is valid, or an error.
func (a *AccessToken) Close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.end()
	a.flights.Wait()
}

// untilRefresh is how long Run may sleep.
func (a *AccessToken) untilRefresh(now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := a.refreshAt
	switch e := a.failure; {
	case e != nil && e.Scope == ScopeAccount:
		at = later(e.RetryAt, a.failedAt.Add(accountEvery))
	case e != nil:
		at = e.RetryAt
	case a.token == "":
		at = now
	}
	return max(at.Sub(now), 0)
}

// refresh fetches, or waits for the fetch under way.
func (a *AccessToken) refresh(ctx context.Context) {
	a.mu.Lock()
	f := a.join()
	a.mu.Unlock()
	select {
	case <-f.done:
	case <-ctx.Done():
	}
}

// valid needs mu.
func (a *AccessToken) valid(now time.Time) bool { return a.token != "" && now.Before(a.expiresAt) }

// wake makes Run plan anew.
func (a *AccessToken) wake() {
	select {
	case a.changed <- struct{}{}:
	default: // It will.
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
