package orders

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"carrier/internal/callback"
	"carrier/internal/problem"
	"carrier/internal/state"
)

// TestForgeries: what isn't WeChat's is answered 401, the same whatever is wrong with it, and changes nothing.
func TestForgeries(t *testing.T) {
	tests := []struct {
		name   string
		result string
		forge  func(r *rig) sent
	}{
		{"another Token", Forged, func(r *rig) sent {
			r.token = "anotherToken"
			return r.seal(r.add("order-1", "W1", "T"), time.Now())
		}},
		{"a changed msg_signature", Forged, func(r *rig) sent {
			s := r.seal(r.add("order-1", "W1", "T"), time.Now())
			s.query.Set("msg_signature", s.query.Get("signature"))
			return s
		}},
		{"no signature", Forged, func(r *rig) sent {
			s := r.seal(r.add("order-1", "W1", "T"), time.Now())
			s.query.Del("msg_signature")
			return s
		}},
		{"another key", Forged, func(r *rig) sent {
			r.key = strings.Repeat("B", 43)
			return r.seal(r.add("order-1", "W1", "T"), time.Now())
		}},
		{"another appid", Forged, func(r *rig) sent {
			r.appID = "wx0000000000000000"
			return r.seal(r.add("order-1", "W1", "T"), time.Now())
		}},
		{"not encrypted", Forged, func(r *rig) sent {
			r.key = ""
			return r.seal(r.add("order-1", "W1", "T"), time.Now())
		}},
		{"another message's Encrypt", Forged, func(r *rig) sent {
			s := r.seal(r.add("order-1", "W1", "T"), time.Now())
			s.body = r.seal(r.add("order-2", "W2", "T"), time.Now()).body
			return s
		}},
		{"too old", Stale, func(r *rig) sent { return r.seal(r.add("order-1", "W1", "T"), time.Now().Add(-11*time.Minute)) }},
		{"too far ahead", Stale, func(r *rig) sent { return r.seal(r.add("order-1", "W1", "T"), time.Now().Add(11*time.Minute)) }},
		{"nothing", Unreadable, func(*rig) sent { return sent{} }},
		{"no message", Unreadable, func(r *rig) sent { return r.seal([]byte("hello"), time.Now()) }},
		{"a DOCTYPE", Unreadable, func(r *rig) sent { return r.seal([]byte("<!DOCTYPE xml><xml></xml>"), time.Now()) }},
	}
	var first string
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, saying(Answer{}, nil))
			a := r.send(tt.forge(r))
			if first == "" {
				first = a.text
			}
			if a.status != 401 || a.text != first {
				t.Errorf("it is answered %d %s, others %s", a.status, a.text, first)
			}
			if len(r.store.calls) > 0 || len(r.dispatch.questions()) > 0 {
				t.Errorf("the store was called: %v, asked %v", r.store.calls, r.dispatch.questions())
			}
			if r.observed("SF  "+tt.result) != 1 {
				t.Errorf("observed %v, want %s", r.seen, tt.result)
			}
			if n := strings.Count(r.log.String(), "level=WARN"); n != 1 || !strings.Contains(r.log.String(), "result="+tt.result) {
				t.Errorf("logged %s", r.log)
			}
		})
	}
}

// TestWindow: a push is taken for ten minutes, either way.
func TestWindow(t *testing.T) {
	r := newRig(t, nil)
	for i, off := range []time.Duration{-590 * time.Second, 0, 590 * time.Second} {
		a := r.send(r.seal(r.add(fmt.Sprint("order-", i), "W1", "T"), time.Now().Add(off)))
		r.want(a, "0", "W1")
	}
}

// TestReplays: where nothing is encrypted, a signature is good for one body only.
func TestReplays(t *testing.T) {
	r := newRig(t, nil).plain()
	s := r.seal(r.add("order-1", "W1", "T"), time.Now())
	a := r.send(s)
	r.want(a, "0", "W1")
	if again := r.send(s); again != a {
		t.Errorf("the same request is answered %+v, at first %+v", again, a)
	}
	forged := s
	forged.body = bytes.ReplaceAll(s.body, []byte("W1"), []byte("W2"))
	if got := r.send(forged); got.status != 401 || r.observed("PLAIN  replayed") != 1 {
		t.Errorf("it is answered %+v, observed %v", got, r.seen)
	}
	if len(r.store.orders) != 1 || len(r.store.tokens) != 1 {
		t.Errorf("kept are %v", r.store.orders)
	}
	r.want(r.send(s), "0", "W1")
}

// TestNoise: strangers get one line a minute and account, however often they try.
func TestNoise(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		x, y := *r.weixin, *r.weixin
		x.token, y.token, y.account = "wrongToken", "wrongToken", "YTO"
		for range 90 {
			for _, w := range []*weixin{&x, &y} {
				if a := w.push(w.add("order-1", "W1", "T")); a.status != 401 {
					t.Fatalf("it is answered %+v", a)
				}
			}
			time.Sleep(time.Second)
		}
		for _, account := range []string{"SF", "YTO"} {
			if n := strings.Count(r.log.String(), "delivery_id="+account); n != 2 {
				t.Errorf("%d lines for %s, want 2:\n%s", n, account, r.log)
			}
			if r.observed(account+"  forged") != 90 {
				t.Errorf("observed %v", r.seen)
			}
		}
		if !strings.Contains(r.log.String(), "withheld=59") {
			t.Errorf("it isn't told how many were not told:\n%s", r.log)
		}
	})
}

// TestNotTaken: accounts that are none, and bodies that are too large.
func TestNotTaken(t *testing.T) {
	r := newRig(t, nil)
	r.weixin.account = "nobody"
	a := r.push(r.add("order-1", "W1", "T"))
	if want := string(problem.New(problem.NotFound).JSON(problem.English)); a.status != 404 || a.text != want {
		t.Errorf("it is answered %d %s, want what any wrong address is: %s", a.status, a.text, want)
	}
	if r.observed("  unknown") != 1 || r.log.String() != "" {
		t.Errorf("observed %v, logged %s", r.seen, r.log)
	}
	r.weixin.account = "SF"
	s := r.seal(r.add("order-1", "W1", "T"), time.Now())
	s.body = bytes.Repeat([]byte("x"), callback.MaxBodyBytes+1)
	if a := r.send(s); a.status != 413 || !strings.Contains(a.text, "1048576") {
		t.Errorf("it is answered %+v", a)
	}
	broken := httptest.NewRequest(http.MethodPost, "/?"+s.query.Encode(), io.MultiReader(strings.NewReader("<xml>"), brokenReader{}))
	if a := r.problem(r.service.Callback(httptest.NewRecorder(), broken, "SF")); a.status != 400 {
		t.Errorf("it is answered %+v", a)
	}
	if len(r.store.calls) > 0 {
		t.Errorf("the store was called: %v", r.store.calls)
	}
}

// TestTake: an account that is no delivery company gets the message itself, and nothing is done with it as with an order.
func TestTake(t *testing.T) {
	r := newRig(t, nil)
	var taken []string
	var trouble error
	(*r.service.accounts.Load())["SF"].other = func(ctx context.Context, m *callback.Message) error {
		if limit, ok := ctx.Deadline(); !ok || time.Until(limit) > answerWithin {
			t.Errorf("it has until %v", limit)
		}
		taken = append(taken, m.Event)
		return trouble
	}
	if a := r.push(r.add("order-1", "W1", "T")); a.status != 200 || a.text != "success" {
		t.Errorf("it is answered %+v", a)
	}
	trouble = errors.New("trouble")
	if a := r.push(r.add("order-2", "W2", "T")); a.status != 500 {
		t.Errorf("with trouble it is answered %+v", a)
	}
	if !slices.Equal(taken, []string{AddWaybill, AddWaybill}) || len(r.store.orders) != 0 || r.observed("SF add_waybill accepted") != 1 || r.observed("SF add_waybill failed") != 1 {
		t.Errorf("taken %q, kept %v, observed %v", taken, r.store.orders, r.seen)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestVerify is the check that WeChat makes when the address is set.
func TestVerify(t *testing.T) {
	r := newRig(t, nil)
	verify := func(token, echostr string, at time.Time) (int, string) {
		timestamp, nonce := strconv.FormatInt(at.Unix(), 10), rand.Text()
		query := fmt.Sprintf("signature=%s&timestamp=%s&nonce=%s&echostr=%s", sha(token, timestamp, nonce), timestamp, nonce, echostr)
		w := httptest.NewRecorder()
		if err := r.service.Callback(w, httptest.NewRequest(http.MethodGet, "/?"+query, nil), "SF"); err != nil {
			a := r.problem(err)
			return a.status, a.text
		}
		return w.Code, w.Header().Get("Content-Type") + " " + w.Body.String()
	}
	if status, text := verify(pushToken, "4375120948345356249", time.Now()); status != 200 || text != "text/plain; charset=utf-8 4375120948345356249" {
		t.Errorf("it is answered %d %s", status, text)
	}
	for name, got := range map[string]func() (int, string){
		"another Token": func() (int, string) { return verify("another", "1", time.Now()) },
		"too old":       func() (int, string) { return verify(pushToken, "1", time.Now().Add(-time.Hour)) },
		"a script":      func() (int, string) { return verify(pushToken, "%3Cscript%3E", time.Now()) },
	} {
		if status, text := got(); status != 401 {
			t.Errorf("%s is answered %d %s", name, status, text)
		}
	}
	if r.observed("SF  verified") != 1 || len(r.store.calls) > 0 {
		t.Errorf("observed %v, the store was called %v", r.seen, r.store.calls)
	}
}

// TestStoreTrouble fails every call of the store in each way: WeChat never hears of anything that isn't kept, is
// answered within 4 s, and finds everything well when it sends again.
func TestStoreTrouble(t *testing.T) {
	type trouble struct{ name, method string }
	for _, c := range []trouble{
		{AddWaybill, "FirstUse"}, {AddWaybill, "ReadOrder"}, {AddWaybill, "PutOrder"},
		{CancelWaybill, "FirstUse"}, {CancelWaybill, "ReadOrder"}, {CancelWaybill, "Waybill"}, {CancelWaybill, "CancelOrder"},
		{GetQuota, "FirstUse"}, {addExpressPath, "FirstUse"}, {addExpressPath, "PutShown"},
	} {
		for _, way := range []string{"lost", "kept", "hangs"} {
			if reads := c.method == "ReadOrder" || c.method == "Waybill"; reads && way == "kept" {
				continue
			}
			t.Run(c.name+": "+c.method+" "+way, func(t *testing.T) { bubble(t, func(t *testing.T) { withTrouble(t, c.name, c.method, way) }) })
		}
	}
}

func withTrouble(t *testing.T, event, method, way string) {
	n := 0
	r := newRig(t, &dispatch{answer: func(_ context.Context, q Question) (Answer, error) {
		n++
		return Answer{WaybillID: "OWN-" + q.ID[:4]}, nil // As good a dispatch system knows a question again.
	}})
	r.created = time.Now().Unix()
	var waybill string
	if event == CancelWaybill {
		waybill = r.push(r.add("order-1", "0", "Token-1")).WayBillID
	}
	message := map[string][]byte{
		AddWaybill: r.add("order-1", "0", "Token-1"), CancelWaybill: r.cancel("order-1", waybill),
		GetQuota: r.event(GetQuota, "BizID", "biz"), addExpressPath: r.path("W9", 16, "x"),
	}[event]
	r.store.mu.Lock()
	map[string]map[string]int{"lost": r.store.lost, "kept": r.store.kept, "hangs": r.store.hangs}[way][method] = 1
	r.store.mu.Unlock()

	s := r.seal(message, time.Now())
	start := time.Now()
	a := r.send(s)
	if a.status != 500 || strings.Contains(a.text, "success") || strings.Contains(a.text, "ResultCode") || strings.Contains(a.text, "broken") {
		t.Errorf("it is answered %+v", a)
	}
	if took := time.Since(start); took > answerWithin {
		t.Errorf("it took %s", took)
	}
	if r.observed("SF "+event+" failed") != 1 || strings.Count(r.log.String(), "level=ERROR") != 1 {
		t.Errorf("observed %v, logged %s", r.seen, r.log)
	}
	time.Sleep(workWithin) // Until what hung has ended.
	for range 2 {
		a = r.send(s)
		switch event {
		case AddWaybill:
			r.want(a, "0", r.store.orders[sfOrder("order-1")].WaybillID)
		case CancelWaybill:
			r.want(a, "0", waybill)
			if w := r.store.waybill(sfWaybill(waybill)); w.Stage != state.Void || len(w.Timeline) != 1 {
				t.Errorf("the waybill is %s: %+v", w.Stage, w.Timeline)
			}
		case addExpressPath:
			if a.text != "success" || len(r.store.shown[sfWaybill("W9")].Actions) != 1 {
				t.Errorf("the repeat is answered %+v, and %+v is kept", a, r.store.shown)
			}
		default:
			if a.status != 200 {
				t.Errorf("the repeat is answered %+v", a)
			}
		}
	}
	if tokens := len(r.store.tokens); (event == AddWaybill || event == CancelWaybill) && (tokens != 1 || len(r.store.orders) != 1) {
		t.Errorf("kept are %v and %v", r.store.orders, r.store.tokens)
	}
}

// TestSecretsStayInside looks for personal data and passwords in everything that is logged, counted, kept or answered,
// with a dispatch system that repeats all that it hears.
func TestSecretsStayInside(t *testing.T) {
	gossip := func(_ context.Context, q Question) (Answer, error) {
		body, _ := encode(q.Body)
		var id string
		if add, ok := q.Body.(addQuestion); ok {
			id = add.OrderID
		}
		switch id {
		case "refused":
			return Answer{Code: -1, Msg: string(body[:min(len(body), 200)])}, nil
		case "unknown":
			return Answer{Code: 77, Msg: string(body)}, nil
		case "panic":
			panic(string(body))
		case "badlabel":
			return Answer{WaybillData: map[string]string{canaryPwd + "#": "x"}}, nil
		}
		return Answer{Msg: string(body), WaybillData: map[string]string{"pwd": "x" + canaryPwd}}, nil
	}
	for _, asJSON := range []bool{false, true} {
		r := newRig(t, &dispatch{answer: gossip})
		r.json = asJSON
		var all strings.Builder
		for _, id := range []string{"taken", "refused", "unknown", "panic", "badlabel"} {
			a := r.push(r.add(id, "W1", "canary-waybill-Token"))
			fmt.Fprintf(&all, "%s answered %+v\n", id, a)
		}
		fmt.Fprintf(&all, "%+v\n", r.push(r.cancel("taken", "W1")))
		fmt.Fprintf(&all, "%+v\n", r.push(r.event(CheckBiz, "BizID", "biz", "BizPwd", canaryPwd, "SenderAddress", canaryAddress, "ShopTelphone", canaryPhone)))
		fmt.Fprintf(&all, "%+v\n", r.push(r.add("taken", "W 1", "canary-waybill-Token")))
		x := *r.weixin
		x.token = "wrongToken"
		fmt.Fprintf(&all, "%+v\n", x.push(x.add("forged", "W1", "canary-waybill-Token")))
		answers := all.String()
		others := fmt.Sprintf("%s %v %+v %+v", r.log, r.seen, r.store.orders, r.store.waybills)
		for _, secret := range []string{canaryPwd, canaryPhone, canaryAddress, canaryName, "canary-waybill-Token", pushToken, aesKey} {
			if i := strings.Index(others, secret); i >= 0 {
				t.Errorf("%s is in what is kept or logged: ...%s...", secret, others[max(0, i-200):i+len(secret)])
			}
		}
		if strings.Contains(answers, canaryPwd) {
			t.Errorf("the password is in an answer: %s", answers)
		}
		if strings.Count(r.log.String(), "level=INFO") < 6 {
			t.Errorf("little was logged: %s", r.log)
		}
	}
}

// FuzzMessage sends any message at all, rightly signed, to an account without a key: it is answered without a panic, with
// a status that is meant, and what is kept has all that it needs.
func FuzzMessage(f *testing.F) {
	seeds := newRig(f, nil).plain()
	for _, asJSON := range []bool{false, true} {
		seeds.json = asJSON
		f.Add(seeds.add("order-1", "W1", "Token-1"))
		f.Add(seeds.add("order-1", "0", "Token-1"))
		f.Add(seeds.cancel("order-1", "W1"))
		f.Add(seeds.event(GetQuota, "BizID", "biz"))
		f.Add(seeds.path("W1", 16, "x", "y"))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		r := newRig(t, nil).plain()
		s := r.seal(message, time.Now())
		for range 2 {
			w := httptest.NewRecorder()
			err := r.service.Callback(w, httptest.NewRequest(http.MethodPost, "/?"+s.query.Encode(), bytes.NewReader(s.body)), "PLAIN")
			if err != nil {
				if status := r.problem(err).status; status != 401 {
					t.Errorf("it is answered %d", status)
				}
			} else if w.Code != 200 || w.Body.Len() == 0 {
				t.Errorf("it is answered %d %s", w.Code, w.Body)
			}
		}
		for key, o := range r.store.orders {
			if key.BizID == "" || key.OrderID == "" || key.DeliveryID != "PLAIN" || !state.IsWaybillID(o.WaybillID) || o.WaybillID == "0" ||
				len(r.store.tokens[o.Waybill()]) != 1 || strings.ContainsAny(key.BizID+key.OrderID, "\x00\n") {
				t.Errorf("kept is %+v", o)
			}
		}
		for w, shown := range r.store.shown {
			if err := shown.Fit(w); err != nil {
				t.Errorf("kept is %+v: %v", shown, err)
			}
		}
	})
}
