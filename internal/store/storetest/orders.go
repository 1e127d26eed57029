package storetest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

var orderTests = map[string]func(*fixture){
	"an order is kept with its Token":          orderKept,
	"a repeat gets the same answer":            orderRepeated,
	"a repeat brings a newer Token":            orderNewerToken,
	"the same number under other names":        orderKeys,
	"the newest order of a waybill":            orderNewest,
	"an order lets go what waits for a Token":  orderReleases,
	"an order without a Token":                 orderWithoutToken,
	"many repeats at once":                     orderAtOnce,
	"names that can't be kept":                 orderNames,
	"orders go with their waybill":             orderRetention,
	"an order that was never scanned goes too": orderNeverScanned,
	"a closed store takes none":                orderClosed,
}

func orderKeyOf(id string) store.OrderKey {
	return store.OrderKey{DeliveryID: account, BizID: "BIZ", OrderID: id}
}

func orderOf(order, id string) store.Order {
	return store.Order{
		OrderKey: orderKeyOf(order), WaybillID: id, ShopAppID: "wxABCD", ResultMsg: "成功 <&>",
		WaybillData: "##bigPen##北京\x00\xff##",
	}
}

// order keeps an order and expects whether it is new.
func (f *fixture) order(o store.Order, token string, fresh bool) store.Order {
	f.Helper()
	kept, got, err := f.store.PutOrder(f.Context(), o, token)
	if err != nil || got != fresh {
		f.Fatalf("PutOrder(%s): fresh %v, %v; want fresh %v", o.OrderID, got, err, fresh)
	}
	return kept
}

// readOrder reads an order and compares it.
func (f *fixture) readOrder(want store.Order) {
	f.Helper()
	got, err := f.store.ReadOrder(f.Context(), want.OrderKey)
	if err != nil || !sameOrder(got, want) {
		f.Errorf("ReadOrder: %+v, %v; want %+v", got, err, want)
	}
}

func sameOrder(a, b store.Order) bool {
	same := a.ReceivedAt.Equal(b.ReceivedAt) && a.CancelledAt.Equal(b.CancelledAt)
	a.ReceivedAt, a.CancelledAt = b.ReceivedAt, b.CancelledAt
	return same && a == b
}

func orderKept(f *fixture) {
	o := orderOf("1", "W1")
	o.ResultCode, o.CancelledAt, o.ReceivedAt = -7, f.clock.Now(), f.clock.Now().Add(-time.Hour)
	kept := f.order(o, "T", true)
	o.ReceivedAt, o.CancelledAt = f.clock.Now(), time.Time{}
	if !sameOrder(kept, o) || kept.Waybill() != waybill("W1") {
		f.Errorf("kept as %+v, want %+v", kept, o)
	}
	for range 2 {
		f.readOrder(o)
		if lane := f.lane(waybill("W1")); lane.Token != "T" {
			f.Errorf("the Token is %q", lane.Token)
		}
		if story := f.waybill(waybill("W1")); !story.TokenSet || story.Stage != state.Created || len(story.Timeline) != 0 {
			f.Errorf("the waybill: %+v", story)
		}
		f.reopen()
	}
	if _, err := f.store.ReadOrder(f.Context(), orderKeyOf("2")); !errors.Is(err, store.ErrNotFound) {
		f.Errorf("an order that is not there: %v, want ErrNotFound", err)
	}
	if _, err := f.store.OrderOf(f.Context(), waybill("W2")); !errors.Is(err, store.ErrNotFound) {
		f.Errorf("an order of a waybill that is not there: %v, want ErrNotFound", err)
	}
}

func orderRepeated(f *fixture) {
	first := f.order(orderOf("1", "W1"), "T", true)
	f.clock.advance(time.Hour)
	other := orderOf("1", "W2")
	other.ResultCode, other.ShopAppID, other.WaybillData = 5, "wxOTHER", ""
	for range 2 {
		if again := f.order(other, "T", false); !sameOrder(again, first) {
			f.Errorf("a repeat is answered with %+v, want %+v", again, first)
		}
		f.reopen()
	}
	f.readOrder(first)
	if lane := f.lane(waybill("W2")); lane.Token != "" {
		f.Error("a repeat gave its Token to another waybill")
	}
}

func orderNewerToken(f *fixture) {
	first := f.order(orderOf("1", "W1"), "OLD", true)
	if again := f.order(orderOf("1", "W1"), "NEW", false); !sameOrder(again, first) {
		f.Errorf("a repeat is answered with %+v", again)
	}
	if lane := f.lane(waybill("W1")); lane.Token != "NEW" {
		f.Errorf("the Token is %q, want the newest", lane.Token)
	}
	f.order(orderOf("1", "W1"), "", false)
	f.reopen()
	if lane := f.lane(waybill("W1")); lane.Token != "NEW" {
		f.Errorf("the Token is %q, want the newest", lane.Token)
	}
}

func orderKeys(f *fixture) {
	keys := []store.OrderKey{
		{DeliveryID: account, BizID: "A", OrderID: "BC"}, {DeliveryID: account, BizID: "AB", OrderID: "C"},
		{DeliveryID: account + "A", BizID: "B", OrderID: "C"}, {DeliveryID: account, BizID: "A", OrderID: "B"},
	}
	for i, k := range keys {
		o := orderOf("", fmt.Sprint(i))
		o.OrderKey = k
		f.order(o, "T", true)
	}
	for i, k := range keys {
		if o, err := f.store.ReadOrder(f.Context(), k); err != nil || o.OrderKey != k || o.WaybillID != fmt.Sprint(i) {
			f.Errorf("%+v is %+v, %v", k, o, err)
		}
	}
}

func orderNewest(f *fixture) {
	f.order(orderOf("9", "W1"), "A", true)
	f.order(orderOf("1", "W10"), "A", true)
	f.order(orderOf("5", "W1"), "A", true)
	f.order(orderOf("9", "W1"), "B", false)
	f.reopen()
	for id, want := range map[string]string{"W1": "5", "W10": "1"} {
		if o, err := f.store.OrderOf(f.Context(), waybill(id)); err != nil || o.OrderID != want {
			f.Errorf("the newest order of %s is %+v, %v; want %s", id, o, err, want)
		}
	}
}

func orderReleases(f *fixture) {
	w := waybill("W1")
	a := f.one(f.scan("W1", state.PickupDone, 100), state.Accepted)
	b := f.one(f.scan("W1", state.Transit, 200), state.Accepted)
	f.fed()
	f.order(orderOf("1", "W1"), "T", true)
	if c := f.fed(); len(c) != 1 || !c[0].Reload || c[0].Blocked {
		f.Errorf("the Token was fed as %+v, want one Reload", c)
	}
	if lane := f.openPushes(w, a.Seq, b.Seq); lane.Blocked() {
		f.Error("the lane is still blocked")
	}
	f.pass(2 * noTokenWait)
	f.openPushes(w, a.Seq, b.Seq)
}

func orderWithoutToken(f *fixture) {
	f.order(orderOf("1", "W1"), "", true)
	f.one(f.scan("W1", state.PickupDone, 100), state.Accepted)
	if lane := f.lane(waybill("W1")); lane.Token != "" || !lane.Blocked() {
		f.Error("a lane without a Token is not blocked")
	}
	f.order(orderOf("1", "W1"), "T", false)
	if lane := f.lane(waybill("W1")); lane.Token != "T" || lane.Blocked() {
		f.Error("a repeat's Token is not taken")
	}
}

// orderAtOnce lets a push of WeChat be repeated while it is being answered, each time with another waybill given by an
// undecided dispatch system: one waybill, one answer.
func orderAtOnce(f *fixture) {
	for n := range 20 {
		var wg sync.WaitGroup
		answers, freshs := make([]store.Order, 8), make([]bool, 8)
		for i := range answers {
			wg.Go(func() {
				var err error
				o := orderOf(fmt.Sprint(n), fmt.Sprintf("W%d-%d", n, i))
				if answers[i], freshs[i], err = f.store.PutOrder(f.Context(), o, fmt.Sprint(i)); err != nil {
					f.Errorf("PutOrder: %v", err)
				}
			})
		}
		wg.Wait()
		first := 0
		for i := range answers {
			if !sameOrder(answers[i], answers[0]) {
				f.Errorf("two answers: %+v and %+v", answers[0], answers[i])
			}
			if freshs[i] {
				first++
			}
		}
		if first != 1 {
			f.Errorf("%d of them were the first", first)
		}
		if lane := f.lane(answers[0].Waybill()); lane.Token == "" {
			f.Error("the waybill has no Token")
		}
	}
}

func orderNames(f *fixture) {
	for name, spoil := range map[string]func(*store.Order){
		"no account":                func(o *store.Order) { o.DeliveryID = "" },
		"no biz id":                 func(o *store.Order) { o.BizID = "" },
		"no order id":               func(o *store.Order) { o.OrderID = "" },
		"no waybill":                func(o *store.Order) { o.WaybillID = "" },
		"a zero byte in a biz id":   func(o *store.Order) { o.BizID = "B\x00C" },
		"a zero byte in a waybill":  func(o *store.Order) { o.WaybillID = "W\x001" },
		"a zero byte in an order":   func(o *store.Order) { o.OrderID = "\x00" },
		"a zero byte in an account": func(o *store.Order) { o.DeliveryID = "S\x00" },
	} {
		o := orderOf("1", "W1")
		spoil(&o)
		if _, fresh, err := f.store.PutOrder(f.Context(), o, "T"); err == nil || fresh || errors.Is(err, store.ErrUnavailable) {
			f.Errorf("%s: fresh %v, %v", name, fresh, err)
		}
	}
	if _, err := f.store.OrderOf(f.Context(), waybill("W1")); !errors.Is(err, store.ErrNotFound) {
		f.Errorf("something was kept: %v", err)
	}
}

func orderRetention(f *fixture) {
	f.keepFor(keep)
	o := f.order(orderOf("1", "old"), "ORDER", true)
	f.order(orderOf("2", "busy"), "ORDER", true)
	w, n := f.ready("old", 1)
	f.deliver(w, n[0])
	v, m := f.ready("busy", 1)
	f.deliver(v, m[0])
	f.clock.advance(keep)
	f.order(orderOf("3", "busy"), "T", true)
	f.pass(time.Millisecond)
	if _, err := f.store.ReadOrder(f.Context(), o.OrderKey); !errors.Is(err, store.ErrNotFound) {
		f.Errorf("the old order: %v, want ErrNotFound", err)
	}
	if len(f.waybill(v).Timeline) != 1 {
		f.Error("a waybill with a young order went")
	}
	f.check()
	again := f.order(orderOf("1", "again"), "T", true)
	f.readOrder(again)
}

func orderNeverScanned(f *fixture) {
	f.keepFor(keep)
	f.order(orderOf("1", "old"), "T", true)
	f.token(waybill("token-only"), "T", true)
	f.clock.advance(time.Hour)
	f.order(orderOf("2", "young"), "T", true)
	f.order(orderOf("3", "scanned"), "T", true)
	f.clock.advance(keep - time.Hour)
	f.one(f.scan("scanned", state.PickupDone, 100), state.Accepted)
	f.pass(time.Millisecond)
	for _, id := range []string{"old", "token-only"} {
		if _, err := f.store.Waybill(f.Context(), waybill(id)); !errors.Is(err, store.ErrNotFound) {
			f.Errorf("%s: %v, want ErrNotFound", id, err)
		}
	}
	if _, err := f.store.ReadOrder(f.Context(), orderKeyOf("1")); !errors.Is(err, store.ErrNotFound) {
		f.Errorf("the old order: %v, want ErrNotFound", err)
	}
	f.pass(time.Hour)
	if lane := f.lane(waybill("young")); lane.Token != "" {
		f.Error("the young one stays for ever")
	}
	if o, err := f.store.OrderOf(f.Context(), waybill("scanned")); err != nil || o.OrderID != "3" {
		f.Errorf("an order whose waybill is open: %+v, %v", o, err)
	}
}

func orderClosed(f *fixture) {
	f.order(orderOf("1", "W1"), "T", true)
	if err := f.store.Close(); err != nil {
		f.Fatalf("Close: %v", err)
	}
	ctx := f.Context()
	_, _, put := f.store.PutOrder(ctx, orderOf("2", "W1"), "T")
	_, cancel := f.store.CancelOrder(ctx, orderKeyOf("1"), cancelOf("c", 100))
	_, use := f.store.FirstUse(ctx, "s", [32]byte{}, f.clock.Now())
	_, expunge := f.store.Expunge(ctx, waybill("W1"), store.Act{})
	for name, err := range map[string]error{"PutOrder": put, "CancelOrder": cancel, "FirstUse": use, "Expunge": expunge} {
		if !errors.Is(err, store.ErrUnavailable) {
			f.Errorf("%s on a closed store: %v, want ErrUnavailable", name, err)
		}
	}
	f.store = f.open(f.T, "store", f.opts)
	f.order(orderOf("2", "W1"), "T", true)
}
