package orders

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

func sfOrder(id string) store.OrderKey {
	return store.OrderKey{DeliveryID: "SF", BizID: "biz", OrderID: id}
}

// TestAddWaybill takes an order in every format and mode, without a dispatch system.
func TestAddWaybill(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		for _, account := range []string{"SF", "PLAIN"} {
			t.Run(fmt.Sprintf("%s json=%t", account, asJSON), func(t *testing.T) {
				r := newRig(t, nil)
				if account == "PLAIN" {
					r.plain()
				}
				r.json = asJSON
				a := r.push(r.add("order-1", "SF0001", "Token-1"))
				r.want(a, "0", "SF0001")
				if a.Token != "Token-1" || a.OrderID != "order-1" || a.BizID != "biz" || a.Event != AddWaybill || a.WaybillData != "" {
					t.Errorf("the reply is %+v", a)
				}
				key := store.OrderKey{DeliveryID: account, BizID: "biz", OrderID: "order-1"}
				got := r.store.orders[key]
				if got.WaybillID != "SF0001" || got.ShopAppID != "wxShop" || got.ReceivedAt.IsZero() {
					t.Errorf("kept is %+v", got)
				}
				if tokens := r.store.tokens[state.Waybill{DeliveryID: account, WaybillID: "SF0001"}]; !slices.Equal(tokens, []string{"Token-1"}) {
					t.Errorf("the Tokens are %q", tokens)
				}
				if n := r.observed(account + " add_waybill accepted"); n != 1 {
					t.Errorf("observed %v", r.seen)
				}
			})
		}
	}
}

// TestNobodyNumbersWaybills: without a dispatch system there is nobody to number a waybill, and nothing is kept.
func TestNobodyNumbersWaybills(t *testing.T) {
	r := newRig(t, nil)
	a := r.push(r.add("order-1", "0", "Token-1"))
	r.want(a, "-1", "0")
	if len(r.store.orders) != 0 || len(r.store.tokens) != 0 || r.observed("SF add_waybill refused") != 1 {
		t.Errorf("kept are %v and %v, observed %v", r.store.orders, r.store.tokens, r.seen)
	}
}

// TestRepeatedOrder: the same order again gets the same answer, nobody is asked again, and the newest Token is kept.
func TestRepeatedOrder(t *testing.T) {
	n := 0
	d := &dispatch{answer: func(context.Context, Question) (Answer, error) {
		n++
		return Answer{WaybillID: fmt.Sprintf("OWN%d", n), WaybillData: map[string]string{"mark": "888-666", "bagAddr": "广州"}}, nil
	}}
	r := newRig(t, d)
	first := r.seal(r.add("order-1", "0", "Token-1"), time.Now())
	a := r.send(first)
	r.want(a, "0", "OWN1")
	if a.WaybillData != "##bagAddr##广州##mark##888-666##" {
		t.Errorf("WaybillData is %q", a.WaybillData)
	}
	if again := r.send(first); again != a {
		t.Errorf("the same request is answered\n%+v, at first\n%+v", again, a)
	}
	b := r.push(r.add("order-1", "0", "Token-2"))
	r.want(b, "0", "OWN1")
	if b.Token != "Token-2" || b.WaybillData != a.WaybillData {
		t.Errorf("the repeat is answered %+v", b)
	}
	r.want(r.push(r.add("order-1", "SF0001", "Token-3")), "0", "OWN1") // Whatever number comes with it.
	if tokens := r.store.tokensOf("OWN1"); !slices.Equal(tokens, []string{"Token-1", "Token-2", "Token-3"}) {
		t.Errorf("the Tokens are %q", tokens)
	}
	if len(d.questions()) != 1 || len(r.store.orders) != 1 {
		t.Errorf("asked %d times for %d orders", len(d.questions()), len(r.store.orders))
	}
	if r.observed("SF add_waybill accepted") != 1 || r.observed("SF add_waybill repeated") != 3 {
		t.Errorf("observed %v", r.seen)
	}
}

// TestOrderThreeTimesAtOnce: WeChat repeats while the first sending is under way: one waybill, one answer.
func TestOrderThreeTimesAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := 0
		d := &dispatch{answer: func(context.Context, Question) (Answer, error) {
			n++
			time.Sleep(2 * time.Second)
			return Answer{WaybillID: fmt.Sprintf("OWN%d", n)}, nil
		}}
		r := newRig(t, d)
		answers := make([]answer, 3)
		var all sync.WaitGroup
		for i := range answers {
			message := r.add("order-1", "0", fmt.Sprintf("Token-%d", i))
			all.Go(func() { answers[i] = r.push(message) })
		}
		all.Wait()
		for i, a := range answers {
			r.want(a, "0", "OWN1")
			if want := fmt.Sprintf("Token-%d", i); a.Token != want {
				t.Errorf("the Token is %q, want %q", a.Token, want)
			}
		}
		tokens := r.store.tokensOf("OWN1")
		slices.Sort(tokens)
		if !slices.Equal(tokens, []string{"Token-0", "Token-1", "Token-2"}) {
			t.Errorf("the Tokens are %q", tokens)
		}
		if len(d.questions()) != 1 || len(r.store.orders) != 1 {
			t.Errorf("asked %d times for %d orders", len(d.questions()), len(r.store.orders))
		}
	})
}

// TestOrdersAreApart: the same ids of another account, merchant or order are another order.
func TestOrdersAreApart(t *testing.T) {
	r := newRig(t, nil)
	r.want(r.push(r.add("order-1", "W1", "T1")), "0", "W1")
	r.want(r.push(r.add("order-2", "W2", "T2")), "0", "W2")
	r.weixin.account = "YTO"
	r.want(r.push(r.add("order-1", "W3", "T3")), "0", "W3")
	if len(r.store.orders) != 3 {
		t.Errorf("kept are %v", r.store.orders)
	}
}

// TestWhatDispatchSays: every kind of answer of a dispatch system, and what WeChat hears of it.
func TestWhatDispatchSays(t *testing.T) {
	tests := []struct {
		name    string
		given   string // WayBillID
		answer  Answer
		err     error
		code    string
		waybill string
		msg     string
		logged  string
	}{
		{name: "a yes to a given number", given: "W1", answer: Answer{}, code: "0", waybill: "W1", msg: "success"},
		{name: "a yes that repeats it", given: "W1", answer: Answer{WaybillID: "W1", Msg: "寄往" + canaryAddress}, code: "0", waybill: "W1", msg: "success"},
		{name: "a yes to another number", given: "W1", answer: Answer{WaybillID: "W2"}, code: "-1", waybill: "W1", msg: textDispatch, logged: "not the one that WeChat gave"},
		{name: "a number of its own", given: "0", answer: Answer{WaybillID: "OWN"}, code: "0", waybill: "OWN", msg: "success"},
		{name: "no number of its own", given: "0", answer: Answer{}, code: "-1", waybill: "0", msg: textDispatch, logged: "is empty"},
		{name: "0 as a number", given: "0", answer: Answer{WaybillID: "0"}, code: "-1", waybill: "0", msg: textDispatch, logged: "waybill_id"},
		{name: "a number with a space", given: "0", answer: Answer{WaybillID: "a b"}, code: "-1", waybill: "0", msg: textDispatch, logged: "waybill_id"},
		{name: "a number that is too long", given: "0", answer: Answer{WaybillID: strings.Repeat("1", 65)}, code: "-1", waybill: "0", msg: textDispatch, logged: "waybill_id"},
		{name: "label data that can't be written", given: "W1", answer: Answer{WaybillData: map[string]string{"a": "b##c"}}, code: "-1", waybill: "W1", msg: textDispatch, logged: "waybill_data"},
		{name: "too much label data", given: "W1", answer: Answer{WaybillData: map[string]string{"a": strings.Repeat("x", 5000)}}, code: "-1", waybill: "W1", msg: textDispatch, logged: "too long"},
		{name: "a documented no", given: "W1", answer: Answer{Code: 20005, Msg: "不派送"}, code: "20005", waybill: "W1", msg: "不派送"},
		{name: "a no without words", given: "W1", answer: Answer{Code: 20007}, code: "20007", waybill: "W1", msg: textRefused},
		{name: "a no with too many words", given: "W1", answer: Answer{Code: -1, Msg: strings.Repeat("不", 1000)}, code: "-1", waybill: "W1", msg: strings.Repeat("不", 84) + "…"},
		{name: "a no that tells the password", given: "W1", answer: Answer{Code: 10002, Msg: "wrong: " + canaryPwd + "\x00\n"}, code: "10002", waybill: "W1", msg: "wrong: ***"},
		{name: "a code of another event", given: "W1", answer: Answer{Code: 30002}, code: "-1", waybill: "W1", msg: textRefused, logged: "result_code=30002"},
		{name: "a code that is none", given: "W1", answer: Answer{Code: 500, Msg: "x"}, code: "-1", waybill: "W1", msg: "x", logged: "result_code=500"},
		{name: "an error", given: "W1", err: errors.New("out of order"), code: "-1", waybill: "W1", msg: textDispatch, logged: "out of order"},
		{name: "nobody, and a number", given: "W1", err: fmt.Errorf("asking: %w", ErrNobody), code: "0", waybill: "W1", msg: "success"},
		{name: "nobody, and no number", given: "0", err: ErrNobody, code: "-1", waybill: "0", msg: textNoNumber},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := saying(tt.answer, tt.err)
			r := newRig(t, d)
			a := r.push(r.add("order-1", tt.given, "Token-1"))
			r.want(a, tt.code, tt.waybill)
			if a.ResultMsg != tt.msg {
				t.Errorf("ResultMsg is %q, want %q", a.ResultMsg, tt.msg)
			}
			if !strings.Contains(r.log.String(), tt.logged) {
				t.Errorf("%q is not in the log: %s", tt.logged, r.log)
			}
			kept := len(r.store.orders) + len(r.store.tokens)
			if want := map[bool]int{true: 2}[tt.code == "0"]; kept != want {
				t.Errorf("%d rows are kept, want %d", kept, want)
			}
			if tt.code == "0" {
				return
			}
			d.answer = func(context.Context, Question) (Answer, error) { return Answer{WaybillID: tt.given + "9"}, nil }
			if tt.given == "0" {
				r.want(r.push(r.add("order-1", tt.given, "Token-1")), "0", "09") // A no isn't for good.
			}
		})
	}
}

// TestQuestion: a dispatch system hears all that WeChat says, apart from the Token, under an id that a repeat has too.
func TestQuestion(t *testing.T) {
	d := saying(Answer{Code: -1}, nil)
	r := newRig(t, d)
	r.created = 1_700_000_000
	for range 2 {
		r.push(r.add("order-1", "0", "Token-1"))
	}
	r.created++
	r.push(r.add("order-1", "0", "Token-1"))
	r.push(r.add("order-2", "W2", "Token-1"))
	q := d.questions()
	if len(q) != 4 || q[0].ID != q[1].ID || q[1].ID == q[2].ID || q[2].ID == q[3].ID || q[0].DeliveryID != "SF" || q[0].Event != AddWaybill {
		t.Errorf("asked %v", q)
	}
	got, err := encode(q[0].Body)
	if err != nil {
		t.Fatal(err)
	}
	person := `{"name":"` + canaryName + `","tel":"","mobile":"` + canaryPhone + `","company":"","post_code":"","country":"COUNTRY","province":"广东省","city":"广州市","area":"海珠区","address":"` + canaryAddress + `"}`
	want := `{"event":"add_waybill","delivery_id":"SF","create_time":1700000000,"biz_id":"biz","biz_pwd":"` + canaryPwd + `","shop_app_id":"wxShop","order_id":"order-1","remark":"轻放",` +
		`"sender":` + person + `,"receiver":` + person + `,"cargo":{"weight":1.2,"space_x":20.5,"space_y":15,"space_z":10,"count":2,"detail_list":[{"name":"a","count":1},{"name":"b","count":1}]},` +
		`"insured":{"use_insured":1,"insured_value":10000},"service":{"service_type":0,"service_name":"标准快递"}}`
	want = strings.ReplaceAll(want, "COUNTRY", q[0].Body.(addQuestion).Sender.Country)
	if string(got) != want {
		t.Errorf("asked\n%s\nwant\n%s", got, want)
	}
	if last, _ := encode(q[3].Body); !strings.Contains(string(last), `"waybill_id":"W2"`) {
		t.Errorf("asked %s", last)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d"} {
		if text := fmt.Sprintf(verb, q[0]); strings.Contains(text, canaryPhone) || strings.Contains(text, canaryPwd) {
			t.Errorf("%s of a question is %s", verb, text)
		}
	}
}

// TestUnfitOrders: what can't be kept or pushed is refused without asking anybody.
func TestUnfitOrders(t *testing.T) {
	d := saying(Answer{}, nil)
	r := newRig(t, d)
	r.json = true
	r.want(r.push(r.add("order-1", "W1", strings.Repeat("x", 256))), "0", "W1")
	r.want(r.push(r.add("order-2", "W1", strings.Repeat("x", 257))), "-1", "W1")
	r.want(r.push(r.add("order-2", "W1", "")), "-1", "W1")
	r.want(r.push(r.add("", "W1", "T")), "-1", "W1")
	r.want(r.push(r.add("order\x00", "W1", "T")), "-1", "W1")
	r.want(r.push(r.add(strings.Repeat("x", 513), "W1", "T")), "-1", "W1")
	r.want(r.push(r.add("order-2", "W 1", "T")), "20001", "W 1")
	r.want(r.push(r.add("order-2", "", "T")), "20001", "")
	if len(d.questions()) != 1 || len(r.store.orders) != 1 {
		t.Errorf("asked %d times, kept %v", len(d.questions()), r.store.orders)
	}
}

// TestSlowDispatch: whatever the dispatch system does, WeChat is answered within 4 s.
func TestSlowDispatch(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, &dispatch{answer: func(ctx context.Context, _ Question) (Answer, error) {
			<-ctx.Done()
			return Answer{}, context.Cause(ctx)
		}})
		start := time.Now()
		a := r.push(r.add("order-1", "W1", "Token-1"))
		r.want(a, "-1", "W1")
		if took := time.Since(start); took != askWithin {
			t.Errorf("it took %s", took)
		}
		if !strings.Contains(r.log.String(), "did not answer within 3.5s") {
			t.Errorf("the log is %s", r.log)
		}
	})
}

// TestDispatchThatNeverReturns: not even one that doesn't listen to its context holds WeChat up.
func TestDispatchThatNeverReturns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, &dispatch{answer: func(context.Context, Question) (Answer, error) {
			time.Sleep(time.Minute)
			return Answer{}, nil
		}})
		start := time.Now()
		if a := r.push(r.add("order-1", "W1", "Token-1")); a.status != 500 {
			t.Errorf("it is answered %+v", a)
		}
		if took := time.Since(start); took != answerWithin {
			t.Errorf("it took %s", took)
		}
	})
}

// TestDispatchThatPanics: the process goes on, and nothing of what was thrown is told.
func TestDispatchThatPanics(t *testing.T) {
	r := newRig(t, &dispatch{answer: func(context.Context, Question) (Answer, error) { panic("thrown " + canaryPwd) }})
	if a := r.push(r.add("order-1", "W1", "Token-1")); a.status != 500 {
		t.Errorf("it is answered %+v", a)
	}
	if log := r.log.String(); !strings.Contains(log, "panic") || strings.Contains(log, "thrown") {
		t.Errorf("the log is %s", log)
	}
}

// TestWorkGoesOn: an order that took too long is kept all the same, and the repeat gets its answer.
func TestWorkGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := 0
		d := &dispatch{answer: func(context.Context, Question) (Answer, error) {
			n++
			return Answer{WaybillID: fmt.Sprintf("OWN%d", n)}, nil
		}}
		r := newRig(t, d)
		r.store.slowDown(6 * time.Second)
		message := r.seal(r.add("order-1", "0", "Token-1"), time.Now())
		if a := r.send(message); a.status != 500 || strings.Contains(a.text, "success") {
			t.Errorf("it is answered %+v", a)
		}
		time.Sleep(3 * time.Second)
		r.store.slowDown(0)
		r.want(r.send(message), "0", "OWN1")
		if len(d.questions()) != 1 {
			t.Errorf("asked %d times", len(d.questions()))
		}
	})
}

// TestClose waits for what was begun, and begins nothing more.
func TestClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, saying(Answer{}, nil))
		r.store.slowDown(6 * time.Second)
		if a := r.push(r.add("order-1", "W1", "Token-1")); a.status != 500 {
			t.Errorf("it is answered %+v", a)
		}
		r.service.Close()
		if len(r.store.orders) != 1 {
			t.Error("the order was not kept when Close returned")
		}
		if a := r.push(r.add("order-2", "W2", "Token-2")); a.status != 500 || len(r.store.orders) != 1 {
			t.Errorf("after Close it is answered %+v", a)
		}
	})
}
