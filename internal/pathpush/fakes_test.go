package pathpush

import (
	"cmp"
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
	frozen   map[state.Waybill]bool
	reopened map[uint64]time.Time // when a push became pending again
	accounts map[string]store.Account
	settleIs error
	sweeps   int
	// broken says what a read or a write of an account fails for; nil is well. It is called with mu held.
	broken func(call string) error
	// accountTakes is how long the n-th PutAccount takes, counted from 1. nil: no time.
	accountTakes func(n int) time.Duration
	laneTakes    time.Duration // how long reading a lane takes
	unreadable   state.Waybill // whose lane can't be read
	puts         int
}

func newFakeStore(t *testing.T) *fakeStore {
	return &fakeStore{
		t: t, commit: time.Millisecond,
		byKey: map[state.Waybill][]*store.Push{}, tokens: map[state.Waybill]string{},
		parked: map[state.Waybill]bool{}, frozen: map[state.Waybill]bool{}, reopened: map[uint64]time.Time{},
		accounts: map[string]store.Account{},
	}
}

func waybill(i int) state.Waybill {
	return state.Waybill{DeliveryID: "SF", WaybillID: fmt.Sprintf("W%d", i)}
}

// accept makes n pushes of transit scans of w, as a commit would, and feeds them unless silent.
func (s *fakeStore) accept(w state.Waybill, n int, silent bool) {
	s.scan(w, silent, slices.Repeat([]state.ActionType{state.Transit}, n)...)
}

// scan makes a push of each type of w, as a commit would, and feeds them unless silent.
func (s *fakeStore) scan(w state.Waybill, silent bool, types ...state.ActionType) {
	s.mu.Lock()
	whole := len(s.open(w)) == 0
	var added []store.Push
	for _, typ := range types {
		p := s.keep(w, store.Pending)
		p.Event.Type = typ
		added = append(added, *p)
	}
	s.tell(silent, store.Change{Waybill: w, Added: added, Whole: whole, Token: s.tokens[w], TokenAt: tokenTime(s.tokens[w])})
}

// keep makes an event of w, with its push unless status is NoPush.
func (s *fakeStore) keep(w state.Waybill, status store.Status) *store.Push {
	if s.tokens[w] == "" {
		s.tokens[w] = firstToken(w)
	}
	seq := uint64(len(s.pushes) + 1)
	p := &store.Push{
		Seq: seq, Status: status, ReceivedAt: time.Now(),
		Event: state.Event{ID: fmt.Sprint(seq), DeliveryID: w.DeliveryID, WaybillID: w.WaybillID,
			Type: state.Transit, Time: int64(seq), Msg: "在途"},
	}
	if status != store.NoPush {
		p.Ord = seq
	}
	s.pushes = append(s.pushes, p)
	s.byKey[w] = append(s.byKey[w], p)
	return p
}

// tell feeds a change, and gives mu back that its caller took. No other change may come in between.
func (s *fakeStore) tell(silent bool, c store.Change) {
	c.Blocked = s.parked[c.Waybill] || s.frozen[c.Waybill]
	defer s.mu.Unlock()
	if !silent {
		s.feed([]store.Change{c})
	}
}

// hold takes an event in whose push opens later (release).
func (s *fakeStore) hold(w state.Waybill) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keep(w, store.NoPush).Seq
}

// release opens the push of a held event, behind all that its waybill has.
func (s *fakeStore) release(seq uint64) {
	s.mu.Lock()
	p := s.pushes[seq-1]
	w := p.Event.Waybill()
	whole := len(s.open(w)) == 0
	s.pushes = append(s.pushes, &store.Push{Seq: uint64(len(s.pushes) + 1)}) // Takes a number, as an event would.
	p.Status, p.Ord, p.OpenedAt = store.Pending, uint64(len(s.pushes)), time.Now()
	s.tell(false, store.Change{Waybill: w, Added: []store.Push{*p}, Whole: whole, Token: s.tokens[w], TokenAt: tokenTime(s.tokens[w])})
}

// firstToken is the Token that a waybill of a fakeStore begins with.
func firstToken(w state.Waybill) string { return "TOKEN-" + w.WaybillID }

// tokenTime is when a Token of a fakeStore came: tests use Tokens of different lengths.
func tokenTime(token string) time.Time {
	if token == "" {
		return time.Time{}
	}
	return time.Unix(1_700_000_000+int64(len(token)), 0)
}

func (s *fakeStore) putToken(w state.Waybill, token string) {
	s.mu.Lock()
	s.tokens[w] = token
	s.parked[w] = false
	for _, p := range s.byKey[w] {
		if p.Status == store.Failed && p.Reason == store.ReasonToken {
			s.reopen(p)
		} else if p.Status == store.Pending {
			p.Refusals, p.NextAt = 0, time.Time{}
		}
	}
	s.tell(false, store.Change{Waybill: w, Reload: true})
}

// replay makes a push that ended pending again.
func (s *fakeStore) replay(seq uint64) {
	s.mu.Lock()
	p := s.pushes[seq-1]
	if p.Status != store.Failed && p.Status != store.Delivered {
		s.mu.Unlock()
		return
	}
	s.reopen(p)
	s.parked[p.Event.Waybill()] = false
	s.tell(false, store.Change{Waybill: p.Event.Waybill(), Reload: true})
}

func (s *fakeStore) reopen(p *store.Push) {
	p.Status, p.Reason, p.Tries, p.Refusals, p.Used, p.NextAt = store.Pending, "", 0, 0, 0, time.Time{}
	p.Attempts = nil // So that Tries can be held against them.
	p.OpenedAt, p.Bulk = time.Now(), false
	s.reopened[p.Seq] = time.Now()
}

// replayBulk makes those of the pushes pending again that failed or were delivered, as a step of a bulk replay does.
func (s *fakeStore) replayBulk(seqs ...uint64) {
	for _, seq := range seqs {
		s.mu.Lock()
		p := s.pushes[seq-1]
		w := p.Event.Waybill()
		if p.Status != store.Failed && p.Status != store.Delivered {
			s.mu.Unlock()
			continue
		}
		s.reopen(p)
		p.Bulk, p.Replay = true, 1
		s.parked[w] = false
		s.tell(false, store.Change{Waybill: w, Reload: true})
	}
}

// discard ends a push by hand.
func (s *fakeStore) discard(seq uint64) {
	s.mu.Lock()
	p := s.pushes[seq-1]
	if p.Status != store.Pending && p.Status != store.Failed {
		s.mu.Unlock()
		return
	}
	p.Status, p.Reason, p.DoneAt = store.Discarded, store.ReasonOperator, time.Now()
	s.tell(false, store.Change{Waybill: p.Event.Waybill(), Reload: true})
}

// retryNow lets a push go that waits for its next attempt.
func (s *fakeStore) retryNow(seq uint64) {
	s.mu.Lock()
	p := s.pushes[seq-1]
	if p.Status != store.Pending || p.NextAt.IsZero() {
		s.mu.Unlock()
		return
	}
	p.NextAt = time.Time{}
	s.tell(false, store.Change{Waybill: p.Event.Waybill(), Reload: true})
}

// freeze holds or releases a waybill.
func (s *fakeStore) freeze(w state.Waybill, frozen bool) {
	s.mu.Lock()
	s.frozen[w] = frozen
	s.tell(false, store.Change{Waybill: w, Reload: true})
}

func (s *fakeStore) open(w state.Waybill) []store.Push {
	var open []store.Push
	for _, p := range s.byKey[w] {
		if p.Status == store.Pending {
			open = append(open, *p)
		}
	}
	slices.SortFunc(open, func(a, b store.Push) int { return cmp.Compare(a.Ord, b.Ord) })
	return open
}

// written is how often an account was written.
func (s *fakeStore) written() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.puts
}

// breaks sets broken.
func (s *fakeStore) breaks(broken func(call string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = broken
}

func (s *fakeStore) fails(call string) error {
	if s.broken == nil {
		return nil
	}
	return s.broken(call)
}

func (s *fakeStore) Lane(_ context.Context, w state.Waybill) (store.Lane, error) {
	s.mu.Lock()
	err, takes := s.fails("Lane"), s.laneTakes
	if w == s.unreadable {
		err = errors.New("a row is damaged")
	}
	lane := store.Lane{
		Waybill: w, Token: s.tokens[w], TokenAt: tokenTime(s.tokens[w]), Parked: s.parked[w], Frozen: s.frozen[w], Pushes: s.open(w),
	}
	s.mu.Unlock()
	time.Sleep(takes) // What was read may be old by the time that it is used.
	if err != nil {
		return store.Lane{}, err
	}
	return lane, nil
}

func (s *fakeStore) Sweep(_ context.Context, id string, from store.Place) ([]state.Waybill, store.Place, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweeps++
	if err := s.fails("Sweep"); err != nil {
		return nil, from, false, err
	}
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
	p := s.pushes[o.Seq-1]
	if p.Status == store.Discarded { // While it was in flight; upstream may have taken it.
		p.Attempts = append(p.Attempts, *o.Attempt)
		if o.Status == store.Delivered {
			p.Status, p.Tries = store.Delivered, o.Tries
		}
		return
	}
	if p.Status != store.Pending {
		s.t.Errorf("push %d was settled twice", o.Seq)
		return
	}
	for _, before := range s.open(o.Waybill) {
		if before.Seq == o.Seq {
			break
		}
		if s.reopened[before.Seq].Before(o.Attempt.At) {
			s.t.Errorf("push %d (sent %s) was settled before push %d of %s, which was reopened %s", o.Seq,
				o.Attempt.At, before.Seq, o.Waybill, s.reopened[before.Seq])
		}
	}
	p.Attempts = append(p.Attempts, *o.Attempt)
	if o.Park && o.Token != s.tokens[o.Waybill] {
		p.Tries, p.Used, p.Refusals, p.NextAt = o.Tries, o.Used, 0, time.Time{}
		return
	}
	p.Status, p.Reason, p.Tries, p.Refusals, p.Used, p.NextAt = o.Status, o.Reason, o.Tries, o.Refusals, o.Used, o.NextAt
	p.DoneAt = time.Now()
	if o.Park {
		s.parked[o.Waybill] = true
	}
}

func (s *fakeStore) Account(_ context.Context, id string) (store.Account, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accounts[id], s.fails("Account")
}

func (s *fakeStore) PutAccount(_ context.Context, id string, a store.Account) error {
	s.mu.Lock()
	s.puts++
	var takes time.Duration
	if s.accountTakes != nil {
		takes = s.accountTakes(s.puts)
	}
	s.mu.Unlock()
	time.Sleep(takes)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.fails("PutAccount"); err != nil {
		return err
	}
	if a.Version != s.accounts[id].Version {
		return store.ErrChanged
	}
	a.Version++
	s.accounts[id] = a
	return nil
}

func (s *fakeStore) account(id string) store.Account {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accounts[id]
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

// rig is a pusher with all its fakes, running in a synctest bubble.
type rig struct {
	store    *fakeStore
	upstream *fakeUpstream
	fallback *fakeUpstream
	creds    *fakeCreds
	quota    *fakeQuota // Not asked unless the options have it.
	pusher   *Pusher
	options  Options
	stop     context.CancelFunc
	err      error
}

// bubble runs test with a rig whose pusher is running, and stops it at the end.
func bubble(t *testing.T, change func(*Options), test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{store: newFakeStore(t), upstream: newFakeUpstream(t), fallback: newFakeUpstream(t), creds: &fakeCreds{}}
		r.quota = &fakeQuota{up: r.upstream, limit: 1_000_000}
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
		if o.QuotaReserve > 0 {
			o.Accounts[0].Quota = r.quota
		}
		for i := range o.Accounts[0].Hosts[1:] {
			o.Accounts[0].Hosts[i+1].Upstream = r.fallback
		}
		r.options = o
		r.begin(t)
		defer func() { r.stop() }()
		test(t, r)
	})
}

// begin starts a pusher on the rig's fakes, as after a restart.
func (r *rig) begin(t *testing.T) {
	p, err := New(r.options)
	if err != nil {
		t.Fatal(err)
	}
	r.store.mu.Lock()
	r.pusher, r.store.feed = p, p.Feed
	r.store.mu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	r.stop = func() { cancel(); <-done }
	go func() { defer close(done); r.err = p.Run(ctx) }()
}

// code is a readable answer with an errcode.
func code(n int) (wechat.Answer, error) {
	return wechat.Answer{Errcode: n, Errmsg: fmt.Sprintf("error %d rid: 1-2-3", n), RID: "1-2-3", HTTPStatus: 200}, nil
}

var errTimeout = &wechat.CallError{Op: "updatePath", Sent: true, Kind: "timeout", Err: errors.New("no answer in 10s")}
