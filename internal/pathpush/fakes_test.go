package pathpush

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/wechat"
)

// fakeStore keeps pushes in memory. It fails the test if the pusher settles what is not the head of its waybill.
type fakeStore struct {
	t      *testing.T
	feed   store.Feed
	commit time.Duration // how long a commit takes

	mu       sync.Mutex
	pushes   []*store.Push // by seq-1
	byKey    map[state.Waybill][]*store.Push
	tokens   map[state.Waybill]string
	parked   map[state.Waybill]bool
	accounts map[string]store.Account
	settleIs error
	sweeps   int
}

func newFakeStore(t *testing.T) *fakeStore {
	return &fakeStore{
		t: t, commit: time.Millisecond,
		byKey: map[state.Waybill][]*store.Push{}, tokens: map[state.Waybill]string{},
		parked: map[state.Waybill]bool{}, accounts: map[string]store.Account{},
	}
}

func waybill(i int) state.Waybill {
	return state.Waybill{DeliveryID: "SF", WaybillID: fmt.Sprintf("W%d", i)}
}

// accept makes n pushes of w, as a commit would, and feeds them unless silent.
func (s *fakeStore) accept(w state.Waybill, n int, silent bool) {
	s.mu.Lock()
	if s.tokens[w] == "" {
		s.tokens[w] = "TOKEN-" + w.WaybillID
	}
	whole := len(s.open(w)) == 0
	var added []store.Push
	for range n {
		seq := uint64(len(s.pushes) + 1)
		p := &store.Push{
			Seq: seq, Ord: seq, Status: store.Pending, ReceivedAt: time.Now(),
			Event: state.Event{ID: fmt.Sprint(seq), DeliveryID: w.DeliveryID, WaybillID: w.WaybillID,
				Type: state.Transit, Time: int64(seq), Msg: "在途"},
		}
		s.pushes = append(s.pushes, p)
		s.byKey[w] = append(s.byKey[w], p)
		added = append(added, *p)
	}
	c := store.Change{Waybill: w, Added: added, Whole: whole, Token: s.tokens[w], Blocked: s.parked[w]}
	s.mu.Unlock()
	if !silent {
		s.feed([]store.Change{c})
	}
}

func (s *fakeStore) putToken(w state.Waybill, token string) {
	s.mu.Lock()
	s.tokens[w] = token
	s.parked[w] = false
	for _, p := range s.byKey[w] {
		if p.Status == store.Failed && p.Reason == store.ReasonToken {
			p.Status, p.Refusals, p.NextAt = store.Pending, 0, time.Time{}
		}
	}
	s.mu.Unlock()
	s.feed([]store.Change{{Waybill: w, Reload: true}})
}

func (s *fakeStore) open(w state.Waybill) []store.Push {
	var open []store.Push
	for _, p := range s.byKey[w] {
		if p.Status == store.Pending {
			open = append(open, *p)
		}
	}
	return open
}

func (s *fakeStore) Lane(_ context.Context, w state.Waybill) (store.Lane, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return store.Lane{Waybill: w, Token: s.tokens[w], Parked: s.parked[w], Pushes: s.open(w)}, nil
}

func (s *fakeStore) Sweep(_ context.Context, id string, from store.Place) ([]state.Waybill, store.Place, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweeps++
	var page []state.Waybill
	const rows = 10
	for i := range rows {
		at := int(from.Seq) + i
		if at >= len(s.pushes) {
			return page, from, true, nil
		}
		if p := s.pushes[at]; p.Status == store.Pending && p.Event.DeliveryID == id {
			page = append(page, p.Event.Waybill())
		}
	}
	return page, store.Place{Seq: from.Seq + rows}, false, nil
}

func (s *fakeStore) Settle(o store.Outcome, done func(error)) {
	go func() {
		time.Sleep(s.commit)
		s.mu.Lock()
		err := s.settleIs
		if err == nil {
			s.settle(&o)
		}
		s.mu.Unlock()
		done(err)
	}()
}

func (s *fakeStore) settle(o *store.Outcome) {
	open := s.open(o.Waybill)
	if len(open) == 0 || open[0].Seq != o.Seq {
		s.t.Errorf("push %d was settled, the open ones of %s are %v", o.Seq, o.Waybill, open)
		return
	}
	p := s.pushes[o.Seq-1]
	p.Status, p.Reason, p.Tries, p.Refusals, p.Used, p.NextAt = o.Status, o.Reason, o.Tries, o.Refusals, o.Used, o.NextAt
	p.DoneAt = time.Now()
	if o.Attempt != nil {
		p.Attempts = append(p.Attempts, *o.Attempt)
	}
	if o.Park {
		s.parked[o.Waybill] = true
	}
}

func (s *fakeStore) Account(_ context.Context, id string) (store.Account, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accounts[id], nil
}

func (s *fakeStore) PutAccount(_ context.Context, id string, a store.Account) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accounts[id] = a
	return nil
}

func (s *fakeStore) push(seq uint64) store.Push {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *s.pushes[seq-1]
}

func (s *fakeStore) count(status store.Status) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, p := range s.pushes {
		if p.Status == status {
			n++
		}
	}
	return n
}

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
	answer := u.answer
	u.mu.Unlock()

	time.Sleep(u.latency)
	u.mu.Lock()
	delete(u.inFlight, p.WaybillID)
	u.mu.Unlock()
	if answer == nil {
		return wechat.Answer{Errmsg: "ok"}, nil
	}
	return answer(n, c)
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
}

func (c *fakeCreds) Get(context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprint("ACCESS-", c.n), c.err
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

func (c *fakeCreds) Retry()               {}
func (c *fakeCreds) ExpiresAt() time.Time { return time.Time{} }
func (c *fakeCreds) Run(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// rig is a pusher with all its fakes, running in a synctest bubble.
type rig struct {
	store    *fakeStore
	upstream *fakeUpstream
	fallback *fakeUpstream
	creds    *fakeCreds
	pusher   *Pusher
	stop     context.CancelFunc
	err      error
}

// bubble runs test with a rig whose pusher is running, and stops it at the end.
func bubble(t *testing.T, change func(*Options), test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{store: newFakeStore(t), upstream: newFakeUpstream(t), fallback: newFakeUpstream(t), creds: &fakeCreds{}}
		o := Options{
			Store: r.store,
			Accounts: []AccountOptions{{
				DeliveryID: "SF", Hosts: []Host{{"main", r.upstream}}, Credentials: r.creds, Concurrency: 64,
			}},
			Random: func() float64 { return 0.5 },
		}
		if change != nil {
			change(&o)
		}
		for i := range o.Accounts[0].Hosts[1:] {
			o.Accounts[0].Hosts[i+1].Upstream = r.fallback
		}
		p, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		r.pusher, r.store.feed = p, p.Feed
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		r.stop = func() { cancel(); <-done }
		defer r.stop()
		go func() { defer close(done); r.err = p.Run(ctx) }()
		test(t, r)
	})
}

// code is a readable answer with an errcode.
func code(n int) (wechat.Answer, error) {
	return wechat.Answer{Errcode: n, Errmsg: fmt.Sprintf("error %d rid: 1-2-3", n), RID: "1-2-3", HTTPStatus: 200}, nil
}

var errTimeout = &wechat.CallError{Op: "updatePath", Sent: true, Kind: "timeout", Err: errors.New("no answer in 10s")}
