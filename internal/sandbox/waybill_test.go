package sandbox

import (
	"testing"

	"pgregory.net/rapid"
)

// TestWaybillsModel compares the chains of waybills with a plain list, under a small limit.
func TestWaybillsModel(t *testing.T) {
	type key struct{ company, id string }
	rapid.Check(t, func(t *rapid.T) {
		const limit = 4
		ws := newWaybills(limit)
		var model []key
		keys := rapid.Custom(func(t *rapid.T) key {
			return key{rapid.SampledFrom([]string{"SF", "YD", "ZTO"}).Draw(t, "company"), rapid.SampledFrom([]string{"A", "B"}).Draw(t, "id")}
		})
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				k := keys.Draw(t, "key")
				if ws.ordered(k.company, k.id) != nil {
					t.Skip("known")
				}
				ws.add(Order{DeliveryID: k.company, WaybillID: k.id, Token: k.company + k.id}, "")
				if model = append(model, k); len(model) > limit {
					model = model[1:]
				}
			},
			"": func(t *rapid.T) {
				known := map[key]bool{}
				for _, k := range model {
					known[k] = true
				}
				for _, company := range []string{"SF", "YD", "ZTO"} {
					for _, id := range []string{"A", "B"} {
						w := ws.find(App{DeliveryID: company}, id, company+id)
						if (w != nil) != known[key{company, id}] || w != nil && w.Token != company+id {
							t.Fatalf("%s %s: found %+v, known %v", company, id, w, known[key{company, id}])
						}
					}
				}
				if len(ws.queue) != len(model) {
					t.Fatalf("%d waybills, want %d", len(ws.queue), len(model))
				}
			},
		})
	})
}

func TestAddOrderRefuses(t *testing.T) {
	if got, err := New(Options{}).AddOrder(Order{WaybillID: "a b"}); err == nil || got != (Order{}) {
		t.Errorf("AddOrder = %+v, %v; want an error", got, err)
	}
}

func TestLive(t *testing.T) {
	s := New(Options{})
	setFaults(t, s, Faults{Outage: true})
	var got map[string]string
	own(t, s, "GET", "/_sandbox/livez", "", 200, &got)
	if got["status"] != "ok" {
		t.Errorf("livez: %v", got)
	}
}
