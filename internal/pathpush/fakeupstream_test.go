package pathpush

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"carrier/internal/wechat"
)

// call is one request as upstream saw it.
type call struct {
	at          time.Time
	accessToken string
	update      wechat.PathUpdate
}

// fakeUpstream answers by a script. It fails the test when two pushes of one waybill overlap, or one goes back.
type fakeUpstream struct {
	t       *testing.T
	latency time.Duration
	answer  func(n int, c call) (wechat.Answer, error) // n counts from 1; nil is always ok

	mu       sync.Mutex
	calls    []call
	inFlight map[string]bool
	newest   map[string]int64
	most     int // in flight at once
	// replays allows going back in time, for tests that make failed pushes pending again.
	replays bool
	// sending is called with each request before it is answered.
	sending func(call)
}

func newFakeUpstream(t *testing.T) *fakeUpstream {
	return &fakeUpstream{t: t, latency: 20 * time.Millisecond, inFlight: map[string]bool{}, newest: map[string]int64{}}
}

func (u *fakeUpstream) UpdatePath(_ context.Context, accessToken string, p wechat.PathUpdate) (wechat.Answer, error) {
	u.mu.Lock()
	c := call{time.Now(), accessToken, p}
	u.calls = append(u.calls, c)
	n := len(u.calls)
	if u.inFlight[p.WaybillID] {
		u.t.Errorf("two pushes of %s are in flight", p.WaybillID)
	}
	if p.ActionTime < u.newest[p.WaybillID] && !u.replays {
		u.t.Errorf("%s went back from %d to %d", p.WaybillID, u.newest[p.WaybillID], p.ActionTime)
	}
	u.newest[p.WaybillID] = p.ActionTime
	u.inFlight[p.WaybillID] = true
	u.most = max(u.most, len(u.inFlight))
	answer, sending, latency := u.answer, u.sending, u.latency
	u.mu.Unlock()
	if sending != nil {
		sending(c)
	}

	time.Sleep(latency)
	u.mu.Lock()
	delete(u.inFlight, p.WaybillID)
	u.mu.Unlock()
	if answer == nil {
		return wechat.Answer{Errmsg: "ok"}, nil
	}
	return answer(n, c)
}

// answers sets the script.
func (u *fakeUpstream) answers(script func(n int, c call) (wechat.Answer, error)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.answer = script
}

// takes sets the latency.
func (u *fakeUpstream) takes(latency time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.latency = latency
}

func (u *fakeUpstream) seen() []call {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.calls)
}

// fakeCreds gives numbered access_tokens.
type fakeCreds struct {
	mu      sync.Mutex
	n       int
	err     error
	refused int
	hangs   bool // until the asker gives up
	sticky  bool // err stays until Retry
}

// accessTokenOf is when fakeCreds gave the nth access_token.
func accessTokenOf(n int) time.Time {
	return time.Unix(1_800_000_000, 0).Add(time.Duration(n) * time.Minute)
}

func (c *fakeCreds) Dated(ctx context.Context) (string, time.Time, error) {
	c.mu.Lock()
	hangs := c.hangs
	c.mu.Unlock()
	if hangs {
		select {
		case <-ctx.Done():
		case <-time.After(time.Hour):
		}
		return "", time.Time{}, &wechat.TokenError{Scope: wechat.ScopeUpstream, Err: ctx.Err()}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprint("ACCESS-", c.n), accessTokenOf(c.n), c.err
}

func (c *fakeCreds) Refused(token string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if token != fmt.Sprint("ACCESS-", c.n) {
		return false
	}
	c.n++
	c.refused++
	return true
}

func (c *fakeCreds) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

func (c *fakeCreds) hang() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hangs = true
}

func (c *fakeCreds) Retry() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil && c.sticky {
		c.err = nil
	}
}
func (c *fakeCreds) Life() (from, until time.Time) { return }
func (c *fakeCreds) Run(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// fakeQuota is upstream's own count of a fakeUpstream's calls. The zero value, with the upstream, takes any number.
type fakeQuota struct {
	up *fakeUpstream

	mu     sync.Mutex
	limit  int64
	others int64 // Calls that somebody else made today.
	err    error
	takes  time.Duration // how long an answer takes
	asked  []time.Time
}

func (q *fakeQuota) GetQuota(ctx context.Context, cgiPath string) (wechat.Quota, error) {
	q.mu.Lock()
	q.asked = append(q.asked, time.Now())
	takes := q.takes
	q.mu.Unlock()
	time.Sleep(takes)
	q.mu.Lock()
	defer q.mu.Unlock()
	if cgiPath != "/cgi-bin/express/delivery/path/update" {
		return wechat.Quota{}, fmt.Errorf("asked for the quota of %s", cgiPath)
	}
	if q.err != nil {
		return wechat.Quota{}, q.err
	}
	used := q.others
	for _, c := range q.up.seen() {
		if dayOf(c.at).Equal(dayOf(time.Now())) {
			used++
		}
	}
	return wechat.Quota{Day: wechat.DayQuota{DailyLimit: q.limit, Used: used, Remain: max(0, q.limit-used)}}, ctx.Err()
}

// takesDaily sets how many calls are taken a day.
func (q *fakeQuota) takesDaily(limit int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.limit = limit
}

// fails sets what it fails for; nil: nothing.
func (q *fakeQuota) fails(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.err = err
}

// times is how often it was asked.
func (q *fakeQuota) times() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.asked)
}

// code is a readable answer with an errcode.
func code(n int) (wechat.Answer, error) {
	return wechat.Answer{Errcode: n, Errmsg: fmt.Sprintf("error %d rid: 1-2-3", n), RID: "1-2-3", HTTPStatus: 200}, nil
}

var errTimeout = &wechat.CallError{Op: "updatePath", Sent: true, Kind: "timeout", Err: errors.New("no answer in 10s")}

// outage is a script of a host that takes nothing until it is over.
type outage struct {
	errcode int // What it answers; 0: it does not answer in time.
	over    atomic.Bool
}

func (o *outage) answer(int, call) (wechat.Answer, error) {
	switch {
	case o.over.Load():
		return code(0)
	case o.errcode == 0:
		return wechat.Answer{}, errTimeout
	}
	return code(o.errcode)
}
