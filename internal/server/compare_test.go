package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"carrier/internal/admin"
	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/verify"
	"carrier/internal/wechat"
)

// lost is a waybill of which WeChat shows the first and the last push, not the second.
func (r *rig) lost() {
	at := time.Now().Add(-time.Hour)
	for i, kind := range []state.ActionType{state.PickupDone, state.Transit, state.DeliveryBegun} {
		n := uint64(i + 1)
		r.store.pushes = append(r.store.pushes, store.Push{
			Seq: n, Ord: n, Status: store.Delivered, DoneAt: at,
			Event: state.Event{DeliveryID: "SF", WaybillID: "W1", Type: kind, Time: int64(100 * n), Msg: fmt.Sprintf("第 %d 步 18666666666", n)},
		})
	}
	node := func(i int) wechat.PathItem {
		e := r.store.pushes[i].Event
		return wechat.PathItem{ActionTime: e.Time, ActionType: int64(e.Type), ActionMsg: e.Msg}
	}
	r.weChat.shown = verify.Shown{
		Merchant: "shop", AskedAt: time.Now(), Settled: time.Now().Add(-time.Minute), OrderID: "order-1", Order: &wechat.Order{}, Path: []wechat.PathItem{node(0), node(2)},
	}
}

const w1 = "/admin/v1/waybills/SF/W1"

func decoded[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

func kinds(u *admin.UpstreamItem) (all []verify.Kind) {
	for _, l := range u.Lines {
		all = append(all, l.Kind)
	}
	return all
}

func TestUpstream(t *testing.T) {
	r := newRig(t)
	r.lost()
	w := r.do("GET", w1+"/upstream?merchant=shop&order_id=o%2F1&openid=oABC", "")
	wantStatus(t, w, 200)
	if want := (verify.Hint{Merchant: "shop", OrderID: "o/1", OpenID: "oABC"}); r.weChat.hint != want {
		t.Errorf("asked with %+v, want %+v", r.weChat.hint, want)
	}
	got := decoded[admin.UpstreamItem](t, w.Body.String())
	if got.Same || !slices.Equal(kinds(&got), []verify.Kind{verify.Same, verify.Missing, verify.Same}) {
		t.Errorf("the lines are %v, same is %v", kinds(&got), got.Same)
	}
	if len(got.Totals) != len(verify.Kinds()) || got.Totals[verify.Missing] != 1 || got.Totals[verify.Same] != 2 {
		t.Errorf("the totals are %v", got.Totals)
	}
	if got.Order == nil || *got.Order.Errcode != 0 || *got.Order.OrderStatus != 0 || got.Order.Cancelled || got.Merchant != "shop" || got.AskedAt.IsZero() {
		t.Errorf("the order is %+v of %s, asked at %v", got.Order, got.Merchant, got.AskedAt)
	}
	if l := got.Lines[1]; l.Seq != 2 || l.Upstream != nil || l.Delivered.ActionMsg != "第 2 步 18666666666" || !strings.Contains(l.Text.En, "heal") {
		t.Errorf("the missing line is %+v", l)
	}
}

// TestUpstreamForViewers: phone numbers are masked, of what was sent and of what WeChat shows or says.
func TestUpstreamForViewers(t *testing.T) {
	r := newRig(t)
	r.lost()
	refused := &wechat.RefusedError{Op: "getOrder", Answer: wechat.Answer{Errcode: 9300528, Errmsg: "not 18666666666's"}}
	r.weChat.shown.Order, r.weChat.shown.OrderErr = nil, refused
	w := r.do("GET", w1+"/upstream", "", "Authorization", "Bearer "+deskToken)
	wantStatus(t, w, 200)
	if text := w.Body.String(); strings.Contains(text, "18666666666") || strings.Count(text, "186****6666") != 6 {
		t.Errorf("a viewer sees %s", text)
	}
	got := decoded[admin.UpstreamItem](t, w.Body.String())
	if got.Order == nil || *got.Order.Errcode != 9300528 || got.Order.OrderStatus != nil || len(got.Notes) != 1 {
		t.Errorf("the order is %+v, noted %v", got.Order, got.Notes)
	}
	r.weChat.err = refused
	w = r.do("GET", w1+"/upstream", "", "Authorization", "Bearer "+deskToken)
	if wantStatus(t, w, 502); strings.Contains(w.Body.String(), "18666666666") {
		t.Errorf("a viewer sees %s", w.Body)
	}
}

func TestUpstreamNotes(t *testing.T) {
	for _, test := range []struct {
		name string
		set  func(s *verify.Shown)
		want []string
	}{
		{"nothing to say", func(*verify.Shown) {}, nil},
		{"the order is not known", func(s *verify.Shown) { s.OrderID, s.Order = "", nil }, []string{"order_id"}},
		{"it was cancelled", func(s *verify.Shown) { s.Order = &wechat.Order{OrderStatus: 1} }, []string{"cancelled"}},
		{"it can't be read", func(s *verify.Shown) {
			s.Order, s.OrderErr = nil, &wechat.CallError{Op: "getOrder", Kind: "timeout", Err: context.DeadlineExceeded}
		}, []string{"order.errmsg"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.lost()
			test.set(&r.weChat.shown)
			w := r.do("GET", w1+"/upstream", "")
			wantStatus(t, w, 200)
			got := decoded[admin.UpstreamItem](t, w.Body.String())
			if len(got.Notes) != len(test.want) {
				t.Fatalf("the notes are %v, want %d", got.Notes, len(test.want))
			}
			for i, n := range got.Notes {
				if !strings.Contains(n.En, test.want[i]) || n.Zh == "" {
					t.Errorf("note %+v, want %s", n, test.want[i])
				}
			}
		})
	}
}

// TestUpstreamRefusals: each says what is missing, and what to do about it.
func TestUpstreamRefusals(t *testing.T) {
	for _, test := range []struct {
		name   string
		err    error
		status int
		code   string
		want   []string
	}{
		{"no merchants", &verify.MerchantError{}, 409, "conflict_state", []string{"merchants", "appid"}},
		{"another name", &verify.MerchantError{Name: "x", Names: []string{"shop", "mall"}}, 400, "invalid_request", []string{`"field":"merchant"`, "shop, mall"}},
		{"another shop", &verify.MerchantError{ShopAppID: "wx9", Names: []string{"shop"}}, 409, "conflict_state",
			[]string{"shop_appids", `"shop_appid":"wx9"`, "(shop)"}},
		{"several merchants", &verify.MerchantError{Names: []string{"shop", "mall"}}, 400, "invalid_request", []string{"not known here", "shop, mall"}},
		{"refused", &wechat.RefusedError{Op: "getPath", Answer: wechat.Answer{Errcode: 40199, Errmsg: "no rid: a-b", RID: "a-b"}}, 502, "upstream_failed",
			[]string{`"errcode":40199`, `"rid":"a-b"`, `"call":"getPath"`, "order_id"}},
		{"no answer", &wechat.CallError{Op: "getPath", Kind: wechat.KindNetwork, Err: errors.New("reset")}, 502, "upstream_failed", []string{"getPath"}},
		{"no answer in time", &wechat.CallError{Op: "getPath", Kind: wechat.KindTimeout, Err: context.DeadlineExceeded}, 504, "upstream_timeout", []string{"getPath"}},
		{"no access_token", &wechat.TokenError{Errcode: 40125}, 502, "upstream_failed", []string{"access_token"}},
		{"too slow", context.DeadlineExceeded, 504, "upstream_timeout", nil},
		{"the store", store.ErrUnavailable, 503, "store_unavailable", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.lost()
			r.weChat.shown, r.weChat.err = verify.Shown{}, test.err
			for _, w := range []struct{ method, path string }{{"GET", "/upstream"}, {"POST", "/heal"}} {
				answer := r.do(w.method, w1+w.path, "")
				wantProblem(t, answer, test.status, test.code)
				for _, want := range test.want {
					if !strings.Contains(answer.Body.String(), want) {
						t.Errorf("%s: got %s, want %s", w.path, answer.Body, want)
					}
				}
			}
			if len(r.store.acts) > 0 {
				t.Errorf("kept %+v", r.store.acts)
			}
		})
	}
	r := newRig(t)
	wantProblem(t, r.do("GET", w1+"/upstream?mechant=shop", ""), 400, "invalid_filter")
	wantProblem(t, r.do("POST", w1+"/heal?merchant=shop", ""), 400, "invalid_filter")
	wantProblem(t, r.do("POST", w1+"/heal", `{"dry_run":"yes"}`), 400, "invalid_request")
	wantProblem(t, r.do("POST", "/admin/v1/waybills/XX/W1/heal", ""), 404, "not_found")
	r.store.gone = true
	wantProblem(t, r.do("GET", w1+"/upstream", ""), 404, "not_found")
}

func TestHeal(t *testing.T) {
	r := newRig(t)
	r.lost()
	w := r.do("POST", w1+"/heal", `{"dry_run":true,"merchant":"shop","order_id":"o","openid":"oABC"}`)
	wantStatus(t, w, 200)
	plan := decoded[admin.HealItem](t, w.Body.String())
	if !plan.DryRun || !slices.Equal(plan.Seqs, []uint64{2}) || plan.Replay != nil || plan.Upstream.Totals[verify.Missing] != 1 || len(r.store.acts) > 0 {
		t.Errorf("the plan is %+v, kept %+v", plan, r.store.acts)
	}
	if want := (verify.Hint{Merchant: "shop", OrderID: "o", OpenID: "oABC"}); r.weChat.hint != want {
		t.Errorf("asked with %+v, want %+v", r.weChat.hint, want)
	}
	if !strings.Contains(plan.Text.En, "order of arrival") { // It lies before one that is shown.
		t.Errorf("the text is %+v", plan.Text)
	}
	w = r.do("POST", w1+"/heal", `{"reason":"the customer asks"}`, "X-Forwarded-For", "1.1.1.1")
	wantStatus(t, w, 202)
	done := decoded[admin.HealItem](t, w.Body.String())
	if done.DryRun || !slices.Equal(done.Seqs, []uint64{2}) || done.Replay == nil || done.Replay.Requeued != 1 {
		t.Errorf("it is healed as %+v", done)
	}
	act := store.Act{By: "ops", From: "192.0.2.1", Action: store.ActHeal, Reason: "the customer asks"}
	if !slices.Equal(r.store.resent, []uint64{2}) || !slices.Equal(r.store.acts, []store.Act{act}) {
		t.Errorf("sent %v again, kept %+v", r.store.resent, r.store.acts)
	}
}

// TestHealTwiceAtOnce: what one heal sends again while the other asks WeChat is not sent a third time.
func TestHealTwiceAtOnce(t *testing.T) {
	for _, test := range []struct {
		name string
		push func(p *store.Push)
	}{
		{"on its way", func(p *store.Push) { p.Status, p.Replay = store.Pending, 1 }},
		{"delivered", func(p *store.Push) { p.DoneAt, p.Replay = time.Now(), 1 }},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.lost()
			r.weChat.meanwhile = func() { test.push(&r.store.pushes[1]) }
			w := r.do("POST", w1+"/heal", `{}`)
			wantStatus(t, w, 200)
			if got := decoded[admin.HealItem](t, w.Body.String()); len(got.Seqs) != 0 || got.Replay != nil || len(r.store.resent) != 0 {
				t.Errorf("it sends %v again as %+v", r.store.resent, got.Replay)
			} else if !strings.Contains(got.Text.En, "being sent again") {
				t.Errorf("it says %+v", got.Text)
			}
		})
	}
}

// TestHealNothing: what is not missing, or may show yet, is not pushed again; nor is an order that was cancelled.
func TestHealNothing(t *testing.T) {
	for _, test := range []struct {
		name   string
		set    func(r *rig)
		status int
		want   string
	}{
		{"nothing is missing", func(r *rig) { r.store.pushes = r.store.pushes[:1] }, 200, "Nothing is missing"},
		{"it may show yet", func(r *rig) { r.store.pushes[1].DoneAt = time.Now() }, 200, "look again later"},
		{"another text", func(r *rig) { r.store.pushes = r.store.pushes[:1]; r.weChat.shown.Path[0].ActionMsg = "x" }, 200, `"changed":1`},
		{"the order was cancelled", func(r *rig) { r.weChat.shown.Order = &wechat.Order{OrderStatus: 1} }, 409, `"order_status":1`},
		{"it is on its way by now", func(r *rig) { r.store.refuses = true }, 409, `"seqs":[2]`},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.lost()
			test.set(r)
			w := r.do("POST", w1+"/heal", `{"reason":"why"}`)
			wantStatus(t, w, test.status)
			if !strings.Contains(w.Body.String(), test.want) {
				t.Errorf("got %s, want %s", w.Body, test.want)
			}
			if len(r.store.acts) > 0 {
				t.Errorf("kept %+v", r.store.acts)
			}
		})
	}
}
