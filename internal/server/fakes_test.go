package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"carrier/internal/admin"
	"carrier/internal/pathpush"
	"carrier/internal/problem"
	"carrier/internal/replay"
	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/verify"
)

// fakeStore answers what it is told to, and remembers what it was asked.
type fakeStore struct {
	mu      sync.Mutex
	err     error         // of every call
	panics  any           // thrown by every call
	blocks  chan struct{} // a call waits until it is closed
	entered chan struct{} // gets a value when a call begins to wait
	waybill state.Waybill // asked for last
	token   string        // put last
	query   store.Query
	audited store.AuditQuery
	page    admin.PageQuery

	pushes      []store.Push
	events      []store.Event
	story       store.Waybill // Its timeline; of every waybill.
	shown       *store.Shown  // Of every waybill; nil: nothing.
	replays     []store.Replay
	entries     []store.AuditEntry // kept by Record
	letters     []store.DeadLetter
	acts        []store.Act // passed in
	resent      []uint64    // passed to Resend last
	differences []store.Difference
	summaries   store.Summaries
	found       store.FindQuery   // asked for last
	silent      store.SilentQuery // likewise
	refuses     bool              // Resend does
	gone        bool              // Everything was expunged.
	next        uint64            // of every page
	stats       store.Stats
}

func (s *fakeStore) call() error {
	s.mu.Lock()
	err, panics, blocks := s.err, s.panics, s.blocks
	s.mu.Unlock()
	if panics != nil {
		panic(panics)
	}
	if blocks != nil {
		s.entered <- struct{}{}
		<-blocks
	}
	return err
}

// find is the push with a number.
func (s *fakeStore) find(seq uint64) (*store.Push, error) {
	if err := s.call(); err != nil {
		return nil, err
	}
	for i := range s.pushes {
		if s.pushes[i].Seq == seq {
			return &s.pushes[i], nil
		}
	}
	return nil, fmt.Errorf("push %d: %w", seq, store.ErrNotFound)
}

// change puts a push that has one of these statuses into another, and keeps the act.
func (s *fakeStore) change(seq uint64, act store.Act, to store.Status, from ...store.Status) (store.Push, error) {
	p, err := s.find(seq)
	if err != nil {
		return store.Push{}, err
	}
	if !slices.Contains(from, p.Status) || s.gone {
		return store.Push{}, store.ErrState
	}
	s.acts = append(s.acts, act)
	p.Status, p.WaitingFor, p.Waiting = to, store.WaitNothing, store.Waiting{}
	return *p, nil
}

func (s *fakeStore) Push(_ context.Context, seq uint64) (store.Push, error) {
	p, err := s.find(seq)
	if err != nil {
		return store.Push{}, err
	}
	return *p, nil
}

func (s *fakeStore) Pushes(_ context.Context, q store.Query) (store.Page[store.Push], error) {
	s.query = q
	return store.Page[store.Push]{Items: s.pushes, Next: s.next}, s.call()
}

func (s *fakeStore) Events(_ context.Context, q store.Query) (store.Page[store.Event], error) {
	s.query = q
	return store.Page[store.Event]{Items: s.events, Next: s.next}, s.call()
}

func (s *fakeStore) Waybill(_ context.Context, w state.Waybill) (store.Waybill, error) {
	s.waybill = w
	if s.gone && len(s.pushes)+len(s.story.Timeline) == 0 {
		return store.Waybill{}, store.ErrNotFound
	}
	story := s.story
	story.Waybill, story.Timeline = w, slices.Clone(s.story.Timeline)
	for i := range s.pushes {
		p := s.pushes[i]
		story.Timeline = append(story.Timeline, store.Step{Event: store.Event{Seq: p.Seq, Event: p.Event, Verdict: state.Accepted, Expunged: s.gone}, Push: p})
	}
	return story, s.call()
}

func (s *fakeStore) Shown(context.Context, state.Waybill) (store.Shown, error) {
	if s.shown == nil {
		return store.Shown{}, store.ErrNotFound
	}
	return *s.shown, s.call()
}

func (s *fakeStore) PutToken(_ context.Context, w state.Waybill, token string, act store.Act) (bool, error) {
	s.waybill, s.token = w, token
	s.acts = append(s.acts, act)
	return true, s.call()
}

func (s *fakeStore) Replay(_ context.Context, seq uint64, force bool, act store.Act) (store.Push, error) {
	from := []store.Status{store.Failed, store.Discarded}
	if force {
		from = append(from, store.Delivered)
	}
	return s.change(seq, act, store.Pending, from...)
}

func (s *fakeStore) Discard(_ context.Context, seq uint64, act store.Act) (store.Push, error) {
	return s.change(seq, act, store.Discarded, store.Pending, store.Failed)
}

func (s *fakeStore) Resend(_ context.Context, w state.Waybill, seqs []uint64, act store.Act) (store.Replay, error) {
	if err := s.call(); err != nil {
		return store.Replay{}, err
	}
	if s.refuses {
		return store.Replay{}, store.ErrState
	}
	s.waybill, s.resent, s.acts = w, seqs, append(s.acts, act)
	kept := store.Replay{ID: uint64(len(s.replays) + 1), By: act.By, Reason: act.Reason, Status: store.ReplayRunning, Matched: int64(len(seqs)), Requeued: int64(len(seqs))}
	s.replays = append(s.replays, kept)
	return kept, nil
}

func (s *fakeStore) RetryNow(_ context.Context, seq uint64, act store.Act) (store.Push, error) {
	if p, err := s.find(seq); err == nil && p.WaitingFor != store.WaitRetry {
		return store.Push{}, store.ErrState
	}
	return s.change(seq, act, store.Pending, store.Pending)
}

func (s *fakeStore) Freeze(_ context.Context, w state.Waybill, frozen bool, act store.Act) (bool, error) {
	if err := s.call(); err != nil {
		return false, err
	}
	s.waybill, s.acts = w, append(s.acts, act)
	changed := s.story.Frozen != frozen
	s.story.Frozen = frozen
	return changed, nil
}

func (s *fakeStore) Accept(_ context.Context, seq uint64, act store.Act) (store.Event, error) {
	if err := s.call(); err != nil {
		return store.Event{}, err
	}
	for i := range s.story.Timeline {
		e := &s.story.Timeline[i].Event
		switch {
		case e.Seq != seq:
		case e.Verdict != state.Rejected || e.Expunged:
			return store.Event{}, store.ErrState
		default:
			s.acts = append(s.acts, act)
			e.Verdict, e.Override, e.Status = state.Accepted, true, store.Pending
			return *e, nil
		}
	}
	return store.Event{}, store.ErrNotFound
}

// Expunge takes the Token, and the texts and open pushes of the whole store. A waybill UNKNOWN is not known.
func (s *fakeStore) Expunge(_ context.Context, w state.Waybill, act store.Act) (done store.Expunged, err error) {
	if err := s.call(); err != nil {
		return done, err
	}
	if w.WaybillID == "UNKNOWN" {
		return done, store.ErrNotFound
	}
	s.waybill, s.acts, s.gone = w, append(s.acts, act), true
	for i := range s.story.Timeline {
		e := &s.story.Timeline[i].Event
		e.Expunged, e.Event.Msg = true, ""
		done.Events++
	}
	for i := range s.pushes {
		p := &s.pushes[i]
		p.Event.Msg = ""
		done.Events++
		if p.Status == store.Pending || p.Status == store.Failed {
			p.Status, p.Reason, p.WaitingFor, p.Waiting = store.Discarded, store.ReasonExpunged, store.WaitNothing, store.Waiting{}
			done.Discarded++
		}
	}
	if s.shown != nil {
		done.Shown, s.shown = len(s.shown.Actions), &store.Shown{Version: s.shown.Version, ReceivedAt: s.shown.ReceivedAt}
	}
	if s.story.TokenSet {
		s.story.TokenSet, done.Tokens, done.Orders = false, 1, 1
	}
	return done, nil
}

func (s *fakeStore) Record(_ context.Context, e store.AuditEntry) error {
	if err := s.call(); err != nil {
		return err
	}
	s.entries, s.acts = append(s.entries, e), append(s.acts, e.Act)
	return nil
}

func (s *fakeStore) Audit(_ context.Context, q store.AuditQuery) (store.Page[store.AuditEntry], error) {
	s.audited = q
	return store.Page[store.AuditEntry]{Items: s.entries, Next: s.next}, s.call()
}

func (s *fakeStore) DeadLetters(_ context.Context, before uint64, limit int) (store.Page[store.DeadLetter], error) {
	s.page = admin.PageQuery{Before: before, Limit: limit}
	return store.Page[store.DeadLetter]{Items: s.letters, Next: s.next}, s.call()
}

func (s *fakeStore) ReadReplay(_ context.Context, id uint64) (store.Replay, error) {
	for _, r := range s.replays {
		if r.ID == id {
			return r, s.call()
		}
	}
	return store.Replay{}, errors.Join(s.call(), store.ErrNotFound)
}

func (s *fakeStore) ListReplays(_ context.Context, before uint64, limit int) (store.Page[store.Replay], error) {
	s.page = admin.PageQuery{Before: before, Limit: limit}
	return store.Page[store.Replay]{Items: s.replays, Next: s.next}, s.call()
}

// fakeReplays are replays that somebody carries out.
type fakeReplays struct {
	store *fakeStore
	plan  replay.Plan
	asked replay.Request
	waits []replay.Wait
}

func (r *fakeReplays) DryRun(_ context.Context, q replay.Request) (replay.Plan, error) {
	r.asked = q
	return r.plan, r.store.call()
}

func (r *fakeReplays) DryRunOf(context.Context, []store.Push) (replay.Plan, error) {
	return r.plan, r.store.call()
}

func (r *fakeReplays) Start(_ context.Context, q replay.Request, act store.Act) (store.Replay, error) {
	if err := r.store.call(); err != nil {
		return store.Replay{}, err
	}
	r.asked, r.store.acts = q, append(r.store.acts, act)
	kept := store.Replay{ID: uint64(len(r.store.replays) + 1), By: act.By, Reason: q.Reason, Status: store.ReplayRunning, Filter: q.Filter,
		Rate: q.Rate, SkipSuperseded: q.SkipSuperseded, Matched: 7}
	r.store.replays = append(r.store.replays, kept)
	return kept, nil
}

func (r *fakeReplays) Set(_ context.Context, id uint64, to store.ReplayStatus, act store.Act) (store.Replay, error) {
	if err := r.store.call(); err != nil {
		return store.Replay{}, err
	}
	for i := range r.store.replays {
		kept := &r.store.replays[i]
		switch {
		case kept.ID != id:
		case kept.Status.Ended() || kept.Status == to:
			return store.Replay{}, store.ErrState
		default:
			kept.Status, r.store.acts = to, append(r.store.acts, act)
			return *kept, nil
		}
	}
	return store.Replay{}, store.ErrNotFound
}

func (r *fakeReplays) Waiting(uint64) []replay.Wait { return r.waits }

func (s *fakeStore) Find(_ context.Context, q store.FindQuery) (store.Summaries, error) {
	s.found = q
	return s.summaries, s.call()
}

func (s *fakeStore) Silent(_ context.Context, q store.SilentQuery) (store.Summaries, error) {
	s.silent = q
	return s.summaries, s.call()
}

func (s *fakeStore) Differences(context.Context) ([]store.Difference, error) {
	return s.differences, s.call()
}

func (s *fakeStore) Stats() store.Stats { return s.stats }

func (s *fakeStore) Backup(_ context.Context, dir string) error {
	if err := s.call(); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "INSTANCE"), []byte("x"), 0o600)
}

// fakeWeChat shows what it is told to, of every waybill.
type fakeWeChat struct {
	shown verify.Shown
	err   error
	hint  verify.Hint // given last
	// meanwhile happens while WeChat is asked. May be nil.
	meanwhile func()
}

func (f *fakeWeChat) Ask(_ context.Context, _ state.Waybill, hint verify.Hint) (verify.Shown, error) {
	f.hint = hint
	if f.meanwhile != nil {
		f.meanwhile()
	}
	return f.shown, f.err
}

// fakePusher has the accounts SF and 中通.
type fakePusher struct {
	paused  map[string]string
	open    bool // SF's breaker.
	err     error
	letFail time.Duration
	probed  string
}

func (p *fakePusher) Held(string, bool) store.WaitingFor { return store.WaitNothing }
func (p *fakePusher) Pause(_ context.Context, id, reason string) error {
	p.paused[id] = reason
	return p.err
}
func (p *fakePusher) Resume(_ context.Context, id string, letFail time.Duration) error {
	delete(p.paused, id)
	p.letFail = letFail
	return p.err
}
func (p *fakePusher) Probe(_ context.Context, id string) error {
	p.probed = id
	return p.err
}
func (p *fakePusher) Snapshots() []pathpush.Snapshot {
	var all []pathpush.Snapshot
	for _, id := range []string{"SF", "中通"} {
		reason, paused := p.paused[id]
		breaker := pathpush.BreakerSnapshot{State: "closed"}
		if p.open && id == "SF" {
			breaker.State = "open"
		}
		all = append(all, pathpush.Snapshot{DeliveryID: id, Breakers: []pathpush.BreakerSnapshot{breaker},
			Paused: paused, PauseReason: reason})
	}
	return all
}

// fakeEvents answers 202 when it is let.
type fakeEvents struct {
	entered chan struct{} // gets a value when a request has come, if it is not nil
	blocks  chan struct{} // a request waits until it is closed, if it is not nil
}

func (e *fakeEvents) Event(c echo.Context) error {
	if e.entered != nil {
		e.entered <- struct{}{}
		<-e.blocks
	}
	return c.JSON(http.StatusAccepted, map[string]string{"ip": c.RealIP()})
}
func (e *fakeEvents) Batch(c echo.Context) error { return c.NoContent(http.StatusOK) }

// fakeCallbacks answers with the account that it was called for.
type fakeCallbacks struct{}

func (fakeCallbacks) Callback(w http.ResponseWriter, r *http.Request, deliveryID string) error {
	if deliveryID != "SF" {
		return problem.New(problem.NotFound)
	}
	_, err := io.WriteString(w, r.Method+" "+deliveryID+" "+r.URL.RawQuery)
	return err
}
