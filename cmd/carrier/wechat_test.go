package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// TestDocumentsByHand: the documents' requests, in both forms, go out as their HTTPS form, and their answers come back
// in the form that was asked for.
func TestDocumentsByHand(t *testing.T) {
	commands := map[string]string{"getPath": "get-path", "getOrder": "get-order", "batchGetOrder": "batch-get-order", "updatePath": "update-path"}
	for call, name := range commands {
		for _, form := range []string{"https", "cloud"} {
			t.Run(call+" "+form, func(t *testing.T) {
				up := newWeChat(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if strings.HasSuffix(r.URL.Path, "token") {
						_, _ = io.WriteString(w, `{"access_token":"A","expires_in":7200}`)
						return
					}
					_, _ = io.WriteString(w, document(t, call, "answer", "https"))
				}))
				args := []string{"wechat", name, "-c", up.config(t, ""), "-f", "-"}
				if form == "cloud" {
					args = append(args, "--cloud")
				}
				if call == "updatePath" {
					args = append(args, "--yes")
				}
				status, out, errs := inProcess(t.Context(), nil, document(t, call, "request", form), args...)
				if status != 0 || errs != "" && call != "updatePath" {
					t.Fatalf("status %d: %s", status, errs)
				}
				sameMeaning(t, "the answer", out, document(t, call, "answer", form))
				_, bodies := up.heard()
				if len(bodies) != 1 {
					t.Fatalf("WeChat was asked %d times", len(bodies))
				}
				sameMeaning(t, "the request", bodies[0], document(t, call, "request", "https"))
			})
		}
	}
}

// TestTwoHundredAndFifty: three calls, as many results in order as orders, two with an errcode of their own.
func TestTwoHundredAndFifty(t *testing.T) {
	box := sandbox.New(sandbox.Options{})
	up := newWeChat(t, box)
	shop := apptest.NewShop(t, up.URL, "wxshop")
	var request strings.Builder
	request.WriteString(`{"order_list":[`)
	var want []string
	for i := range 250 {
		id := fmt.Sprintf("order-%03d", i)
		want = append(want, id)
		if i != 7 && i != 205 {
			shop.TestOrder(t, id)
		}
		fmt.Fprintf(&request, `{"order_id":%q,"delivery_id":"TEST"},`, id)
	}
	body := strings.TrimSuffix(request.String(), ",") + "]}"
	up.heard()
	file := fileOf(t, "orders.json", body)
	status, out, errs := inProcess(t.Context(), nil, "", "wechat", "batch-get-order", "-c", up.config(t, ""), "-f", file)
	if status != 1 || errs != "carrier: 2 of 250 orders have an errcode of their own, which is beside them\n" {
		t.Errorf("status %d: %s", status, errs)
	}
	var got struct {
		OrderList []struct {
			Errcode int    `json:"errcode"`
			OrderID string `json:"order_id"`
		} `json:"order_list"`
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	var ids, refused []string
	for _, o := range got.OrderList {
		ids = append(ids, o.OrderID)
		if o.Errcode != 0 {
			refused = append(refused, fmt.Sprint(o.OrderID, o.Errcode))
		}
	}
	if !slices.Equal(ids, want) || !slices.Equal(refused, []string{"order-007930563", "order-205930563"}) {
		t.Errorf("the orders are %q, refused are %q", ids, refused)
	}
	if calls, _ := up.heard(); len(calls) != 3 {
		t.Errorf("called %q, want three calls", calls)
	}
}

// TestByHandAgainstTheSandbox: each command does what it says, with flags.
func TestByHandAgainstTheSandbox(t *testing.T) {
	box := sandbox.New(sandbox.Options{})
	up := newWeChat(t, box)
	known, err := box.AddOrder(sandbox.Order{DeliveryID: "SF", WaybillID: "SF1", Token: tokenOfW})
	if err != nil {
		t.Fatal(err)
	}
	shop := apptest.NewShop(t, up.URL, "wxshop")
	waybill := shop.TestOrder(t, "order-1")
	config := up.config(t, "")
	hand := func(want int, stdin string, args ...string) (out, errs string) {
		t.Helper()
		status, out, errs := inProcess(t.Context(), nil, stdin, append([]string{"wechat"}, append(args, "-c", config)...)...)
		if status != want {
			t.Fatalf("carrier wechat %q: status %d, want %d: %s%s", args, status, want, out, errs)
		}
		for _, secret := range []string{secretOfSF, secretOfShop, tokenOfW, "access_token="} {
			if strings.Contains(out+errs, secret) {
				t.Errorf("carrier wechat %q shows %s", args, secret)
			}
		}
		return out, errs
	}

	tokenFile := fileOf(t, "token", known.Token+"\n")
	out, errs := hand(0, "", "update-path", "--yes", "--waybill-token-file", tokenFile, "--waybill-id", "SF1", "--action-type", "100001",
		"--action-msg", "<已揽件> & 18666666666", "--action-time", "1533052800")
	sameMeaning(t, "update-path", out, `{"errcode":0,"errmsg":"ok"}`)
	if !strings.HasPrefix(errs, "carrier: this goes to WeChat past the service") || strings.Count(errs, "\n") != 1 {
		t.Errorf("the warning is %q", errs)
	}
	out, _ = hand(0, known.Token, "update-path", "--yes", "--cloud", "--waybill-token-file", "-", "--waybill-id", "SF1", "--action-type", "200001", "--action-msg", "到达")
	sameMeaning(t, "update-path", out, `{"errCode":0,"errMsg":"openapi.logistics.updatePath:ok"}`)
	nodes := box.Nodes("SF1").Nodes
	if len(nodes) != 2 || nodes[0] != (sandbox.Node{ActionTime: 1533052800, ActionType: 100001, ActionMsg: "<已揽件> & 18666666666"}) ||
		time.Since(time.Unix(nodes[1].ActionTime, 0)).Abs() > time.Minute {
		t.Errorf("WeChat has %+v", nodes)
	}
	out, _ = hand(0, "", "get-path", "--delivery-id", "SF", "--waybill-id", "SF1")
	sameMeaning(t, "get-path", out, fmt.Sprintf(`{"openid":"","delivery_id":"SF","waybill_id":"SF1","path_item_num":2,"path_item_list":[
		{"action_time":1533052800,"action_type":100001,"action_msg":"<已揽件> & 18666666666"},{"action_time":%d,"action_type":200001,"action_msg":"到达"}]}`, nodes[1].ActionTime))
	if !strings.Contains(out, "<已揽件> &") {
		t.Errorf("the text is escaped: %s", out)
	}

	label := filepath.Join(t.TempDir(), "label.html")
	out, _ = hand(0, "", "get-order", "--merchant", "shop", "--order-id", "order-1", "--delivery-id", "TEST", "--print-type", "1", "--print-html", label)
	var order struct {
		PrintHTML string `json:"print_html"`
		WaybillID string `json:"waybill_id"`
	}
	if err := json.Unmarshal([]byte(out), &order); err != nil || order.WaybillID != waybill {
		t.Errorf("get-order: %v: %s", err, out)
	}
	html, _ := base64.StdEncoding.DecodeString(order.PrintHTML)
	info, err := os.Stat(label)
	if text := read(t, label); err != nil || text != string(html) || !strings.HasPrefix(text, "<!DOCTYPE html>") || info.Mode().Perm() != 0o600 {
		t.Errorf("the label is %q (%v)", text, err)
	}
	out, _ = hand(0, "", "batch-get-order", "--delivery-id", "TEST", "--order-id", "order-1", "--order-id", "order-1", "--waybill-id", waybill, "--waybill-id", waybill)
	if strings.Count(out, `"errcode": 0`) != 2 {
		t.Errorf("batch-get-order: %s", out)
	}

	out, errs = hand(1, "", "get-path", "--delivery-id", "SF", "--waybill-id", "SF9")
	if !strings.Contains(out, `"errcode": 40199`) || !strings.Contains(errs, "getPath: errcode 40199: waybill not found") || !strings.Contains(errs, "WeChat does not know the waybill") {
		t.Errorf("an unknown waybill: %s%s", out, errs)
	}
	_, errs = hand(1, "wrong", "update-path", "--yes", "--waybill-token-file", "-", "--waybill-id", "SF1", "--action-type", "200001", "--action-msg", "x")
	_, rid, _ := strings.Cut(errs, "rid: ")
	out, _ = hand(0, "", "rid", strings.TrimSpace(rid[:26]))
	var kept struct {
		Request struct {
			URL  string `json:"request_url"`
			Body string `json:"request_body"`
		}
	}
	if err := json.Unmarshal([]byte(out), &kept); err != nil || !strings.HasSuffix(kept.Request.URL, "/cgi-bin/express/delivery/path/update") || !strings.Contains(kept.Request.Body, `"waybill_id":"SF1"`) {
		t.Errorf("rid: %v: %s", err, out)
	}
	out, _ = hand(0, "", "quota")
	sameMeaning(t, "quota", out, `{"quota":{"daily_limit":1000000,"used":3,"remain":999997}}`)
	out, _ = hand(0, "", "quota", "--merchant", "shop")
	sameMeaning(t, "quota", out, `{"quota":{"daily_limit":1000000,"used":2,"remain":999998}}`)
	_, errs = hand(1, "", "quota", "/cgi-bin/nothing", "--delivery-id", "SF")
	if !strings.Contains(errs, "errcode 76021") || !strings.Contains(errs, "from /cgi-bin/ on") {
		t.Errorf("a call that is none: %s", errs)
	}
	out, _ = hand(0, "", "clear-quota", "--yes")
	sameMeaning(t, "clear-quota", out, `{"errcode":0,"errmsg":"ok"}`)
	out, _ = hand(0, "", "quota")
	sameMeaning(t, "quota", out, `{"quota":{"daily_limit":1000000,"used":0,"remain":1000000}}`)
}

// TestByHandMistakes: each is found before anything is asked, ends with status 2 and says what to change.
func TestByHandMistakes(t *testing.T) {
	up := newWeChat(t, http.NotFoundHandler())
	token := fileOf(t, "token", tokenOfW)
	update := func(args ...string) []string {
		return append([]string{"update-path", "--yes", "--waybill-token-file", token, "--waybill-id", "1", "--action-type", "200001", "--action-msg", "x"}, args...)
	}
	const more = ", {name: via, appid: wxvia, authorizer: true, refresh_token: R}"
	platform := up.config(t, more) + ".2"
	text := strings.Replace(read(t, strings.TrimSuffix(platform, ".2")), "merchants:", fmt.Sprintf(
		"platform: {appid: wxp, secret: canary-platform, base_url: %q, callback: {token: abc, encoding_aes_key: %s}}\nmerchants:", up.URL, strings.Repeat("a", 43)), 1)
	if err := os.WriteFile(platform, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	one, none := up.config(t, ""), fileOf(t, "carrier.yaml", "log: {level: info}\n")
	tests := []struct {
		name   string
		args   []string
		stdin  string
		config string // Default: one.
		want   string
	}{
		{name: "nothing given", args: []string{"get-path"}, want: "delivery_id is missing; give --delivery-id, or the request as JSON with -f"},
		{name: "no waybill", args: []string{"get-path", "--delivery-id", "SF"}, want: "waybill_id is missing"},
		{name: "no order", args: []string{"get-order", "--delivery-id", "SF"}, want: "order_id is missing"},
		{name: "no orders", args: []string{"batch-get-order", "--delivery-id", "SF"}, want: "order_id is missing"},
		{name: "orders of nobody", args: []string{"batch-get-order", "--order-id", "1"}, want: "delivery_id is missing"},
		{name: "unequal lists", args: []string{"batch-get-order", "--delivery-id", "SF", "--order-id", "1", "--order-id", "2", "--waybill-id", "3"}, want: "2 orders and 1 waybills"},
		{name: "a third form of label", args: []string{"get-order", "--order-id", "1", "--delivery-id", "SF", "--print-type", "2"}, want: "print_type is 0"},
		{name: "a file and flags", args: []string{"get-path", "-f", "-", "--waybill-id", "1"}, stdin: "{}", want: "-f is the whole request"},
		{name: "a file that is not there", args: []string{"get-path", "-f", "missing.json"}, want: "missing.json: no such file"},
		{name: "no JSON", args: []string{"get-path", "-f", "-"}, stdin: "x", want: "-f -: a JSON object is wanted"},
		{name: "a list", args: []string{"get-path", "-f", "-"}, stdin: "[]", want: "a JSON object is wanted"},
		{name: "a field that is none", args: []string{"get-path", "-f", "-"}, stdin: `{"waybil_id":"1"}`, want: `there is no field "waybil_id"; there are: delivery_id, openid, order_id, waybill_id`},
		{name: "a field in another case", args: []string{"get-path", "-f", "-"}, stdin: `{"Waybill_ID":"1"}`, want: "there is no field"},
		{name: "a field twice, in both forms", args: []string{"get-path", "-f", "-"}, stdin: `{"waybill_id":"1","waybillId":"2"}`, want: `it has "waybill_id" twice`},
		{name: "a number", args: []string{"get-path", "-f", "-"}, stdin: `{"waybill_id":1}`, want: "waybill_id must be a string"},
		{name: "null", args: []string{"get-path", "-f", "-"}, stdin: `{"waybill_id":null}`, want: "waybill_id must be a string"},
		{name: "a label that is none", args: []string{"get-order", "-f", "-"}, stdin: `{"order_id":"1","delivery_id":"SF","print_type":"1"}`, want: "print_type must be a whole number"},
		{name: "an empty list", args: []string{"batch-get-order", "-f", "-"}, stdin: `{"order_list":[]}`, want: "at least one order"},
		{name: "a list that is none", args: []string{"batch-get-order", "-f", "-"}, stdin: `{"order_list":{}}`, want: "order_list must be a list"},
		{name: "an order that is none", args: []string{"batch-get-order", "-f", "-"}, stdin: `{"order_list":[{"order_id":"1","delivery_id":"SF"},7]}`, want: "order_list[1]: a JSON object is wanted"},
		{name: "an order without its company", args: []string{"batch-get-order", "-f", "-"}, stdin: `{"orderList":[{"orderId":"1"}]}`, want: "order_list[0]: order_id and delivery_id"},
		{name: "a merchant that is none", args: []string{"get-path", "--merchant", "x", "--delivery-id", "SF", "--waybill-id", "1"}, want: `there is no merchant "x"; there are: shop`},
		{name: "which merchant", args: []string{"get-path", "--delivery-id", "SF", "--waybill-id", "1"}, config: platform, want: "choose one with --merchant: shop, via"},
		{name: "no merchant", args: []string{"get-path", "--delivery-id", "SF", "--waybill-id", "1"}, config: none, want: "no merchant is configured"},
		{name: "a platform's merchant", args: []string{"get-path", "--merchant", "via", "--delivery-id", "SF", "--waybill-id", "1"}, config: platform, want: "ask through it with --service"},
		{name: "a platform's merchant's quota", args: []string{"quota", "--merchant", "via"}, config: platform, want: "can't be made for it by hand; choose another"},
		{name: "through the service without a token", args: []string{"get-path", "--service", "--delivery-id", "SF", "--waybill-id", "1"}, want: "CARRIER_ADMIN_TOKEN"},
		{name: "an update without --yes", args: slices.Delete(update(), 1, 2), want: "--yes does it without asking"},
		{name: "an update without a Token", args: []string{"update-path", "--yes", "--waybill-id", "1", "--action-type", "200001", "--action-msg", "x"}, want: "--waybill-token-file"},
		{name: "two Tokens", args: []string{"update-path", "--yes", "--waybill-token-file", token, "-f", "-"}, stdin: `{"token":"` + tokenOfW + `"}`, want: "the request has token"},
		{name: "a Token on the command line", args: update("--token", tokenOfW), want: "unknown flag --token"},
		{name: "an action_type that is none", args: update("--action-type", "300001"), want: "none of the nine codes"},
		{name: "milliseconds", args: update("--action-time", "1533052800000"), want: "not in Unix seconds"},
		{name: "no text", args: update("--action-msg", ""), want: "1 to 1024 bytes"},
		{name: "a long text", args: update("--action-msg", strings.Repeat("长", 342)), want: "it has 1026"},
		{name: "a request without a time", args: []string{"update-path", "--yes", "--waybill-token-file", token, "-f", "-"},
			stdin: `{"waybill_id":"1","action_type":200001,"action_msg":"x"}`, want: "action_time 0"},
		{name: "an account that is none", args: update("--delivery-id", "YD"), want: `no account "YD"; there are: SF`},
		{name: "no account", args: update(), config: none, want: "no account is configured"},
		{name: "two programs", args: []string{"quota", "--delivery-id", "SF", "--merchant", "shop"}, want: "--delivery-id or --merchant"},
		{name: "clearing without --yes", args: []string{"clear-quota"}, want: "10 times a month"},
		{name: "no rid", args: []string{"rid"}, want: "rid"},
		{name: "nobody to ask for", args: []string{"quota"}, config: none, want: "no merchant is configured"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			config := tt.config
			if config == "" {
				config = one
			}
			status, out, errs := inProcess(t.Context(), nil, tt.stdin, append([]string{"wechat"}, append(tt.args, "-c", config)...)...)
			if status != 2 || out != "" {
				t.Errorf("status %d, standard output %q; want 2 and nothing", status, out)
			}
			oneLine(t, errs)
			if !strings.Contains(errs, tt.want) {
				t.Errorf("%s\nwant %q in it", errs, tt.want)
			}
			if tt.name != "a Token on the command line" && strings.Contains(errs, "canary") {
				t.Errorf("a secret shows: %s", errs)
			}
		})
	}
	if calls, _ := up.heard(); len(calls) != 0 {
		t.Errorf("WeChat was asked: %q", calls)
	}
}

// TestByHandTrouble: what goes wrong upstream ends with status 1, is told in both languages with what to do, and shows no
// secret although the upstream repeats whatever it hears.
func TestByHandTrouble(t *testing.T) {
	tests := []struct {
		name, grant, answer string // What the call for an access_token, and the call itself, are answered; HEARD stands for the request.
		args                []string
		out                 string // Of standard output.
		en, zh              string
	}{
		{name: "a wrong secret", grant: `{"errcode":40125,"errmsg":"invalid appsecret HEARD"}`,
			en: "no access_token: errcode 40125", zh: "AppSecret 错误"},
		{name: "no access_token", grant: `<html>HEARD`, en: "is base_url right", zh: "请检查 base_url"},
		{name: "no answer", answer: `<html>HEARD`, en: "getPath: not_json", zh: "请检查 base_url"},
		{name: "busy", answer: `{"errcode":-1,"errmsg":"system error HEARD"}`, out: `"errcode": -1`, en: "WeChat is busy", zh: "微信系统繁忙"},
		{name: "an errcode that is not documented", answer: `{"errcode":12345,"errmsg":"HEARD rid: 5f1e2a3b-0c1d2e3f-4a5b6c7d"}`, out: `"errcode": 12345`,
			en: "carrier wechat rid 5f1e2a3b-0c1d2e3f-4a5b6c7d shows", zh: "carrier wechat rid 5f1e2a3b-0c1d2e3f-4a5b6c7d 查看"},
		{name: "in the cloud's form", answer: `{"errcode":12345,"errmsg":"no"}`, args: []string{"--cloud"}, out: `"errMsg": "openapi.logistics.getPath:fail no"`, en: "12345", zh: "12345"},
		{name: "what moves the cursor", answer: `{"errcode":12345,"errmsg":"\u001b[2Jno"}`, out: `" [2Jno"`, en: "12345:  [2Jno", zh: "12345： [2Jno"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			const access = "canary-access-token-0123456789abcdef"
			up := newWeChat(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				heard, _ := json.Marshal(r.URL.String() + " " + string(body))
				text := tt.answer
				if strings.HasSuffix(r.URL.Path, "token") {
					text = tt.grant
					if text == "" {
						text = `{"access_token":"` + access + `","expires_in":7200}`
					}
				}
				_, _ = io.WriteString(w, strings.ReplaceAll(text, "HEARD", strings.Trim(string(heard), `"`)))
			}))
			for lang, want := range map[string]string{"en_US.UTF-8": tt.en, "zh_CN.UTF-8": tt.zh} {
				status, out, errs := inProcess(t.Context(), []string{"LANG=" + lang}, "", append([]string{"wechat", "get-path", "-c", up.config(t, ""),
					"--delivery-id", "SF", "--waybill-id", "1"}, tt.args...)...)
				if status != 1 || !strings.Contains(out, tt.out) || tt.out == "" && out != "" {
					t.Errorf("status %d, standard output %q; want 1 and %q", status, out, tt.out)
				}
				oneLine(t, errs)
				if !strings.Contains(errs, want) {
					t.Errorf("%s\nwant %q in it", errs, want)
				}
				if strings.Contains(out+errs, "canary") {
					t.Errorf("a secret shows: %s%s", out, errs)
				}
			}
		})
	}
}

// TestByHandInterrupted: Ctrl-C ends a call at once, and it is said whether WeChat may have done what was asked.
func TestByHandInterrupted(t *testing.T) {
	for _, tt := range []struct {
		name, hang, want string
		args             []string
	}{
		{name: "a reading", hang: "/path/get", args: []string{"get-path", "--delivery-id", "SF", "--waybill-id", "1"}, want: "interrupted: getPath: canceled: "},
		{name: "an access_token", hang: "token", args: []string{"get-path", "--delivery-id", "SF", "--waybill-id", "1"}, want: "interrupted: no access_token"},
		{name: "an update", hang: "/path/update", args: []string{"update-path", "--yes", "-f", "-"}, want: "the request was sent and may have been applied"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			up := newWeChat(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, tt.hang) {
					cancel()
					<-r.Context().Done()
					return
				}
				_, _ = io.WriteString(w, `{"access_token":"A","expires_in":7200}`)
			}))
			args := append([]string{"wechat", tt.args[0], "-c", up.config(t, "")}, tt.args[1:]...)
			status, stdout, stderr := inProcess(ctx, nil, document(t, "updatePath", "request", "https"), args...)
			if status != 1 || stdout != "" {
				t.Errorf("status %d: %s", status, stdout)
			}
			if !strings.Contains(stderr, tt.want) {
				t.Errorf("%s\nwant %q in it", stderr, tt.want)
			}
		})
	}
}

// TestPartsThatCame: of a list that breaks off the results that came are printed, and it is said which did not.
func TestPartsThatCame(t *testing.T) {
	batches := 0
	up := newWeChat(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "token") {
			_, _ = io.WriteString(w, `{"access_token":"A","expires_in":7200}`)
			return
		}
		if batches++; batches > 1 {
			_, _ = io.WriteString(w, `{"errcode":45009,"errmsg":"quota"}`)
			return
		}
		_, _ = io.Copy(w, io.MultiReader(strings.NewReader(`{"order_list":[`), strings.NewReader(strings.TrimSuffix(strings.Repeat(`{"errcode":0},`, 100), ",")), strings.NewReader(`]}`)))
	}))
	body := `{"order_list":[` + strings.TrimSuffix(strings.Repeat(`{"order_id":"1","delivery_id":"SF"},`, 150), ",") + `]}`
	status, out, errs := inProcess(t.Context(), nil, body, "wechat", "batch-get-order", "-c", up.config(t, ""), "-f", "-")
	if status != 1 || strings.Count(out, `"errcode": 0`) != 100 || !strings.HasPrefix(errs, "carrier: orders 101 to 150 of 150: batchGetOrder: errcode 45009: quota") {
		t.Errorf("status %d: %s\n%.300s", status, errs, out)
	}
}
