package server

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"carrier/internal/merchant"
	"carrier/internal/store"
)

// withMerchant gives the rig one merchant, whose upstream answers with what answer says; "" hangs until it is given up.
func (r *rig) withMerchant(t *testing.T, answer func(path string) string) {
	t.Helper()
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		if text := answer(req.URL.Path); text != "" {
			_, _ = io.WriteString(w, text)
			return
		}
		<-req.Context().Done()
	}))
	t.Cleanup(up.Close)
	registry, err := merchant.New(merchant.Options{
		Merchants: []merchant.Settings{{Name: "shop", TokenMode: "none", BaseURL: up.URL}}, Timeout: 200 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(registry.Close)
	r.o.Admin.Merchants = registry
}

const upstreamOrders = `{"order_list":[{"errcode":0,"errmsg":"ok","order_id":"1","delivery_id":"SF","print_html":"","waybill_data":[],"order_status":1}]}`

func upstreamAnswers(path string) string {
	switch {
	case strings.HasSuffix(path, "/batchget"):
		return upstreamOrders
	case strings.HasSuffix(path, "/order/get"):
		return `{"order_id":"1","order_status":0}`
	}
	return `{"path_item_list":[]}`
}

func TestUpstreamRequests(t *testing.T) {
	many := strings.TrimSuffix(strings.Repeat(`{"order_id":"1","delivery_id":"SF"},`, 501), ",")
	tests := []struct {
		name, path, body string
		status           int
		want             []string
		acts             int // In the audit log.
	}{
		{"path", "path", `{"delivery_id":"SF","waybill_id":"1"}`, 200, []string{`"path_item_list":[]`}, 0},
		{"path by name", "path", `{"merchant":"shop","delivery_id":"SF","waybill_id":"1","order_id":"o","openid":"x"}`, 200, nil, 0},
		{"path of nothing", "path", `{}`, 400, []string{`"field":"delivery_id","code":"required"`, `"field":"waybill_id","code":"required"`}, 0},
		{"path without a body", "path", ``, 400, []string{`"field":"delivery_id"`}, 0},
		{"a number", "path", `{"delivery_id":"SF","waybill_id":1}`, 400, []string{"waybill_id must be a string"}, 0},
		{"another case", "path", `{"delivery_id":"SF","Waybill_id":"1"}`, 400, []string{"no member Waybill_id"}, 0},
		{"the other form", "path", `{"deliveryId":"SF","waybillId":"1"}`, 400, []string{"no member deliveryId"}, 0},
		{"the other form of the cloud", "path?style=cloud", `{"delivery_id":"SF","waybillId":"1"}`, 400, []string{"no member delivery_id"}, 0},
		{"the access_token is no member", "path", `{"access_token":"x"}`, 400, []string{"no member access_token"}, 0},
		{"a style that is none", "path?style=xml", `{}`, 400, []string{`"field":"style"`, "https"}, 0},
		{"two styles", "path?style=cloud&style=cloud", `{}`, 400, []string{`"field":"style"`}, 0},
		{"another parameter", "path?stile=cloud", `{}`, 400, []string{"stile"}, 0},
		{"order", "order", `{"order_id":"1","delivery_id":"SF","print_type":1}`, 200, []string{`"order_status":0`}, 1},
		{"order of nothing", "order", `{"waybill_id":"1"}`, 400, []string{`"field":"order_id"`, `"field":"delivery_id"`}, 0},
		{"a third form of label", "order", `{"order_id":"1","delivery_id":"SF","print_type":2}`, 400, []string{`"field":"print_type"`, "二联"}, 0},
		{"orders", "orders", `{"order_list":[{"order_id":"1","delivery_id":"SF"}]}`, 200, []string{`"order_status":1`}, 1},
		{"no orders", "orders", `{"order_list":[]}`, 400, []string{`"field":"order_list"`}, 0},
		{"no list of orders", "orders", `{}`, 400, []string{`"field":"order_list"`}, 0},
		{"too many orders", "orders", `{"order_list":[` + many + `]}`, 400, []string{"501", "500"}, 0},
		{"an order without its name", "orders", `{"order_list":[{"order_id":"1"}]}`, 400, []string{"delivery_id"}, 0},
		{"an order that is none", "orders", `{"order_list":[7,{"order_id":1,"x":2}]}`, 400,
			[]string{`"field":"order_list[0]"`, `"field":"order_list[1].order_id"`, `"field":"order_list[1].x"`}, 0},
		{"a list that is none", "orders", `{"order_list":{}}`, 400, []string{"must be a list of orders"}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.withMerchant(t, upstreamAnswers)
			w := r.do("POST", "/admin/v1/wechat/"+tt.path, tt.body)
			wantStatus(t, w, tt.status)
			for _, part := range tt.want {
				if !strings.Contains(w.Body.String(), part) {
					t.Errorf("got %s, want %s in it", w.Body, part)
				}
			}
			if len(r.store.entries) != tt.acts {
				t.Errorf("the audit log has %+v, want %d entries", r.store.entries, tt.acts)
			}
			for _, e := range r.store.entries {
				if e.Action != store.ActReadOrder || e.By != "ops" || !strings.Contains(e.Detail, `"merchant":"shop"`) {
					t.Errorf("the audit log has %+v", e)
				}
			}
		})
	}
}

// TestUpstreamIsSlow: no answer in time is 504; what can't be put into the audit log is not read.
// TestPathRefusedForViewers: upstream's words may repeat a phone number, too.
func TestPathRefusedForViewers(t *testing.T) {
	r := newRig(t)
	r.withMerchant(t, func(string) string { return `{"errcode":9300528,"errmsg":"not 18666666666's waybill"}` })
	for token, want := range map[string]string{opsToken: "18666666666", deskToken: "186****6666"} {
		w := r.do("POST", "/admin/v1/wechat/path", `{"delivery_id":"SF","waybill_id":"1"}`, "Authorization", "Bearer "+token)
		if wantStatus(t, w, 200); !strings.Contains(w.Body.String(), want) {
			t.Errorf("got %s, want %s in it", w.Body, want)
		}
	}
}

func TestUpstreamIsSlow(t *testing.T) {
	r := newRig(t)
	r.withMerchant(t, func(string) string { return "" })
	w := r.do("POST", "/admin/v1/wechat/path", `{"delivery_id":"SF","waybill_id":"1"}`)
	wantProblem(t, w, http.StatusGatewayTimeout, "upstream_timeout")
	w = r.do("POST", "/admin/v1/wechat/path", `{"delivery_id":"SF","waybill_id":"1"}`, "Accept-Language", "zh")
	wantProblem(t, w, http.StatusGatewayTimeout, "upstream_timeout")
	if !strings.Contains(w.Body.String(), "请重试") {
		t.Errorf("in Chinese: %s", w.Body)
	}
}

func TestOrdersAreNotReadUnrecorded(t *testing.T) {
	r := newRig(t)
	r.withMerchant(t, func(path string) string {
		t.Errorf("%s was asked", path)
		return upstreamAnswers(path)
	})
	r.store.err = store.ErrUnavailable
	for path, body := range map[string]string{"order": `{"order_id":"1","delivery_id":"SF"}`, "orders": `{"order_list":[{"order_id":"1","delivery_id":"SF"}]}`} {
		wantProblem(t, r.do("POST", "/admin/v1/wechat/"+path, body), http.StatusServiceUnavailable, "store_unavailable")
	}
}

func TestNoMerchant(t *testing.T) {
	for name, merchants := range map[string]bool{"none configured": true, "no registry": false} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			if merchants {
				registry, err := merchant.New(merchant.Options{})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(registry.Close)
				r.o.Admin.Merchants = registry
			}
			w := r.do("POST", "/admin/v1/wechat/path", `{"delivery_id":"SF","waybill_id":"1"}`)
			wantProblem(t, w, http.StatusBadRequest, "invalid_request")
			if !strings.Contains(w.Body.String(), "not_configured") {
				t.Errorf("got %s", w.Body)
			}
		})
	}
}
