package admin

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carrier/internal/pathpush"
	"carrier/internal/problem"
	"carrier/internal/replay"
	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/pebble"
)

// idle is a Pusher that sends nothing and keeps nothing waiting.
type idle struct{}

func (idle) Held(string, bool) store.WaitingFor                  { return store.WaitNothing }
func (idle) Pause(context.Context, string, string) error         { return nil }
func (idle) Resume(context.Context, string, time.Duration) error { return nil }
func (idle) Probe(context.Context, string) error                 { return nil }
func (idle) Snapshots() []pathpush.Snapshot                      { return nil }
func (idle) Load(string) replay.Load                             { return replay.Load{} }

// desk is a service over the embedded engine, with a clock of its own for what is kept.
type desk struct {
	*Service
	t     *testing.T
	store *pebble.Store
	ago   atomic.Int64 // The clock is that much behind (ns); it never goes back.
	n     int
}

func newDesk(t *testing.T) *desk {
	d := &desk{t: t}
	d.ago.Store(int64(60 * 24 * time.Hour))
	log := slog.New(slog.DiscardHandler)
	var err error
	d.store, err = pebble.Open("data", pebble.Options{
		FS: vfs.NewMem(), Logger: log, CacheBytes: 1 << 20, MemtableBytes: 1 << 20,
		Now: func() time.Time { return time.Now().Add(-time.Duration(d.ago.Load())) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.store.Close() })
	runner, err := replay.New(replay.Options{Store: d.store, Pusher: idle{}, Configured: func(string) bool { return true }, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	d.Service = &Service{Store: d.store, Pusher: idle{}, Replays: runner, Accounts: func() []string { return []string{"SF", "YTO"} }, Log: log}
	return d
}

// scan takes an event of a waybill that came some time ago, and gives its number.
func (d *desk) scan(w state.Waybill, ago time.Duration, a state.ActionType, token string) uint64 {
	d.t.Helper()
	d.n++
	d.ago.Store(int64(ago))
	results, err := d.store.Apply(d.t.Context(), []state.Event{{
		ID: fmt.Sprint(d.n), Source: "app", DeliveryID: w.DeliveryID, WaybillID: w.WaybillID, Type: a,
		Time: time.Now().Add(-ago).Unix(), Msg: "到达 18666666666", Token: token,
	}})
	if err != nil || results[0].Verdict != state.Accepted {
		d.t.Fatalf("%v: %+v, %v", w, results, err)
	}
	return results[0].Seq
}

// end settles a push.
func (d *desk) end(w state.Waybill, seq uint64, status store.Status) {
	d.t.Helper()
	done := make(chan error, 1)
	d.store.Settle(store.Outcome{Seq: seq, Waybill: w, Status: status, Reason: store.ReasonRefused,
		Attempt: &store.Attempt{At: time.Now(), Errcode: new(47001)}}, func(err error) { done <- err })
	if err := <-done; err != nil {
		d.t.Fatal(err)
	}
}

func sf(number string) state.Waybill { return state.Waybill{DeliveryID: "SF", WaybillID: number} }

func find(t *testing.T, d *desk, query string) (FoundList, string) {
	t.Helper()
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	q, err := FindQuery(values, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	found, err := d.Find(t.Context(), Actor{}, q)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, item := range found.Items {
		names = append(names, item.DeliveryID+"/"+item.WaybillID)
	}
	return found, strings.Join(names, " ")
}

func TestFind(t *testing.T) {
	d := newDesk(t)
	d.scan(sf("SF1000666612"), 2*time.Hour, state.PickupDone, "T")
	d.scan(sf("SF1000777712"), 2*time.Hour, state.PickupDone, "")
	d.scan(state.Waybill{DeliveryID: "YTO", WaybillID: "SF1000666612"}, time.Hour, state.PickupDone, "T")
	d.scan(state.Waybill{DeliveryID: "GONE", WaybillID: "G-77aB"}, time.Hour, state.PickupDone, "T")
	d.scan(sf("12"), time.Hour, state.PickupDone, "T")
	d.scan(sf("SF1000777712"), time.Minute, state.Transit, "")
	if _, err := d.store.PutToken(t.Context(), sf("ORDERED"), "T", store.Act{}); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, text string
		want       string
		short      bool
	}{
		{"a whole number, in two accounts", "SF1000666612", "YTO/SF1000666612 SF/SF1000666612", false},
		{"a whole number that WeChat alone told of", "ORDERED", "SF/ORDERED", false},
		{"a whole number of an account that is gone", "G-77aB", "GONE/G-77aB", false},
		{"last digits", "7712", "SF/SF1000777712", false},
		{"last digits of several, those heard of last first", "6612", "YTO/SF1000666612 SF/SF1000666612", false},
		{"other letters", "-77Ab", "GONE/G-77aB", false},
		{"digits from the middle", "0777", "", false},
		{"too short for an end", "712", "", true},
		{"a short number", "12", "SF/12", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found, got := find(t, d, url.Values{"ends_with": {" " + tt.text + " "}}.Encode())
			if got != tt.want || found.Short != tt.short || found.NextCursor != "" {
				t.Errorf("got %q, short %v, next %q", got, found.Short, found.NextCursor)
			}
		})
	}
	found, _ := find(t, d, "ends_with=7712")
	if got := found.Items[0]; got.Stage != state.InTransit || got.TokenSet || got.HeardAt == nil || time.Since(*got.HeardAt).Round(time.Minute) != time.Minute ||
		got.Pending != 2 || got.Accepted.ActionType != state.Transit || strings.Contains(got.Accepted.ActionMsg, "18666666666") {
		t.Errorf("%+v", got)
	}
	if found, _ := find(t, d, "ends_with=ORDERED"); found.Items[0].HeardAt != nil || found.Items[0].Accepted != nil || !found.Items[0].TokenSet {
		t.Errorf("%+v", found.Items[0])
	}
	for _, bad := range []string{"ends_with=a+b", "ends_with=", "limit=5", "q=1234"} {
		field := "ends_with"
		if strings.HasPrefix(bad, "q=") {
			field = "q"
		}
		wantInvalid(t, FindQuery, bad, field)
	}
	wantInvalid(t, FindQuery, "ends_with=1234&cursor=x", "cursor")
	wantInvalid(t, TypedQuery, "q=1234&cursor="+placeCursor("silent", "x"), "cursor")
}

// TestFindGoesOn: what is on no page is on the next, and the whole number is at the top.
func TestFindGoesOn(t *testing.T) {
	d := newDesk(t)
	for i := range 57 {
		d.scan(sf(fmt.Sprintf("%02d-0042", i)), time.Hour, state.PickupDone, "T")
	}
	d.scan(sf("-0042"), 2*time.Hour, state.PickupDone, "T")
	seen := map[string]bool{}
	first, _ := find(t, d, "ends_with=-0042&limit=50")
	rest, _ := find(t, d, "ends_with=-0042&limit=50&cursor="+first.NextCursor)
	for _, item := range append(first.Items, rest.Items...) {
		seen[item.WaybillID] = true
	}
	if len(first.Items) != 50 || len(rest.Items) != 8 || len(seen) != 58 || rest.NextCursor != "" || first.Items[0].WaybillID != "-0042" {
		t.Errorf("%d and %d waybills, %d different ones, the first is %s", len(first.Items), len(rest.Items), len(seen), first.Items[0].WaybillID)
	}
	if all, names := find(t, d, "ends_with=-0042"); len(all.Items) != 58 || !strings.HasPrefix(names, "SF/-0042 SF/56-0042") && !strings.HasPrefix(names, "SF/-0042 ") {
		t.Errorf("%s", names)
	}
}

func TestSilent(t *testing.T) {
	d := newDesk(t)
	hours := func(n int) time.Duration { return time.Duration(n) * time.Hour }
	d.scan(sf("lost"), hours(24*31), state.PickupDone, "T")
	d.scan(sf("signed"), hours(300), state.PickupDone, "T")
	d.scan(sf("transit"), hours(200), state.PickupDone, "T")
	d.scan(sf("moves"), hours(190), state.PickupDone, "T")
	d.scan(sf("old"), hours(180), state.Transit, "T")
	d.scan(sf("unknown"), hours(170), state.PickupDone, "")
	d.scan(state.Waybill{DeliveryID: "YTO", WaybillID: "other"}, hours(160), state.Detained, "T")
	d.end(sf("transit"), d.scan(sf("transit"), hours(50), state.Transit, "T"), store.Failed)
	d.scan(sf("young"), hours(47), state.Transit, "T")
	d.scan(sf("round"), hours(13), state.DeliveryBegun, "T")
	d.scan(sf("signed"), hours(13), state.Signed, "T")
	d.scan(sf("fresh"), hours(11), state.DeliveryBegun, "T")
	d.scan(sf("moves"), hours(2), state.Transit, "T")
	for reading := true; reading; runtime.Gosched() { // The store has just been opened.
		list, err := d.Silent(t.Context(), Actor{}, Silence{})
		if err != nil {
			t.Fatal(err)
		}
		reading = list.Reading != nil
	}
	tests := []struct{ name, query, want string }{
		{"what is usual for each stage", "", "lost old other transit round"},
		{"also without a Token", "no_token=1", "lost old unknown other transit round"},
		{"one stage", "stage=in_transit", "old transit"},
		{"hours", "hours=45", "lost old other transit young"},
		{"more than a month", "hours=740", "lost"},
		{"one stage, hours", "stage=in_transit&hours=1", "old transit young moves"},
		{"one account", "delivery_id=YTO", "other"},
		{"held up before pickup", "stage=held_before_pickup", "other"},
		{"held up after pickup", "stage=held_after_pickup", ""},
		{"a page", "limit=2", "lost old …"},
		{"the next one", "limit=3&cursor=" + placeCursor("silent", store.NextNumber(5)), "old other transit …"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			values, err := url.ParseQuery(tt.query)
			if err != nil {
				t.Fatal(err)
			}
			q, err := SilentQuery(values, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			list, err := d.Silent(t.Context(), Actor{}, q)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, item := range list.Items {
				got = append(got, item.WaybillID)
			}
			if list.NextCursor != "" {
				got = append(got, "…")
			}
			if strings.Join(got, " ") != tt.want || list.Reading != nil {
				t.Errorf("got %v, %+v", got, list.Reading)
			}
		})
	}
	list, err := d.Silent(t.Context(), Actor{}, Silence{Stage: state.InTransit, Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	got := list.Items[1]
	if got.Pending != 1 || got.Failed != 1 || math.Round(got.SilentSeconds/3600) != 50 || got.Accepted.ActionType != state.Transit || !got.TokenSet ||
		strings.Contains(got.Accepted.ActionMsg, "18666666666") {
		t.Errorf("%+v", got)
	}
	for _, bad := range []string{"stage=created", "stage=delivered", "stage=x", "hours=0", "hours=8761", "hours=1.5", "no_token=yes", "cursor=x", "limit=0"} {
		wantInvalid(t, SilentQuery, bad, strings.Split(bad, "=")[0])
	}
}

// TestEverySilentStageCanBeLeft: those that end a waybill, and the one before its first scan, are not among them.
func TestEverySilentStageCanBeLeft(t *testing.T) {
	for _, stage := range state.Stages() {
		if after, ok := silentAfter[stage]; ok == (stage.Final() || stage == state.Created) || ok && after <= 0 {
			t.Errorf("%s: silent %v, after %s", stage, ok, after)
		}
	}
}

func TestChosen(t *testing.T) {
	d := newDesk(t)
	var seqs []uint64
	for i, a := range []state.ActionType{state.PickupDone, state.Transit, state.DeliveryBegun, state.Signed} {
		seqs = append(seqs, d.scan(sf("1"), time.Hour, a, "T"))
		d.end(sf("1"), seqs[i], store.Failed)
	}
	delivered := d.scan(sf("2"), time.Hour, state.PickupDone, "T")
	d.end(sf("2"), delivered, store.Delivered)
	discarded := d.scan(sf("3"), time.Hour, state.PickupDone, "T")
	if _, err := d.Discard(t.Context(), Actor{Operator: true}, discarded, "x"); err != nil {
		t.Fatal(err)
	}
	chosen := []uint64{discarded, seqs[2], seqs[0], delivered, 9999, seqs[0]}
	plan, err := d.PlanChosen(t.Context(), Actor{}, chosen)
	if err != nil {
		t.Fatal(err)
	}
	want := map[replay.Verdict]int{replay.Send: 2, replay.WaitsBehind: 1, replay.AlreadyDelivered: 1}
	if plan.Matched != 4 || plan.Evaluated != 4 || plan.Calls != 3 || fmt.Sprint(plan.Totals) != fmt.Sprint(want) || len(plan.Sample) != 4 {
		t.Errorf("%+v", plan)
	}
	done, err := d.ReplayChosen(t.Context(), Actor{Name: "ops", Operator: true}, chosen, "mended")
	if err != nil || !slices.Equal(done.Replayed, []uint64{seqs[0], seqs[2], discarded}) {
		t.Fatalf("%+v, %v", done, err)
	}
	if len(done.Refused) != 2 || done.Refused[0].Seq != delivered || done.Refused[1].Seq != 9999 || done.Refused[1].Why == nil {
		t.Errorf("%+v", done.Refused)
	}
	lane, err := d.store.Lane(t.Context(), sf("1"))
	if err != nil || len(lane.Pushes) != 2 || lane.Pushes[0].Seq != seqs[0] {
		t.Errorf("%+v, %v", lane, err)
	}
	if _, err := d.ReplayChosen(t.Context(), Actor{}, nil, ""); err == nil {
		t.Error("nothing chosen was taken")
	}
	if _, err := d.PlanChosen(t.Context(), Actor{}, make([]uint64, MaxChosen+1)); err != nil {
		t.Errorf("one number, many times: %v", err)
	}
	many := make([]uint64, MaxChosen+1)
	for i := range many {
		many[i] = uint64(i + 1)
	}
	if _, err := d.PlanChosen(t.Context(), Actor{}, many); err == nil {
		t.Error("too many were taken")
	}
}

// wantInvalid checks that a query is refused, and which parameter is named.
func wantInvalid[Q any](t *testing.T, read func(url.Values, time.Time) (Q, error), query, field string) {
	t.Helper()
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	_, err = read(values, time.Now())
	p, ok := err.(*problem.Problem)
	if !ok || len(p.Errors) == 0 || p.Errors[0].Field != field {
		t.Errorf("%s: %v", query, err)
	}
}
