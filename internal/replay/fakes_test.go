package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"carrier/internal/durations"
	"carrier/internal/state"
	"carrier/internal/store"
)

// failer is a *testing.T or a *rapid.T.
type failer interface {
	Helper()
	Errorf(format string, args ...any)
}

// fakeStore keeps pushes in memory, and sends those that become pending as a pusher would: in order, a few at a time.
// It is Store and Pusher in one. It fails the test where a step breaks a promise of the package.
type fakeStore struct {
	t failer

	// Set before use; called or read with mu held.
	fails   func(call string) fault
	answer  func(*store.Push) store.Status // What a push that is sent becomes; nil: Delivered.
	commit  time.Duration                  // How long a write takes.
	reading time.Duration                  // How long reading a waybill takes.
	short   func() int                     // Rows that a page has at most, beside the limit; nil: no other limit.

	mu       sync.Mutex
	pushes   []*store.Push // By seq-1.
	stories  map[state.Waybill]state.Timeline
	tokens   map[state.Waybill]bool
	frozen   map[state.Waybill]bool
	held     map[string]store.WaitingFor
	replays  []*store.Replay
	inStep   map[string]bool                       // By replay and account.
	requeued map[uint64]map[uint64]bool            // By replay: pushes.
	stepOf   map[uint64]map[state.Waybill][]uint64 // By replay: what a step took of a waybill.
	steps    []store.Requeue
	stepAt   []time.Time
	sent     []uint64
	still    bool          // Nothing is sent.
	damaged  state.Waybill // It can't be read.
}

// fault is how a call fails.
type fault int

const (
	well fault = iota
	notDone
	doneAllTheSame // It is carried out, and the caller hears of an error.
)

var errBroken = errors.New("input/output error")

func newFakeStore(t failer) *fakeStore {
	return &fakeStore{
		t: t, commit: time.Millisecond, stories: map[state.Waybill]state.Timeline{}, tokens: map[state.Waybill]bool{},
		frozen: map[state.Waybill]bool{}, held: map[string]store.WaitingFor{}, inStep: map[string]bool{},
		requeued: map[uint64]map[uint64]bool{}, stepOf: map[uint64]map[state.Waybill][]uint64{},
	}
}

func waybill(account string, i int) state.Waybill {
	return state.Waybill{DeliveryID: account, WaybillID: fmt.Sprintf("W%d", i)}
}

// add makes a push of w with a status, one second after the last one of w. The waybill gets a Token.
func (s *fakeStore) add(w state.Waybill, status store.Status) *store.Push {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	seq := uint64(len(s.pushes) + 1)
	p := &store.Push{
		Seq: seq, Ord: seq, ReceivedAt: now, Status: status, OpenedAt: now,
		Event: state.Event{
			ID: fmt.Sprint(seq), Source: "app", DeliveryID: w.DeliveryID, WaybillID: w.WaybillID,
			Type: state.Transit, Time: int64(1000 + seq),
		},
	}
	if status != store.Pending {
		p.DoneAt = now
	}
	if status == store.Failed {
		p.Reason = store.ReasonRefused
		p.Attempts = []store.Attempt{{At: now, Errcode: new(40097)}}
	}
	s.pushes = append(s.pushes, p)
	s.tokens[w] = true
	s.place(p)
	return p
}

// place puts a push in its place in the timeline, after its type or time was set.
func (s *fakeStore) place(p *store.Push) {
	w := p.Event.Waybill()
	line := slices.DeleteFunc(s.stories[w], func(e state.Entry) bool { return e.Seq == p.Seq })
	s.stories[w] = line.Insert(state.Entry{
		Seq: p.Seq, Ord: p.Ord, Type: p.Event.Type, Time: p.Event.Time, Verdict: state.Accepted,
	})
}

// fail asks how a call goes.
func (s *fakeStore) fail(call string) fault {
	if s.fails == nil {
		return well
	}
	return s.fails(call)
}

// finds is what a filter means, written down once more.
func (s *fakeStore) finds(q *store.Query, p *store.Push) bool {
	return (q.Status == store.NoPush || q.Status == p.Status) &&
		(q.DeliveryID == "" || q.DeliveryID == p.Event.DeliveryID) &&
		(q.WaybillID == "" || q.WaybillID == p.Event.WaybillID) &&
		(q.Type == 0 || q.Type == p.Event.Type) && (q.Reason == "" || q.Reason == p.Reason)
}

func (s *fakeStore) Pushes(_ context.Context, q store.Query) (page store.Page[store.Push], err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail("Pushes") != well {
		return page, errBroken
	}
	room := q.Limit
	if s.short != nil {
		room = min(room, s.short())
	}
	for i := range s.pushes {
		p := s.pushes[i]
		if !q.Ascending {
			p = s.pushes[len(s.pushes)-1-i]
		}
		if p.Seq <= q.After || q.Before != 0 && p.Seq >= q.Before || !s.finds(&q, p) {
			continue
		}
		if room <= 0 {
			page.Next = p.Seq - 1
			if !q.Ascending {
				page.Next = p.Seq + 1
			}
			return page, nil
		}
		room--
		page.Items = append(page.Items, *p)
	}
	return page, nil
}

func (s *fakeStore) Waybill(_ context.Context, w state.Waybill) (store.Waybill, error) {
	time.Sleep(s.reading)
	s.mu.Lock()
	defer s.mu.Unlock()
	if w == s.damaged {
		return store.Waybill{}, fmt.Errorf("a row: %w", store.ErrDamaged)
	}
	if s.fail("Waybill") != well {
		return store.Waybill{}, errBroken
	}
	line, ok := s.stories[w]
	if !ok {
		return store.Waybill{}, store.ErrNotFound
	}
	return s.story(w, line), nil
}

func (s *fakeStore) story(w state.Waybill, line state.Timeline) store.Waybill {
	story := store.Waybill{Waybill: w, Stage: line.Stage(), TokenSet: s.tokens[w], Frozen: s.frozen[w]}
	for i := range line {
		p := *s.pushes[line[i].Seq-1]
		story.Timeline = append(story.Timeline, store.Step{
			Event: store.Event{Seq: p.Seq, Event: p.Event, Verdict: line[i].Verdict, Status: p.Status}, Push: p,
		})
	}
	return story
}

func (s *fakeStore) StartReplay(_ context.Context, r store.Replay, act store.Act) (store.Replay, error) {
	time.Sleep(s.commit)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail("StartReplay") != well {
		return store.Replay{}, errBroken
	}
	if r.Filter.Held != nil || r.Filter.Limit != 0 || act.Action != store.ActReplayStart {
		s.t.Errorf("StartReplay(%+v, %+v): more than conditions, or the wrong act", r, act)
	}
	r.ID, r.CreatedAt, r.UpTo, r.Status = uint64(len(s.replays)+1), time.Now(), uint64(len(s.pushes)), store.ReplayRunning
	if len(r.Legs) == 0 {
		r.Status, r.EndedAt = store.ReplayDone, r.CreatedAt
	}
	s.replays = append(s.replays, &r)
	s.requeued[r.ID], s.stepOf[r.ID] = map[uint64]bool{}, map[state.Waybill][]uint64{}
	return s.copy(&r), nil
}

func (s *fakeStore) copy(r *store.Replay) store.Replay {
	c := *r
	c.Legs = slices.Clone(r.Legs)
	return c
}

func (s *fakeStore) Requeue(ctx context.Context, step store.Requeue) (store.Replay, error) {
	key := fmt.Sprint(step.Replay, step.Leg.DeliveryID)
	s.mu.Lock()
	if s.inStep[key] {
		s.t.Errorf("two steps of replay %d at once for %s", step.Replay, step.Leg.DeliveryID)
	}
	s.inStep[key] = true
	s.mu.Unlock()
	time.Sleep(s.commit)
	s.mu.Lock()
	defer s.mu.Unlock()
	defer delete(s.inStep, key)
	how := s.fail("Requeue")
	if how == notDone {
		return store.Replay{}, fmt.Errorf("%w: %w", store.ErrUnavailable, errBroken)
	}
	r := s.replays[step.Replay-1]
	if r.Status != store.ReplayRunning {
		return store.Replay{}, store.ErrState
	}
	s.check(r, &step)
	s.apply(r, &step)
	if how == doneAllTheSame {
		return store.Replay{}, errBroken
	}
	return s.copy(r), nil
}

// check holds a step against what the package promises.
func (s *fakeStore) check(r *store.Replay, step *store.Requeue) {
	by := map[state.Waybill][]uint64{}
	for _, seq := range step.Seqs {
		p := s.pushes[seq-1]
		w := p.Event.Waybill()
		by[w] = append(by[w], seq)
		if w.DeliveryID != step.Leg.DeliveryID || seq > r.UpTo {
			s.t.Errorf("replay %d: push %d of %s in a step of %s up to %d", r.ID, seq, w, step.Leg.DeliveryID, r.UpTo)
		}
	}
	for w, seqs := range by {
		if !slices.IsSorted(seqs) || len(slices.Compact(slices.Clone(seqs))) != len(seqs) {
			s.t.Errorf("replay %d: %v of %s is not in order of acceptance", r.ID, seqs, w)
		}
		if before := s.stepOf[r.ID][w]; before != nil {
			s.t.Errorf("replay %d: %s in two steps, %v and %v", r.ID, w, before, seqs)
		}
		s.stepOf[r.ID][w] = seqs
		for _, p := range s.pushes {
			if p.Event.Waybill() == w && s.wanted(r, p) && !slices.Contains(seqs, p.Seq) {
				s.t.Errorf("replay %d: a step takes %v of %s without %d", r.ID, seqs, w, p.Seq)
			}
		}
	}
	if len(by) > 1 && (len(step.Seqs) > maxPushes || len(by) > maxWaybills) {
		s.t.Errorf("replay %d: %d pushes of %d waybills in a step", r.ID, len(step.Seqs), len(by))
	}
	if bulk := s.bulk(step.Leg.DeliveryID); len(step.Seqs) > 0 && bulk > maxBulk-maxPushes {
		s.t.Errorf("replay %d: a step while %d are on their way", r.ID, bulk)
	}
	leg := s.leg(r, step.Leg.DeliveryID)
	if leg.Done || step.Leg.Cursor < leg.Cursor {
		s.t.Errorf("replay %d: a step to %+v after %+v", r.ID, step.Leg, *leg)
	}
}

// wanted tells whether a replay should send p, but for superseded ones.
func (s *fakeStore) wanted(r *store.Replay, p *store.Push) bool {
	status := cmp.Or(r.Filter.Status, store.Failed)
	return p.Status == status && !p.DoneAt.After(r.CreatedAt) && p.Seq <= r.UpTo && s.finds(&r.Filter, p) && !r.SkipSuperseded
}

func (s *fakeStore) leg(r *store.Replay, account string) *store.Leg {
	for i := range r.Legs {
		if r.Legs[i].DeliveryID == account {
			return &r.Legs[i]
		}
	}
	panic("no leg for " + account)
}

func (s *fakeStore) apply(r *store.Replay, step *store.Requeue) {
	for _, seq := range step.Seqs {
		p := s.pushes[seq-1]
		if p.Status != store.Failed && p.Status != store.Discarded || p.DoneAt.After(r.CreatedAt) {
			r.Skipped++ // It changed since it was read.
			continue
		}
		if s.requeued[r.ID][seq] {
			s.t.Errorf("replay %d makes push %d pending twice", r.ID, seq)
		}
		s.requeued[r.ID][seq] = true
		p.Status, p.Reason, p.Replay, p.Bulk, p.OpenedAt, p.DoneAt = store.Pending, "", r.ID, true, time.Now(), time.Time{}
		r.Requeued++
	}
	r.Skipped += int64(step.Skipped)
	*s.leg(r, step.Leg.DeliveryID) = step.Leg
	s.steps, s.stepAt = append(s.steps, *step), append(s.stepAt, time.Now())
	s.end(r)
}

// end makes a replay done that is through.
func (s *fakeStore) end(r *store.Replay) {
	if r.Status == store.ReplayRunning && r.Exhausted() && r.Open() == 0 {
		r.Status, r.EndedAt = store.ReplayDone, time.Now()
	}
}

func (s *fakeStore) SetReplay(_ context.Context, id uint64, to store.ReplayStatus, _ store.Act) (store.Replay, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.replays[id-1]
	if r.Status.Ended() || r.Status == to {
		return store.Replay{}, store.ErrState
	}
	r.Status = to
	s.end(r)
	return s.copy(r), nil
}

func (s *fakeStore) ReadReplay(_ context.Context, id uint64) (store.Replay, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail("ReadReplay") != well {
		return store.Replay{}, errBroken
	}
	return s.copy(s.replays[id-1]), nil
}

func (s *fakeStore) ListReplays(_ context.Context, before uint64, _ int) (page store.Page[store.Replay], err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail("ListReplays") != well {
		return page, errBroken
	}
	for i := len(s.replays) - 1; i >= 0; i-- {
		if r := s.replays[i]; before == 0 || r.ID < before {
			if len(page.Items) == 2 { // Pages are short, lest nobody reads a second one.
				page.Next = r.ID + 1
				break
			}
			page.Items = append(page.Items, s.copy(r))
		}
	}
	return page, nil
}

func (s *fakeStore) Held(account string, _ bool) store.WaitingFor {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held[account]
}

func (s *fakeStore) Load(account string) Load {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := Load{Bulk: s.bulk(account), Held: s.held[account]}
	if l.Held != store.WaitNothing {
		l.Reason = "because"
	}
	return l
}

// bulk counts the replayed pushes of an account that can be sent.
func (s *fakeStore) bulk(account string) (n int) {
	for _, p := range s.pushes {
		w := p.Event.Waybill()
		if p.Status == store.Pending && p.Bulk && w.DeliveryID == account && s.tokens[w] && !s.frozen[w] {
			n++
		}
	}
	return n
}

// hold stops an account, or lets it go on.
func (s *fakeStore) hold(account string, w store.WaitingFor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[account] = w
}

func (s *fakeStore) setStill(still bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.still = still
}

// push sends each account's n next pushes every 100 ms, in order within a waybill, until ctx ends.
func (s *fakeStore) push(ctx context.Context, n int) {
	for durations.Wait(ctx, 100*time.Millisecond) == nil {
		s.mu.Lock()
		room := map[string]int{}
		for _, p := range s.open() {
			w := p.Event.Waybill()
			if s.still || s.held[w.DeliveryID] != store.WaitNothing || room[w.DeliveryID] == n || s.frozen[w] || !s.tokens[w] {
				continue
			}
			room[w.DeliveryID]++
			s.settle(p)
		}
		s.mu.Unlock()
	}
}

// open lists what is pending, in order of sending.
func (s *fakeStore) open() (open []*store.Push) {
	for _, p := range s.pushes {
		if p.Status == store.Pending {
			open = append(open, p)
		}
	}
	slices.SortFunc(open, func(a, b *store.Push) int { return cmp.Compare(a.Ord, b.Ord) })
	return open
}

// settle ends a push.
func (s *fakeStore) settle(p *store.Push) {
	p.Status, p.DoneAt = store.Delivered, time.Now()
	if s.answer != nil {
		p.Status = s.answer(p)
	}
	s.sent = append(s.sent, p.Seq)
	if p.Replay == 0 {
		return
	}
	r := s.replays[p.Replay-1]
	switch p.Status {
	case store.Delivered:
		r.Delivered++
	case store.Failed:
		r.Failed++
		p.Reason = store.ReasonRefused
	case store.Discarded:
		r.Discarded++
	}
	s.end(r)
}

// replay reads one without a context.
func (s *fakeStore) replay(id uint64) store.Replay {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.copy(s.replays[id-1])
}

// took lists what a replay made pending.
func (s *fakeStore) took(id uint64) []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.requeued[id]))
}
