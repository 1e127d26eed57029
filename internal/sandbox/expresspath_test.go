package sandbox

import (
	"net/http"
	"strings"
	"testing"
)

// TestExpressPath: who wants it hears all of the trace after each node of a waybill that was ordered, and nobody else.
func TestExpressPath(t *testing.T) {
	everyMode(t, func(t *testing.T, format, mode string) {
		f := newFake(t, format, mode)
		f.ExpressPath = true
		f.raw = func(w http.ResponseWriter, _ *http.Request, e *pushedEvent) bool {
			if e.Event == "add_express_path" && e.Count == 2 {
				_, _ = w.Write([]byte("success")) // Nothing at all will do, too.
			}
			return e.Event == "add_express_path"
		}
		s, merchant := f.box(Options{Open: true})
		waybill := order(t, s, addURL, merchant, orderBody("order-1")).WaybillID
		token := f.pushes("add_waybill")[0].Token
		pusher := testToken(t, s, "wxcarrier")
		for n := range 3 {
			if code := push(t, s, pusher, bodyOf(waybill, token, n+1)); code != 0 {
				t.Fatalf("node %d: errcode %d", n, code)
			}
			if told := len(f.pushes("add_express_path")); told != n+1 {
				t.Fatalf("after node %d it was told %d times", n, told)
			}
		}
		push(t, s, pusher, bodyOf(waybill, "other", 4))
		push(t, s, pusher, bodyOf("never ordered", token, 1))
		told, nodes := f.pushes("add_express_path"), s.Nodes(waybill).Nodes
		if len(told) != 3 || len(nodes) != 3 {
			t.Fatalf("told %d times of %v", len(told), nodes)
		}
		last := int64(0)
		for i, e := range told {
			if e.DeliveryID != "SF" || e.WayBillId != waybill || e.OrderId != "order-1" || e.Count != int64(i+1) || len(e.Actions) != i+1 || e.Version <= last ||
				e.ToUserName != "gh_carrier" || e.MsgType != "event" || e.Token != "" {
				t.Errorf("told %+v", e)
			}
			last = e.Version
		}
		for i, a := range told[2].Actions {
			if (Node{a.ActionTime, a.ActionType, a.ActionMsg}) != nodes[i] {
				t.Errorf("told %+v, want %+v", a, nodes[i])
			}
		}
		if n := s.Stats().Callbacks.Mistakes; n > 0 {
			t.Errorf("%d mistakes: %+v", n, s.Callbacks())
		}
	})
}

// TestExpressPathIsNotAsked: the default.
func TestExpressPathIsNotAsked(t *testing.T) {
	f := newFake(t, formatXML, modeSafe)
	s, merchant := f.box(Options{})
	waybill := order(t, s, addURL, merchant, orderBody("order-1")).WaybillID
	if code := push(t, s, testToken(t, s, "wxcarrier"), bodyOf(waybill, f.pushes("add_waybill")[0].Token, 1)); code != 0 || len(f.pushes("add_express_path")) > 0 {
		t.Errorf("errcode %d, told %+v", code, f.pushes("add_express_path"))
	}
}

// TestExpressPathAnsweredWrongly is told three times, and noted; the node is applied all the same.
func TestExpressPathAnsweredWrongly(t *testing.T) {
	for status, body := range map[int]string{500: "success", 200: "<xml></xml>"} {
		f := newFake(t, formatXML, modePlain)
		f.ExpressPath = true
		f.raw = func(w http.ResponseWriter, _ *http.Request, e *pushedEvent) bool {
			if e.Event != "add_express_path" {
				return false
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
			return true
		}
		s, merchant := f.box(Options{})
		waybill := order(t, s, addURL, merchant, orderBody("order-1")).WaybillID
		code := push(t, s, testToken(t, s, "wxcarrier"), bodyOf(waybill, f.pushes("add_waybill")[0].Token, 1))
		all := s.Callbacks()
		if code != 0 || len(f.pushes("add_express_path")) != pushAttempts || !strings.Contains(all[len(all)-1].Mistake, "is wanted") {
			t.Errorf("%d %s: errcode %d, callbacks %+v", status, body, code, all)
		}
	}
}
