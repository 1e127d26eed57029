package pathpush

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
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

// replay makes a push pending again that failed or was delivered, as a person does.
func (s *fakeStore) replay(seq uint64) { s.replayIn(seq, 0) }

// replayBulk is replay of several pushes, as a step of a bulk replay does it.
func (s *fakeStore) replayBulk(seqs ...uint64) {
	for _, seq := range seqs {
		s.replayIn(seq, 1)
	}
}

// replayIn is replay as part of a bulk replay, or of none (0).
func (s *fakeStore) replayIn(seq, bulk uint64) {
	s.mu.Lock()
	p := s.pushes[seq-1]
	if p.Status != store.Failed && p.Status != store.Delivered {
		s.mu.Unlock()
		return
	}
	s.reopen(p)
	if bulk != 0 {
		p.Bulk, p.Replay = true, bulk
	}
	s.parked[p.Event.Waybill()] = false
	s.tell(false, store.Change{Waybill: p.Event.Waybill(), Reload: true})
}

func (s *fakeStore) reopen(p *store.Push) {
	p.Status, p.Reason, p.Tries, p.Refusals, p.Used, p.NextAt = store.Pending, "", 0, 0, 0, time.Time{}
	p.Attempts = nil // So that Tries can be held against them.
	p.OpenedAt, p.Bulk = time.Now(), false
	s.reopened[p.Seq] = time.Now()
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

// otherNode changes what is kept of the account as another node would.
func (s *fakeStore) otherNode(change func(*store.Account)) []store.Change {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts["SF"]
	change(&a)
	a.Version++
	s.accounts["SF"] = a
	return []store.Change{{Shared: &store.Shared{Account: "SF"}}}
}

// fail sets what Settle fails for; nil: nothing.
func (s *fakeStore) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settleIs = err
}
