package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/wechat"
)

// Looker reads what upstream shows, as a merchant may (see wechat.Caller).
type Looker interface {
	GetPath(ctx context.Context, q wechat.PathQuery) (wechat.Path, error)
	GetOrder(ctx context.Context, q wechat.OrderQuery) (wechat.Order, error)
	BatchGetOrder(ctx context.Context, orders []wechat.OrderRef) ([]wechat.OrderResult, error)
}

// Merchant is whom a trace is read for.
type Merchant struct {
	Looker
	Name string
}

// Merchants are those that are configured (see merchant.Registry).
type Merchants interface {
	// ByName finds one; "" is the only one, if there is one.
	ByName(name string) (Merchant, bool)
	// ByShop finds the one that can read the orders of a mini program.
	ByShop(shopAppID string) (Merchant, bool)
	// Names lists them.
	Names() []string
}

// Orders finds what is known of a waybill's order (see store.Orders).
type Orders interface {
	OrderOf(ctx context.Context, w state.Waybill) (store.Order, error)
}

// Upstream asks upstream what it shows of waybills. It is safe for concurrent use.
type Upstream struct {
	Merchants Merchants
	Orders    Orders
	Delay     time.Duration // How long upstream has to show what it answered with success; 0: a minute.
}

// settled is until when a push must have been delivered to show in what is asked for at a time.
func (u *Upstream) settled(askedAt time.Time) time.Time {
	return askedAt.Add(-cmp.Or(u.Delay, defaultDelay))
}

// Hint is what the caller knows of a waybill's order beyond what is kept. Empty members say nothing.
type Hint struct {
	Merchant string // By name, in place of the one that the order's shop has.
	OrderID  string // In place of the one that is kept.
	OpenID   string // The customer's: getPath and getOrder need it of orders with add_source 0, the newer document says.
}

// Shown is what upstream says of a waybill.
type Shown struct {
	Merchant string // Whose credentials were used.
	AskedAt  time.Time
	Settled  time.Time // What was delivered later than this may show yet.
	OrderID  string    // "" if it is not known: then only getPath was asked.
	Path     []wechat.PathItem
	Order    *wechat.Order // nil if it was not asked for, or OrderErr is why it is not there.
	OrderErr error         // As of any call of wechat.Caller.
}

// Ask asks for a waybill's trace and for its order. The error is a *MerchantError, one of the store, or getPath's, as of
// wechat.Caller. An order that can't be read is no error: the trace is there without it.
func (u *Upstream) Ask(ctx context.Context, w state.Waybill, hint Hint) (Shown, error) {
	merchant, orderID, err := u.find(ctx, w, hint)
	if err != nil {
		return Shown{}, err
	}
	shown := Shown{Merchant: merchant.Name, OrderID: orderID, AskedAt: time.Now()}
	shown.Settled = u.settled(shown.AskedAt)
	var asking sync.WaitGroup
	if orderID != "" {
		asking.Go(func() {
			order, err := merchant.GetOrder(ctx, wechat.OrderQuery{OrderRef: orderRef(w, orderID), OpenID: hint.OpenID})
			if shown.OrderErr = err; err == nil {
				shown.Order = &order
			}
		})
	}
	path, err := traceOf(ctx, merchant, pathQuery(w, orderID, hint.OpenID))
	asking.Wait()
	shown.Path = path
	return shown, err
}

// traceOf asks for a trace, and takes none that can't be the whole one of this waybill: what it lacks would count as
// missing, and be pushed a second time.
func traceOf(ctx context.Context, merchant Merchant, q wechat.PathQuery) ([]wechat.PathItem, error) {
	path, err := merchant.GetPath(ctx, q)
	if err != nil {
		return nil, err
	}
	switch listed := int64(len(path.PathItemList)); {
	case path.PathItemNum > listed:
		err = fmt.Errorf("the answer has %d nodes (path_item_list) and says that there are %d (path_item_num)", listed, path.PathItemNum)
	case path.WaybillID != "" && path.WaybillID != q.WaybillID:
		err = fmt.Errorf("the answer is about another waybill, %.64q", path.WaybillID)
	}
	if err != nil {
		return nil, &wechat.CallError{Op: "getPath", Sent: true, Kind: wechat.KindBadAnswer, Err: err}
	}
	return path.PathItemList, nil
}

func orderRef(w state.Waybill, orderID string) wechat.OrderRef {
	return wechat.OrderRef{OrderID: orderID, DeliveryID: w.DeliveryID, WaybillID: w.WaybillID}
}

func pathQuery(w state.Waybill, orderID, openID string) wechat.PathQuery {
	return wechat.PathQuery{OrderID: orderID, OpenID: openID, DeliveryID: w.DeliveryID, WaybillID: w.WaybillID}
}

// find finds out whose order a waybill is, and which.
func (u *Upstream) find(ctx context.Context, w state.Waybill, hint Hint) (Merchant, string, error) {
	order, err := u.Orders.OrderOf(ctx, w)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return Merchant{}, "", err
	}
	merchant, err := u.merchant(hint.Merchant, order.ShopAppID)
	if hint.OrderID != "" {
		return merchant, hint.OrderID, err
	}
	return merchant, order.OrderID, err
}

// merchant finds the one that is named, else the one of a shop. Where neither is known, the only one there is will do.
func (u *Upstream) merchant(name, shopAppID string) (Merchant, error) {
	names := u.Merchants.Names()
	if len(names) == 0 {
		return Merchant{}, &MerchantError{}
	}
	var m Merchant
	var found bool
	if name == "" && shopAppID != "" {
		m, found = u.Merchants.ByShop(shopAppID)
	} else {
		m, found = u.Merchants.ByName(name)
	}
	if !found {
		return Merchant{}, &MerchantError{Name: name, ShopAppID: shopAppID, Names: names}
	}
	return m, nil
}

// MerchantError says why it is not known for whom to ask.
type MerchantError struct {
	Name      string   // The one that was named; "": none was.
	ShopAppID string   // Of the waybill's order; "": the order is not known.
	Names     []string // Those that are configured; empty: that is why.
}

// Error says what is missing.
func (e *MerchantError) Error() string {
	switch {
	case len(e.Names) == 0:
		return "no merchant is configured (merchants)"
	case e.Name != "":
		return fmt.Sprintf("there is no merchant %q, only %s", e.Name, strings.Join(e.Names, ", "))
	case e.ShopAppID != "":
		return fmt.Sprintf("no merchant answers for the order's shop %s (merchants[].shop_appids)", e.ShopAppID)
	}
	return "the waybill's order is not known, and there are several merchants: " + strings.Join(e.Names, ", ")
}
