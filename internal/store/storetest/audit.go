package storetest

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

var auditTests = map[string]func(*fixture){
	"every act leaves one entry":                  auditEach,
	"what changes nothing leaves none":            auditNothing,
	"what is no person's act leaves none":         auditNobody,
	"an act that changes nothing in the store":    auditRecord,
	"each filter of the audit log":                auditFilters,
	"pages of the audit log join without a gap":   auditPages,
	"the audit log goes on after a restart":       auditSurvives,
	"dead letters are kept with their bytes":      lettersKept,
	"pages of dead letters join without a gap":    lettersPages,
	"dead letters go on after a restart":          lettersSurvive,
	"a person's words are kept as they were said": auditWords,
}

// by is what an operator does.
func by(action string) store.Act {
	return store.Act{By: "ops", From: "10.1.2.3", Action: action, Reason: "客户来电 <&>", Detail: `{"status":"failed"}`}
}

// audit lists all pages of the audit log.
func (f *fixture) audit(q store.AuditQuery) (all []store.AuditEntry) {
	f.Helper()
	if q.Limit == 0 {
		q.Limit = 100
	}
	for range 1000 {
		page, err := f.store.Audit(f.Context(), q)
		if err != nil {
			f.Fatalf("Audit(%+v): %v", q, err)
		}
		if len(page.Items) > q.Limit {
			f.Errorf("a page of %d, the limit is %d", len(page.Items), q.Limit)
		}
		all = append(all, page.Items...)
		if page.Next == 0 {
			return all
		}
		q.Before = page.Next
	}
	f.Fatal("the pages of the audit log do not end")
	return nil
}

// audited expects the newest entry of the audit log, and that there are so many. Its time must be now.
func (f *fixture) audited(entries int, want store.AuditEntry) {
	f.Helper()
	all := f.audit(store.AuditQuery{})
	if len(all) != entries {
		f.Fatalf("the audit log has %d entries, want %d: %+v", len(all), entries, all)
	}
	if entries == 0 {
		return
	}
	got := all[0]
	if !got.At.Equal(f.clock.Now()) {
		f.Errorf("%s was audited at %v, want %v", got.Action, got.At, f.clock.Now())
	}
	want.Number, want.At = uint64(entries), got.At
	if got != want {
		f.Errorf("audited as\n%+v, want\n%+v", got, want)
	}
}

func auditEach(f *fixture) {
	w, n := f.ready("1", 4)
	rejected := f.one(f.scan("1", state.Cancelled, 900), state.Rejected)
	f.deliver(w, n[3])
	f.fail(w, n[0], store.ReasonRefused, 47001, false)
	f.fail(w, n[1], store.ReasonRefused, 47001, false)
	f.settle(store.Outcome{
		Seq: n[2], Waybill: w, Status: store.Pending, Attempt: f.attempt(-1), NextAt: f.clock.Now().Add(time.Hour),
	})
	many := store.Replay{
		Filter: store.Query{Status: store.Failed, DeliveryID: account, WaybillID: "1"}, Legs: []store.Leg{{DeliveryID: account}},
	}
	of := func(seq uint64) store.AuditEntry {
		return store.AuditEntry{DeliveryID: account, WaybillID: "1", Seq: seq}
	}
	on := func(seq, replay uint64) store.AuditEntry {
		e := of(seq)
		e.Replay = replay
		return e
	}
	ctx := f.Context()
	set := func(to store.ReplayStatus) func(store.Act) error {
		return func(a store.Act) error { _, err := f.store.SetReplay(ctx, 2, to, a); return err }
	}
	for i, c := range []struct {
		action string
		do     func(store.Act) error
		want   store.AuditEntry
	}{
		{store.ActReplay, func(a store.Act) error { _, err := f.store.Replay(ctx, n[0], false, a); return err }, on(n[0], 1)},
		{store.ActDiscard, func(a store.Act) error { _, err := f.store.Discard(ctx, n[0], a); return err }, of(n[0])},
		{store.ActSkip, func(a store.Act) error { _, err := f.store.Discard(ctx, n[1], a); return err }, of(n[1])},
		{store.ActRetry, func(a store.Act) error { _, err := f.store.RetryNow(ctx, n[2], a); return err }, of(n[2])},
		{store.ActFreeze, func(a store.Act) error { _, err := f.store.Freeze(ctx, w, true, a); return err }, of(0)},
		{store.ActThaw, func(a store.Act) error { _, err := f.store.Freeze(ctx, w, false, a); return err }, of(0)},
		{store.ActToken, func(a store.Act) error { _, err := f.store.PutToken(ctx, w, "NEWER", a); return err }, of(0)},
		{store.ActAccept, func(a store.Act) error { _, err := f.store.Accept(ctx, rejected.Seq, a); return err }, of(rejected.Seq)},
		{store.ActReplayStart, func(a store.Act) error { _, err := f.store.StartReplay(ctx, many, a); return err }, on(0, 2)},
		{store.ActReplayPause, set(store.ReplayPaused), on(0, 2)},
		{store.ActReplayResume, set(store.ReplayRunning), on(0, 2)},
		{store.ActReplayCancel, set(store.ReplayCancelled), on(0, 2)},
		{store.ActHeal, func(a store.Act) error { _, err := f.store.Resend(ctx, w, n[3:], a); return err }, on(0, 3)},
	} {
		f.clock.advance(time.Second)
		c.want.Act = by(c.action)
		if err := c.do(c.want.Act); err != nil {
			f.Fatalf("%s: %v", c.action, err)
		}
		f.audited(i+1, c.want)
	}
}

func auditNothing(f *fixture) {
	w, n := f.ready("1", 2)
	f.deliver(w, n[0])
	ctx := f.Context()
	for name, do := range map[string]func() error{
		"a Token that is known":       func() error { _, err := f.store.PutToken(ctx, w, "TOKEN", by(store.ActToken)); return err },
		"a thaw of what is not held":  func() error { _, err := f.store.Freeze(ctx, w, false, by(store.ActThaw)); return err },
		"a discard of a delivered":    func() error { _, err := f.store.Discard(ctx, n[0], by(store.ActDiscard)); return err },
		"a retry of what waits not":   func() error { _, err := f.store.RetryNow(ctx, n[1], by(store.ActRetry)); return err },
		"an override of an accepted":  func() error { _, err := f.store.Accept(ctx, n[1], by(store.ActAccept)); return err },
		"a replay of a delivered one": func() error { _, err := f.store.Replay(ctx, n[0], false, by(store.ActReplay)); return err },
		"a freeze of nothing":         func() error { _, err := f.store.Freeze(ctx, waybill("9"), true, by(store.ActFreeze)); return err },
		"a cancel of no replay": func() error {
			_, err := f.store.SetReplay(ctx, 7, store.ReplayCancelled, by(store.ActReplayCancel))
			return err
		},
	} {
		_ = do() // What each answers has its own tests.
		if got := f.audit(store.AuditQuery{}); len(got) != 0 {
			f.Fatalf("%s was audited: %+v", name, got)
		}
	}
}

func auditNobody(f *fixture) {
	w, n := f.ready("1", 2)
	f.token(w, "NEWER", true)
	f.fail(w, n[0], store.ReasonRefused, 47001, false)
	f.replay(n[0], false)
	ctx, nobody := f.Context(), store.Act{}
	_, derr := f.store.Discard(ctx, n[0], nobody)
	_, ferr := f.store.Freeze(ctx, w, true, nobody)
	r, serr := f.store.StartReplay(ctx, store.Replay{Legs: []store.Leg{{DeliveryID: account}}}, nobody)
	f.clock.advance(settling)
	_, qerr := f.store.Requeue(ctx, store.Requeue{Replay: r.ID, Leg: store.Leg{DeliveryID: account, Done: true}})
	rerr := f.store.Record(ctx, store.AuditEntry{DeliveryID: account})
	for _, err := range []error{derr, ferr, serr, qerr, rerr} {
		if err != nil {
			f.Errorf("without an Act: %v", err)
		}
	}
	f.audited(0, store.AuditEntry{})
}

func auditRecord(f *fixture) {
	e := store.AuditEntry{Act: by(store.ActPause), DeliveryID: account, Number: 99, At: time.Unix(1, 0)}
	if err := f.store.Record(f.Context(), e); err != nil {
		f.Fatalf("Record: %v", err)
	}
	f.audited(1, store.AuditEntry{Act: by(store.ActPause), DeliveryID: account})
}

// record keeps an act of a person on a waybill.
func (f *fixture) record(person, action, delivery, id string) {
	f.Helper()
	e := store.AuditEntry{Act: store.Act{By: person, Action: action}, DeliveryID: delivery, WaybillID: id}
	if err := f.store.Record(f.Context(), e); err != nil {
		f.Fatalf("Record: %v", err)
	}
}

func auditFilters(f *fixture) {
	begin := f.clock.Now()
	at := func(n int) time.Time { return begin.Add(time.Duration(n) * time.Second) }
	for _, e := range [][4]string{ // Entries 1 to 6, a second apart.
		{"ops", store.ActFreeze, account, "1"}, {"ops", store.ActThaw, account, "1"}, {"night", store.ActFreeze, account, "2"},
		{"night", store.ActPause, "YTO", ""}, {"ops", store.ActBackup, "", ""}, {"ops", store.ActFreeze, "YTO", "1"},
	} {
		f.record(e[0], e[1], e[2], e[3])
		f.clock.advance(time.Second)
	}
	for _, c := range []struct {
		name string
		q    store.AuditQuery
		want []uint64
	}{
		{"all", store.AuditQuery{}, []uint64{6, 5, 4, 3, 2, 1}},
		{"by whom", store.AuditQuery{By: "night"}, []uint64{4, 3}},
		{"by nobody known", store.AuditQuery{By: "nigh"}, nil},
		{"what", store.AuditQuery{Action: store.ActFreeze}, []uint64{6, 3, 1}},
		{"account", store.AuditQuery{DeliveryID: "YTO"}, []uint64{6, 4}},
		{"waybill number of any account", store.AuditQuery{WaybillID: "1"}, []uint64{6, 2, 1}},
		{"waybill", store.AuditQuery{DeliveryID: account, WaybillID: "1"}, []uint64{2, 1}},
		{"since", store.AuditQuery{Since: at(3)}, []uint64{6, 5, 4}},
		{"since, a moment later", store.AuditQuery{Since: at(3).Add(time.Millisecond)}, []uint64{6, 5}},
		{"until", store.AuditQuery{Until: at(2)}, []uint64{2, 1}},
		{"since and until", store.AuditQuery{Since: at(1), Until: at(3)}, []uint64{3, 2}},
		{"before a number", store.AuditQuery{Before: 3}, []uint64{2, 1}},
		{"all at once", store.AuditQuery{
			By: "ops", Action: store.ActFreeze, DeliveryID: account, WaybillID: "1", Since: begin, Until: at(9), Before: 6,
		}, []uint64{1}},
		{"which exclude each other", store.AuditQuery{By: "night", Action: store.ActThaw}, nil},
	} {
		for _, limit := range []int{1, 2, 100} {
			c.q.Limit = limit
			if got := numbers(f.audit(c.q)); !slices.Equal(got, c.want) {
				f.Errorf("%s, by %d: %v, want %v", c.name, limit, got, c.want)
			}
		}
	}
}

func numbers(entries []store.AuditEntry) (n []uint64) {
	for i := range entries {
		n = append(n, entries[i].Number)
	}
	return n
}

func auditPages(f *fixture) {
	const n = 23
	var want []uint64
	for i := range n {
		f.record("ops", store.ActFreeze, account, fmt.Sprint(i))
		want = append([]uint64{uint64(i + 1)}, want...)
	}
	for _, limit := range []int{1, 7, n, 100} {
		if got := numbers(f.audit(store.AuditQuery{Limit: limit})); !slices.Equal(got, want) {
			f.Errorf("by %d: %v", limit, got)
		}
	}
	// A page stays where it is while new entries come.
	first, err := f.store.Audit(f.Context(), store.AuditQuery{Limit: 10})
	if err != nil || len(first.Items) != 10 || first.Next == 0 {
		f.Fatalf("the first page: %d entries, next %d, %v", len(first.Items), first.Next, err)
	}
	f.record("ops", store.ActThaw, account, "1")
	rest := f.audit(store.AuditQuery{Limit: 100, Before: first.Next})
	if got := append(numbers(first.Items), numbers(rest)...); !slices.Equal(got, want) {
		f.Errorf("while new ones came: %v", got)
	}
}

func auditSurvives(f *fixture) {
	for i := range 3 {
		f.record("ops", store.ActPause, account, fmt.Sprint(i))
		f.clock.advance(time.Second)
		before := f.audit(store.AuditQuery{})
		f.reopen()
		after := f.audit(store.AuditQuery{})
		for k := range after {
			if !after[k].At.Equal(before[k].At) {
				f.Errorf("after a restart at %v, before at %v", after[k].At, before[k].At)
			}
			after[k].At = before[k].At
		}
		if !reflect.DeepEqual(before, after) || len(after) != i+1 || after[0].Number != uint64(i+1) {
			f.Errorf("after a restart:\n%+v, before:\n%+v", after, before)
		}
	}
}

func auditWords(f *fixture) {
	act := by(store.ActPause)
	act.Reason, act.Detail = "第一行\n\t\"引号\" \\ </script>   😀", string(bytes.Repeat([]byte("長"), 5000))
	if err := f.store.Record(f.Context(), store.AuditEntry{Act: act}); err != nil {
		f.Fatalf("Record: %v", err)
	}
	f.audited(1, store.AuditEntry{Act: act})
}
