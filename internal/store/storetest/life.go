package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

// lister is Pushes or Events.
type lister[T any] func(context.Context, store.Query) (store.Page[T], error)

var statsTests = map[string]func(*fixture){
	"counters follow every change":   statsCount,
	"the oldest open push":           statsOldest,
	"check finds nothing on its own": statsCheck,
}

var lifeTests = map[string]func(*fixture){
	"accounts are kept":                   accounts,
	"a closed store refuses":              closed,
	"closing finishes what is under way":  closeFinishes,
	"everything survives restarts":        restarts,
	"retention deletes what is settled":   retention,
	"retention keeps what is not settled": retentionKeeps,
	"a deleted waybill can come again":    retentionForgets,
	"retention drops old dead letters":    lettersRetention,
	"without one dead letters stay":       lettersStay,
}

func statsCount(f *fixture) {
	w, n := f.ready("1", 3)
	f.deliver(w, n[0])
	f.fail(w, n[1], store.ReasonRefused, 47001, false)
	f.one(f.scan("1", state.Cancelled, 900), state.Rejected)
	f.one(f.scan("2", state.Signed, 900), state.Held)
	want := map[store.Status]int64{store.Pending: 1, store.Delivered: 1, store.Failed: 1, store.Discarded: 0}
	events := map[state.Verdict]int64{state.Accepted: 3, state.Rejected: 1, state.Held: 1}
	for range 2 {
		st := f.store.Stats()
		for status, n := range want {
			if st.Pushes[account][status] != n {
				f.Errorf("%s: %d, want %d", status, st.Pushes[account][status], n)
			}
		}
		for v, n := range events {
			if st.Events[v] != n {
				f.Errorf("%s: %d, want %d", v, st.Events[v], n)
			}
		}
		f.heldCount(1)
		f.reopen()
	}
	f.replay(n[1], false)
	if st := f.store.Stats().Pushes[account]; st[store.Pending] != 2 || st[store.Failed] != 0 {
		f.Errorf("after a replay: %v", st)
	}
	if st := f.store.Stats(); st.Commits == 0 || st.Rows == 0 || st.CommitTime < 0 {
		f.Errorf("commits %d, rows %d, time %v", st.Commits, st.Rows, st.CommitTime)
	}
}

func statsOldest(f *fixture) {
	if got := f.store.Stats().Oldest; len(got) != 0 {
		f.Errorf("an empty store: %v", got)
	}
	begin := f.clock.Now()
	w, n := f.ready("1", 1)
	f.pass(time.Minute)
	v, m := f.ready("2", 1)
	f.pass(time.Minute)
	if got := f.store.Stats().Oldest[account]; !got.Equal(begin) {
		f.Errorf("oldest: %v, want %v", got, begin)
	}
	f.deliver(w, n[0])
	f.pass(time.Minute)
	if got := f.store.Stats().Oldest[account]; !got.Equal(begin.Add(time.Minute)) {
		f.Errorf("oldest, after the first was delivered: %v, want %v", got, begin.Add(time.Minute))
	}
	f.deliver(v, m[0])
	f.pass(time.Minute)
	if got, ok := f.store.Stats().Oldest[account]; ok {
		f.Errorf("nothing is open, and the oldest is %v", got)
	}
}

func statsCheck(f *fixture) {
	w, n := f.ready("1", 2)
	f.deliver(w, n[0])
	report, err := f.store.Check(f.Context())
	if err != nil || report.Events != 2 || len(report.Problems) != 0 {
		f.Errorf("Check: %+v, %v", report, err)
	}
	if report.Pushes[store.Delivered] != 1 || report.Pushes[store.Pending] != 1 {
		f.Errorf("Check counts %v", report.Pushes)
	}
}

func accounts(f *fixture) {
	a, err := f.store.Account(f.Context(), account)
	if err != nil || !reflect.DeepEqual(a, store.Account{}) {
		f.Errorf("an unknown account: %+v, %v", a, err)
	}
	now := f.clock.Now()
	want := store.Account{
		Paused: true, ByHand: true, Reason: "出口 IP 不在白名单: 40164", Since: now, Until: now.Add(time.Hour), Errcode: -40164,
		ForcedAt: []time.Time{now.Add(-time.Hour), now},
		Quota:    store.Quota{Day: now.Add(-8 * time.Hour), Used: 999_001, Limit: 1_000_000, AskedAt: now, Waived: true},
	}
	guarded := store.Account{Paused: true, Guarded: true, Reason: "upstream refused 1000", ReasonZh: "上游拒绝了 1000 个", Since: now, Quota: store.Quota{Day: now, Used: 1}}
	if err := f.store.PutAccount(f.Context(), account+"3", guarded); err != nil {
		f.Fatalf("PutAccount: %v", err)
	}
	for _, a := range []store.Account{want, {Paused: true}, want} {
		kept, err := f.store.Account(f.Context(), account)
		if err != nil {
			f.Fatalf("Account: %v", err)
		}
		a.Version = kept.Version
		if err := f.store.PutAccount(f.Context(), account, a); err != nil {
			f.Fatalf("PutAccount: %v", err)
		}
	}
	f.reopen()
	got, err := f.store.Account(f.Context(), account)
	if err != nil || !sameAccount(got, want) {
		f.Errorf("Account: %+v, %v; want %+v", got, err, want)
	}
	if got, err := f.store.Account(f.Context(), account+"3"); err != nil || !sameAccount(got, guarded) {
		f.Errorf("Account: %+v, %v; want %+v", got, err, guarded)
	}
	if other, err := f.store.Account(f.Context(), account+"2"); err != nil || other.Paused {
		f.Errorf("another account: %+v, %v", other, err)
	}
}

func sameAccount(a, b store.Account) bool {
	if len(a.ForcedAt) != len(b.ForcedAt) || !a.Since.Equal(b.Since) || !a.Until.Equal(b.Until) {
		return false
	}
	for i := range a.ForcedAt {
		if !a.ForcedAt[i].Equal(b.ForcedAt[i]) {
			return false
		}
	}
	return a.Paused == b.Paused && a.ByHand == b.ByHand && a.Reason == b.Reason && a.Errcode == b.Errcode &&
		sameQuota(a.Quota, b.Quota)
}

func sameQuota(a, b store.Quota) bool {
	return a.Day.Equal(b.Day) && a.AskedAt.Equal(b.AskedAt) && a.Used == b.Used && a.Limit == b.Limit && a.Waived == b.Waived
}

func closed(f *fixture) {
	w, n := f.ready("1", 1)
	if err := f.store.Ready(); err != nil {
		f.Errorf("Ready: %v", err)
	}
	if err := f.store.Close(); err != nil {
		f.Fatalf("Close: %v", err)
	}
	if err := f.store.Close(); err != nil {
		f.Errorf("Close again: %v", err)
	}
	_, err := f.store.Apply(f.Context(), []state.Event{f.scan("1", state.Transit, 900)})
	_, terr := f.store.PutToken(f.Context(), w, "T", store.Act{})
	_, rerr := f.store.Replay(f.Context(), n[0], true, store.Act{})
	for name, err := range map[string]error{
		"Apply": err, "PutToken": terr, "Replay": rerr, "Ready": f.store.Ready(),
		"PutAccount": f.store.PutAccount(f.Context(), account, store.Account{}),
		"Settle":     f.trySettle(store.Outcome{Seq: n[0], Waybill: w, Status: store.Delivered}),
	} {
		if !errors.Is(err, store.ErrUnavailable) {
			f.Errorf("%s on a closed store: %v, want ErrUnavailable", name, err)
		}
	}
	if _, err := f.store.Lane(f.Context(), w); err == nil {
		f.Error("Lane reads a closed store")
	}
	f.store = f.open(f.T, "store", f.opts)
	f.openPushes(w, n[0])
}

func closeFinishes(f *fixture) {
	const n = 64
	var wg sync.WaitGroup
	var mu sync.Mutex
	kept := map[string]state.Event{}
	for i := range n {
		e := f.scan(fmt.Sprint(i), state.PickupDone, 100)
		wg.Go(func() {
			_, err := f.store.Apply(context.Background(), []state.Event{e})
			if err == nil {
				mu.Lock()
				kept[e.WaybillID] = e
				mu.Unlock()
			} else if !errors.Is(err, store.ErrUnavailable) {
				f.Errorf("Apply while closing: %v", err)
			}
		})
	}
	err := f.store.Close()
	wg.Wait()
	if err != nil {
		f.Errorf("Close: %v", err)
	}
	f.store = f.open(f.T, "store", f.opts)
	for _, e := range kept {
		f.one(e, state.Duplicate)
	}
	if got := f.store.Stats().Pushes[account][store.Pending]; got != int64(len(kept)) {
		f.Errorf("%d are kept, and %d were answered", got, len(kept))
	}
}

func restarts(f *fixture) {
	var want []uint64
	w := waybill("1")
	f.token(w, "T", true)
	for i := range 10 {
		e := f.scan("1", state.Transit, int64(100+i))
		if i == 0 {
			e.Type = state.PickupDone
		}
		r := f.one(e, state.Accepted)
		if len(want) > 0 && r.Seq <= want[len(want)-1] {
			f.Fatalf("after a restart the numbers go back: %d after %d", r.Seq, want[len(want)-1])
		}
		want = append(want, r.Seq)
		f.reopen()
		f.openPushes(w, want...)
	}
}

const keep = 24 * time.Hour

func (f *fixture) keepFor(d time.Duration) {
	f.opts.Retention = d
	f.reopen()
}

func retention(f *fixture) {
	f.keepFor(keep)
	w, n := f.ready("old", 2)
	f.one(f.scan("old", state.Cancelled, 900), state.Rejected)
	f.deliver(w, n[0])
	f.settle(store.Outcome{Seq: n[1], Waybill: w, Status: store.Discarded, Reason: store.ReasonOperator})
	f.clock.advance(time.Hour)
	v, m := f.ready("young", 1)
	f.deliver(v, m[0])
	f.pass(keep - time.Hour)
	if len(f.waybill(w).Timeline) != 3 {
		f.Error("deleted before its time")
	}
	f.pass(time.Millisecond)
	if _, err := f.store.Waybill(f.Context(), w); !errors.Is(err, store.ErrNotFound) {
		f.Errorf("the old waybill: %v, want ErrNotFound", err)
	}
	if _, err := f.store.Push(f.Context(), n[0]); !errors.Is(err, store.ErrNotFound) {
		f.Errorf("the old push: %v, want ErrNotFound", err)
	}
	f.status(m[0], store.Delivered, "")
	f.check()
	f.reopen()
	st := f.store.Stats()
	if st.Pushes[account][store.Delivered] != 1 || st.Pushes[account][store.Discarded] != 0 || st.Events[state.Accepted] != 3 {
		f.Errorf("counted: %v %v", st.Pushes, st.Events)
	}
}

func retentionKeeps(f *fixture) {
	f.keepFor(keep)
	failed, fn := f.ready("failed", 2)
	f.deliver(failed, fn[0])
	f.fail(failed, fn[1], store.ReasonRefused, 47001, false)
	open, on := f.ready("open", 2)
	f.deliver(open, on[0])
	busy, bn := f.ready("busy", 1)
	f.deliver(busy, bn[0])
	f.clock.advance(keep)
	late := f.one(f.scan("busy", state.Transit, 900), state.Accepted)
	f.deliver(busy, late.Seq)
	f.pass(time.Hour)
	f.status(fn[0], store.Delivered, "")
	f.status(fn[1], store.Failed, store.ReasonRefused)
	f.status(on[0], store.Delivered, "")
	f.openPushes(open, on[1])
	f.status(bn[0], store.Delivered, "")
	f.replay(fn[1], false)
	f.deliver(failed, fn[1])
	f.pass(time.Hour)
	if _, err := f.store.Waybill(f.Context(), failed); !errors.Is(err, store.ErrNotFound) {
		f.Errorf("once nothing failed is left: %v, want ErrNotFound", err)
	}
}

func retentionForgets(f *fixture) {
	f.keepFor(keep)
	e := f.scan("1", state.PickupDone, 100)
	e.Token = "T"
	r := f.one(e, state.Accepted)
	f.deliver(e.Waybill(), r.Seq)
	f.pass(keep + time.Hour)
	again := f.one(e, state.Accepted)
	if again.Seq <= r.Seq {
		f.Errorf("the number %d comes after %d", again.Seq, r.Seq)
	}
	f.openPushes(e.Waybill(), again.Seq)
}
