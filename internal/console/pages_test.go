package console

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carrier/internal/admin"
	"carrier/internal/pathpush"
	"carrier/internal/replay"
	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/pebble"
	"carrier/internal/verify"
	"carrier/internal/wechat"
)

// idle is a Pusher with one account, that sends nothing.
type idle struct{}

func (idle) Held(string, bool) store.WaitingFor                  { return store.WaitNothing }
func (idle) Pause(context.Context, string, string) error         { return nil }
func (idle) Resume(context.Context, string, time.Duration) error { return nil }
func (idle) Probe(context.Context, string) error                 { return nil }
func (idle) Load(string) replay.Load                             { return replay.Load{} }
func (idle) Snapshots() []pathpush.Snapshot {
	return []pathpush.Snapshot{{DeliveryID: "SF", Breakers: []pathpush.BreakerSnapshot{{State: "closed"}}}}
}

// weChat shows what it is told to.
type weChat struct {
	path []wechat.PathItem
	err  error
	hint verify.Hint // given last
}

func (w *weChat) Ask(_ context.Context, _ state.Waybill, hint verify.Hint) (verify.Shown, error) {
	w.hint = hint
	return verify.Shown{Merchant: "shop", AskedAt: time.Now(), Settled: time.Now().Add(time.Hour), Path: w.path}, w.err
}

// room is a console over the real operations and the embedded engine on a disk in memory.
type room struct {
	*browser
	t      *testing.T
	store  *pebble.Store
	weChat *weChat
	ago    atomic.Int64 // The store's clock is that much behind (ns); it never goes back.
	n      int
}

func newRoom(t *testing.T) *room { return newRoomAgo(t, 0) }

// newRoomAgo makes a room whose store begins some time ago.
func newRoomAgo(t *testing.T, ago time.Duration) *room {
	r := &room{t: t, weChat: &weChat{}}
	r.ago.Store(int64(ago))
	log := slog.New(slog.DiscardHandler)
	var err error
	r.store, err = pebble.Open("data", pebble.Options{
		FS: vfs.NewMem(), Logger: log, CacheBytes: 1 << 20, MemtableBytes: 1 << 20,
		Machine: state.Machine{ReorderWindow: time.Hour}, Now: func() time.Time { return time.Now().Add(-time.Duration(r.ago.Load())) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.store.Close() })
	runner, err := replay.New(replay.Options{Store: r.store, Pusher: idle{}, Configured: func(string) bool { return true }, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	r.browser = open(t, &admin.Service{
		Store: r.store, Pusher: idle{}, Replays: runner, WeChat: r.weChat, Accounts: func() []string { return []string{"SF"} }, Log: log, StartedAt: time.Now(),
	})
	return r
}

// scan takes an event, and gives its number.
func (r *room) scan(number string, a state.ActionType, msg, token string) uint64 {
	r.t.Helper()
	r.n++
	results, err := r.store.Apply(r.t.Context(), []state.Event{{
		ID: "scan-" + strconv.Itoa(r.n), Source: "app", DeliveryID: "SF", WaybillID: number, Type: a,
		Time: time.Now().Add(-time.Hour).Unix() + int64(r.n), Msg: msg, Token: token,
	}})
	if err != nil {
		r.t.Fatal(err)
	}
	return results[0].Seq
}

// end settles a push of a waybill with an errcode.
func (r *room) end(number string, seq uint64, status store.Status, errcode int) {
	r.t.Helper()
	r.attempt(number, seq, status, &store.Attempt{
		At: time.Now(), Duration: 42 * time.Millisecond, Errcode: &errcode, Errmsg: "said " + strconv.Itoa(errcode), RID: "rid-7", Scope: "event",
	})
}

// attempt settles a push of a waybill with an attempt.
func (r *room) attempt(number string, seq uint64, status store.Status, a *store.Attempt) {
	r.t.Helper()
	o := store.Outcome{Seq: seq, Waybill: sf(number), Status: status, Tries: 1, Attempt: a}
	switch status {
	case store.Failed:
		o.Reason = store.ReasonRefused
	case store.Pending:
		o.NextAt = time.Now().Add(time.Minute)
	}
	done := make(chan error, 1)
	r.store.Settle(o, func(err error) { done <- err })
	if err := <-done; err != nil {
		r.t.Fatal(err)
	}
}

// status is where a push stands.
func (r *room) status(seq uint64) store.Status {
	r.t.Helper()
	p, err := r.store.Push(r.t.Context(), seq)
	if err != nil {
		r.t.Fatal(err)
	}
	return p.Status
}

// audited is the newest entry of the audit log.
func (r *room) audited() store.AuditEntry {
	r.t.Helper()
	page, err := r.store.Audit(r.t.Context(), store.AuditQuery{Limit: 1})
	if err != nil || len(page.Items) == 0 {
		r.t.Fatalf("the audit log: %+v, %v", page, err)
	}
	return page.Items[0]
}

// at sets the parts of the path that name a push, or a waybill.
func (r *room) at(what any) *room {
	switch what := what.(type) {
	case uint64:
		r.with("seq", strconv.FormatUint(what, 10))
	case state.Waybill:
		r.with("delivery", what.DeliveryID, "waybill", what.WaybillID)
	}
	return r
}

func sf(number string) state.Waybill { return state.Waybill{DeliveryID: "SF", WaybillID: number} }

const evil = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>`

func TestPushesPage(t *testing.T) {
	r := newRoom(t)
	r.as(opsToken)
	r.get("/pushes", Viewer, r.console.Pushes).says(200, "None yet").has(`action="/pushes"`)
	failed := r.scan("SF1", state.PickupDone, evil, "T")
	r.end("SF1", failed, store.Failed, 47001)
	delivered := r.scan("SF2", state.PickupDone, "call 18666666666", "T")
	r.end("SF2", delivered, store.Delivered, 0)
	waits := r.scan("SF3", state.PickupDone, "x", "")
	r.end("SF4", r.scan("SF4", state.PickupDone, "x", "T"), store.Pending, -1)

	all := r.get("/pushes", Viewer, r.console.Pushes)
	all.says(200, "all 4", "pending 2", "delivered 1", "failed 1", "discarded 0", "SF1", "SF3", "47001", "reason: refused for good", "next attempt", "The waybill has no Token yet")
	all.has(`href="/waybills/SF/SF1"`, fmt.Sprintf(`name="seq" value="%d"`, failed), `href="/pushes.csv?"`).lacks("<script>alert")
	r.get("/pushes?status=failed&errcode=47001", Viewer, r.console.Pushes).says(200, "SF1").
		has(`<input type="hidden" name="status" value="failed">`, `name="errcode" value="47001"`, `href="/pushes.csv?errcode=47001&amp;status=failed"`).
		lacks("SF2", "failed <small")
	r.get("/pushes?status=pending&waiting_for=token&errcode=", Viewer, r.console.Pushes).says(200, "SF3").has(`<option value="token" selected>`).lacks("SF4")
	r.get("/pushes?status=discarded", Viewer, r.console.Pushes).says(200, "No push matches")
	r.get("/pushes?errcode=many&status=failed", Viewer, r.console.Pushes).says(400, "errcode must be given once").has(`value="many"`)
	r.get("/pushes?delivery_id=GONE", Viewer, r.console.Pushes).says(200, "all 0").has(`<option value="GONE" selected>`)

	first := r.get("/pushes?limit=2", Viewer, r.console.Pushes).says(200, "Next page").lacks("SF1")
	next := between(t, first.body, `href="/pushes?cursor=`, `"`)
	r.get("/pushes?cursor="+strings.ReplaceAll(next, "&amp;", "&"), Viewer, r.console.Pushes).says(200, "SF1", "First page").lacks("SF4", "Next page")

	r.at(failed).get("/pushes/1", Viewer, r.console.Push).says(200, "Push 1", "47001", "said 47001", "rid-7", "42 ms", "this event", evil, "Discard", "Replay").lacks("<script>alert")
	r.at(waits).get("/pushes/3", Viewer, r.console.Push).says(200, "No attempt was made yet", "Discard").lacks("/replay\"")
	r.with("seq", "x").get("/pushes/x", Viewer, r.console.Push).says(404)
	r.with("seq", "99").get("/pushes/99", Viewer, r.console.Push).says(404, "There is no push or event 99")

	r.as(deskToken)
	r.at(delivered).get("/pushes/2", Viewer, r.console.Push).says(200, "****6666", "needs an operator's token").lacks("18666666666")
	r.get("/pushes", Viewer, r.console.Pushes).says(200, "needs an operator's token").has(`aria-label="Choose push 1" disabled`)
}

// between is what stands between two texts.
func between(t *testing.T, text, before, after string) string {
	t.Helper()
	_, text, ok := strings.Cut(text, before)
	text, _, found := strings.Cut(text, after)
	if !ok || !found {
		t.Fatalf("there is nothing between %q and %q", before, after)
	}
	return text
}

func TestActsOnPushes(t *testing.T) {
	r := newRoom(t)
	r.as(opsToken)
	failed, delivered, retried := r.scan("SF1", state.PickupDone, "x", "T"), r.scan("SF2", state.PickupDone, "x", "T"), r.scan("SF3", state.PickupDone, "x", "T")
	r.end("SF1", failed, store.Failed, 47001)
	r.end("SF2", delivered, store.Delivered, 0)
	r.end("SF3", retried, store.Pending, -1)

	r.at(failed).post("/pushes/1/replay", Operator, r.console.ReplayPush, url.Values{"reason": {"mended"}, "back": {"/waybills/SF/SF1#event-1"}}).leadsTo("/waybills/SF/SF1#event-1")
	if e := r.audited(); r.status(failed) != store.Pending || e.Action != store.ActReplay || e.Reason != "mended" || e.By != "ops" || e.From != "192.0.2.7" {
		t.Errorf("%s, %+v", r.status(failed), e)
	}
	r.post("/pushes/1/replay", Operator, r.console.ReplayPush, nil).says(409, "is pending already")
	r.at(delivered).post("/pushes/2/replay", Operator, r.console.ReplayPush, nil).says(409, "is delivered already")
	r.post("/pushes/2/replay", Operator, r.console.ReplayPush, url.Values{"force": {"yes"}, "back": {"https://evil.example/"}}).leadsTo("/pushes/2")
	r.at(retried).post("/pushes/3/retry", Operator, r.console.RetryPush, nil).leadsTo("/pushes/3")
	r.post("/pushes/3/discard", Operator, r.console.DiscardPush, nil).says(400, "reason")
	r.post("/pushes/3/discard", Operator, r.console.DiscardPush, url.Values{"reason": {"twice"}}).leadsTo("/pushes/3")
	r.get("/pushes/3", Viewer, r.console.Push).says(200, "Push 3 is discarded", "discarded", "twice")
}

func TestReplayOfChosen(t *testing.T) {
	r := newRoom(t)
	r.as(opsToken)
	var seqs []uint64
	for i := range 3 {
		number := fmt.Sprint("SF", i)
		seqs = append(seqs, r.scan(number, state.PickupDone, "x", "T"))
		r.end(number, seqs[i], store.Failed, 47001)
	}
	r.end("SF9", r.scan("SF9", state.PickupDone, "x", "T"), store.Delivered, 0)
	form := url.Values{"seq": {"1", "3", "4"}, "back": {"/pushes?status=failed"}}
	r.post("/pushes/replay/chosen", Operator, r.console.ReplayChosen, nil).says(400, "Choose at least one push")
	r.post("/pushes/replay/chosen", Operator, r.console.ReplayChosen, url.Values{"seq": {"x"}}).says(400)
	plan := r.post("/pushes/replay/chosen", Operator, r.console.ReplayChosen, form).says(200, "Nothing has been done yet", "Found 3", "Sent to WeChat 2", "delivered already", "Replay 2 pushes")
	plan.has(`name="seq" value="1"`, `name="seq" value="3"`, `href="/pushes?status=failed"`).lacks(`name="rate"`)
	if r.status(1) != store.Failed {
		t.Error("the plan changed something")
	}
	form.Set("confirmed", "yes")
	r.post("/pushes/replay/chosen", Operator, r.console.ReplayChosen, form).leadsTo("/pushes?status=failed")
	r.get("/pushes?status=failed", Viewer, r.console.Pushes).says(200, "Replayed: 2. Not replayed: 1, such as push 4")
	if r.status(1) != store.Pending || r.status(2) != store.Failed || r.status(3) != store.Pending {
		t.Errorf("the pushes are %s, %s and %s", r.status(1), r.status(2), r.status(3))
	}
	r.post("/pushes/replay/chosen", Operator, r.console.ReplayChosen, url.Values{"seq": {"4"}}).says(200, "Nothing would be sent")
}

func TestReplayOfAFilter(t *testing.T) {
	r := newRoom(t)
	r.as(opsToken)
	for i := range 5 {
		number := fmt.Sprint("SF", i)
		r.end(number, r.scan(number, state.PickupDone, "x", "T"), store.Failed, 47001)
	}
	form := url.Values{"status": {"failed"}, "errcode": {"47001"}, "since": {"1h"}, "rate": {"20"}, "skip_superseded": {"yes"}, "nonsense": {"x"}}
	plan := r.post("/pushes/replay", Operator, r.console.ReplayAll, form).says(200, "Found 5", "Replay 5 pushes", "Status: failed", "errcode: 47001")
	plan.has(`name="since" value="`+strconv.Itoa(time.Now().In(beijing).Year()), `name="rate" value="20"`, "checked", `action="/pushes/replay"`).lacks("nonsense", `value="1h"`)
	r.post("/pushes/replay", Operator, r.console.ReplayAll, url.Values{"rate": {"fast"}}).says(400, "number of pushes a second")
	r.post("/pushes/replay", Operator, r.console.ReplayAll, url.Values{"rate": {"-1"}}).says(400, "rate")
	r.post("/pushes/replay", Operator, r.console.ReplayAll, url.Values{"status": {"lost"}}).says(400, "filter.status")
	form.Set("confirmed", "yes")
	form.Set("because", "they mended it") // And not reason, which is a filter.
	r.post("/pushes/replay", Operator, r.console.ReplayAll, form).leadsTo("/replays/1")
	kept, err := r.store.ReadReplay(t.Context(), 1)
	if err != nil || kept.Matched != 5 || kept.Rate != 20 || !kept.SkipSuperseded || kept.Filter.Status != store.Failed || kept.By != "ops" || kept.Reason != "they mended it" {
		t.Errorf("%+v, %v", kept, err)
	}
	r.post("/pushes/replay", Operator, r.console.ReplayAll, nil).says(200, "none: every failed push")
}

func TestWaybillPage(t *testing.T) {
	r := newRoom(t)
	r.as(opsToken)
	w := sf("SF/1?#%")
	path := "/waybills/SF/SF%2F1%3F%23%25"
	r.at(w).get(path, Viewer, r.console.Waybill).says(404, "There is no waybill")
	first := r.scan(w.WaybillID, state.PickupDone, evil, "T")
	r.end(w.WaybillID, first, store.Delivered, 0)
	second := r.scan(w.WaybillID, state.DeliveryBegun, "call 18666666666", "")
	r.end(w.WaybillID, second, store.Failed, 47001)
	rejected := r.scan(w.WaybillID, state.Cancelled, "y", "")
	open := r.scan(w.WaybillID, state.Signed, "z", "")

	page := r.get(path, Viewer, r.console.Waybill)
	page.says(200, "Waybill SF/1?#%", "delivered", "Open pushes 1", evil, "call 18666666666", "47001", "Attempts: 1", "Rejected (illegal_transition)", "Accept it all the same", "What was delivered from here")
	page.has(`action="`+path+`/freeze"`, fmt.Sprintf(`action="/events/%d/accept"`, rejected), fmt.Sprintf(`action="/pushes/%d/replay"`, second)).lacks("<script>alert", "T</")
	if trace := between(t, page.body, `<ol class="trace">`, "</ol>"); strings.Contains(trace, "18666666666") || strings.Count(trace, "<li>") != 1 {
		t.Errorf("the trace is %s", trace)
	}

	r.post(path+"/freeze", Operator, r.console.FreezeWaybill, url.Values{"reason": {evil}}).leadsTo(path)
	r.get(path, Viewer, r.console.Waybill).says(200, "The waybill is frozen", "Frozen by ops since", evil, "Thaw").lacks("<script>alert")
	r.post(path+"/thaw", Operator, r.console.ThawWaybill, nil).leadsTo(path)
	r.post(path+"/retry", Operator, r.console.RetryHead, nil).says(409, "nothing to wait for")
	r.post(path+"/skip", Operator, r.console.SkipHead, url.Values{"reason": {"x"}}).leadsTo(path)
	if r.status(open) != store.Discarded {
		t.Errorf("the head is %s", r.status(open))
	}
	r.post(path+"/token", Operator, r.console.PutToken, nil).says(400, "token")
	r.post(path+"/token", Operator, r.console.PutToken, url.Values{"token": {"T2"}}).leadsTo(path)
	r.get(path, Viewer, r.console.Waybill).says(200, "The Token is registered").lacks("T2")
	r.post(path+"/token", Operator, r.console.PutToken, url.Values{"token": {"T2"}}).leadsTo(path)
	r.get(path, Viewer, r.console.Waybill).says(200, "That was its newest Token already")

	r.as(deskToken).get(path, Viewer, r.console.Waybill)
	r.get(path, Viewer, r.console.Waybill).says(200, "****6666").lacks("18666666666", "/accept", `/replay"`)
	r.at(sf("a b")).get("/waybills/SF/a%20b", Viewer, r.console.Waybill).says(404, "no waybill number")
}

func TestHowAttemptsWereSent(t *testing.T) {
	r := newRoom(t)
	r.as(opsToken)
	seq := r.scan("1", state.PickupDone, "x", "T1")
	w, err := r.store.Waybill(t.Context(), sf("1"))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 4, 2, 32, 0, 0, time.UTC)
	r.attempt("1", seq, store.Pending, &store.Attempt{At: at, Errmsg: "from before this was kept"})
	r.attempt("1", seq, store.Pending, &store.Attempt{
		At: at, Errcode: new(9300507), Scope: "waybill", Breaker: store.BreakerHalfOpen, Fallback: "api2.example.com",
		TokenAt: at.Add(-24 * time.Hour), AccessTokenAt: at.Add(-12 * time.Minute),
	})
	r.attempt("1", seq, store.Pending, &store.Attempt{
		At: at, Errcode: new(40001), Scope: "credential", Breaker: store.BreakerOpen, TokenAt: w.TokenAt, AccessTokenAt: at.Add(-time.Minute),
	})
	newer := w.TokenAt.In(beijing).Format(time.DateTime)
	r.at(seq).get("/pushes/1", Viewer, r.console.Push).says(200,
		"Token of 2026-03-03 10:32:00", "A newer one came "+newer, "access_token fetched 12 min before, again at 10:31:00", "Breaker half open: a probe, fallback host api2.example.com",
		"Token of "+newer, "access_token fetched 1 min before", "Breaker open: a probe that an operator asked for")
	r.at(sf("1")).get("/waybills/SF/1", Viewer, r.console.Waybill).says(200, "known, the newest since "+newer, "Token of 2026-03-03 10:32:00")
}

func TestUpstreamBesideTheWaybill(t *testing.T) {
	r := newRoom(t)
	r.as(opsToken)
	r.at(sf("SF1"))
	for _, a := range []state.ActionType{state.PickupDone, state.Transit} {
		r.end("SF1", r.scan("SF1", a, "text "+a.String(), "T"), store.Delivered, 0)
	}
	r.get("/waybills/SF/SF1", Viewer, r.console.Waybill).lacks("Asked as")
	p, err := r.store.Push(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	r.weChat.path = []wechat.PathItem{
		{ActionTime: p.Event.Time, ActionType: 100001, ActionMsg: "text 100001"}, {ActionTime: p.Event.Time + 1, ActionType: 300001, ActionMsg: evil},
	}
	hint := url.Values{"merchant": {"shop"}, "order_id": {"O1"}, "openid": {"oABC"}}
	page := r.post("/waybills/SF/SF1/upstream", Viewer, r.console.AskUpstream, hint)
	page.says(200, "Asked as shop", "WeChat does not show what was delivered", "missing", "same", "300001 (WeChat's own)", evil).has(`value="O1"`).lacks("<script>alert")
	if r.weChat.hint != (verify.Hint{Merchant: "shop", OrderID: "O1", OpenID: "oABC"}) {
		t.Errorf("asked with %+v", r.weChat.hint)
	}
	plan := r.post("/waybills/SF/SF1/heal", Operator, r.console.Heal, hint)
	plan.says(200, "Nothing has been pushed yet", "Missing pushes that go out again, in order of acceptance: 1").has(`name="order_id" value="O1"`, `name="confirmed" value="yes"`)
	if r.status(2) != store.Delivered {
		t.Error("the plan changed something")
	}
	hint.Set("confirmed", "yes")
	r.post("/waybills/SF/SF1/heal", Operator, r.console.Heal, hint).leadsTo("/replays/1")
	if r.status(1) != store.Delivered || r.status(2) != store.Pending {
		t.Errorf("the pushes are %s and %s", r.status(1), r.status(2))
	}
	r.end("SF1", 2, store.Delivered, 0)
	r.weChat.path = append(r.weChat.path, wechat.PathItem{ActionTime: p.Event.Time + 1, ActionType: 200001, ActionMsg: "text 200001"})
	r.post("/waybills/SF/SF1/heal", Operator, r.console.Heal, hint).leadsTo("/waybills/SF/SF1")
	r.weChat.err = &verify.MerchantError{}
	r.post("/waybills/SF/SF1/upstream", Viewer, r.console.AskUpstream, hint).says(409, "none is configured", "Waybill SF1")
}

func TestExpungePage(t *testing.T) {
	r := newRoom(t)
	r.as(opsToken)
	r.at(sf("SF1"))
	r.scan("SF1", state.PickupDone, "secret words", "T")
	r.post("/waybills/SF/SF1/expunge", Operator, r.console.Expunge, nil).says(200, "Type SF1 to confirm", "deleted for good").lacks("what was typed")
	r.post("/waybills/SF/SF1/expunge", Operator, r.console.Expunge, url.Values{"confirmed": {"yes"}, "typed": {"SF2"}, "reason": {"x"}}).says(200, "not this waybill's number")
	r.get("/waybills/SF/SF1", Viewer, r.console.Waybill).says(200, "secret words")
	r.post("/waybills/SF/SF1/expunge", Operator, r.console.Expunge, url.Values{"confirmed": {"yes"}, "typed": {"SF1"}, "reason": {"asked by the customer"}}).leadsTo("/waybills/SF/SF1")
	r.get("/waybills/SF/SF1", Viewer, r.console.Waybill).says(200, "Forgotten: the texts of 1 event,", "(the text was expunged)").lacks("secret words")
	if e := r.audited(); e.Action != store.ActExpunge || e.Reason != "asked by the customer" {
		t.Errorf("%+v", e)
	}
}

func TestEventPages(t *testing.T) {
	r := newRoom(t)
	r.as(opsToken)
	r.get("/events/rejected", Viewer, r.console.Rejected).says(200, "No rejected event matches")
	r.get("/events/held", Viewer, r.console.Held).says(200, "No held event matches")
	r.scan("SF1", state.PickupDone, "x", "T")
	rejected := r.scan("SF1", state.Cancelled, evil, "")
	r.scan("SF2", state.Signed, "18666666666", "T")
	r.get("/events/rejected", Viewer, r.console.Rejected).says(200, "SF1", "400001 order cancelled", "does not lead on from there", "Allowed there:", evil).lacks("<script>alert", "SF2")
	r.get("/events/held?source=app", Viewer, r.console.Held).says(200, "SF2", "Held (missing_scan)", "18666666666").lacks("SF1", "/accept")
	r.get("/events/rejected?source=other", Viewer, r.console.Rejected).says(200, "No rejected event matches")
	r.get("/events/rejected?since=soon", Viewer, r.console.Rejected).says(400, "since must be given once")
	r.at(rejected)
	r.post("/events/2/accept", Operator, r.console.AcceptEvent, nil).says(400, "reason")
	r.post("/events/2/accept", Operator, r.console.AcceptEvent, url.Values{"reason": {"seen it"}}).leadsTo("/waybills/SF/SF1")
	r.at(sf("SF1")).get("/waybills/SF/SF1", Viewer, r.console.Waybill).says(200, "Event 2 is accepted", "accepted by hand")
	r.post("/events/2/accept", Operator, r.console.AcceptEvent, url.Values{"reason": {"seen it"}}).says(409, "only a rejected one")
	r.as(deskToken).get("/events/held", Viewer, r.console.Held)
	r.get("/events/held", Viewer, r.console.Held).says(200, "****6666").lacks("18666666666")
	r.get("/events/rejected", Viewer, r.console.Rejected).lacks("/accept")
}

func TestSearchPage(t *testing.T) {
	r := newRoom(t)
	r.as(opsToken)
	r.get("/waybills", Viewer, r.console.Waybills).says(200, "By the whole number").lacks("No waybill has")
	r.scan("SF100066", state.PickupDone, "x", "T")
	r.scan("SF200066", state.PickupDone, "x", "T")
	r.get("/waybills?q=+SF100066+", Viewer, r.console.Waybills).leadsTo("/waybills/SF/SF100066")
	r.get("/waybills?q=0066", Viewer, r.console.Waybills).says(200, "SF100066", "SF200066")
	r.get("/waybills?q=9999", Viewer, r.console.Waybills).says(200, "No waybill has the number “9999”")
	r.get("/waybills?q=66", Viewer, r.console.Waybills).says(200, "give at least its last 4 characters")
	r.get("/waybills?q=sf200066", Viewer, r.console.Waybills).says(200, "SF200066")
	for i := range 101 {
		r.scan(fmt.Sprintf("YT%03d0066", i), state.PickupDone, "x", "T")
	}
	r.get("/waybills?q=0066", Viewer, r.console.Waybills).says(200, "another digit narrows it down", "YT0000066").has(`rel="next"`)
	r.get("/waybills?q=a+b", Viewer, r.console.Waybills).says(400, "q must be given once")
	r.get("/waybills?q="+url.QueryEscape(strings.ReplaceAll(evil, " ", "")), Viewer, r.console.Waybills).says(200).lacks("<script>alert")
}

func TestSilentPage(t *testing.T) {
	r := newRoomAgo(t, 50*time.Hour)
	r.as(opsToken)
	r.get("/silent", Viewer, r.console.Silent).says(200, "No silent waybill: whatever is under way", "in transit 48 h")
	r.end("SF1", r.scan("SF1", state.PickupDone, evil, "T"), store.Failed, 47001)
	r.scan("SF2", state.PickupDone, "x", "")
	r.ago.Store(0)
	r.get("/silent", Viewer, r.console.Silent).says(200, "SF1", "2 d 2 h", "1 failed", evil).lacks("<script>alert", "SF2")
	r.get("/silent?no_token=1&stage=picked_up&hours=", Viewer, r.console.Silent).says(200, "SF2", "SF1").has(`checked`, `<input type="hidden" name="stage" value="picked_up">`)
	r.get("/silent?stage=in_transit", Viewer, r.console.Silent).says(200, "No silent waybill:")
	r.get("/silent?hours=60", Viewer, r.console.Silent).says(200, "No silent waybill:").lacks("Usual:")
	r.get("/silent?hours=many", Viewer, r.console.Silent).says(400, "hours must be given once").has(`value="many"`)
}

// TestViewersAreRefused: every act of these pages, as the server lists them, needs an operator; here each handler's way
// of changing things is refused by what stands before it.
func TestViewersAreRefused(t *testing.T) {
	r := newRoom(t)
	seq := r.scan("SF1", state.PickupDone, "x", "T")
	r.end("SF1", seq, store.Failed, 47001)
	r.as(deskToken)
	r.at(seq).at(sf("SF1"))
	acts := map[string]Handler{
		"replay": r.console.ReplayPush, "discard": r.console.DiscardPush, "retry": r.console.RetryPush, "chosen": r.console.ReplayChosen, "all": r.console.ReplayAll,
		"freeze": r.console.FreezeWaybill, "thaw": r.console.ThawWaybill, "skip": r.console.SkipHead, "head": r.console.RetryHead, "token": r.console.PutToken,
		"heal": r.console.Heal, "expunge": r.console.Expunge, "accept": r.console.AcceptEvent,
	}
	form := url.Values{"confirmed": {"yes"}, "typed": {"SF1"}, "reason": {"x"}, "seq": {"1"}, "token": {"T2"}}
	for name, act := range acts {
		r.post("/"+name, Operator, act, form).says(403, "Nothing was done")
	}
	if page, err := r.store.Audit(t.Context(), store.AuditQuery{Limit: 10}); err != nil || len(page.Items) > 0 || r.status(seq) != store.Failed {
		t.Errorf("%+v, %v, %s", page.Items, err, r.status(seq))
	}
}

// TestPagesInChinese: each page is made in Chinese, too.
func TestPagesInChinese(t *testing.T) {
	r := newRoom(t)
	r.as(opsToken)
	r.cookies[langCookie] = "zh-CN"
	seq := r.scan("SF100066", state.PickupDone, "x", "T")
	r.end("SF100066", seq, store.Failed, 9300507)
	r.scan("SF100066", state.Cancelled, "x", "")
	r.at(seq).at(sf("SF100066"))
	tests := []struct {
		path   string
		handle Handler
		want   string
	}{
		{"/pushes", r.console.Pushes, "重放所选"}, {"/pushes/1", r.console.Push, "每次尝试"}, {"/waybills", r.console.Waybills, "末 4 位及以上"},
		{"/waybills?q=0066", r.console.Waybills, "SF100066"}, {"/waybills/SF/SF100066", r.console.Waybill, "客户所见"},
		{"/events/rejected", r.console.Rejected, "人工放行"}, {"/events/held", r.console.Held, "没有符合条件的暂存事件"}, {"/silent", r.console.Silent, "没有停滞运单"},
	}
	for _, tt := range tests {
		r.get(tt.path, Viewer, tt.handle).says(http.StatusOK, tt.want)
	}
	r.post("/pushes/replay", Operator, r.console.ReplayAll, url.Values{}).says(200, "重放预演", "再次发送")
	r.post("/expunge", Operator, r.console.Expunge, nil).says(200, "永久清除")
}
