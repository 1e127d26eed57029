package callback

import (
	"fmt"
	"log/slog"
)

// What may be said about an event in logs and errors: its name, and the ids by which somebody can look it up.

// LogValue is what logs may hold of it.
func (e AddWaybill) LogValue() slog.Value {
	return slog.GroupValue(slog.String("event", addWaybill), slog.String("order", fingerprint(e.BizID, e.OrderID)), slog.String("biz_id", e.BizID),
		slog.String("order_id", e.OrderID), slog.String("waybill_id", e.WayBillID))
}

// LogValue is what logs may hold of it.
func (e CancelWaybill) LogValue() slog.Value {
	return slog.GroupValue(slog.String("event", cancelWaybill), slog.String("order", fingerprint(e.BizID, e.OrderID)), slog.String("biz_id", e.BizID),
		slog.String("order_id", e.OrderID), slog.String("waybill_id", e.WayBillID))
}

// LogValue is what logs may hold of it.
func (e CheckBiz) LogValue() slog.Value {
	return slog.GroupValue(slog.String("event", checkBiz), slog.String("biz_id", e.BizID), slog.String("shop_appid", e.ShopAppID))
}

// LogValue is what logs may hold of it.
func (e GetQuota) LogValue() slog.Value {
	return slog.GroupValue(slog.String("event", getQuota), slog.String("biz_id", e.BizID), slog.String("shop_appid", e.ShopAppID))
}

// LogValue is what logs may hold of it.
func (e AddExpressPath) LogValue() slog.Value {
	return slog.GroupValue(slog.String("event", addExpressPath), slog.String("delivery_id", fmt.Sprintf("%.64s", e.DeliveryID)),
		slog.String("waybill_id", fmt.Sprintf("%.64s", e.WayBillID)),
		slog.Int64("version", e.Version), slog.Int("actions", len(e.Actions)))
}

// LogValue is what logs may hold of it.
func (e Unknown) LogValue() slog.Value {
	return slog.GroupValue(slog.String("event", fmt.Sprintf("%.64s", e.Name)))
}

// Each event prints as it is logged, for every verb; by value too, in case somebody copies one.

func (e AddWaybill) String() string     { return e.LogValue().String() }
func (e CancelWaybill) String() string  { return e.LogValue().String() }
func (e CheckBiz) String() string       { return e.LogValue().String() }
func (e GetQuota) String() string       { return e.LogValue().String() }
func (e AddExpressPath) String() string { return e.LogValue().String() }
func (e Unknown) String() string        { return e.LogValue().String() }

func (e AddWaybill) Format(f fmt.State, verb rune)     { printText(f, verb, e.String()) }
func (e CancelWaybill) Format(f fmt.State, verb rune)  { printText(f, verb, e.String()) }
func (e CheckBiz) Format(f fmt.State, verb rune)       { printText(f, verb, e.String()) }
func (e GetQuota) Format(f fmt.State, verb rune)       { printText(f, verb, e.String()) }
func (e AddExpressPath) Format(f fmt.State, verb rune) { printText(f, verb, e.String()) }
func (e Unknown) Format(f fmt.State, verb rune)        { printText(f, verb, e.String()) }
