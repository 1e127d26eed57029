package wechat

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestCloudAnswers(t *testing.T) {
	tests := []struct{ name, call, https, cloud string }{
		{"refused", "getPath", `{"errcode":40199,"errmsg":"waybill not found rid: 1-2"}`,
			`{"errCode":40199,"errMsg":"openapi.logistics.getPath:fail waybill not found rid: 1-2"}`},
		{"success with an errcode", "getOrder", `{"errcode":0,"errmsg":"ok","order_id":"1"}`,
			`{"errCode":0,"orderId":"1","errMsg":"openapi.logistics.getOrder:ok"}`},
		{"success without one", "getOrder", `{"order_id":"1"}`, `{"orderId":"1","errMsg":"openapi.logistics.getOrder:ok"}`},
		{"items keep theirs", "batchGetOrder", `{"order_list":[{"errcode":930563,"errmsg":"no","order_id":"1"}]}`,
			`{"orderList":[{"errcode":930563,"errmsg":"no","orderId":"1"}],"errMsg":"openapi.logistics.batchGetOrder:ok"}`},
		{"what is not documented", "getPath", `{"path_item_list":[{"lat":0.10,"new_field":{"in_it":[1,"a_b",null,true]}}]}`,
			`{"pathItemList":[{"lat":0.10,"newField":{"inIt":[1,"a_b",null,true]}}],"errMsg":"openapi.logistics.getPath:ok"}`},
		{"values stay", "getPath", `{"waybill_id":"a_b","action_msg":"<b>&\u2028\"{"}`,
			`{"waybillId":"a_b","actionMsg":"<b>&\u2028\"{","errMsg":"openapi.logistics.getPath:ok"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sameJSON(t, "云调用", must(CloudAnswer(tt.call, []byte(tt.https))), []byte(tt.cloud))
			sameJSON(t, "HTTPS", must(HTTPSAnswer(tt.call, []byte(tt.cloud))), []byte(tt.https))
		})
	}
}

func TestCloudFormsOfOtherWords(t *testing.T) {
	got := must(HTTPSAnswer("getPath", []byte(`{"errCode":-1,"errMsg":"openapi.logistics.getOrder:fail x"}`)))
	sameJSON(t, "the words of another call", got, []byte(`{"errcode":-1,"errmsg":"openapi.logistics.getOrder:fail x"}`))
}

func TestCloudRefuses(t *testing.T) {
	for name, body := range map[string]string{
		"nothing":             "",
		"half":                `{"waybill_id":`,
		"an array":            `[]`,
		"null":                `null`,
		"something behind":    `{} {}`,
		"a field twice":       `{"waybill_id":"1","waybill_id":"2"}`,
		"a field in two ways": `{"waybill_id":"1","waybillId":"2"}`,
		"too deep":            strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40),
		"too deep in arrays":  `{"a":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "}",
	} {
		t.Run(name, func(t *testing.T) {
			for _, to := range []func([]byte) ([]byte, error){
				CloudRequest, HTTPSRequest,
				func(b []byte) ([]byte, error) { return CloudAnswer("getPath", b) },
				func(b []byte) ([]byte, error) { return HTTPSAnswer("getPath", b) },
			} {
				if got, err := to([]byte(body)); err == nil {
					t.Errorf("%s is taken: %s", body, got)
				}
			}
		})
	}
}

// A documented name comes back from its other form, whatever the values.
func TestCloudRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String()
		want := Path{
			OpenID: text.Draw(t, "openid"), DeliveryID: text.Draw(t, "delivery_id"), WaybillID: text.Draw(t, "waybill_id"),
			PathItemNum: rapid.Int64().Draw(t, "num"),
			PathItemList: rapid.SliceOf(rapid.Custom(func(t *rapid.T) PathItem {
				return PathItem{rapid.Int64().Draw(t, "time"), rapid.Int64().Draw(t, "type"), text.Draw(t, "msg")}
			})).Draw(t, "items"),
		}
		cloud := must(CloudAnswer("getPath", must(json.Marshal(want))))
		var got Path
		if err := json.Unmarshal(must(HTTPSAnswer("getPath", cloud)), &got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	})
}

// FuzzCloud: what is taken becomes JSON that can be taken back, and means the same after that.
func FuzzCloud(f *testing.F) {
	for _, d := range documented {
		for _, part := range []string{"request", "answer"} {
			f.Add(document(f, d.call, part, "https"))
			f.Add(document(f, d.call, part, "cloud"))
		}
	}
	f.Add([]byte(`{"a_":1,"_a":{"a_1":[[{}]]},"":null,"A":"\ud800"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		cloud, err := CloudRequest(body)
		if err != nil {
			return
		}
		https, err := HTTPSRequest(cloud)
		if err != nil {
			return // Names of neither form may meet, e.g. aB and a_b.
		}
		again, err := CloudRequest(https)
		if err != nil {
			t.Fatalf("%s became %s, which is not taken: %v", body, https, err)
		}
		sameJSON(t, "云调用 again", again, cloud)
		if answer, err := CloudAnswer("getPath", body); err == nil && !json.Valid(answer) {
			t.Fatalf("no JSON: %s", answer)
		}
	})
}
