package admin

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
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
	d.ago.Store(int64(silentWithin + 48*time.Hour))
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
	runner, err := replay.New(replay.Options{Store: d.store, Pusher: idle{}, Accounts: []string{"SF", "YTO"}, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	d.Service = &Service{Store: d.store, Pusher: idle{}, Replays: runner, Accounts: []string{"SF", "YTO"}, LookFor: time.Hour, Log: log}
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

func TestFind(t *testing.T) {
	d := newDesk(t)
	d.scan(sf("SF1000666612"), time.Hour, state.PickupDone, "T")
	d.scan(sf("SF1000777712"), time.Hour, state.PickupDone, "")
	d.scan(sf("SF1000777712"), time.Minute, state.Transit, "")
	d.scan(state.Waybill{DeliveryID: "YTO", WaybillID: "SF1000666612"}, time.Hour, state.PickupDone, "T")
	d.scan(state.Waybill{DeliveryID: "GONE", WaybillID: "G-77aB"}, time.Hour, state.PickupDone, "T")
	if _, err := d.store.PutToken(t.Context(), sf("ORDERED"), "T", store.Act{}); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, text string
		want       string
		looked     int
		short      bool
	}{
		{"a whole number, in two accounts", "SF1000666612", "SF/SF1000666612 YTO/SF1000666612", 0, false},
		{"a whole number that WeChat alone told of", "ORDERED", "SF/ORDERED", 0, false},
		{"a whole number of an account that is gone", "G-77aB", "GONE/G-77aB", 0, false},
		{"last digits, newest first", "7712", "SF/SF1000777712", 5, false},
		{"last digits of two", "6612", "YTO/SF1000666612 SF/SF1000666612", 5, false},
		{"other letters", "-77Ab", "GONE/G-77aB", 5, false},
		{"digits from the middle", "0777", "", 5, false},
		{"too short", "712", "", 0, true},
		{"too long to be an end", "0000000000000712", "", 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q, err := FindQuery(url.Values{"q": {" " + tt.text + " "}}, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			found, err := d.Find(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, item := range found.Items {
				got = append(got, item.DeliveryID+"/"+item.WaybillID)
			}
			if strings.Join(got, " ") != tt.want || found.Looked.Events != tt.looked || found.Short != tt.short || found.Looked.All != (tt.looked > 0) {
				t.Errorf("got %v, %+v, short %v", got, found.Looked, found.Short)
			}
		})
	}
	found, err := d.Find(t.Context(), Search{Text: "7712"})
	if err != nil || found.Items[0].Stage != state.InTransit || found.Items[0].TokenSet || found.Items[0].LastAt == nil ||
		time.Since(*found.Items[0].LastAt).Round(time.Minute) != time.Minute {
		t.Errorf("%+v, %v", found.Items, err)
	}
	wantInvalid(t, FindQuery, "q=a+b", "q")
	wantInvalid(t, FindQuery, "q=", "q")
	wantInvalid(t, FindQuery, "q=1234&cursor=x", "cursor")
}

// TestFindGoesOn: a look that has enough says where to look on, and looking on finds the rest.
func TestFindGoesOn(t *testing.T) {
	d := newDesk(t)
	for i := range maxFound + 7 {
		d.scan(sf(fmt.Sprintf("%d-0042", i)), time.Hour, state.PickupDone, "T")
	}
	first, err := d.Find(t.Context(), Search{Text: "0042"})
	if err != nil || len(first.Items) != maxFound || first.NextCursor == "" || first.Looked.All || first.Items[0].WaybillID != "56-0042" {
		t.Fatalf("%d found, cursor %q, %+v, %v", len(first.Items), first.NextCursor, first.Looked, err)
	}
	q, err := FindQuery(url.Values{"q": {"0042"}, "cursor": {first.NextCursor}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	rest, err := d.Find(t.Context(), q)
	if err != nil || len(rest.Items) != 7 || rest.NextCursor != "" || !rest.Looked.All || rest.Items[0].WaybillID != "6-0042" {
		t.Errorf("%+v, %v", rest, err)
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
	d.scan(sf("moves"), hours(1), state.Transit, "T")
	tests := []struct{ name, query, want string }{
		{"what is usual for each stage", "", "round transit other old"},
		{"also without a Token", "no_token=1", "round transit other unknown old"},
		{"one stage", "stage=in_transit", "transit old"},
		{"hours", "hours=45", "young transit other old"},
		{"one stage, hours", "stage=in_transit&hours=1", "moves young transit old"},
		{"one account", "delivery_id=YTO", "other"},
		{"held up before pickup", "stage=held_before_pickup", "other"},
		{"held up after pickup", "stage=held_after_pickup", ""},
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
			if strings.Join(got, " ") != tt.want || !list.Looked.All || list.NextCursor != "" {
				t.Errorf("got %v, %+v", got, list.Looked)
			}
		})
	}
	list, err := d.Silent(t.Context(), Actor{}, Silence{Stage: state.InTransit})
	if err != nil {
		t.Fatal(err)
	}
	got := list.Items[0]
	if got.Open != 1 || got.Failed != 1 || got.For.Round(time.Hour) != hours(50) || got.ActionType != state.Transit || !got.TokenSet ||
		strings.Contains(got.ActionMsg, "18666666666") {
		t.Errorf("%+v", got)
	}
	for _, bad := range []string{"stage=created", "stage=delivered", "stage=x", "hours=0", "hours=721", "hours=1.5", "no_token=yes", "cursor=x", "limit=3"} {
		wantInvalid(t, SilentQuery, bad, strings.Split(bad, "=")[0])
	}
}

// TestSilentAfterALateEvent: the newest event of a waybill need not be the one that says where it stands.
func TestSilentAfterALateEvent(t *testing.T) {
	d := newDesk(t)
	d.scan(sf("1"), 60*time.Hour, state.PickupDone, "T")
	d.scan(sf("1"), 40*time.Hour, state.DeliveryBegun, "T")
	d.ago.Store(int64(20 * time.Hour))
	results, err := d.store.Apply(t.Context(), []state.Event{{
		ID: "late", Source: "app", DeliveryID: "SF", WaybillID: "1", Type: state.Transit, Time: time.Now().Add(-50 * time.Hour).Unix(), Msg: "x",
	}})
	if err != nil || !results[0].Late {
		t.Fatalf("%+v, %v", results, err)
	}
	list, err := d.Silent(t.Context(), Actor{}, Silence{})
	if err != nil || len(list.Items) != 1 || list.Items[0].Stage != state.OutForDelivery || list.Items[0].For.Round(time.Hour) != 20*time.Hour {
		t.Errorf("%+v, %v", list.Items, err)
	}
}

// TestEverySilentStageCanBeFound: there is an event that leads to each, and none that ends a waybill does.
func TestEverySilentStageCanBeFound(t *testing.T) {
	for _, s := range SilentStages() {
		if leads := leadsTo[s.Stage]; leads == 0 || ends(leads) || s.After <= 0 || s.After > silentWithin {
			t.Errorf("%s: %d, %s", s.Stage, leads, s.After)
		}
	}
	for _, stage := range state.Stages() {
		if _, ok := silentAfter[stage]; ok == (stage.Final() || stage == state.Created) {
			t.Errorf("%s: silent %v", stage, ok)
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

// TestALookEnds: one that takes longer than it may stops, says how far it came, and goes on from there.
func TestALookEnds(t *testing.T) {
	d := newDesk(t)
	for i := range 5 {
		d.scan(sf(fmt.Sprintf("%d-0042", i)), time.Hour, state.PickupDone, "T")
	}
	d.LookFor = time.Nanosecond
	var got []string
	q := Search{Text: "0042"}
	for range 10 {
		found, err := d.Find(t.Context(), q)
		if err != nil || found.Looked.Events != 1 && !found.Looked.All {
			t.Fatalf("%+v, %v", found.Looked, err)
		}
		for _, item := range found.Items {
			got = append(got, item.WaybillID)
		}
		if found.NextCursor == "" {
			break
		}
		if q, err = FindQuery(url.Values{"q": {"0042"}, "cursor": {found.NextCursor}}, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if want := "4-0042 3-0042 2-0042 1-0042 0-0042"; strings.Join(got, " ") != want {
		t.Errorf("got %v", got)
	}
}
