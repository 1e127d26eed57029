package storetest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"carrier/internal/state"
	"carrier/internal/store"
)

// runModel does random things to a store and to a model that keeps everything in plain maps and decides with whole
// timelines, and compares the two after each step.
func runModel(t *testing.T, open Opener) {
	runs := newBudget(t)
	rapid.Check(t, func(rt *rapid.T) {
		if !runs.another() {
			return
		}
		m := newModel(t, open, fmt.Sprintf("model-%d", runs.n))
		defer m.close()
		m.T = rt
		rt.Repeat(map[string]func(*rapid.T){
			"apply":    m.apply,
			"repeat":   m.repeat,
			"token":    m.token,
			"settle":   m.settle,
			"late":     m.settleEnded,
			"replay":   m.replay,
			"discard":  m.discard,
			"retry":    m.retryNow,
			"freeze":   m.freeze,
			"override": m.override,
			"start":    m.startReplay,
			"step":     m.stepReplay,
			"set":      m.setReplay,
			"resend":   m.resend,
			"order":    m.putOrder,
			"cancel":   m.cancel,
			"show":     m.putShown,
			"expunge":  m.expunge,
			"use":      m.firstUse,
			"tell":     m.tell,
			"mute":     m.switchNotices,
			"unknown":  m.switchUnknown,
			"rotate":   m.rotate,
			"pass":     m.pass,
			"reopen":   m.reopen,
			"":         m.compare,
		})
		m.compareAll()
		m.reopen(rt)
		m.compareAll()
		runs.passed = true
	})
}

// modelPush is what the model knows of a push.
type modelPush struct {
	seq        uint64
	waybill    state.Waybill
	ord        int // The model's own count of acceptance.
	status     store.Status
	reason     string
	attempts   []uint64  // The replay of each.
	tokenUntil time.Time // Zero: it waits for no Token.
	nextAt     time.Time
	doneAt     time.Time
	refusals   int
	replay     uint64
	bulk       bool
}

type sent struct {
	event   state.Event
	seq     uint64
	verdict state.Verdict
}

type model struct {
	*rapid.T
	t     *testing.T
	open  Opener
	home  string
	opts  Options
	clock *clock
	store Engine

	sent      []sent
	timelines map[state.Waybill]state.Timeline
	tokens    map[state.Waybill]string
	parked    map[state.Waybill]bool
	frozen    map[state.Waybill]bool
	pushes    map[uint64]*modelPush
	replays   []*modelReplay // By number, from 1.
	audits    int
	verdicts  map[state.Verdict]int64
	accepted  int

	orders      map[store.OrderKey]*store.Order
	newestOrder map[state.Waybill]*store.Order
	cancelled   map[string]state.Verdict // By the id of the event.
	expunged    map[uint64]bool
	uses        map[string]modelUse
	shown       map[state.Waybill]modelShown

	ends  map[uint64]int           // Of events: how often each has ended.
	queue map[uint64][]modelNotice // Of events: what is to be told.
	told  uint64                   // The number up to which all were told.
}

func newModel(t *testing.T, open Opener, home string) *model {
	c := &clock{now: time.UnixMilli(1_800_000_000_000)}
	m := &model{
		t: t, open: open, home: home, clock: c,
		opts:      Options{Machine: state.Machine{ReorderWindow: window}, NoTokenWait: noTokenWait, Now: c.Now, Notify: func() {}},
		timelines: map[state.Waybill]state.Timeline{}, tokens: map[state.Waybill]string{},
		parked: map[state.Waybill]bool{}, frozen: map[state.Waybill]bool{},
		pushes: map[uint64]*modelPush{}, verdicts: map[state.Verdict]int64{},
		orders: map[store.OrderKey]*store.Order{}, newestOrder: map[state.Waybill]*store.Order{},
		cancelled: map[string]state.Verdict{}, expunged: map[uint64]bool{}, uses: map[string]modelUse{},
		shown: map[state.Waybill]modelShown{},
		ends:  map[uint64]int{}, queue: map[uint64][]modelNotice{},
	}
	m.store = open(t, home, m.opts)
	return m
}

func (m *model) close() {
	if err := m.store.Close(); err != nil {
		m.t.Errorf("Close: %v", err)
	}
}

var modelWaybills = rapid.SampledFrom([]state.Waybill{waybill("1"), waybill("2"), {DeliveryID: "YTO", WaybillID: "1"}})

var (
	modelSources  = []string{sender, "partner"}
	modelErrcodes = []int{-1, 0, 1, 40199}
	// longReason is longer than what an engine may keep of it in an index.
	longReason = strings.Repeat("the parcel is on its way back; ", 5)
)

func (m *model) draw(t *rapid.T) state.Event {
	w := modelWaybills.Draw(t, "waybill")
	return state.Event{
		ID: fmt.Sprintf("scan-%d", len(m.sent)), DeliveryID: w.DeliveryID, WaybillID: w.WaybillID,
		Source: rapid.SampledFrom(modelSources).Draw(t, "source"),
		Type:   rapid.SampledFrom(state.ActionTypes[:]).Draw(t, "type"),
		Time:   rapid.Int64Range(1, 12).Draw(t, "time"),
		Msg:    rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "msg"),
		Token:  rapid.SampledFrom([]string{"", "", "", "A", "B"}).Draw(t, "token"),
		Trace:  rapid.SampledFrom([]string{"", traceparent}).Draw(t, "trace"),
	}
}

// apply sends one to four new events in one call.
func (m *model) apply(t *rapid.T) {
	var events []state.Event
	first := len(m.sent)
	for range rapid.IntRange(1, 4).Draw(t, "events") {
		events = append(events, m.draw(t))
		m.sent = append(m.sent, sent{event: events[len(events)-1]})
	}
	results, err := m.store.Apply(context.Background(), events)
	if err != nil {
		t.Fatalf("Apply: %v", err)
	}
	for i := range results {
		m.expect(t, &m.sent[first+i], results[i])
	}
}

// expect decides an event as the model would, and compares.
func (m *model) expect(t *rapid.T, s *sent, r store.Result) {
	w := s.event.Waybill()
	m.newToken(w, s.event.Token)
	e := state.Entry{Seq: r.Seq, Type: s.event.Type, Time: s.event.Time}
	for _, b := range []byte(s.event.Msg) { // The texts are single letters: any number per letter tells them apart.
		e.MsgHash = uint64(b)
	}
	after, d := m.opts.Machine.Decide(slices.Clone(m.timelines[w]), e, m.clock.Now().UnixMilli())
	m.timelines[w] = after
	m.verdicts[d.Entry.Verdict]++
	s.seq, s.verdict = r.Seq, d.Entry.Verdict
	if r.Verdict != d.Entry.Verdict || r.Reason != d.Entry.Reason || r.Stage != d.Stage || r.Late != d.Entry.Late || r.Gap != d.Entry.Gap {
		t.Fatalf("%+v is decided as %+v, and the model says %+v", s.event, r, d)
	}
	if r.From != d.From || !slices.Equal(r.Allowed, d.Allowed) || r.Cause != d.Cause {
		t.Fatalf("%+v: from %s, allowed %v, cause %d; the model says %+v", s.event, r.From, r.Allowed, r.Cause, d)
	}
	m.accept(w, append([]state.Entry{d.Entry}, d.Changed...))
}

// accept makes pushes of what was accepted, in that order, and notices of what was rejected.
func (m *model) accept(w state.Waybill, entries []state.Entry) {
	for _, e := range entries {
		if e.Verdict == state.Rejected {
			m.notice(e.Seq, modelNotice{reason: e.Reason.String()})
		}
		if e.Verdict != state.Accepted {
			continue
		}
		m.accepted++
		p := &modelPush{seq: e.Seq, waybill: w, ord: m.accepted}
		m.pushes[e.Seq] = p
		switch {
		case m.expunged[e.Seq]:
			m.ended(p, store.Discarded, store.ReasonExpunged)
		case m.opts.DiscardUnknown && m.tokens[w] == "":
			m.ended(p, store.Discarded, store.ReasonUnknown)
		default:
			m.opened(p, 0, false)
		}
	}
}

// opened makes a push pending, for a replay or for none.
func (m *model) opened(p *modelPush, replay uint64, bulk bool) {
	*p = modelPush{
		seq: p.seq, waybill: p.waybill, ord: p.ord, status: store.Pending, attempts: p.attempts, replay: replay, bulk: bulk,
	}
	if m.tokens[p.waybill] == "" {
		p.tokenUntil = m.clock.Now().Add(noTokenWait)
	}
}

// ended makes a push final; it may have been so in another way before.
func (m *model) ended(p *modelPush, to store.Status, reason string) {
	if p.replay != 0 {
		m.replays[p.replay-1].count(p.status, to)
	}
	was := p.status
	p.status, p.reason, p.doneAt = to, reason, m.clock.Now()
	if was != to {
		m.notice(p.seq, modelNotice{status: to, reason: reason, replay: p.replay})
	}
	p.tokenUntil, p.nextAt = time.Time{}, time.Time{}
}

// note counts an attempt.
func (p *modelPush) note() {
	if p.attempts = append(p.attempts, p.replay); len(p.attempts) > store.MaxAttempts {
		p.attempts = p.attempts[1:]
	}
}

// act draws whether a person does something. kept counts what the audit log must keep of it.
func (m *model) act(t *rapid.T, action string) (a store.Act, kept int) {
	if rapid.IntRange(0, 3).Draw(t, "nobody") == 0 {
		return store.Act{}, 0
	}
	return by(action), 1
}

func (m *model) newToken(w state.Waybill, token string) bool {
	if token == "" || token == m.tokens[w] {
		return false
	}
	m.tokens[w] = token
	m.parked[w] = false
	for _, p := range m.pushes {
		if p.waybill != w {
			continue
		}
		switch {
		case p.lacksToken():
			m.opened(p, 0, false)
		case p.status == store.Pending && p.tokenUntil.IsZero() && p.refusals > 0:
			p.refusals, p.nextAt = 0, time.Time{}
		}
		p.tokenUntil = time.Time{}
	}
	return true
}

// repeat sends a known event again, perhaps with other content.
func (m *model) repeat(t *rapid.T) {
	if len(m.sent) == 0 {
		t.Skip("nothing was sent")
	}
	s := m.sent[rapid.IntRange(0, len(m.sent)-1).Draw(t, "which")]
	want := state.Duplicate
	if rapid.Bool().Draw(t, "changed") {
		want = state.Conflict
		s.event.Msg += "!"
	}
	results, err := m.store.Apply(context.Background(), []state.Event{s.event})
	if err != nil {
		t.Fatalf("Apply: %v", err)
	}
	r := results[0]
	if r.Verdict != want || r.Seq != s.seq || want == state.Duplicate && r.Original != s.verdict {
		t.Fatalf("%+v again is %+v, want %s of %+v", s.event, r, want, s)
	}
}

func (m *model) token(t *rapid.T) {
	w := modelWaybills.Draw(t, "waybill")
	token := rapid.SampledFrom([]string{"A", "B", "C"}).Draw(t, "token")
	act, kept := m.act(t, store.ActToken)
	changed, err := m.store.PutToken(context.Background(), w, token, act)
	if err != nil {
		t.Fatalf("PutToken: %v", err)
	}
	if want := m.newToken(w, token); changed != want {
		t.Fatalf("PutToken(%s, %s): changed %v, want %v", w, token, changed, want)
	}
	if changed {
		m.audits += kept
	}
}

// choose picks a push that is pending, or one that is not.
func (m *model) choose(t *rapid.T, pending bool) (uint64, *modelPush) {
	var from []uint64
	for seq, p := range m.pushes {
		if (p.status == store.Pending) == pending {
			from = append(from, seq)
		}
	}
	if len(from) == 0 {
		t.Skip("there is none")
	}
	slices.Sort(from)
	seq := rapid.SampledFrom(from).Draw(t, "push")
	return seq, m.pushes[seq]
}

func (m *model) put(o store.Outcome) error {
	done := make(chan error, 1)
	m.store.Settle(o, func(err error) { done <- err })
	return <-done
}

func (m *model) settle(t *rapid.T) {
	seq, p := m.choose(t, true)
	o := store.Outcome{
		Seq: seq, Waybill: p.waybill, Attempt: &store.Attempt{At: m.clock.Now(), Scope: "x"},
		Status: rapid.SampledFrom(store.Statuses()).Draw(t, "status"),
	}
	if rapid.IntRange(0, 4).Draw(t, "answered") > 0 {
		o.Attempt.Errcode = new(rapid.SampledFrom(modelErrcodes).Draw(t, "errcode"))
	}
	switch o.Status {
	case store.Pending:
		o.NextAt = m.clock.Now().Add(rapid.SampledFrom([]time.Duration{0, time.Second, time.Hour}).Draw(t, "wait"))
		o.Refusals = rapid.IntRange(0, 1).Draw(t, "refusals")
	case store.Failed, store.Discarded:
		o.Reason = rapid.SampledFrom([]string{store.ReasonToken, store.ReasonRefused, longReason}).Draw(t, "reason")
		o.Park = o.Status == store.Failed && o.Reason == store.ReasonToken
	}
	if err := m.put(o); err != nil {
		t.Fatalf("Settle(%d): %v", seq, err)
	}
	p.note()
	p.refusals = o.Refusals
	if o.Status == store.Pending {
		p.nextAt = o.NextAt
	} else {
		m.ended(p, o.Status, o.Reason)
	}
	m.parked[p.waybill] = m.parked[p.waybill] || o.Park
}

func (m *model) settleEnded(t *rapid.T) {
	seq, p := m.choose(t, false)
	o := store.Outcome{Seq: seq, Waybill: p.waybill, Status: store.Delivered, Attempt: &store.Attempt{At: m.clock.Now()}, Park: true}
	if err := m.put(o); err != nil {
		t.Fatalf("Settle(%d): %v", seq, err)
	}
	p.note()
	if p.status == store.Discarded { // It was in flight then: what upstream has taken is delivered.
		m.ended(p, store.Delivered, "")
	}
}

// pass lets time go by.
func (m *model) pass(t *rapid.T) {
	m.advance(t, rapid.SampledFrom([]time.Duration{0, time.Second, window / 2, window, noTokenWait}).Draw(t, "time"))
}

func (m *model) advance(t *rapid.T, d time.Duration) {
	m.clock.advance(d)
	if err := m.store.Tick(context.Background()); err != nil {
		t.Fatalf("Tick: %v", err)
	}
	now := m.clock.Now()
	for w, timeline := range m.timelines {
		if at := timeline.NextDeadline(); at != 0 && at <= now.UnixMilli() {
			m.accept(w, m.opts.Machine.Expire(timeline, now.UnixMilli()))
		}
	}
	for _, p := range m.pushes {
		if !p.tokenUntil.IsZero() && !p.tokenUntil.After(now) {
			m.ended(p, store.Failed, store.ReasonNoToken)
		}
	}
}

func (m *model) reopen(t *rapid.T) {
	m.close()
	// A restart takes a moment: what comes after it may have to be later than all that an engine has kept.
	m.clock.advance(time.Millisecond)
	m.store = m.open(m.t, m.home, m.opts)
	m.advance(t, settling) // The store's time goes on behind the newest replay.
}

// compare compares what a dispatcher sees of one waybill, and the counters.
func (m *model) compare(t *rapid.T) {
	m.compareLane(modelWaybills.Draw(t, "look at"))
	m.compareOverview()
	if n := len(m.replays); n > 0 {
		m.compareReplay(m.replays[rapid.IntRange(0, n-1).Draw(t, "look at replay")])
	}
	counts := map[string]map[store.Status]int64{account: {}, "YTO": {}}
	for _, p := range m.pushes {
		counts[p.waybill.DeliveryID][p.status]++
	}
	st := m.store.Stats()
	for delivery, want := range counts {
		for _, status := range store.Statuses() {
			if got := st.Pushes[delivery][status]; got != want[status] {
				t.Fatalf("account %s counts %d %s, want %d", delivery, got, status, want[status])
			}
		}
	}
	for v, want := range m.verdicts {
		if st.Events[v] != want {
			t.Fatalf("%d events are counted as %s, want %d", st.Events[v], v, want)
		}
	}
}

func (m *model) compareLane(w state.Waybill) {
	lane, err := m.store.Lane(context.Background(), w)
	if err != nil {
		m.Fatalf("Lane(%s): %v", w, err)
	}
	var want []uint64
	for seq, p := range m.pushes {
		if p.waybill == w && p.status == store.Pending {
			want = append(want, seq)
		}
	}
	slices.SortFunc(want, func(a, b uint64) int { return cmp.Compare(m.pushes[a].ord, m.pushes[b].ord) })
	if got := seqs(lane.Pushes); !slices.Equal(got, want) {
		m.Fatalf("Lane(%s) is %v, want %v", w, got, want)
	}
	if lane.Token != m.tokens[w] || lane.Parked != m.parked[w] || lane.Frozen != m.frozen[w] {
		m.Fatalf("Lane(%s): token %q, parked %v, frozen %v; want %q, %v, %v",
			w, lane.Token, lane.Parked, lane.Frozen, m.tokens[w], m.parked[w], m.frozen[w])
	}
}

// compareAll compares everything that can be read.
func (m *model) compareAll() {
	for seq, want := range m.pushes {
		m.comparePush(seq, want)
	}
	for _, r := range m.replays {
		m.compareReplay(r)
	}
	m.compareAudit()
	m.compareOrders()
	m.compareShown()
	m.compareNotices(m.readNotices(store.MaxLimit))
	for w, timeline := range m.timelines {
		m.compareLane(w)
		story, err := m.store.Waybill(context.Background(), w)
		if err != nil || story.Stage != timeline.Stage() || len(story.Timeline) != len(timeline) || story.Frozen != m.frozen[w] {
			m.Fatalf("waybill %s is %+v (%v), want stage %s and %d events", w, story, err, timeline.Stage(), len(timeline))
		}
		for i, e := range timeline {
			got := story.Timeline[i].Event
			if got.Seq != e.Seq || got.Verdict != e.Verdict || got.Reason != e.Reason || got.Late != e.Late || got.Gap != e.Gap || got.Override != e.Override ||
				got.Expunged != m.expunged[e.Seq] {
				m.Fatalf("waybill %s, event %d is %+v, want %+v", w, i, got, e)
			}
		}
	}
	report, err := m.store.Check(context.Background())
	if err != nil || len(report.Problems) > 0 {
		m.Fatalf("Check: %v, %v", report.Problems, err)
	}
}
