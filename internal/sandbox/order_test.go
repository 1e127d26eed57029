package sandbox

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"carrier/internal/durations"
)

// everyMode runs a test in each format and mode.
func everyMode(t *testing.T, test func(t *testing.T, format, mode string)) {
	for _, format := range []string{formatXML, formatJSON} {
		for _, mode := range []string{modePlain, modeCompat, modeSafe} {
			t.Run(format+" "+mode, func(t *testing.T) { test(t, format, mode) })
		}
	}
}

func TestOrderAdd(t *testing.T) {
	everyMode(t, func(t *testing.T, format, mode string) {
		f := newFake(t, format, mode)
		s, merchant := f.box(Options{})
		got := order(t, s, addURL, merchant, orderBody("order-1"))
		if got.Errcode != 0 || got.OrderID != "order-1" || !strings.HasPrefix(got.WaybillID, "SF") || len(got.WaybillID) != 15 {
			t.Fatalf("order/add = %+v", got)
		}
		if want := []labelPart{{"SF_bagAddr", "广州"}, {"SF_mark", "888-666"}}; !slices.Equal(got.WaybillData, want) {
			t.Errorf("waybill_data %v, want %v", got.WaybillData, want)
		}
		all := f.pushes("add_waybill")
		if len(all) != 1 {
			t.Fatalf("%d pushes, want 1", len(all))
		}
		e := all[0]
		if e.WayBillID != got.WaybillID || e.OrderID != "order-1" || e.BizID != "biz-1" || e.BizPwd != "pass&word-of-biz-1" ||
			e.ShopAppID != "wxmerchant" || e.ToUserName != "gh_carrier" || e.FromUserName != teamOpenID || e.MsgType != "event" ||
			len(e.Token) < 100 || len(e.Token) > 256 || e.Remark != `易碎物品 <&> ]]> "x"` || e.CreateTime == 0 {
			t.Errorf("the push: %+v", e)
		}
		if e.Sender.Tel != "020-88888888" || e.Sender.PostCode != "123456" || e.Receiver.Country != "中国" || e.Receiver.Address != "YY路YY号" {
			t.Errorf("sender %+v, receiver %+v", e.Sender, e.Receiver)
		}
		if e.Cargo.Weight != 5.5 || e.Cargo.Space_X != 30.5 || len(e.Cargo.DetailList) != 2 || e.Cargo.DetailList[1].Name != "围城 & 城" ||
			e.Insured.InsuredValue != 10000 || e.Service.ServiceName != "标准快递" {
			t.Errorf("cargo %+v, insured %+v, service %+v", e.Cargo, e.Insured, e.Service)
		}
		// Compatible mode shows the fields beside Encrypt, safe mode doesn't.
		if shown := strings.Contains(e.body, "biz-1"); shown != (mode != modeSafe) {
			t.Errorf("mode %s shows the fields: %v", mode, shown)
		}
		if e.query["openid"] != teamOpenID {
			t.Errorf("query %v", e.query)
		}
		pusher := testToken(t, s, "wxcarrier")
		if code := push(t, s, pusher, bodyOf(got.WaybillID, e.Token, 1)); code != 0 {
			t.Errorf("a node with the Token: errcode %d", code)
		}
		if code := push(t, s, pusher, bodyOf(got.WaybillID, "other", 2)); code != codeOrderToken {
			t.Errorf("a node with another Token: errcode %d", code)
		}
		// The id is used up.
		if again := order(t, s, addURL, merchant, orderBody("order-1")); again.Errcode != codeOrderRepeated {
			t.Errorf("the same order_id again: %+v", again)
		}
		want := MerchantOrder{
			OrderID: "order-1", DeliveryID: "SF", BizID: "biz-1", ShopAppID: "wxmerchant", WaybillID: got.WaybillID,
			State: stateTaken, WaybillData: got.WaybillData,
		}
		if list := s.MerchantOrders(); len(list) != 1 || fmt.Sprint(list[0]) != fmt.Sprint(want) {
			t.Errorf("orders %+v, want %+v", list, want)
		}
	})
}

func TestOrderAddOfACarrierWithItsOwnNumbers(t *testing.T) {
	f := newFake(t, formatXML, modeSafe)
	f.OwnWaybillIDs = true
	s, merchant := f.box(Options{})
	first, second := order(t, s, addURL, merchant, orderBody("A")), order(t, s, addURL, merchant, orderBody("B"))
	if first.WaybillID != "OWN0000" || second.WaybillID != "OWN0001" {
		t.Fatalf("waybills %q, %q", first.WaybillID, second.WaybillID)
	}
	e := f.pushes("add_waybill")[0]
	if code := push(t, s, testToken(t, s, "wxcarrier"), bodyOf("OWN0000", e.Token, 1)); e.WayBillID != "0" || code != 0 {
		t.Errorf("pushed as %q; a node: errcode %d", e.WayBillID, code)
	}
	for _, bad := range []string{"OWN0000", "0", "", "has space", strings.Repeat("x", 65)} {
		f.change = func(_ *pushedEvent, a map[string]any) { a["WayBillID"] = bad }
		if got := order(t, s, addURL, merchant, orderBody("C")); got.Errcode != codeCarrierFailed || !strings.Contains(got.Errmsg, "WayBillID") {
			t.Errorf("the number %q: %+v", bad, got)
		}
	}
}

// TestWrongAnswers gives every wrong answer; each is asked for three times, and refused to the merchant.
func TestWrongAnswers(t *testing.T) {
	set := func(name string, v any) func(*fakeCarrier) {
		return func(f *fakeCarrier) { f.change = func(_ *pushedEvent, a map[string]any) { a[name] = v } }
	}
	without := func(name string) func(*fakeCarrier) {
		return func(f *fakeCarrier) { f.change = func(_ *pushedEvent, a map[string]any) { delete(a, name) } }
	}
	raw := func(status int, body string) func(*fakeCarrier) {
		return func(f *fakeCarrier) {
			f.raw = func(w http.ResponseWriter, _ *http.Request, _ *pushedEvent) bool {
				w.WriteHeader(status)
				_, _ = w.Write([]byte(body))
				return true
			}
		}
	}
	outer := func(change func(map[string]any)) func(*fakeCarrier) {
		return func(f *fakeCarrier) {
			f.seal = func(plain []byte, e *pushedEvent) []byte { return f.sealed(plain, e, e.key, change) }
		}
	}
	resign := func(f *fakeCarrier, plain []byte, e *pushedEvent, appID string, key string, nonce string, at int64) []byte {
		sealed := seal(mustKey(f.t, key), [16]byte{}, plain, appID)
		return encodeAnswer(f.Format, map[string]any{
			"Encrypt": sealed, "TimeStamp": at, "Nonce": nonce,
			"MsgSignature": signature(f.Token, strconv.FormatInt(at, 10), nonce, sealed),
		})
	}
	tests := []struct {
		name    string
		formats string // "" both
		modes   string // "" all
		wrong   func(*fakeCarrier)
		want    string
	}{
		{"success is not enough", "", "", raw(200, "success"), "full answer"},
		{"empty", "", "", raw(200, ""), "full answer"},
		{"status 500", "", "", raw(500, ""), "status 500"},
		{"a redirect", "", "", raw(307, ""), "status 307"},
		{"unauthorized", "", "", raw(401, ""), "status 401"},
		{"a page", "", "", raw(200, htmlPage), ""},
		{"too large", "", "", raw(200, strings.Repeat(" ", maxReply+1)), "1 MiB"},
		{"envelope not swapped", "", "", set("ToUserName", "gh_carrier"), "ToUserName is not the request's FromUserName"},
		{"from somebody else", "", "", set("FromUserName", teamOpenID), "FromUserName is not the request's ToUserName"},
		{"no ToUserName", "", "", without("ToUserName"), "ToUserName is missing"},
		{"another MsgType", "", "", set("MsgType", "text"), "MsgType"},
		{"another Event", "", "", set("Event", "cancel_waybill"), "Event is not add_waybill"},
		{"CreateTime in milliseconds", "", "", set("CreateTime", 1533042556000), "CreateTime is in Unix seconds"},
		{"no CreateTime", "", "", without("CreateTime"), "CreateTime is missing"},
		{"another Token", "", "", set("Token", "T"), "Token is not"},
		{"no Token", "", "", without("Token"), "Token is missing"},
		{"another OrderID", "", "", set("OrderID", "x"), "OrderID"},
		{"another BizID", "", "", set("BizID", "x"), "BizID"},
		{"another waybill", "", "", set("WayBillID", "x"), "WayBillID is not the request's"},
		{"waybill in another spelling", "", "", func(f *fakeCarrier) {
			f.change = func(_ *pushedEvent, a map[string]any) { a["WaybillID"] = a["WayBillID"]; delete(a, "WayBillID") }
		}, "WayBillID is missing"},
		{"lower-case resultcode", "", "", func(f *fakeCarrier) {
			f.change = func(_ *pushedEvent, a map[string]any) { a["resultcode"] = 0; delete(a, "ResultCode") }
		}, "ResultCode is missing"},
		{"ResultCode no number", "xml", "", set("ResultCode", "ok"), "ResultCode"},
		{"ResultCode a JSON string", "json", "", set("ResultCode", "0"), "ResultCode is a text"},
		{"OrderID a JSON number", "json", "", set("OrderID", 1), "OrderID is a number"},
		{"null", "json", "", set("ResultMsg", nil), "a text or a number is wanted"},
		{"no ResultMsg", "", "", without("ResultMsg"), "ResultMsg is missing"},
		{"no WaybillData", "", "", without("WaybillData"), "WaybillData is missing"},
		{"WaybillData without ##", "", "", set("WaybillData", "k=v"), "begins and ends"},
		{"a key without value", "", "", set("WaybillData", "##k##v##k2##"), "without its value"},
		{"a key twice", "", "", set("WaybillData", "##k##v##k##w##"), "twice"},
		{"another format", "xml", "", func(f *fakeCarrier) { f.raw = otherFormat(f, formatJSON) }, ""},
		{"another format", "json", "", func(f *fakeCarrier) { f.raw = otherFormat(f, formatXML) }, ""},

		{"not encrypted", "", "safe", func(f *fakeCarrier) {
			f.seal = func(plain []byte, _ *pushedEvent) []byte { return plain }
		}, "not encrypted"},
		{"a wrong MsgSignature", "", "safe compat", outer(func(a map[string]any) { a["MsgSignature"] = strings.Repeat("0", 40) }), "MsgSignature is not"},
		{"no MsgSignature", "", "safe compat", outer(func(a map[string]any) { delete(a, "MsgSignature") }), "MsgSignature is missing"},
		{"no TimeStamp", "", "safe", outer(func(a map[string]any) { delete(a, "TimeStamp") }), "TimeStamp is missing"},
		{"TimeStamp a JSON string", "json", "safe", outer(func(a map[string]any) { a["TimeStamp"] = fmt.Sprint(a["TimeStamp"]) }), "TimeStamp is a text"},
		{"TimeStamp in milliseconds", "", "safe", outer(func(a map[string]any) { a["TimeStamp"] = a["TimeStamp"].(int64) * 1000 }), "TimeStamp"},
		{"another Nonce", "", "safe", outer(func(a map[string]any) { a["Nonce"] = "1" }), "Nonce is not"},
		{"no Nonce", "", "safe", outer(func(a map[string]any) { delete(a, "Nonce") }), "Nonce is not"},
		{"Encrypt changed", "", "safe", outer(func(a map[string]any) { a["Encrypt"] = "AAAA" + a["Encrypt"].(string)[4:] }), "MsgSignature is not"},
		{"another key", "", "safe", func(f *fakeCarrier) {
			f.seal = func(plain []byte, e *pushedEvent) []byte { return f.sealed(plain, e, f.PreviousEncodingAESKey, nil) }
		}, "can't be decrypted"},
		{"another appid", "", "safe", func(f *fakeCarrier) {
			f.seal = func(plain []byte, e *pushedEvent) []byte {
				return resign(f, plain, e, "wxother", e.key, e.query["nonce"], time.Now().Unix())
			}
		}, "appid"},
		{"an old TimeStamp", "", "safe", func(f *fakeCarrier) {
			f.seal = func(plain []byte, e *pushedEvent) []byte {
				return resign(f, plain, e, f.AppID, e.key, e.query["nonce"], time.Now().Unix()-600)
			}
		}, "TimeStamp"},
		{"success, encrypted", "", "safe", func(f *fakeCarrier) {
			f.seal = func(_ []byte, e *pushedEvent) []byte { return f.sealed([]byte("success"), e, e.key, nil) }
		}, "full answer"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			everyMode(t, func(t *testing.T, format, mode string) {
				if !strings.Contains(test.formats, format) && test.formats != "" || !strings.Contains(test.modes, mode) && test.modes != "" {
					return // Of another format or mode: it can't be given there.
				}
				f := newFake(t, format, mode)
				test.wrong(f)
				s, merchant := f.box(Options{})
				got := order(t, s, addURL, merchant, orderBody("order-1"))
				if got.Errcode != codeCarrierFailed || !strings.Contains(got.Errmsg, test.want) || got.WaybillID != "" {
					t.Fatalf("%+v, want errcode %d with %q", got, codeCarrierFailed, test.want)
				}
				log, all := s.Callbacks(), f.pushes("add_waybill")
				if len(log) != pushAttempts || len(all) != pushAttempts || s.Stats().Callbacks.Mistakes != pushAttempts {
					t.Fatalf("%d callbacks, %d pushes, want %d", len(log), len(all), pushAttempts)
				}
				for i, c := range log {
					if c.Attempt != i+1 || c.Mistake == "" || !strings.Contains(c.Mistake, test.want) || c.Kind != kindPush {
						t.Errorf("callback %+v", c)
					}
				}
				for _, e := range all[1:] {
					if a, b := *all[0], *e; a.Token != b.Token || a.WayBillID != b.WayBillID || a.CreateTime != b.CreateTime || a.query["nonce"] == b.query["nonce"] {
						t.Errorf("the push came again changed, or with the same nonce")
					}
				}
				// Healed, the merchant orders again: the same number and Token, so that the carrier sees a repeat.
				f.change, f.raw, f.seal = nil, nil, nil
				if again := order(t, s, addURL, merchant, orderBody("order-1")); again.Errcode != 0 || again.WaybillID != all[0].WayBillID {
					t.Errorf("ordered again: %+v", again)
				}
				if last := f.pushes("add_waybill")[pushAttempts]; last.Token != all[0].Token {
					t.Errorf("ordered again with another Token")
				}
			})
		})
	}
}

// otherFormat answers rightly, but for the format.
func otherFormat(f *fakeCarrier, format string) func(http.ResponseWriter, *http.Request, *pushedEvent) bool {
	return func(w http.ResponseWriter, _ *http.Request, e *pushedEvent) bool {
		g := &fakeCarrier{t: f.t, Carrier: f.Carrier, numbers: f.numbers, label: f.label}
		g.Format = format
		_, _ = w.Write(g.answer(e))
		return true
	}
}

func TestPlainAnswerInCompatibleMode(t *testing.T) {
	f := newFake(t, formatXML, modeCompat)
	f.seal = func(plain []byte, _ *pushedEvent) []byte { return plain }
	s, merchant := f.box(Options{})
	if got := order(t, s, addURL, merchant, orderBody("order-1")); got.Errcode != 0 {
		t.Errorf("order/add = %+v", got)
	}
}

func TestNoAnswerInTime(t *testing.T) {
	tests := []struct {
		name    string
		waits   []time.Duration // of each push; then at once
		errcode int
		pushes  int
		took    time.Duration
	}{
		{"just in time", []time.Duration{4999 * time.Millisecond}, 0, 1, 4999 * time.Millisecond},
		{"the second push", []time.Duration{time.Hour, time.Second}, 0, 2, 6 * time.Second},
		{"the third push", []time.Duration{time.Hour, time.Hour}, 0, 3, 10 * time.Second},
		{"never", []time.Duration{time.Hour, time.Hour, time.Hour, time.Hour}, codeCarrierFailed, 3, 15 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, formatJSON, modeSafe)
				n := 0
				f.raw = func(_ http.ResponseWriter, r *http.Request, _ *pushedEvent) bool {
					if n++; n > len(test.waits) {
						return false
					}
					return durations.Wait(r.Context(), test.waits[n-1]) != nil
				}
				s, merchant := f.box(Options{})
				begun := time.Now()
				got := order(t, s, addURL, merchant, orderBody("order-1"))
				if took := time.Since(begun); got.Errcode != test.errcode || n != test.pushes || took != test.took {
					t.Errorf("errcode %d after %d pushes and %v, want %d, %d, %v: %+v", got.Errcode, n, took, test.errcode, test.pushes, test.took, got)
				}
				if test.errcode != 0 && !strings.Contains(got.Errmsg, "no answer within 5s") {
					t.Errorf("errmsg %q", got.Errmsg)
				}
			})
		})
	}
}

func TestMerchantGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, formatJSON, modeSafe)
		f.raw = func(_ http.ResponseWriter, r *http.Request, _ *pushedEvent) bool { <-r.Context().Done(); return true }
		s, merchant := f.box(Options{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, httptest.NewRequestWithContext(ctx, http.MethodPost, addURL+"?access_token="+merchant, strings.NewReader(orderBody("order-1"))))
		if rec.Body.Len() != 0 || len(f.pushes("add_waybill")) != 1 {
			t.Errorf("answer %q after %d pushes", rec.Body, len(f.pushes("add_waybill")))
		}
		if list := s.MerchantOrders(); len(list) != 1 || list[0].State != stateAsked {
			t.Errorf("orders %+v", list)
		}
		f.raw = nil
		if got := order(t, s, addURL, merchant, orderBody("order-1")); got.Errcode != 0 {
			t.Errorf("ordered again: %+v", got)
		}
	})
}

func TestCarrierRefuses(t *testing.T) {
	f := newFake(t, formatXML, modeSafe)
	f.change = func(_ *pushedEvent, a map[string]any) {
		a["ResultCode"], a["ResultMsg"] = 20003, "不在服务区 <x>"
		delete(a, "WaybillData")
	}
	s, merchant := f.box(Options{})
	got := order(t, s, addURL, merchant, orderBody("order-1"))
	if got.Errcode != codeCarrierRefused || got.ResultCode != 20003 || got.ResultMsg != "不在服务区 <x>" || got.WaybillData == nil ||
		!strings.HasPrefix(got.Errmsg, "delivery logic fail rid: ") {
		t.Errorf("order/add = %+v", got)
	}
	first := f.pushes("add_waybill")
	if len(first) != 1 || len(s.MerchantOrders()) != 0 {
		t.Errorf("%d pushes, orders %v", len(first), s.MerchantOrders())
	}
	if code := push(t, s, testToken(t, s, "wxcarrier"), bodyOf(first[0].WayBillID, first[0].Token, 1)); code != codeNoWaybill {
		t.Errorf("a node of the refused order: errcode %d", code)
	}
	f.change = nil
	if again := order(t, s, addURL, merchant, orderBody("order-1")); again.Errcode != 0 || again.WaybillID == first[0].WayBillID {
		t.Errorf("ordered again: %+v", again)
	}
}

func TestOrderCancel(t *testing.T) {
	everyMode(t, func(t *testing.T, format, mode string) {
		f := newFake(t, format, mode)
		s, merchant := f.box(Options{})
		id := order(t, s, addURL, merchant, orderBody("order-1")).WaybillID
		f.change = func(_ *pushedEvent, a map[string]any) { a["ResultCode"], a["ResultMsg"] = 30002, "已经揽收" }
		got := order(t, s, cancelURL, merchant, cancelBody("order-1", id))
		if got.Errcode != codeCarrierRefused || got.ResultCode != 30002 || got.ResultMsg != "已经揽收" || s.MerchantOrders()[0].State != stateTaken {
			t.Errorf("after pickup: %+v, orders %+v", got, s.MerchantOrders())
		}
		f.change = nil
		got = order(t, s, cancelURL, merchant, cancelBody("order-1", id))
		if got.Errcode != 0 || got.Errmsg != "ok" || got.ResultCode != 0 || got.ResultMsg != "success" {
			t.Errorf("order/cancel = %+v", got)
		}
		if o := s.MerchantOrders()[0]; o.State != stateCancelled || o.OrderStatus != 1 || o.WaybillID != id {
			t.Errorf("order %+v", o)
		}
		all := f.pushes("cancel_waybill")
		if e := all[1]; len(all) != 2 || e.FromUserName != "oCUSTOMER" || e.Token != "" || e.OrderID != "order-1" || e.BizID != "biz-1" ||
			e.BizPwd != "pass&word-of-biz-1" || e.WayBillID != id || e.ShopAppID != "wxmerchant" {
			t.Errorf("%d pushes, %+v", len(all), e)
		}
		if again := order(t, s, addURL, merchant, orderBody("order-1")); again.Errcode != codeOrderRepeated {
			t.Errorf("the same order_id again: %+v", again)
		}
	})
}

func TestOrderCancelRefuses(t *testing.T) {
	f := newFake(t, formatXML, modePlain)
	s, merchant := f.box(Options{})
	id := order(t, s, addURL, merchant, orderBody("order-1")).WaybillID
	other := testToken(t, s, "wxothermerchant")
	tests := []struct {
		name, token, body string
		want              int
	}{
		{"an unknown order", merchant, cancelBody("order-2", id), codeNoOrder},
		{"another merchant's", other, cancelBody("order-1", id), codeNoOrder},
		{"another waybill", merchant, cancelBody("order-1", "SF0"), codeWrongWaybill},
		{"another carrier", merchant, strings.Replace(cancelBody("order-1", id), `"SF"`, `"YD"`, 1), codeNoOrder},
		{"no waybill", merchant, `{"order_id":"order-1","delivery_id":"SF"}`, codeOrderArgs},
		{"no JSON", merchant, `x`, codeFormat},
		{"no access_token", "", cancelBody("order-1", id), codeTokenMissing},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := order(t, s, cancelURL, test.token, test.body); got.Errcode != test.want {
				t.Errorf("%+v, want errcode %d", got, test.want)
			}
		})
	}
	if n := len(f.pushes("cancel_waybill")); n != 0 {
		t.Errorf("%d pushes for refused requests", n)
	}
	f.change = func(_ *pushedEvent, a map[string]any) { a["WayBillID"] = "x" }
	if got := order(t, s, cancelURL, merchant, cancelBody("order-1", id)); got.Errcode != codeCarrierFailed || s.MerchantOrders()[0].State != stateTaken {
		t.Errorf("a wrong answer: %+v, orders %+v", got, s.MerchantOrders())
	}
}

func TestOrderFormRefuses(t *testing.T) {
	f := newFake(t, formatXML, modePlain)
	s, merchant := f.box(Options{})
	replace := func(old, new string) string {
		body := orderBody("order-1")
		if !strings.Contains(body, old) {
			t.Fatalf("no %s in the body", old)
		}
		return strings.Replace(body, old, new, 1)
	}
	tests := []struct {
		name, body string
		want       int
		says       string
	}{
		{"no JSON", "x", codeFormat, ""},
		{"an array", "[]", codeFormat, ""},
		{"null", "null", codeFormat, ""},
		{"not UTF-8", replace("易", "\xff"), codeFormat, "UTF-8"},
		{"nothing in it", "{}", codeOrderArgs, "order_id is required"},
		{"order_id too long", replace(`"order-1"`, `"`+strings.Repeat("x", 513)+`"`), codeTooLong, "order_id has 513 bytes"},
		{"order_id in another case", replace(`"order_id"`, `"Order_ID"`), codeOrderArgs, "order_id is required"},
		{"openid missing", replace(`"openid":"oCUSTOMER",`, ``), codeOpenID, "openid"},
		{"add_source missing", replace(`"add_source":0,`, ``), codeOrderArgs, "add_source"},
		{"add_source 1", replace(`"add_source":0`, `"add_source":1`), codeOrderArgs, "add_source"},
		{"add_source 2 without wx_appid", replace(`"add_source":0`, `"add_source":2`), codeOrderArgs, "wx_appid"},
		{"no shop", replace(`"shop"`, `"shops"`), codeOrderArgs, "shop is required"},
		{"no name", replace(`"name":"张三"`, `"name":""`), codeOrderArgs, "sender.name is required"},
		{"no telephone", replace(`"mobile":"18610000000",`, ``), codeOrderArgs, "receiver.tel or receiver.mobile"},
		{"name too long", replace(`"name":"王小蒙"`, `"name":"`+strings.Repeat("王", 22)+`"`), codeTooLong, "receiver.name has 66 bytes"},
		{"name a number", replace(`"name":"张三"`, `"name":1`), codeFormat, "sender.name has the wrong type"},
		{"weight missing", replace(`"weight":5.5,`, ``), codeOrderArgs, "cargo.weight"},
		{"weight negative", replace(`"weight":5.5`, `"weight":-1`), codeOrderArgs, "cargo.weight"},
		{"count no whole number", replace(`"cargo":{"count":2`, `"cargo":{"count":1.5`), codeFormat, "cargo.count"},
		{"detail without name", replace(`{"name":"一千零一夜","count":1}`, `{"count":1}`), codeOrderArgs, "cargo.detail_list[0].name"},
		{"detail no object", replace(`{"name":"一千零一夜","count":1}`, `1`), codeFormat, "cargo.detail_list[0]."},
		{"another carrier", replace(`"SF"`, `"YD"`), codeNoCarrier, "SF"},
		{"not bound", replace(`"biz-1"`, `"biz-2"`), codeNotBound, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := order(t, s, addURL, merchant, test.body); got.Errcode != test.want || !strings.Contains(got.Errmsg, test.says) {
				t.Errorf("%+v, want errcode %d with %q", got, test.want, test.says)
			}
		})
	}
	if n := len(s.Callbacks()); n != 0 {
		t.Errorf("%d pushes for refused requests", n)
	}
	app := strings.NewReplacer(`"add_source":0`, `"add_source":2,"wx_appid":"wxapp"`, `"shop"`, `"shops"`, `"openid":"oCUSTOMER",`, ``)
	if got := order(t, s, addURL, merchant, app.Replace(orderBody("order-2"))); got.Errcode != 0 {
		t.Errorf("an app's order: %+v", got)
	}
	if got := order(t, s, addURL, "97_"+strings.Repeat("x", 100), orderBody("order-3")); got.Errcode != codeCredential {
		t.Errorf("a foreign access_token: %+v", got)
	}
}
