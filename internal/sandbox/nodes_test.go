package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNodesAPI(t *testing.T) {
	s := New(Options{Seed: 1})
	addOrder(t, s, Order{WaybillID: "W1", Token: "T1"})
	addOrder(t, s, Order{WaybillID: "W2", Token: "T2"})
	token := testToken(t, s, "wx1")
	push(t, s, token, bodyOf("W1", "T1", 1))
	push(t, s, token, bodyOf("W2", "T2", 2))
	push(t, s, token, bodyOf("W1", "T1", 3))
	push(t, s, token, bodyOf("W1", "wrong", 4))

	var view View
	own(t, s, "GET", "/_sandbox/nodes?waybill_id=W1", "", 200, &view)
	if len(view.Arrivals) != 2 || view.Arrivals[0].N != 1 || view.Arrivals[1].N != 3 || len(view.Nodes) != 2 || !view.Known {
		t.Errorf("W1: %+v", view)
	}
	own(t, s, "GET", "/_sandbox/nodes?waybill_id=W9", "", 200, &view)
	if view.Known || len(view.Arrivals) != 0 {
		t.Errorf("W9: %+v, want it unknown", view)
	}
	var st Stats
	own(t, s, "GET", "/_sandbox/nodes", "", 200, &st)
	if st.Seed != 1 || st.Pushes != 4 || st.Applied != 3 || st.Waybills != 2 || st.Errcodes[0] != 3 || st.Errcodes[9300507] != 1 || st.MaxPerWaybill != 1 {
		t.Errorf("totals: %+v", st)
	}
	var all []uint64
	for since, n := uint64(0), 0; ; n++ {
		var page Page
		own(t, s, "GET", fmt.Sprintf("/_sandbox/nodes?since=%d&limit=2", since), "", 200, &page)
		if len(page.Arrivals) == 0 {
			if page.Next != since || n != 2 {
				t.Errorf("after %d pages: next %d, want %d after 2", n, page.Next, since)
			}
			break
		}
		for _, a := range page.Arrivals {
			all = append(all, a.N)
		}
		since = page.Next
	}
	if want := []uint64{1, 2, 3}; !slices.Equal(all, want) {
		t.Errorf("arrivals %v, want %v", all, want)
	}
}

func TestNodesAPIRefusals(t *testing.T) {
	s := New(Options{})
	for _, url := range []string{"?since=x", "?since=-1", "?limit=0", "?limit=10001", "?limit=x", "?waybil_id=W"} {
		var problem map[string]string
		own(t, s, "GET", "/_sandbox/nodes"+url, "", http.StatusBadRequest, &problem)
		if problem["error"] == "" {
			t.Errorf("%s: no word of what is wrong", url)
		}
	}
	var problem map[string]string
	own(t, s, "PUT", "/_sandbox/nodes", "", http.StatusMethodNotAllowed, &problem)
}

func TestClear(t *testing.T) {
	s := New(Options{Open: true})
	ordered := addOrder(t, s, Order{WaybillID: "W1"})
	token := testToken(t, s, "wx1")
	push(t, s, token, bodyOf("W1", ordered, 1))
	push(t, s, token, bodyOf("W2", "first", 1))
	var st Stats
	own(t, s, "DELETE", "/_sandbox/nodes", "", 200, &st)
	if st.Pushes != 0 || st.Waybills != 1 || len(st.Errcodes) != 0 {
		t.Errorf("after DELETE: %+v, want only the ordered waybill", st)
	}
	if got := push(t, s, token, bodyOf("W1", ordered, 1)); got != 0 {
		t.Errorf("an order's Token after DELETE: %d", got)
	}
	if got := push(t, s, token, bodyOf("W2", "second", 1)); got != 0 {
		t.Errorf("a waybill of a push after DELETE takes a new Token: %d", got)
	}
	p := s.Arrivals(2, 10)
	if len(p.Arrivals) != 2 || p.Arrivals[0].N != 3 || p.Arrivals[0].Repeat || p.Forgotten != 0 {
		t.Errorf("arrivals %+v: numbers go on, and nothing repeats what was cleared", p)
	}
}

func TestOrdersAPI(t *testing.T) {
	s := New(Options{})
	var one Order
	own(t, s, "POST", "/_sandbox/orders", `{"delivery_id":"SF","waybill_id":"W1","token":"T1"}`, 200, &one)
	if want := (Order{"SF", "W1", "T1"}); one != want {
		t.Errorf("one: %+v, want %+v", one, want)
	}
	var many []Order
	own(t, s, "POST", "/_sandbox/orders", `[{"waybill_id":"W2"},{"delivery_id":"SF","waybill_id":"W1"}]`, 200, &many)
	if len(many) != 2 || len(many[0].Token) != orderTokenSize || many[1].Token != "T1" {
		t.Errorf("several: %+v; want a new Token for W2, and W1's own", many)
	}
	own(t, s, "POST", "/_sandbox/orders", `{"delivery_id":"SF","waybill_id":"W1","token":"T9"}`, 200, &one)
	token := testToken(t, s, "wx1")
	if a, b := push(t, s, token, bodyOf("W1", "T1", 1)), push(t, s, token, bodyOf("W1", "T9", 1)); a != 9300507 || b != 0 {
		t.Errorf("after the Token changed: old %d, new %d; want 9300507 and 0", a, b)
	}
	if got := s.Stats().Waybills; got != 2 {
		t.Errorf("%d waybills, want 2", got)
	}
	own(t, s, "POST", "/_sandbox/orders", `[]`, 200, &many)
	if len(many) != 0 {
		t.Errorf("none: %+v", many)
	}
}

func TestOrdersAPIRefusals(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"no waybill_id", `{"token":"T"}`, "waybill_id is missing"},
		{"spaces", `{"waybill_id":"W 1"}`, `waybill_id "W 1": 1 to 64 characters without spaces`},
		{"too long", fmt.Sprintf(`{"waybill_id":"%065d"}`, 1), "1 to 64 characters"},
		{"Token too long", fmt.Sprintf(`{"waybill_id":"W","token":"%0257d"}`, 1), "257 bytes, at most 256"},
		{"the second of two", `[{"waybill_id":"W1"},{"waybill_id":""}]`, "order 1: waybill_id is missing"},
		{"unknown field", `{"waybill_id":"W","order_id":"O"}`, `unknown field "order_id"; there are delivery_id, token, waybill_id`},
		{"unknown field in a list", `[{"waybill":"W"}]`, `unknown field "waybill"; there are delivery_id, token, waybill_id`},
		{"a number", `{"waybill_id":123}`, "waybill_id: number is not what belongs there"},
		{"a text", `"W1"`, "string is not what belongs there"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := New(Options{})
			var problem map[string]string
			own(t, s, "POST", "/_sandbox/orders", tt.body, http.StatusBadRequest, &problem)
			if got := problem["error"]; !strings.Contains(got, tt.want) {
				t.Errorf("error %q, want %q in it", got, tt.want)
			}
			if got := s.Stats().Waybills; got != 0 {
				t.Errorf("%d waybills made known by a refused call", got)
			}
		})
	}
}

func TestOrderTakesOverAPushedWaybill(t *testing.T) {
	s := New(Options{Open: true})
	one, two := testToken(t, s, "wx1"), testToken(t, s, "wx2")
	push(t, s, one, bodyOf("W", "T", 1))
	if got := addOrder(t, s, Order{WaybillID: "W"}); got != "T" {
		t.Errorf("Token %q, want the one of the first push", got)
	}
	if got := push(t, s, two, bodyOf("W", "T", 2)); got != 0 {
		t.Errorf("another app's push of an order for all: %d", got)
	}
	if got := len(s.Nodes("W").Arrivals); got != 2 {
		t.Errorf("%d arrivals, want both", got)
	}
}

// TestLedgerModel compares the ledger with a plain list of all pushes, under small limits.
func TestLedgerModel(t *testing.T) {
	type pushed struct {
		waybill string
		n       int
	}
	rapid.Check(t, func(t *rapid.T) {
		const maxNodes = 7
		s := New(Options{Open: true, MaxNodes: maxNodes, MaxWaybills: 3})
		token, no := s.tokens.fetchStable("wx1", "s", false, testStart)
		if no != nil {
			t.Fatal(no.errmsg(""))
		}
		var all []pushed
		cleared := 0
		waybill := rapid.SampledFrom([]string{"A", "B", "C", "D", "E"})
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				p := pushed{waybill.Draw(t, "waybill"), rapid.IntRange(0, 2).Draw(t, "n")}
				up, no := parseUpdate([]byte(bodyOf(p.waybill, "T", p.n)), 1024)
				if no != nil {
					t.Fatal(no.errmsg(""))
				}
				app, no := s.tokens.check(token.value, testStart)
				if no != nil {
					t.Fatal(no.errmsg(""))
				}
				n, no := s.ledger.apply(app, &up, testStart)
				if no != nil {
					t.Fatal(no.errmsg(""))
				}
				all = append(all, p)
				if n != uint64(len(all)) {
					t.Fatalf("number %d, want %d", n, len(all))
				}
			},
			"clear": func(*rapid.T) {
				s.Clear()
				cleared = len(all)
			},
			"": func(t *rapid.T) {
				page := s.Arrivals(0, 1000)
				first := max(cleared, len(all)-maxNodes)
				if len(page.Arrivals) != len(all)-first || page.Forgotten != uint64(first) {
					t.Fatalf("%d arrivals and %d forgotten, want %d and %d", len(page.Arrivals), page.Forgotten, len(all)-first, first)
				}
				for i, a := range page.Arrivals {
					want := all[first+i]
					if a.N != uint64(first+i+1) || a.WaybillID != want.waybill || a.ActionTime != int64(1533052800+want.n) {
						t.Fatalf("arrival %+v, want number %d of %+v", a, first+i+1, want)
					}
				}
				if st := s.Stats(); st.Waybills > 3 || len(s.ledger.seen) > maxNodes || len(s.ledger.ring) > maxNodes {
					t.Fatalf("%d waybills, %d seen, %d kept: not bounded", st.Waybills, len(s.ledger.seen), len(s.ledger.ring))
				}
				for _, id := range []string{"A", "B", "C", "D", "E"} {
					v := s.Nodes(id)
					seen := map[Node]bool{}
					for _, a := range v.Arrivals {
						node := Node{a.ActionTime, a.ActionType, a.ActionMsg}
						if seen[node] && !a.Repeat {
							t.Fatalf("%s: %+v repeats, and is not marked", id, a)
						}
						seen[node] = true
					}
					if len(v.Nodes) != len(seen) || v.Known != (s.ledger.waybills.byID[id] != nil) {
						t.Fatalf("%s: %d nodes of %d, known %v", id, len(v.Nodes), len(seen), v.Known)
					}
				}
			},
		})
	})
}
