package demo

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"carrier/internal/durations"
)

// merchant is a shop's backend: it orders at WeChat with an access_token of its own mini program (WeChat 物流助手, addOrder
// and cancelOrder). It knows nothing of the service, which has its credentials to read traces. It is safe for concurrent
// use.
type merchant struct {
	base   string // WeChat's.
	secret string
	http   *http.Client

	mu          sync.Mutex
	accessToken string // Owned by mu; empty: fetch one.
}

const (
	merchantAppID = "wx1111111111111111"
	bizID         = "demo-shop" // The shop's account with the courier.
)

// merchantTimeout is longer than WeChat takes when it must ask the courier three times.
const merchantTimeout = 30 * time.Second

func newMerchant(base, secret string) *merchant {
	return &merchant{base: base, secret: secret, http: &http.Client{Timeout: merchantTimeout}}
}

// weChatSays is what order/add and order/cancel answer.
type weChatSays struct {
	Errcode    int    `json:"errcode"`
	Errmsg     string `json:"errmsg"`
	WaybillID  string `json:"waybill_id"`
	ResultCode int    `json:"delivery_resultcode"` // The courier's own, beside the errcode courierSaysNo.
	ResultMsg  string `json:"delivery_resultmsg"`
}

const (
	courierSaysNo   = 9300501
	courierNoAnswer = 9300502 // None that WeChat could use, three times.

	alreadyPickedUp = 30002 // ResultCodes of cancel_waybill.
	alreadyCanceled = 30003
)

// order orders a parcel and returns its waybill's number.
func (m *merchant) order(ctx context.Context, orderID string) (string, error) {
	person := func(name, mobile, province, city, area string) map[string]any {
		return map[string]any{"name": name, "mobile": mobile, "province": province, "city": city, "area": area, "address": "演示路1号"}
	}
	a, _, err := m.call(ctx, "/cgi-bin/express/business/order/add", map[string]any{
		"add_source": 0, "order_id": orderID, "openid": "oDemoCustomer", "delivery_id": DeliveryID, "biz_id": bizID,
		"sender":   person("张三", "18600000000", "广东省", "广州市", "海珠区"),
		"receiver": person("王小蒙", "18610000000", "上海市", "上海市", "徐汇区"),
		"shop":     map[string]any{"wxa_path": "/index/index", "img_url": "https://shop.example/1.png", "goods_name": "书", "goods_count": 1},
		"cargo": map[string]any{"count": 1, "weight": 0.5, "space_x": 30, "space_y": 20, "space_z": 5,
			"detail_list": []map[string]any{{"name": "一千零一夜", "count": 1}}},
		"insured": map[string]any{"use_insured": 0, "insured_value": 0},
		"service": map[string]any{"service_type": 0, "service_name": "标准快递"},
	})
	if err == nil && a.Errcode != 0 {
		err = fmt.Errorf("errcode %d (%s), result code %d (%s)", a.Errcode, a.Errmsg, a.ResultCode, a.ResultMsg)
	}
	if err != nil {
		return "", fmt.Errorf("ordering %s at WeChat: %w", orderID, err)
	}
	return a.WaybillID, nil
}

// cancel cancels an order, and returns the courier's ResultCode: 0 if it is cancelled.
func (m *merchant) cancel(ctx context.Context, orderID, waybill string) (code int, err error) {
	a, tries, err := m.call(ctx, "/cgi-bin/express/business/order/cancel",
		map[string]any{"order_id": orderID, "openid": "oDemoCustomer", "delivery_id": DeliveryID, "waybill_id": waybill})
	if err == nil && a.Errcode != 0 && a.Errcode != courierSaysNo {
		err = fmt.Errorf("errcode %d (%s)", a.Errcode, a.Errmsg)
	}
	if err != nil {
		return 0, fmt.Errorf("cancelling %s at WeChat: %w", orderID, err)
	}
	if a.ResultCode == alreadyCanceled && tries > 1 {
		return 0, nil // By a try before, whose answer got lost.
	}
	return a.ResultCode, nil
}

// call asks until there is an answer that says what became of it, or ctx ends, and tells how often it asked.
func (m *merchant) call(ctx context.Context, path string, body any) (a weChatSays, tries int, err error) {
	for tries = 1; ; tries++ {
		a, err = m.once(ctx, path, body)
		if err == nil && !m.isPassing(a.Errcode) {
			return a, tries, nil
		}
		if durations.Wait(ctx, min(time.Duration(tries)*50*time.Millisecond, time.Second)) != nil {
			last := cmp.Or(err, fmt.Errorf("errcode %d (%s)", a.Errcode, a.Errmsg))
			return a, tries, fmt.Errorf("%w; the last answer: %w", context.Cause(ctx), last)
		}
	}
}

// isPassing tells whether an errcode says nothing about what was asked. A refused access_token is thrown away.
func (m *merchant) isPassing(errcode int) bool {
	if slices.Contains([]int{40001, 40014, 41001, 42001}, errcode) {
		m.mu.Lock()
		m.accessToken = ""
		m.mu.Unlock()
		return true
	}
	return errcode == -1 || errcode == courierNoAnswer
}

func (m *merchant) once(ctx context.Context, path string, body any) (a weChatSays, err error) {
	token, err := m.token(ctx)
	if err == nil {
		err = m.post(ctx, path+"?access_token="+url.QueryEscape(token), body, &a)
	}
	return a, err
}

func (m *merchant) token(ctx context.Context) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.accessToken != "" {
		return m.accessToken, nil
	}
	var a struct {
		AccessToken string `json:"access_token"`
		weChatSays
	}
	err := m.post(ctx, "/cgi-bin/stable_token",
		map[string]string{"grant_type": "client_credential", "appid": merchantAppID, "secret": m.secret}, &a)
	if err == nil && a.AccessToken == "" {
		err = fmt.Errorf("errcode %d (%s)", a.Errcode, a.Errmsg)
	}
	if err != nil {
		return "", fmt.Errorf("fetching the merchant's access_token: %w", err)
	}
	m.accessToken = a.AccessToken
	return m.accessToken, nil
}

// post makes one request. Its errors don't repeat the address, which holds the access_token.
func (m *merchant) post(ctx context.Context, path string, body, answer any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.base+path, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := m.http.Do(req)
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, answer)
}
