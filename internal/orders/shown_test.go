package orders

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

// TestShown: what the customer sees is kept before WeChat is answered, newest version only.
func TestShown(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		t.Run(fmt.Sprintf("json %t", asJSON), func(t *testing.T) {
			r := newRig(t, saying(Answer{}, errors.New("asked")))
			r.json = asJSON
			steps := []struct {
				message  []byte
				result   string
				version  int64
				lastText string
			}{
				{r.path("W1", 3, "丽影邓丽君【18666666666】正在派件 <&>"), Accepted, 3, "丽影邓丽君【18666666666】正在派件 <&>"},
				{r.path("W1", 16, "a", "b"), Accepted, 16, "b"},
				{r.path("W1", 16, "a", "b"), Repeated, 16, "b"},
				{r.path("W1", 3, "late"), Repeated, 16, "b"},
				{r.path("W1", 17, "a", "b", "c"), Accepted, 17, "c"},
			}
			seen := map[string]int{}
			for i, step := range steps {
				a := r.push(step.message)
				seen[step.result]++
				if a.status != 200 || a.text != "success" || r.observed("SF add_express_path "+step.result) != seen[step.result] {
					t.Errorf("step %d is answered %+v, observed %v; want %s", i, a, r.seen, step.result)
				}
				kept := r.store.shown[sfWaybill("W1")]
				last := kept.Actions[len(kept.Actions)-1]
				if kept.Version != step.version || kept.OrderID != "order-1" || last.Msg != step.lastText {
					t.Errorf("step %d: kept is %+v", i, kept)
				}
			}
			want := []store.ShownAction{{Time: 1533052800, Type: 300001, Msg: "a"}, {Time: 1533052860, Type: 300001, Msg: "b"}, {Time: 1533052920, Type: 300001, Msg: "c"}}
			if got := r.store.shown[sfWaybill("W1")].Actions; !reflect.DeepEqual(got, want) {
				t.Errorf("kept are %+v, want %+v", got, want)
			}
			if len(r.store.tokens)+len(r.store.orders) > 0 || len(r.dispatch.questions()) > 0 || strings.Contains(r.log.String(), "18666666666") {
				t.Errorf("it did more than keep it: %v %v\n%s", r.store.tokens, r.store.orders, r.log)
			}
		})
	}
}

// TestShownOfAnotherCompany: a merchant's program hears of all companies' waybills. They are kept under their names.
func TestShownOfAnotherCompany(t *testing.T) {
	r := newRig(t, nil)
	r.weixin.account = "YTO"
	if a := r.push(r.path("W1", 1, "x")); a.text != "success" || r.observed("YTO add_express_path accepted") != 1 {
		t.Errorf("it is answered %+v", a)
	}
	if len(r.store.shown) != 1 || len(r.store.shown[sfWaybill("W1")].Actions) != 1 {
		t.Errorf("kept are %+v", r.store.shown)
	}
}

// TestShownThatCannotBeKept is answered, so that it does not come again, and said.
func TestShownThatCannotBeKept(t *testing.T) {
	r := newRig(t, nil)
	many := make([]string, 100)
	for i := range many {
		many[i] = strings.Repeat("x", store.MaxShownBytes/len(many)+1)
	}
	messages := map[string][]byte{
		"no waybill":         r.event(addExpressPath, "DeliveryID", "SF", "Version", "1"),
		"no company":         r.event(addExpressPath, "WayBillId", "W1", "Version", "1"),
		"actions not as one": r.event(addExpressPath, "DeliveryID", "SF", "WayBillId", "W1", "Actions", "nonsense"),
		"a long company":     r.event(addExpressPath, "DeliveryID", strings.Repeat("SF", 5000), "WayBillId", "W1"),
		"a company in two":   r.event(addExpressPath, "DeliveryID", "S F", "WayBillId", "W1"),
		"too much":           r.path("W1", 1, many...),
	}
	for name, message := range messages {
		if a := r.push(message); a.status != 200 || a.text != "success" {
			t.Errorf("%s: it is answered %d %.200s", name, a.status, a.text)
		}
	}
	if n := r.observed("SF add_express_path refused"); n != len(messages) || len(r.store.shown) > 0 {
		t.Errorf("observed %v, kept are %d", r.seen, len(r.store.shown))
	}
	if n := strings.Count(r.log.String(), "level=WARN"); n != len(messages) || len(r.log.String()) > 1000*n {
		t.Errorf("logged is %.5000s", r.log)
	}
}

// TestShownIsDurable: it is there after a restart, and a repeat after an expunge does not bring it back.
func TestShownIsDurable(t *testing.T) {
	k := newKept(t, nil)
	w := state.Waybill{DeliveryID: "SF", WaybillID: "W1"}
	sealed := k.seal(k.path("W1", 16, canaryName, canaryAddress), time.Now())
	if a := k.send(sealed); a.text != "success" {
		t.Fatalf("it is answered %+v", a)
	}
	k.restart()
	shown, err := k.engine.Shown(t.Context(), w)
	if err != nil || shown.Version != 16 || len(shown.Actions) != 2 || shown.Actions[1].Msg != canaryAddress {
		t.Errorf("after a restart it is %+v, %v", shown, err)
	}
	if done, err := k.engine.Expunge(t.Context(), w, store.Act{}); err != nil || done.Shown != 2 {
		t.Errorf("expunged %+v, %v", done, err)
	}
	for _, again := range []sent{sealed, k.seal(k.path("W1", 17, canaryName, canaryAddress, canaryPhone), time.Now())} {
		if a := k.send(again); a.text != "success" {
			t.Errorf("it is answered %+v", a)
		}
		shown, err = k.engine.Shown(t.Context(), w)
		if text := fmt.Sprint(shown); err != nil || strings.Contains(text, canaryName) || strings.Contains(text, canaryAddress) || strings.Contains(text, canaryPhone) {
			t.Errorf("after it was expunged it is %+v, %v", shown, err)
		}
	}
	if shown.Version != 17 || len(shown.Actions) != 3 || shown.Actions[2].Time != 1533052920 {
		t.Errorf("in the end it is %+v", shown)
	}
}
