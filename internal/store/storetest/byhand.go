package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

var byHandTests = map[string]func(*fixture){
	"every verb on everything":                     everyVerb,
	"a discarded push leaves the lane":             discardLeaves,
	"a discard says why":                           discardReason,
	"a failed push that is discarded":              discardFailed,
	"a push that is discarded while in flight":     discardInFlight,
	"a discard survives a restart":                 discardSurvives,
	"a retry that need not wait":                   retryNow,
	"what a retry does not concern":                retryNot,
	"a frozen waybill takes scans and sends none":  freezeHolds,
	"a thaw lets the waybill go":                   freezeThaws,
	"a freeze is kept once":                        freezeOnce,
	"a waybill that nobody knows can't be frozen":  freezeUnknown,
	"frozen and parked at the same time":           freezeParked,
	"a freeze outlives restarts and the retention": freezeOutlives,
	"an override of the newest event":              acceptNewest,
	"an override before others goes last":          acceptLate,
	"an override without a Token waits for one":    acceptWithoutToken,
	"an override and what is ignored or held":      acceptReleases,
	"an override contradicts what is held":         acceptContradicts,
	"an override survives a restart":               acceptSurvives,
	"why an event was rejected":                    rejectedWhy,
	"many people at the same moment":               actsAtOnce,
	"a closed store refuses":                       actsClosed,
}

// settling is how far the clock must move after a replay of many pushes was made, for what ends then to be later.
const settling = 5 * time.Millisecond

// verbCase is an event that every verb is tried on, with the error that each is to answer.
type verbCase struct {
	name                                   string
	make                                   func(f *fixture, id string) uint64
	discard, retry, accept, replay, forced error
}

func verbCases() []verbCase {
	no, yes := store.ErrState, error(nil)
	return []verbCase{
		{"pending", makePending, yes, no, no, no, no},
		{"without a Token", makeNoToken, yes, no, no, no, no},
		{"to be tried again", makeRetry, yes, yes, no, no, no},
		{"to be tried again by now", makeRetryDue, yes, no, no, no, no},
		{"to be tried again, frozen", makeRetryFrozen, yes, no, no, no, no},
		{"to be tried again, parked", makeRetryParked, yes, no, no, no, no},
		{"to be tried again, behind another", makeRetryBehind, yes, no, no, no, no},
		{"delivered", makeDelivered, no, no, no, no, yes},
		{"failed", makeFailed, yes, no, no, yes, yes},
		{"discarded", makeDiscarded, no, no, no, yes, yes},
		{"held", makeHeld, no, no, no, no, no},
		{"ignored", makeIgnored, no, no, no, no, no},
		{"rejected", makeRejected, no, no, yes, no, no},
		{"not there", func(*fixture, string) uint64 { return 4711 },
			store.ErrNotFound, store.ErrNotFound, store.ErrNotFound, store.ErrNotFound, store.ErrNotFound},
	}
}

func makePending(f *fixture, id string) uint64 { _, n := f.ready(id, 1); return n[0] }

func makeNoToken(f *fixture, id string) uint64 {
	return f.one(f.scan(id, state.PickupDone, 100), state.Accepted).Seq
}

// again settles a push as to be tried again after a while.
func (f *fixture) again(w state.Waybill, seq uint64, wait time.Duration) {
	f.Helper()
	f.settle(store.Outcome{
		Seq: seq, Waybill: w, Status: store.Pending, Attempt: f.attempt(-1), Tries: 1, Used: time.Second,
		NextAt: f.clock.Now().Add(wait),
	})
}

func makeRetry(f *fixture, id string) uint64 {
	w, n := f.ready(id, 2)
	f.again(w, n[0], time.Minute)
	return n[0]
}

func makeRetryDue(f *fixture, id string) uint64 {
	w, n := f.ready(id, 1)
	f.again(w, n[0], 0)
	return n[0]
}

func makeRetryFrozen(f *fixture, id string) uint64 {
	seq := makeRetry(f, id)
	f.freeze(waybill(id), true, true)
	return seq
}

func makeRetryParked(f *fixture, id string) uint64 {
	w, n := f.ready(id, 2)
	f.again(w, n[0], time.Minute)
	f.fail(w, n[1], store.ReasonToken, 40199, true)
	return n[0]
}

func makeRetryBehind(f *fixture, id string) uint64 {
	w, n := f.ready(id, 2)
	f.fail(w, n[0], store.ReasonRefused, 47001, false)
	f.again(w, n[1], time.Minute)
	f.replay(n[0], false)
	return n[1]
}

func makeDelivered(f *fixture, id string) uint64 {
	w, n := f.ready(id, 1)
	f.deliver(w, n[0])
	return n[0]
}

func makeFailed(f *fixture, id string) uint64 {
	w, n := f.ready(id, 1)
	f.fail(w, n[0], store.ReasonRefused, 47001, false)
	return n[0]
}

func makeDiscarded(f *fixture, id string) uint64 {
	w, n := f.ready(id, 1)
	f.settle(store.Outcome{Seq: n[0], Waybill: w, Status: store.Discarded, Reason: store.ReasonOperator})
	return n[0]
}

func makeHeld(f *fixture, id string) uint64 {
	return f.one(f.scan(id, state.Signed, 100), state.Held).Seq
}

func makeIgnored(f *fixture, id string) uint64 {
	f.one(f.scan(id, state.PickupDone, 100), state.Accepted)
	return f.one(f.scan(id, state.PickupDone, 110), state.Ignored).Seq
}

func makeRejected(f *fixture, id string) uint64 {
	f.ready(id, 1)
	return f.one(f.scan(id, state.Cancelled, 900), state.Rejected).Seq
}

// everyVerb tries each verb on each case: what it answers, and that an error changes nothing at all.
func everyVerb(f *fixture) {
	ctx := f.Context()
	verbs := []struct {
		name string
		do   func(uint64) error
		want func(*verbCase) error
		to   store.Status // Of the push, if it works.
	}{
		{"discard", func(n uint64) error { _, err := f.store.Discard(ctx, n, by(store.ActDiscard)); return err },
			func(c *verbCase) error { return c.discard }, store.Discarded},
		{"retry", func(n uint64) error { _, err := f.store.RetryNow(ctx, n, by(store.ActRetry)); return err },
			func(c *verbCase) error { return c.retry }, store.Pending},
		{"accept", func(n uint64) error { _, err := f.store.Accept(ctx, n, by(store.ActAccept)); return err },
			func(c *verbCase) error { return c.accept }, store.Pending},
		{"replay", func(n uint64) error { _, err := f.store.Replay(ctx, n, false, by(store.ActReplay)); return err },
			func(c *verbCase) error { return c.replay }, store.Pending},
		{"replay by force", func(n uint64) error { _, err := f.store.Replay(ctx, n, true, by(store.ActReplay)); return err },
			func(c *verbCase) error { return c.forced }, store.Pending},
	}
	ids := 0
	for _, c := range verbCases() {
		for _, v := range verbs {
			ids++
			name, id := v.name+" of one that is "+c.name, fmt.Sprint(ids)
			seq := c.make(f, id)
			f.fed()
			before := f.look(id, seq)
			err := v.do(seq)
			if want := v.want(&c); !errors.Is(err, want) {
				f.Errorf("%s: %v, want %v", name, err, want)
				continue
			}
			after := f.look(id, seq)
			switch {
			case err != nil && !reflect.DeepEqual(before, after):
				f.Errorf("%s answered %v and changed what is kept: %q", name, err, differences(before, after))
			case err == nil && after.push.Status != v.to:
				f.Errorf("%s: the push is %s, want %s", name, after.push.Status, v.to)
			case err == nil && after.audited != before.audited+1:
				f.Errorf("%s left %d entries in the audit log, want one", name, after.audited-before.audited)
			case err == nil && after.fed != 1:
				f.Errorf("%s was fed %d times, want once", name, after.fed)
			}
		}
	}
}

// sight is all that an act may change.
type sight struct {
	push    store.Push
	lane    []uint64
	story   store.Waybill
	counts  map[string]map[store.Status]int64
	held    int64
	audited int
	replays int
	fed     int // Changes since the last look.
}

// differences names the fields of a sight that differ.
func differences(a, b sight) (names []string) {
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range x.NumField() {
		if was, is := fmt.Sprintf("%+v", x.Field(i)), fmt.Sprintf("%+v", y.Field(i)); was != is {
			names = append(names, fmt.Sprintf("%s was %s and is %s", x.Type().Field(i).Name, was, is))
		}
	}
	return names
}

func (f *fixture) look(id string, seq uint64) sight {
	f.Helper()
	st := f.store.Stats()
	s := sight{counts: st.Pushes, held: st.Held, audited: len(f.audit(store.AuditQuery{})), fed: len(f.fed())}
	s.lane = seqs(f.lane(waybill(id)).Pushes)
	page, err := f.store.ListReplays(f.Context(), 0, store.MaxLimit)
	if err != nil {
		f.Fatalf("ListReplays: %v", err)
	}
	s.replays = len(page.Items)
	if seq == 4711 {
		return s
	}
	s.push, s.story = f.push(seq), f.waybill(waybill(id))
	return s
}

// actsAtOnce lets many people do the same at once: what each finds is what the one before has left, also within one
// commit.
func actsAtOnce(f *fixture) {
	const people = 40
	w, n := f.ready("1", 3)
	f.fail(w, n[1], store.ReasonRefused, 47001, false)
	f.fail(w, n[2], store.ReasonRefused, 47001, false)
	rejected := f.one(f.scan("1", state.Cancelled, 900), state.Rejected)
	a, b := f.start(sf()...), f.start(sf()...)
	ctx := f.Context()
	did := func(err error) bool {
		if err != nil && !errors.Is(err, store.ErrState) {
			f.Errorf("at once: %v", err)
		}
		return err == nil
	}
	acts := []struct {
		name string
		do   func(person int) bool
		want int64
	}{
		{"discard", func(int) bool { _, err := f.store.Discard(ctx, n[0], by(store.ActDiscard)); return did(err) }, 1},
		{"replay", func(int) bool { _, err := f.store.Replay(ctx, n[1], false, by(store.ActReplay)); return did(err) }, 1},
		{"accept", func(int) bool { _, err := f.store.Accept(ctx, rejected.Seq, by(store.ActAccept)); return did(err) }, 1},
		{"freeze", func(int) bool {
			changed, err := f.store.Freeze(ctx, w, true, by(store.ActFreeze))
			return did(err) && changed
		}, 1},
		{"step", func(person int) bool {
			id := []uint64{a.ID, b.ID}[person%2]
			_, err := f.store.Requeue(ctx, store.Requeue{Replay: id, Seqs: n[2:], Leg: upTo(n[2])})
			return did(err)
		}, people},
		{"record", func(int) bool { return did(f.store.Record(ctx, store.AuditEntry{Act: by(store.ActProbe)})) }, people},
	}
	worked := make([]atomic.Int64, len(acts))
	var wg sync.WaitGroup
	for person := range people {
		for i := range acts {
			wg.Go(func() {
				if acts[i].do(person) {
					worked[i].Add(1)
				}
			})
		}
	}
	wg.Wait()
	for i := range acts {
		if got := worked[i].Load(); got != acts[i].want {
			f.Errorf("%s worked %d times, want %d", acts[i].name, got, acts[i].want)
		}
	}
	f.status(n[0], store.Discarded, by("").Reason)
	f.openPushes(w, n[1], n[2], rejected.Seq)
	first, second := f.readReplay(a.ID), f.readReplay(b.ID)
	if first.Requeued+second.Requeued != 1 || first.Skipped+second.Skipped != people-1 {
		f.Errorf("two replays took the push %d times and skipped it %d times", first.Requeued+second.Requeued, first.Skipped+second.Skipped)
	}
	entries := f.audit(store.AuditQuery{})
	if len(entries) != 2+4+people {
		f.Errorf("the audit log has %d entries, want %d", len(entries), 2+4+people)
	}
	for i := range entries {
		if want := uint64(len(entries) - i); entries[i].Number != want {
			f.Fatalf("entry %d has number %d", want, entries[i].Number)
		}
	}
}

func actsClosed(f *fixture) {
	w, n := f.ready("1", 1)
	r := f.start(sf()...)
	if err := f.store.Close(); err != nil {
		f.Fatalf("Close: %v", err)
	}
	ctx, act := f.Context(), by(store.ActDiscard)
	_, discard := f.store.Discard(ctx, n[0], act)
	_, retry := f.store.RetryNow(ctx, n[0], act)
	_, freeze := f.store.Freeze(ctx, w, true, act)
	_, accept := f.store.Accept(ctx, n[0], act)
	_, start := f.store.StartReplay(ctx, store.Replay{Legs: sf()}, act)
	_, step := f.store.Requeue(ctx, store.Requeue{Replay: r.ID, Leg: end(9)})
	_, resend := f.store.Resend(ctx, w, n, act)
	_, set := f.store.SetReplay(ctx, r.ID, store.ReplayPaused, act)
	for name, err := range map[string]error{
		"Discard": discard, "RetryNow": retry, "Freeze": freeze, "Accept": accept, "StartReplay": start, "Requeue": step,
		"Resend": resend, "SetReplay": set, "Record": f.store.Record(ctx, store.AuditEntry{Act: act}),
		"PutDeadLetter": f.store.PutDeadLetter(ctx, store.DeadLetter{}),
	} {
		if !errors.Is(err, store.ErrUnavailable) {
			f.Errorf("%s on a closed store: %v, want ErrUnavailable", name, err)
		}
	}
	f.store = f.open(f.T, "store", f.opts)
	f.openPushes(w, n...)
	f.counted(r.ID, store.ReplayRunning, tally{})
	if got := f.audit(store.AuditQuery{}); len(got) != 1 {
		f.Errorf("the audit log has %d entries, want that of the start", len(got))
	}
	if got := f.letters(10); len(got) != 0 {
		f.Errorf("dead letters: %+v", got)
	}
}
