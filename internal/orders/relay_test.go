package orders

import (
	"errors"
	"strings"
	"testing"
)

// TestRelay: check_biz and get_quota are for the dispatch system alone.
func TestRelay(t *testing.T) {
	tests := []struct {
		name             string
		dispatch         *dispatch
		code, msg, quota string
	}{
		{"a yes", saying(Answer{Quota: 42}, nil), "0", "success", "42"},
		{"a negative quota", saying(Answer{Quota: -1}, nil), "0", "success", "0"},
		{"a no", saying(Answer{Code: 10002, Msg: "密码错误"}, nil), "10002", "密码错误", "0"},
		{"a code of another event", saying(Answer{Code: 20001}, nil), "-1", textRefused, "0"},
		{"an error", saying(Answer{}, errors.New("out of order")), "-1", textDispatch, "0"},
		{"nobody there", nil, "-1", textNobody, "0"},
	}
	for _, tt := range tests {
		for _, event := range []string{CheckBiz, GetQuota} {
			t.Run(event+": "+tt.name, func(t *testing.T) {
				r := newRig(t, tt.dispatch)
				a := r.push(r.event(event, "BizID", "biz", "BizPwd", canaryPwd, "ShopAppID", "wxShop", "ShopTelphone", canaryPhone))
				if a.status != 200 || a.ResultCode != tt.code || a.ResultMsg != tt.msg || a.Quota != tt.quota || a.BizID != "biz" || a.Event != event {
					t.Errorf("the reply is %+v", a)
				}
				if len(r.store.orders) > 0 {
					t.Errorf("kept are %v", r.store.orders)
				}
				if tt.dispatch == nil {
					return
				}
				asked := tt.dispatch.questions()
				body, _ := encode(asked[len(asked)-1].Body)
				if !strings.Contains(string(body), `"biz_pwd":"`+canaryPwd+`"`) || strings.Contains(string(body), canaryPhone) != (event == CheckBiz) {
					t.Errorf("asked %s", body)
				}
			})
		}
	}
}

// TestOtherEvents are answered and not kept.
func TestOtherEvents(t *testing.T) {
	r := newRig(t, saying(Answer{}, errors.New("asked")))
	for _, message := range [][]byte{
		r.event("add_single_waybill", "Token", "x"),
		r.event("user_enter_tempsession"),
		r.write([]string{"ToUserName", "gh_carrier", "FromUserName", "o", "CreateTime", "1", "MsgType", "text", "Content", "add_waybill"}),
	} {
		if a := r.push(message); a.status != 200 || a.text != "success" {
			t.Errorf("it is answered %+v: %s", a, message)
		}
	}
	if len(r.dispatch.questions()) > 0 || r.observed("SF other accepted") != 3 {
		t.Errorf("asked %v, observed %v", r.dispatch.questions(), r.seen)
	}
	if len(r.store.orders)+len(r.store.shown)+len(r.store.tokens) > 0 {
		t.Errorf("kept are %v, %v and %v", r.store.orders, r.store.shown, r.store.tokens)
	}
}
