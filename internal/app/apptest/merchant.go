package apptest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"carrier/internal/sandbox"
)

// CallbackURL is where the sandbox's carrier of a delivery company is, if a Route is its CallbackTransport.
func CallbackURL(deliveryID string) string {
	return "http://carrier.test/wechat/" + deliveryID + "/callback"
}

// Route leads the sandbox's pushes to wherever the service is at the moment. It is safe for concurrent use.
type Route struct {
	// Heard is told every answer to a POST, if it is not nil. It is set before the route is used.
	Heard func(sent, answer []byte, status int)

	to atomic.Pointer[string]
}

// Lead leads to a service, from now on.
func (r *Route) Lead(c *Client) { r.to.Store(&c.Events) }

// RoundTrip sends one push on a connection of its own, as WeChat may.
func (r *Route) RoundTrip(req *http.Request) (*http.Response, error) {
	to := r.to.Load()
	if to == nil {
		return nil, errors.New("the service is not up yet")
	}
	target, err := url.Parse(*to)
	if err != nil {
		return nil, err
	}
	out := req.Clone(req.Context())
	out.URL.Host, out.Host = target.Host, ""
	out.Close = true
	var sent []byte
	if r.Heard != nil {
		if sent, err = drain(&out.Body); err != nil {
			return nil, err
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(out)
	if err != nil || r.Heard == nil || req.Method != http.MethodPost {
		return resp, err
	}
	answer, err := drain(&resp.Body)
	if err != nil {
		return nil, err
	}
	r.Heard(sent, answer, resp.StatusCode)
	return resp, nil
}

// Merchant is a shop that orders at the sandbox. It is safe for concurrent use.
type Merchant struct {
	url, token string
	http       *http.Client
}

// NewMerchant gets a merchant its access_token.
func NewMerchant(t testing.TB, up *Upstream) *Merchant {
	t.Helper()
	return NewShop(t, up.URL, "wxmerchant")
}

// NewShop is NewMerchant at any URL, with any appid.
func NewShop(t testing.TB, upstream, appID string) *Merchant {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	t.Cleanup(transport.CloseIdleConnections)
	m := &Merchant{url: upstream, http: &http.Client{Transport: transport, Timeout: 60 * time.Second}}
	var a struct {
		AccessToken string `json:"access_token"`
	}
	err := m.post(t.Context(), "/cgi-bin/stable_token", map[string]string{"grant_type": "client_credential", "appid": appID, "secret": "secret"}, &a)
	if err != nil || a.AccessToken == "" {
		t.Fatalf("the merchant gets no access_token (%v)", err)
	}
	m.token = a.AccessToken
	return m
}

// Ordered is what order/add and order/cancel answer.
type Ordered struct {
	Errcode    int    `json:"errcode"`
	Errmsg     string `json:"errmsg"`
	WaybillID  string `json:"waybill_id"`
	ResultCode int    `json:"delivery_resultcode"`
	ResultMsg  string `json:"delivery_resultmsg"`
}

// Merchants' errcodes (WeChat 物流助手, addOrder).
const (
	CarrierRefused = 9300501 // ResultCode says why.
	CarrierFailed  = 9300502 // It gave no answer that can be used, three times.
)

// TestOrder orders with WeChat's own delivery company for tests, which reaches no carrier, and returns the waybill's number.
func (m *Merchant) TestOrder(t testing.TB, orderID string) string {
	t.Helper()
	a, err := m.order(t.Context(), "TEST", "test_biz_id", orderID)
	if err != nil || a.Errcode != 0 {
		t.Fatalf("ordering %s: %+v, %v", orderID, a, err)
	}
	return a.WaybillID
}

// Order is POST order/add.
func (m *Merchant) Order(ctx context.Context, deliveryID, orderID string) (Ordered, error) {
	return m.order(ctx, deliveryID, "biz-1", orderID)
}

func (m *Merchant) order(ctx context.Context, deliveryID, bizID, orderID string) (a Ordered, err error) {
	person := map[string]any{"name": "张三", "mobile": "18600000000", "province": "广东省", "city": "广州市", "area": "海珠区", "address": "XX路XX号 <&>"}
	err = m.post(ctx, "/cgi-bin/express/business/order/add?access_token="+m.token, map[string]any{
		"add_source": 0, "order_id": orderID, "openid": "oCustomer", "delivery_id": deliveryID, "biz_id": bizID, "custom_remark": `易碎 "]]>"`,
		"sender": person, "receiver": person, "shop": map[string]any{"goods_name": "书"},
		"cargo": map[string]any{"count": 1, "weight": 5.5, "space_x": 30.5, "space_y": 20, "space_z": 20,
			"detail_list": []map[string]any{{"name": "围城 & 城", "count": 1}}},
		"insured": map[string]any{"use_insured": 1, "insured_value": 10000}, "service": map[string]any{"service_type": 0, "service_name": "标准快递"},
	}, &a)
	return a, err
}

// Cancel is POST order/cancel.
func (m *Merchant) Cancel(ctx context.Context, deliveryID, orderID, waybillID string) (a Ordered, err error) {
	err = m.post(ctx, "/cgi-bin/express/business/order/cancel?access_token="+m.token,
		map[string]any{"order_id": orderID, "openid": "oCustomer", "delivery_id": deliveryID, "waybill_id": waybillID}, &a)
	return a, err
}

func (m *Merchant) post(ctx context.Context, path string, body, answer any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url+path, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	resp, err := m.http.Do(req)
	if err != nil {
		return err
	}
	text, err := drain(&resp.Body)
	if err == nil {
		err = json.Unmarshal(text, answer)
	}
	if err != nil {
		return fmt.Errorf("%s: status %d: %w: %.200s", path, resp.StatusCode, err, text)
	}
	return nil
}

// Mistakes lists what the sandbox found wrong about the answers to its pushes, but for those that did not come.
func (u *Upstream) Mistakes() (list []sandbox.Callback) {
	for _, c := range u.Callbacks() {
		if c.Mistake != "" && !c.Unanswered {
			list = append(list, c)
		}
	}
	return list
}
