package sandbox

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeCarrier is a delivery company that answers right, until a test makes it answer otherwise. It reads pushes with
// the standard library's decoders, not with the sandbox's.
type fakeCarrier struct {
	t testing.TB
	Carrier
	// change alters the right answer before it is encrypted; nil: it stays.
	change func(e *pushedEvent, a map[string]any)
	// raw answers in place of the carrier; false: the carrier answers.
	raw func(w http.ResponseWriter, r *http.Request, e *pushedEvent) bool
	// seal encrypts answers; nil: rightly.
	seal func(plain []byte, e *pushedEvent) []byte

	mu      sync.Mutex // Owns what follows.
	events  []*pushedEvent
	refused int
	numbers map[string]string // Its own waybill numbers by order.
	label   string
}

// pushedEvent is a push as the carrier understood it.
type pushedEvent struct {
	query            map[string]string
	body             string
	key              string // The EncodingAESKey that opened it; empty if none.
	ToUserName       string
	FromUserName     string
	CreateTime       int64
	MsgType, Event   string
	Token, OrderID   string
	BizID, BizPwd    string
	ShopAppID        string
	WayBillID        string
	Remark           string
	Sender, Receiver struct{ Name, Tel, Mobile, Company, PostCode, Country, Province, City, Area, Address string }
	Cargo            struct {
		Weight, Space_X, Space_Y, Space_Z float64
		Count                             int
		DetailList                        []struct {
			Name  string
			Count int
		}
	}
	Insured struct{ UseInsured, InsuredValue int }
	Service struct {
		ServiceType int
		ServiceName string
	}
	// Of add_express_path, which has names of its own.
	DeliveryID, WayBillId, OrderId string
	Version, Count                 int64
	Actions                        []struct {
		ActionTime, ActionType int64
		ActionMsg              string
	}
	Encrypt string
}

const testSigningToken = "signingTokenOfTheConsole"

// newFake is a carrier of the mini program SF, in one format and mode.
func newFake(t testing.TB, format, mode string) *fakeCarrier {
	c := Carrier{
		DeliveryID: "SF", AppID: "wx5f5f5f", UserName: "gh_carrier", URL: "http://carrier.test/wechat/SF/callback?x=1",
		Token: testSigningToken, Format: format, Mode: mode, Bindings: map[string]string{"biz-1": "pass&word-of-biz-1"},
	}
	if mode != modePlain {
		c.EncodingAESKey, c.PreviousEncodingAESKey = otherAESKey, strings.Repeat("b", 43)
	}
	return &fakeCarrier{t: t, Carrier: c, numbers: map[string]string{}, label: "##SF_bagAddr##广州##SF_mark##888-666##"}
}

// box is a sandbox that knows the carrier, without a network, and an access_token of a merchant.
func (f *fakeCarrier) box(o Options) (*Sandbox, string) {
	o.Carriers, o.CallbackTransport = append(o.Carriers, f.Carrier), memory{f}
	s := New(o)
	return s, testToken(f.t, s, "wxmerchant")
}

// memory is a network without sockets, so that time can be in a bubble.
type memory struct{ h http.Handler }

func (m memory) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.h.ServeHTTP(rec, r)
	}()
	select {
	case <-done:
		return rec.Result(), nil
	case <-r.Context().Done():
		<-done // Handlers watch their context.
		return nil, r.Context().Err()
	}
}

func (f *fakeCarrier) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		f.t.Errorf("reading a push: %v", err)
	}
	q := r.URL.Query()
	if q.Get("x") != "1" {
		f.t.Errorf("the address's own query is lost: %s", r.URL.RawQuery)
	}
	e := f.open(q, body)
	if e == nil {
		f.mu.Lock()
		f.refused++
		f.mu.Unlock()
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	f.mu.Lock()
	f.events = append(f.events, e)
	f.mu.Unlock()
	if f.raw != nil && f.raw(w, r, e) {
		return
	}
	if r.Method == http.MethodGet {
		_, _ = io.WriteString(w, q.Get("echostr"))
		return
	}
	_, _ = w.Write(f.answer(e))
}

// open checks a push; nil: it is not WeChat's.
func (f *fakeCarrier) open(q map[string][]string, body []byte) *pushedEvent {
	get := func(name string) string { return strings.Join(q[name], ",") }
	e := &pushedEvent{query: map[string]string{}, body: string(body)}
	for name := range q {
		e.query[name] = get(name)
	}
	if get("signature") != signature(f.Token, get("timestamp"), get("nonce")) {
		return nil
	}
	if len(body) == 0 {
		return e
	}
	e.decode(f.t, f.Format, body)
	if f.EncodingAESKey == "" {
		return e
	}
	if e.Encrypt == "" || get("encrypt_type") != "aes" || get("msg_signature") != signature(f.Token, get("timestamp"), get("nonce"), e.Encrypt) {
		return nil
	}
	for _, encoded := range []string{f.EncodingAESKey, f.PreviousEncodingAESKey} {
		plain, err := unseal(mustKey(f.t, encoded), e.Encrypt, f.AppID)
		if err != nil {
			continue
		}
		inner := &pushedEvent{query: e.query, body: e.body, key: encoded}
		inner.decode(f.t, f.Format, plain)
		return inner
	}
	f.t.Errorf("a signed push that no key opens")
	return nil
}

func (e *pushedEvent) decode(t testing.TB, format string, body []byte) {
	decode := func() error { return xml.Unmarshal(body, e) }
	if format == formatJSON {
		decode = func() error { return json.Unmarshal(body, e) }
	}
	if err := decode(); err != nil {
		t.Errorf("a push that can't be read: %v: %s", err, body)
	}
}

// answer is what the document wants.
func (f *fakeCarrier) answer(e *pushedEvent) []byte {
	a := map[string]any{
		"ToUserName": e.FromUserName, "FromUserName": e.ToUserName, "CreateTime": time.Now().Unix(), "MsgType": "event",
		"Event": strings.ToUpper(e.Event), "OrderID": e.OrderID, "BizID": e.BizID, "WayBillID": e.WayBillID,
		"ResultCode": 0, "ResultMsg": "success",
	}
	if e.Event == "add_waybill" {
		a["Token"], a["WaybillData"] = e.Token, f.label
		if e.WayBillID == "0" {
			f.mu.Lock()
			if f.numbers[e.OrderID] == "" {
				f.numbers[e.OrderID] = fmt.Sprintf("OWN%04d", len(f.numbers))
			}
			a["WayBillID"] = f.numbers[e.OrderID]
			f.mu.Unlock()
		}
	}
	if f.change != nil {
		f.change(e, a)
	}
	plain := encodeAnswer(f.Format, a)
	switch {
	case f.seal != nil:
		return f.seal(plain, e)
	case e.key != "":
		return f.sealed(plain, e, e.key, nil)
	}
	return plain
}

// sealed is an encrypted answer; change alters it after it is signed.
func (f *fakeCarrier) sealed(plain []byte, e *pushedEvent, key string, change func(map[string]any)) []byte {
	at := time.Now().Unix()
	sealed := seal(mustKey(f.t, key), [16]byte([]byte("abcdefghijklmnop")), plain, f.AppID)
	outer := map[string]any{
		"Encrypt": sealed, "TimeStamp": at, "Nonce": e.query["nonce"],
		"MsgSignature": signature(f.Token, strconv.FormatInt(at, 10), e.query["nonce"], sealed),
	}
	if change != nil {
		change(outer)
	}
	return encodeAnswer(f.Format, outer)
}

func encodeAnswer(format string, a map[string]any) []byte {
	if format == formatJSON {
		return encode(a)
	}
	var b bytes.Buffer
	b.WriteString("<?xml version=\"1.0\"?>\n<xml>\n")
	for name, v := range a {
		if n, ok := v.(string); ok {
			fmt.Fprintf(&b, "  <%s><![CDATA[%s]]></%s>\n", name, n, name)
			continue
		}
		fmt.Fprintf(&b, "  <%s>%v</%s>\n", name, v, name)
	}
	b.WriteString("</xml>\n")
	return b.Bytes()
}

// pushes are those that came, of one event.
func (f *fakeCarrier) pushes(event string) []*pushedEvent {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []*pushedEvent
	for _, e := range f.events {
		if e.Event == event {
			out = append(out, e)
		}
	}
	return out
}

const (
	addURL    = "/cgi-bin/express/business/order/add"
	cancelURL = "/cgi-bin/express/business/order/cancel"
)

// addReply is what order/add and order/cancel answer.
type addReply struct {
	Errcode     int         `json:"errcode"`
	Errmsg      string      `json:"errmsg"`
	OrderID     string      `json:"order_id"`
	WaybillID   string      `json:"waybill_id"`
	WaybillData []labelPart `json:"waybill_data"`
	ResultCode  int64       `json:"delivery_resultcode"`
	ResultMsg   string      `json:"delivery_resultmsg"`
}

// order calls one of the two.
func order(t testing.TB, s *Sandbox, url, accessToken, body string) (out addReply) {
	t.Helper()
	own(t, s, http.MethodPost, url+"?access_token="+accessToken, body, http.StatusOK, &out)
	return out
}

// orderBody is a valid order/add.
func orderBody(orderID string) string {
	return fmt.Sprintf(`{"add_source":0,"order_id":%q,"openid":"oCUSTOMER","delivery_id":"SF","biz_id":"biz-1","custom_remark":"易碎物品 <&> ]]> \"x\"",
"sender":{"name":"张三","tel":"020-88888888","mobile":"18666666666","company":"公司","post_code":"123456","country":"中国","province":"广东省","city":"广州市","area":"海珠区","address":"XX路XX号"},
"receiver":{"name":"王小蒙","mobile":"18610000000","province":"广东省","city":"深圳市","area":"南山区","address":"YY路YY号"},
"shop":{"wxa_path":"/index/index","img_url":"https://x.test/1.png","goods_name":"书","goods_count":2},
"cargo":{"count":2,"weight":5.5,"space_x":30.5,"space_y":20,"space_z":20,"detail_list":[{"name":"一千零一夜","count":1},{"name":"围城 & 城","count":1}]},
"insured":{"use_insured":1,"insured_value":10000},"service":{"service_type":0,"service_name":"标准快递"},"expect_time":0}`, orderID)
}

func cancelBody(orderID, waybillID string) string {
	return fmt.Sprintf(`{"order_id":%q,"openid":"oCUSTOMER","delivery_id":"SF","waybill_id":%q}`, orderID, waybillID)
}
