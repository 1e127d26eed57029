package wechat

import (
	"errors"
	"testing"
)

func TestDocument(t *testing.T) {
	path := Path{OpenID: "O", DeliveryID: "SF", WaybillID: "1", PathItemNum: 1, PathItemList: []PathItem{{1533052800, 100001, "<b> & 已取件"}}}
	broken := &CallError{Op: "getPath", Kind: KindTimeout, Err: ErrTimeout}
	tests := []struct {
		name, call string
		answer     any
		err        error
		cloud      bool
		want       string
		wantErr    error
	}{
		{name: "an answer", call: "getPath", answer: path,
			want: `{"openid":"O","delivery_id":"SF","waybill_id":"1","path_item_num":1,"path_item_list":[{"action_time":1533052800,"action_type":100001,"action_msg":"<b> & 已取件"}]}`},
		{name: "in the cloud", call: "getPath", answer: path, cloud: true,
			want: `{"openid":"O","deliveryId":"SF","waybillId":"1","pathItemNum":1,"pathItemList":[{"actionTime":1533052800,"actionType":100001,"actionMsg":"<b> & 已取件"}],"errMsg":"openapi.logistics.getPath:ok"}`},
		{name: "a refusal", call: "getOrder", answer: Order{}, err: &RefusedError{"getOrder", Answer{Errcode: 40199, Errmsg: "no"}},
			want: `{"errcode":40199,"errmsg":"no"}`},
		{name: "a refusal in the cloud", call: "getOrder", err: &RefusedError{"getOrder", Answer{Errcode: 40199, Errmsg: "no"}}, cloud: true,
			want: `{"errCode":40199,"errMsg":"openapi.logistics.getOrder:fail no"}`},
		{name: "a refusal of a part", call: "batchGetOrder", err: &PartError{1, 2, 2, &RefusedError{"batchGetOrder", Answer{Errcode: -1, Errmsg: "busy"}}},
			want: `{"errcode":-1,"errmsg":"busy"}`},
		{name: "no answer", call: "getPath", err: broken, wantErr: broken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Document(tt.call, tt.answer, tt.err, tt.cloud)
			if string(got) != tt.want || !errors.Is(err, tt.wantErr) {
				t.Errorf("%s, %v\nwant %s, %v", got, err, tt.want, tt.wantErr)
			}
		})
	}
}
