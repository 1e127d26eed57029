package wechat

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func refs(n int) []OrderRef {
	out := make([]OrderRef, n)
	for i := range out {
		out[i] = OrderRef{fmt.Sprintf("order-%03d", i), "SF", fmt.Sprintf("SF%03d", i)}
	}
	return out
}

// batchHost answers about each order asked, but for those in lost; calls fail from the nth on, if that is not 0. It
// notes how many orders each call was about.
type batchHost struct {
	lost     []string
	failFrom int
	sizes    []int
}

func (h *batchHost) answer(_, _, body string) (int, string) {
	var q OrderListQuery
	if err := json.Unmarshal([]byte(body), &q); err != nil {
		return 500, err.Error()
	}
	h.sizes = append(h.sizes, len(q.OrderList))
	if h.failFrom > 0 && len(h.sizes) >= h.failFrom {
		return 200, `{"errcode":45009,"errmsg":"reach max api daily quota limit"}`
	}
	var out OrderList
	for _, ref := range q.OrderList {
		r := OrderResult{Errmsg: "ok", Order: Order{OrderID: ref.OrderID, DeliveryID: ref.DeliveryID, WaybillID: ref.WaybillID, PrintHTML: "PGI-"}}
		if slices.Contains(h.lost, ref.OrderID) {
			r.Errcode, r.Errmsg = 930563, "order not exists"
		}
		out.OrderList = append(out.OrderList, r)
	}
	return 200, string(must(json.Marshal(out)))
}

func TestBatchOfAnySize(t *testing.T) {
	for _, tt := range []struct {
		orders int
		sizes  string
	}{{0, "[]"}, {1, "[1]"}, {100, "[100]"}, {101, "[100 1]"}, {250, "[100 100 50]"}} {
		t.Run(fmt.Sprint(tt.orders), func(t *testing.T) {
			h := &batchHost{lost: []string{"order-007", "order-200"}}
			caller := NewCaller(&givenTokens{list: []string{"A"}}, upstreamOf(t, h.answer))
			got, err := caller.BatchGetOrder(t.Context(), refs(tt.orders))
			if err != nil || len(got) != tt.orders || fmt.Sprint(h.sizes) != tt.sizes {
				t.Fatalf("%d results in calls of %v, %v; want calls of %s", len(got), h.sizes, err, tt.sizes)
			}
			for i, r := range got {
				want := 0
				if slices.Contains(h.lost, r.OrderID) {
					want = 930563
				}
				if r.OrderID != fmt.Sprintf("order-%03d", i) || r.Errcode != want {
					t.Errorf("result %d is %+v", i, r)
				}
			}
		})
	}
}

func TestBatchFailsInTheMiddle(t *testing.T) {
	h := &batchHost{failFrom: 2}
	caller := NewCaller(&givenTokens{list: []string{"A"}}, upstreamOf(t, h.answer))
	got, err := caller.BatchGetOrder(t.Context(), refs(250))
	part, _ := errors.AsType[*PartError](err)
	if part == nil || part.First != 101 || part.Last != 200 || part.Of != 250 || !strings.HasPrefix(err.Error(), "orders 101 to 200 of 250: batchGetOrder: errcode 45009") {
		t.Fatalf("error %v", err)
	}
	if refused, ok := errors.AsType[*RefusedError](err); !ok || refused.Errcode != 45009 {
		t.Errorf("the cause is lost: %v", err)
	}
	if len(got) != 100 || got[99].OrderID != "order-099" || len(h.sizes) != 2 {
		t.Errorf("%d results, %d calls; want those of the part before, and no call after", len(got), len(h.sizes))
	}
}

func TestBatchOfAnotherLength(t *testing.T) {
	for _, body := range []string{`{"order_list":[]}`, `{"errcode":0}`, `{"order_list":[{},{},{}]}`} {
		caller := NewCaller(&givenTokens{list: []string{"A"}}, upstreamOf(t, func(string, string, string) (int, string) { return 200, body }))
		got, err := caller.BatchGetOrder(t.Context(), refs(2))
		e, ok := errors.AsType[*CallError](err)
		if len(got) != 0 || !ok || e.Kind != KindBadAnswer || !strings.Contains(err.Error(), "2 orders were asked about") {
			t.Errorf("%s: %d results, %v", body, len(got), err)
		}
	}
}

func TestInOrder(t *testing.T) {
	named := func(ids ...string) (out []OrderResult) {
		for _, id := range ids {
			out = append(out, OrderResult{Order: Order{OrderID: id, DeliveryID: "SF"}})
		}
		return out
	}
	tests := []struct{ name, asked, got, want string }{
		{"in order", "A B C", "A B C", "A B C"},
		{"not in order", "A B C", "C A B", "A B C"},
		{"one without names", "A B C", "A  C", "A  C"},
		{"one without names, not in order", "A B C", "C  A", "A  C"},
		{"the document's example", "A A", "A A_2", "A A_2"},
		{"a stranger", "A B C", "B X A", "A B X"},
		{"nothing known", "A B", "X Y", "X Y"},
		{"fewer", "A B", "B", "B"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var asked []OrderRef
			for _, id := range strings.Split(tt.asked, " ") {
				asked = append(asked, OrderRef{OrderID: id, DeliveryID: "SF"})
			}
			var got []string
			for _, r := range inOrder(asked, named(strings.Split(tt.got, " ")...)) {
				got = append(got, r.OrderID)
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// Whatever the order of the answer: all that name an order come to its place, and none is lost.
func TestInOrderOfAnyShuffle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		asked := refs(rapid.IntRange(1, 20).Draw(t, "n"))
		var results []OrderResult
		for _, a := range rapid.Permutation(asked).Draw(t, "answer") {
			results = append(results, OrderResult{Order: Order{OrderID: a.OrderID, DeliveryID: a.DeliveryID, WaybillID: a.WaybillID}})
		}
		for i, r := range inOrder(asked, results) {
			if r.OrderID != asked[i].OrderID {
				t.Fatalf("place %d has %s, want %s", i, r.OrderID, asked[i].OrderID)
			}
		}
	})
}

func TestOrderResultShowsNoStatusOfARefusal(t *testing.T) {
	r := OrderResult{Errcode: 930563, Errmsg: "order not exists", Order: Order{OrderID: "1", DeliveryID: "SF", WaybillID: "2"}}
	sameJSON(t, "a refusal", must(json.Marshal(r)), []byte(`{"errcode":930563,"errmsg":"order not exists","order_id":"1","delivery_id":"SF","waybill_id":"2"}`))
}

func TestLabel(t *testing.T) {
	label := "<html>物流<p>~~~???>>></html>"
	std := base64.StdEncoding.EncodeToString([]byte(label))
	for name, encoded := range map[string]string{
		"padded": std, "not padded": strings.TrimRight(std, "="), "for URLs": base64.URLEncoding.EncodeToString([]byte(label)),
		"in lines": std[:20] + "\r\n" + std[20:] + "\n",
	} {
		if got, err := (&Order{PrintHTML: encoded}).HTML(); err != nil || string(got) != label {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if got, err := (&Order{PrintHTML: "<html>"}).HTML(); err == nil {
		t.Errorf("no base64: %q", got)
	}
}

func TestOrderRequests(t *testing.T) {
	tests := []struct {
		name string
		q    OrderQuery
		want string
	}{
		{"all", OrderQuery{OrderRef{"1<&>", "SF", "2"}, "o", 1}, `{"order_id":"1<&>","delivery_id":"SF","waybill_id":"2","openid":"o","print_type":1}`},
		{"least", OrderQuery{OrderRef: OrderRef{"1", "SF", ""}}, `{"order_id":"1","delivery_id":"SF"}`},
		{"nothing but a type", OrderQuery{PrintType: 1}, `{"print_type":1}`},
	}
	for _, tt := range tests {
		if got := string(tt.q.appendJSON(nil)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// Whatever upstream sends: what is taken is written, and read again, as the same.
func FuzzPath(f *testing.F) {
	f.Add(document(f, "getPath", "answer", "https"))
	f.Add([]byte(`{"path_item_num":"1","path_item_list":[{"action_time":"7","action_msg":7}]}`))
	f.Fuzz(func(t *testing.T, body []byte) { readsBack[Path](t, body) })
}

func FuzzOrder(f *testing.F) {
	f.Add(document(f, "getOrder", "answer", "https"))
	f.Add([]byte(`{"order_status":"1","waybill_data":[{"key":1,"value":null}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if o, ok := readsBack[Order](t, body); ok {
			_, _ = o.HTML()
		}
	})
}

func FuzzOrderList(f *testing.F) {
	f.Add(document(f, "batchGetOrder", "answer", "https"))
	f.Add([]byte(`{"order_list":[{"errcode":"930563","errmsg":"no"},{}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		list, ok := readsBack[OrderList](t, body)
		if got := inOrder(refs(2), list.OrderList); ok && len(got) != len(list.OrderList) {
			t.Fatalf("%d results of %d", len(got), len(list.OrderList))
		}
	})
}

func readsBack[T any](t *testing.T, body []byte) (first T, ok bool) {
	t.Helper()
	if json.Unmarshal(body, &first) != nil {
		return first, false
	}
	written := must(json.Marshal(first))
	var second T
	if err := json.Unmarshal(written, &second); err != nil {
		t.Fatalf("%s was written as %s: %v", body, written, err)
	}
	sameJSON(t, "what was written", must(json.Marshal(second)), written)
	return first, true
}
