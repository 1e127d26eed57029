package app_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// shop is a service with a merchant whose order-1 was pushed to WeChat.
type shop struct {
	described
	waybill string
	scans   []apptest.Event
}

const shopMerchant = "{name: shop, appid: wxmerchant, secret: " + canarySecretYAML + ", base_url: %q}"

// canarySecretYAML is what the sandbox takes from any appid; it must show nowhere.
const canarySecretYAML = "canary-merchant-secret-0123456789"

func newShop(t *testing.T) *shop {
	t.Helper()
	carrier := sandbox.Carrier{DeliveryID: "SF", AppID: "wx0000000000000001", URL: apptest.CallbackURL("SF"), Token: callbackToken, EncodingAESKey: aesKey()}
	route := &apptest.Route{}
	up := apptest.NewUpstream(t, sandbox.Options{Carriers: []sandbox.Carrier{carrier}, CallbackTransport: route})
	settings := apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: up.URL,
		Callback: fmt.Sprintf("{token: %s, encoding_aes_key: %q}", callbackToken, carrier.EncodingAESKey)})
	settings.Merchants = fmt.Sprintf("["+shopMerchant+", {name: other, appid: wxother, secret: s, base_url: %q}]", up.URL, up.URL)
	s := &shop{described: startDescribed(t, settings)}
	route.Lead(s.Client)
	ordered, err := apptest.NewMerchant(t, up).Order(t.Context(), "SF", "order-1")
	if err != nil || ordered.Errcode != 0 {
		t.Fatalf("ordering: %+v, %v", ordered, err)
	}
	s.waybill, s.scans = ordered.WaybillID, story(ordered.WaybillID, 100003, 100001, 200001)
	for i := range s.scans {
		s.scans[i] = without(s.scans[i])
		s.scans[i].ActionMsg = fmt.Sprintf("第 %d 步 <丽影邓丽君&【18666666666】>", i)
	}
	s.Accept(t, s.scans...)
	s.Settled(t, soon)
	return s
}

// TestMerchantsRead: what was pushed is read back with a merchant's credentials, in both forms, and who read orders is
// in the audit log.
func TestMerchantsRead(t *testing.T) {
	s := newShop(t)
	var nodes, cloudNodes []string
	for _, e := range s.scans {
		nodes = append(nodes, fmt.Sprintf(`{"action_time":%d,"action_type":%d,"action_msg":%q}`, e.ActionTime, e.ActionType, e.ActionMsg))
		cloudNodes = append(cloudNodes, fmt.Sprintf(`{"actionTime":%d,"actionType":%d,"actionMsg":%q}`, e.ActionTime, e.ActionType, e.ActionMsg))
	}
	path := fmt.Sprintf(`{"openid":"oCustomer","delivery_id":"SF","waybill_id":%q,"path_item_num":3,"path_item_list":[%s]}`, s.waybill, strings.Join(nodes, ","))
	cloudPath := fmt.Sprintf(`{"openid":"oCustomer","deliveryId":"SF","waybillId":%q,"pathItemNum":3,"pathItemList":[%s],"errMsg":"openapi.logistics.getPath:ok"}`,
		s.waybill, strings.Join(cloudNodes, ","))
	const order = `"order_id":"order-1","delivery_id":"SF"`
	tests := []struct {
		name, path, body, token string
		status                  int
		want                    string   // All of the answer,
		parts                   []string // or parts of it.
	}{
		{name: "path", path: "path", body: `{"merchant":"shop",` + order + `,"openid":"oCustomer","waybill_id":"` + s.waybill + `"}`, status: 200, want: path},
		{name: "path in the cloud's form", path: "path?style=cloud",
			body: `{"merchant":"shop","orderId":"order-1","openid":"oCustomer","deliveryId":"SF","waybillId":"` + s.waybill + `"}`, status: 200, want: cloudPath},
		{name: "path for a viewer", path: "path?style=https", body: `{"merchant":"shop","delivery_id":"SF","waybill_id":"` + s.waybill + `"}`, token: s.Viewer, status: 200,
			want: strings.ReplaceAll(path, "18666666666", "186****6666")},
		{name: "another merchant's order", path: "path", body: `{"merchant":"other",` + order + `,"waybill_id":"` + s.waybill + `"}`, status: 200, parts: []string{`"errcode":930563`}},
		{name: "an unknown waybill", path: "path?style=cloud", body: `{"merchant":"shop","deliveryId":"SF","waybillId":"SF0"}`, status: 200,
			parts: []string{`{"errCode":40199,"errMsg":"openapi.logistics.getPath:fail waybill not found`}},
		{name: "which merchant", path: "path", body: `{"delivery_id":"SF","waybill_id":"1"}`, status: 400, parts: []string{`"field":"merchant"`, "shop, other"}},
		{name: "an unknown merchant", path: "path", body: `{"merchant":"x","delivery_id":"SF","waybill_id":"1"}`, status: 400, parts: []string{`no merchant \"x\"`}},
		{name: "order", path: "order", body: `{"merchant":"shop",` + order + `}`, status: 200, parts: []string{`"print_html":"`, `"order_status":0`, `"waybill_id":"` + s.waybill + `"`}},
		{name: "order in the cloud's form", path: "order?style=cloud", body: `{"merchant":"shop","orderId":"order-1","deliveryId":"SF","printType":1}`, status: 200,
			parts: []string{`"printHtml":"`, `"errMsg":"openapi.logistics.getOrder:ok"`}},
		{name: "an unknown order", path: "order", body: `{"merchant":"shop","order_id":"order-2","delivery_id":"SF"}`, status: 200, parts: []string{`{"errcode":930563,`}},
		{name: "order for a viewer", path: "order", body: `{"merchant":"shop",` + order + `}`, token: s.Viewer, status: 403},
		{name: "orders", path: "orders", body: `{"merchant":"shop","order_list":[{"order_id":"order-2","delivery_id":"SF"},{` + order + `}]}`, status: 200,
			parts: []string{`{"order_list":[{"errcode":930563,"errmsg":"order not exists","order_id":"order-2","delivery_id":"SF"},{"errcode":0,"errmsg":"ok","print_html":`}},
		{name: "orders in the cloud's form", path: "orders?style=cloud", body: `{"merchant":"shop","orderList":[{"orderId":"order-1","deliveryId":"SF","waybillId":"` + s.waybill + `"}]}`,
			status: 200, parts: []string{`{"orderList":[{"errcode":0,`, `"errMsg":"openapi.logistics.batchGetOrder:ok"}`}},
		{name: "orders for a viewer", path: "orders", body: `{}`, token: s.Viewer, status: 403},
	}
	var said strings.Builder
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			header := []string{}
			if tt.token != "" {
				header = []string{"Authorization", "Bearer " + tt.token}
			}
			got := strings.TrimSpace(string(s.ask(t, tt.status, "POST", "/admin/v1/wechat/"+tt.path, tt.body, header...)))
			said.WriteString(got)
			if tt.want != "" && got != tt.want {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
			for _, part := range tt.parts {
				if !strings.Contains(got, part) {
					t.Errorf("%s\nwant %s in it", got, part)
				}
			}
		})
	}
	var audit struct {
		Items []struct {
			By, Action, Detail string
			DeliveryID         string `json:"delivery_id"`
		}
	}
	if err := json.Unmarshal(s.ask(t, 200, "GET", "/admin/v1/audit?action=wechat.order", ""), &audit); err != nil {
		t.Fatal(err)
	}
	if n := len(audit.Items); n != 5 {
		t.Fatalf("%d readings are in the audit log, want 5: %+v", n, audit.Items)
	}
	if e := audit.Items[1]; e.By != "ops" || e.DeliveryID != "" || e.Detail != `{"merchant":"shop","order_ids":["order-2","order-1"]}` {
		t.Errorf("the audit log has %+v", e)
	}
	if e := audit.Items[4]; e.DeliveryID != "SF" || e.Detail != `{"merchant":"shop","order_ids":["order-1"]}` {
		t.Errorf("the audit log has %+v", e)
	}
	s.stop()
	if all := said.String() + s.log.String(); strings.Contains(all, canarySecretYAML) || strings.Contains(all, "access_token=") {
		t.Error("a secret shows")
	}
}

// TestMerchantWithoutAnAnswer: what is no answer of WeChat's is a problem, and says what to do.
func TestMerchantWithoutAnAnswer(t *testing.T) {
	gossiping := apptest.Serve(t, http.HandlerFunc(gossip))
	settings := apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: gossiping})
	settings.LogLevel = "debug"
	settings.Merchants = fmt.Sprintf("[{name: refused, appid: wx1, secret: %[1]q, base_url: \"%[2]s/refusing\"}, "+
		"{name: html, appid: wx2, secret: %[1]q, base_url: %[2]q}, {name: busy, appid: wx3, secret: %[1]q, base_url: \"%[2]s/busy\"}]", canarySecret, gossiping)
	s := startDescribed(t, settings)
	for body, want := range map[string]string{
		`{"merchant":"refused","delivery_id":"SF","waybill_id":"1"}`:   `"errcode":40125`,
		`{"merchant":"html","delivery_id":"SF","waybill_id":"HTML"}`:   "HTTP 200",
		`{"merchant":"html","delivery_id":"SF","waybill_id":"HEADER"}`: "network",
		`{"merchant":"busy","delivery_id":"SF","waybill_id":"1"}`:      "no access_token",
	} {
		got := string(s.ask(t, 502, "POST", "/admin/v1/wechat/path", body))
		if !strings.Contains(got, `"code":"upstream_failed"`) || !strings.Contains(got, want) {
			t.Errorf("%s is answered %s, want %s in it", body, got, want)
		}
		got += string(s.ask(t, 502, "POST", "/admin/v1/wechat/path", body, "Accept-Language", "zh")) + s.log.String()
		for _, secret := range []string{canarySecret, canaryAccessToken, canaryPhone, jsonForm(canarySecret), url.QueryEscape(canarySecret)} {
			if i := strings.Index(got, secret); i >= 0 {
				t.Errorf("%s: a secret shows: %.200s", body, got[max(0, i-100):])
			}
		}
	}
	untilHealth(t, s.service, "degraded", "merchant refused: no access_token: errcode 40125")
}

// platformHost is WeChat for a third-party platform: it wants the newest ticket, gives a merchant the sandbox's own
// access_token, and a new refresh_token each time.
type platformHost struct {
	*sandbox.Sandbox
	mu      sync.Mutex
	ticket  string
	refresh int
}

func (h *platformHost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, "/cgi-bin/component/") {
		h.Sandbox.ServeHTTP(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case strings.HasSuffix(r.URL.Path, "component_token") && !strings.Contains(string(body), `"component_verify_ticket":"`+h.ticket+`"`):
		_, _ = io.WriteString(w, `{"errcode":61006,"errmsg":"component ticket is invalid"}`)
	case strings.HasSuffix(r.URL.Path, "component_token"):
		_, _ = io.WriteString(w, `{"component_access_token":"canary-component","expires_in":7200}`)
	case !strings.Contains(string(body), fmt.Sprintf(`"authorizer_refresh_token":"canary-refresh-%d"`, h.refresh)):
		_, _ = io.WriteString(w, `{"errcode":61023,"errmsg":"refresh_token is invalid"}`)
	default:
		h.refresh++
		given := httptest.NewRecorder()
		h.Sandbox.ServeHTTP(given, httptest.NewRequest(http.MethodPost, "/cgi-bin/stable_token",
			strings.NewReader(`{"grant_type":"client_credential","appid":"wxmerchant","secret":"x"}`)))
		var token struct {
			AccessToken string `json:"access_token"`
		}
		_ = json.Unmarshal(given.Body.Bytes(), &token)
		_, _ = fmt.Fprintf(w, `{"authorizer_access_token":%q,"expires_in":7200,"authorizer_refresh_token":"canary-refresh-%d"}`, token.AccessToken, h.refresh)
	}
}

// TestPlatform: WeChat pushes a ticket to the third-party platform, with which a merchant that has authorised it is
// called for; ticket and refresh_token outlive a restart, and are sealed at rest.
func TestPlatform(t *testing.T) {
	h := &platformHost{Sandbox: sandbox.New(sandbox.Options{Open: true}), ticket: "canary-ticket-1"}
	upstream := apptest.Serve(t, h)
	key := aesKey()
	settings := apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: upstream})
	settings.LogLevel = "debug"
	settings.KeyFile = writeFile(t, strings.Repeat("07", 32))
	settings.Merchants = fmt.Sprintf("[{name: shop, appid: wxmerchant, authorizer: true, refresh_token: canary-refresh-0, base_url: %q}]", upstream)
	settings.Platform = fmt.Sprintf("{appid: wxplatform, secret: canary-component-secret, base_url: %q, callback: {token: %s, encoding_aes_key: %q}}", upstream, callbackToken, key)
	s := startDescribed(t, settings)
	push := func(want int, appID, message string) {
		t.Helper()
		if status, answer := componentPush(t, s.service, key, appID, message); status != want || want == 200 && answer != "success" {
			t.Errorf("%s is answered %d %s, want %d", message, status, answer, want)
		}
	}
	ticket := func(appID, text string, at int) string {
		return fmt.Sprintf("<xml><AppId>%s</AppId><CreateTime>%d</CreateTime><InfoType>component_verify_ticket</InfoType>"+
			"<ComponentVerifyTicket>%s</ComponentVerifyTicket></xml>", appID, at, text)
	}
	const body = `{"delivery_id":"SF","waybill_id":"W1"}`
	s.Accept(t, scan("W1", 1, 100001))
	s.Settled(t, soon)
	if got := string(s.ask(t, 502, "POST", "/admin/v1/wechat/path", body)); !strings.Contains(got, "component_verify_ticket") {
		t.Errorf("without a ticket: %s", got)
	}
	push(401, "wxelse", ticket("wxplatform", "forged", 900)) // Encrypted for another platform.
	push(200, "wxplatform", ticket("wxelse", "another", 900))
	push(200, "wxplatform", ticket("wxplatform", "canary-ticket-1", 500))
	push(200, "wxplatform", ticket("wxplatform", "canary-ticket-0", 400)) // Older: sent again late.
	push(200, "wxplatform", "<xml><AppId>wxplatform</AppId><InfoType>component_verify_ticket</InfoType></xml>")
	for _, info := range []string{"authorized", "updateauthorized", "unauthorized", "news"} {
		push(200, "wxplatform", "<xml><AppId>wxplatform</AppId><InfoType>"+info+"</InfoType><AuthorizerAppid>wxmerchant</AuthorizerAppid></xml>")
	}
	s.ask(t, 200, "POST", "/admin/v1/wechat/path", body)
	s.stop()
	logs := s.log.String()

	s = startDescribed(t, settings)
	if got := string(s.ask(t, 200, "POST", "/admin/v1/wechat/path", body)); !strings.Contains(got, `"path_item_num":1`) {
		t.Errorf("after a restart: %s", got)
	}
	s.stop()
	if h.refresh != 2 {
		t.Errorf("%d access_tokens were fetched for the merchant, want 2", h.refresh)
	}
	if logs += s.log.String(); strings.Contains(logs, "canary-") {
		t.Errorf("the log shows a secret: %.300s", logs[strings.Index(logs, "canary-")-100:])
	}
	if files := everything(t, settings.Store); strings.Contains(files, "canary-ticket") || strings.Contains(files, "canary-refresh") {
		t.Error("the store shows a secret")
	}
}

// componentPush pushes a message to the third-party platform, encrypted for an appid.
func componentPush(t *testing.T, s *service, encodingAESKey, appID, message string) (status int, answer string) {
	t.Helper()
	key, err := base64.RawStdEncoding.DecodeString(encodingAESKey)
	if err != nil {
		t.Fatal(err)
	}
	plain := make([]byte, 16, 1024)
	_, _ = rand.Read(plain) // It never fails.
	plain = append(append(binary.BigEndian.AppendUint32(plain, uint32(len(message))), message...), appID...)
	pad := 32 - len(plain)%32
	plain = append(plain, strings.Repeat(string(rune(pad)), pad)...)
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	cipher.NewCBCEncrypter(block, key[:16]).CryptBlocks(plain, plain)
	encrypt := base64.StdEncoding.EncodeToString(plain)
	timestamp, nonce := strconv.FormatInt(time.Now().Unix(), 10), rand.Text()
	texts := []string{callbackToken, timestamp, nonce, encrypt}
	slices.Sort(texts)
	sum := sha1.Sum([]byte(strings.Join(texts, "")))
	query := url.Values{"timestamp": {timestamp}, "nonce": {nonce}, "encrypt_type": {"aes"}, "msg_signature": {hex.EncodeToString(sum[:])}, "signature": {"x"}}
	status, _, body, err := s.Do(t.Context(), http.MethodPost, s.Events+"/wechat/component/callback?"+query.Encode(), "text/xml",
		[]byte("<xml><AppId>wxplatform</AppId><Encrypt>"+encrypt+"</Encrypt></xml>"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return status, string(body)
}

// everything is all that stands in the files of a folder.
func everything(t *testing.T, folder string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
