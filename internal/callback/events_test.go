package callback

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// testdata reads a sample, typed after the documents' examples.
func testdata(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func wantAddWaybill() *AddWaybill {
	return &AddWaybill{
		Token: NewSecret("1234ABC234523451"), OrderID: "012345678901234567890123456789", BizID: "xyz", BizPwd: NewSecret("xyz123"),
		ShopAppID: "wxABCD", WayBillID: "123456789", Remark: "易碎物品 <3#楼> & 门口",
		Sender: Contact{Name: "张三", Tel: "020-88888888", Mobile: "18666666666", Company: "公司名", PostCode: "123456", Country: "中国",
			Province: "广东省", City: "广州市", Area: "海珠区", Address: "XX路XX号XX大厦XX栋XX"},
		Receiver: Contact{Name: "王小蒙", Tel: "029-77777777", Mobile: "18610000000", Company: "公司名", PostCode: "654321", Country: "中国",
			Province: "广东省", City: "广州市", Area: "天河区", Address: "XX路XX号XX大厦XX栋XX"},
		Cargo: Cargo{Weight: 1.2, SpaceX: 20.5, SpaceY: 15, SpaceZ: 10, Count: 2,
			DetailList: []CargoDetail{{"一千零一夜钻石包", 1}, {"爱马仕柏金钻石包", 1}}},
		Insured: Insured{UseInsured: 1, InsuredValue: 10000},
		Service: Service{ServiceType: 0, ServiceName: "标准快递"},
	}
}

func TestEvents(t *testing.T) {
	add := wantAddWaybill()
	cancel := &CancelWaybill{OrderID: "0123456789", BizID: "xyz", BizPwd: NewSecret("xyz123"), ShopAppID: "wxABCD", WayBillID: "123456789"}
	check := &CheckBiz{BizID: "xyz", BizPwd: NewSecret("xyz123"), ShopAppID: "wxABCD", ShopName: "商户名称", ShopTelphone: "18677778888",
		ShopContact: "村口王师傅", ServiceName: "标准快递", SenderAddress: "XX路XX号", SenderProvince: "广东省", SenderCity: "广州市", SenderArea: "海珠区"}
	quota := &GetQuota{BizID: "xyz", BizPwd: NewSecret("xyz123"), ShopAppID: "wxABCD"}
	path := &AddExpressPath{DeliveryID: "SF", WayBillID: "12345678901234567890", OrderID: "01234", Version: 16, Count: 2,
		Actions: []PathAction{{1533052800, 300001, "丽影邓丽君【18666666666】正在派件"}, {1533052800, 100001, "揽件"}}}
	for _, tt := range []struct {
		file string
		want Event
	}{
		{"add_waybill.xml", add}, {"add_waybill.json", add}, {"cancel_waybill.xml", cancel}, {"cancel_waybill.json", cancel},
		{"check_biz.xml", check}, {"check_biz.json", check}, {"get_quota.xml", quota}, {"get_quota.json", quota},
		{"add_express_path.xml", path}, {"add_express_path.json", path},
	} {
		t.Run(tt.file, func(t *testing.T) {
			got, err := decodeMessage(t, testdata(t, tt.file))
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %#v, %v\nwant %#v", plainView(got), err, plainView(tt.want))
			}
		})
	}
}

// plainView shows all fields of an event, which by itself prints without them.
func plainView(e Event) string {
	v := reflect.ValueOf(e).Elem()
	text := v.Type().Name()
	for i := range v.NumField() {
		text += fmt.Sprintf("\n  %s %#v", v.Type().Field(i).Name, v.Field(i).Interface())
	}
	return text
}

func TestFaultsOfAddWaybill(t *testing.T) {
	sample := testdata(t, "add_waybill.xml")
	for _, tt := range []struct {
		name, from, to string
		field          string
		code           ResultCode
	}{
		{"no Token", "<Token>1234ABC234523451</Token>", "", "Token", Failed},
		{"empty Token", "<Token>1234ABC234523451</Token>", "<Token/>", "Token", Failed},
		{"Token twice", "<Token>1234ABC234523451</Token>", "<Token>a</Token><Token>b</Token>", "Token", Failed},
		{"long Token", "1234ABC234523451", strings.Repeat("x", 257), "Token", Failed},
		{"no BizID", "<BizID><![CDATA[xyz]]></BizID>", "", "BizID", Failed},
		{"OrderID in another case", "OrderID>", "OrderId>", "OrderID", Failed},
		{"long OrderID", "012345678901234567890123456789", strings.Repeat("x", 513), "OrderID", Failed},
		{"no WayBillID", "<WayBillID><![CDATA[123456789]]></WayBillID>", "", "WayBillID", BadWaybillID},
		{"WayBillID with a space", "[123456789]", "[12345 6789]", "WayBillID", BadWaybillID},
		{"long WayBillID", "[123456789]", "[" + strings.Repeat("1", 65) + "]", "WayBillID", BadWaybillID},
		{"two spellings of WayBillID", "<WayBillID>", "<WaybillId>9</WaybillId><WayBillID>", "WayBillID", BadWaybillID},
		{"two Senders", "<Sender>", "<Sender></Sender><Sender>", "Sender", Failed},
		{"Sender is a text", "<Remark>", "<Cargo>x</Cargo><Remark>", "Cargo", Failed},
		{"name of the receiver twice", "<Name>王小蒙</Name>", "<Name>a</Name><Name>b</Name>", "Receiver.Name", ReceiverIncomplete},
		{"name of the sender is a group", "<Name>张三</Name>", "<Name><A>1</A></Name>", "Sender.Name", SenderIncomplete},
		{"weight", "<Weight>1.2", "<Weight>heavy", "Cargo.Weight", BadCargo},
		{"weight not a number", "<Weight>1.2", "<Weight>NaN", "Cargo.Weight", BadCargo},
		{"weight without end", "<Weight>1.2", "<Weight>1e999", "Cargo.Weight", BadCargo},
		{"weight in hex", "<Weight>1.2", "<Weight>0x1p4", "Cargo.Weight", BadCargo},
		{"count of the second goods", "<Name>爱马仕柏金钻石包</Name><Count>1", "<Name>b</Name><Count>1.5", "Cargo.DetailList[1].Count", BadCargo},
		{"insured value", "<InsuredValue>10000", "<InsuredValue>99999999999999999999", "Insured.InsuredValue", BadInsurance},
		{"service", "<ServiceType>0", "<ServiceType>x", "Service.ServiceType", BadService},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if !strings.Contains(sample, tt.from) {
				t.Fatalf("the sample has no %q", tt.from)
			}
			e, err := decodeMessage(t, strings.Replace(strings.Replace(sample, tt.from, tt.to, 1), "/OrderID>", closing(tt.to), 1))
			fault, ok := errors.AsType[*Fault](err)
			if !ok || fault.Field != tt.field || fault.Code != tt.code {
				t.Fatalf("got %#v, want a fault of %s with code %d", err, tt.field, tt.code)
			}
			if add, ok := e.(*AddWaybill); !ok || add.ShopAppID != "wxABCD" || add.Service.ServiceName != "标准快递" {
				t.Errorf("what can be read isn't there: %v", e)
			}
			for _, private := range []string{"xyz123", "1234ABC", "张三", "heavy"} {
				if strings.Contains(err.Error(), private) {
					t.Errorf("the fault repeats what was sent: %v", err)
				}
			}
		})
	}
}

// closing keeps the end tag in step with a begin tag that a case replaces.
func closing(to string) string {
	if to == "OrderId>" {
		return "/OrderId>"
	}
	return "/OrderID>"
}

func TestTypesOfJSON(t *testing.T) {
	sample := testdata(t, "add_waybill.json")
	for _, tt := range []struct{ name, from, to, field string }{
		{"numbers as texts are taken", `"Weight": 1.2`, `"Weight": " 1.2 "`, ""},
		{"null is as good as nothing", `"Remark": "易碎物品 <3#楼> & 门口"`, `"Remark": null`, ""},
		{"a list of one group", `"Sender": {`, `"Sender": [{`, ""},
		{"an empty number", `"InsuredValue": 10000`, `"InsuredValue": ""`, ""},
		{"members that nobody knows", `"BizID"`, `"New": {"a": [1, {"b": [[]]}]}, "BizID"`, ""},
		{"text is a number", `"BizID": "xyz"`, `"BizID": 1`, "BizID"},
		{"text is true", `"BizID": "xyz"`, `"BizID": true`, "BizID"},
		{"text is a list", `"BizID": "xyz"`, `"BizID": ["xyz"]`, "BizID"},
		{"text is a group", `"BizID": "xyz"`, `"BizID": {}`, "BizID"},
		{"text is null", `"BizID": "xyz"`, `"BizID": null`, "BizID"},
		{"number is true", `"Weight": 1.2`, `"Weight": true`, "Cargo.Weight"},
		{"number is a list", `"Weight": 1.2`, `"Weight": [1.2]`, "Cargo.Weight"},
		{"group is a text", `"Service": {"ServiceType": 0, "ServiceName": "标准快递"}`, `"Service": "x"`, "Service"},
		{"group is an empty text", `"Service": {"ServiceType": 0, "ServiceName": "标准快递"}`, `"Service": ""`, "Service"},
		{"list of lists", `"DetailList": [`, `"DetailList": [[], `, "Cargo.DetailList"},
		{"list of texts", `"DetailList": [`, `"DetailList": ["x", `, "Cargo.DetailList"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if !strings.Contains(sample, tt.from) {
				t.Fatalf("the sample has no %q", tt.from)
			}
			message := strings.Replace(sample, tt.from, tt.to, 1)
			if strings.HasSuffix(tt.to, "[{") {
				message = strings.Replace(message, "}, \"Receiver\"", "}], \"Receiver\"", 1)
			}
			e, err := decodeMessage(t, message)
			if tt.field == "" {
				add := e.(*AddWaybill)
				if err != nil || add.Cargo.Weight != 1.2 || add.Sender.Name != "张三" {
					t.Errorf("%v, weight %v", err, add.Cargo.Weight)
				}
				return
			}
			if fault, ok := errors.AsType[*Fault](err); !ok || fault.Field != tt.field {
				t.Errorf("got %v, want a fault of %s", err, tt.field)
			}
		})
	}
}

func TestSpellingsOfWaybillID(t *testing.T) {
	for _, event := range []string{"add_waybill", "cancel_waybill", "add_express_path"} {
		for _, name := range []string{"WayBillID", "WayBillId", "WaybillId"} {
			message := JSON.write(append(head(event), asText("Token", "T"), asText("OrderID", "O"), asText("BizID", "B"), asText("DeliveryID", "SF"),
				asText(name, "W1")))
			e, err := decodeMessage(t, string(message))
			if err != nil {
				t.Fatal(err)
			}
			if got := reflect.ValueOf(e).Elem().FieldByName("WayBillID").String(); got != "W1" {
				t.Errorf("%s with %s: got %q", event, name, got)
			}
		}
	}
}

func TestFaultsOfTheOtherEvents(t *testing.T) {
	for _, tt := range []struct {
		event string
		have  []field
		field string
		code  ResultCode
	}{
		{"cancel_waybill", []field{asText("BizID", "B"), asText("WayBillID", "W")}, "OrderID", UnknownOrder},
		{"cancel_waybill", []field{asText("OrderID", "O"), asText("WayBillID", "W")}, "BizID", UnknownOrder},
		{"cancel_waybill", []field{asText("OrderID", "O"), asText("BizID", "B")}, "WayBillID", UnknownOrder},
		{"check_biz", nil, "BizID", Failed},
		{"get_quota", nil, "BizID", Failed},
		{"add_express_path", []field{asText("WayBillId", "W")}, "DeliveryID", Failed},
		{"add_express_path", []field{asText("DeliveryID", "SF")}, "WayBillID", Failed},
		{"add_express_path", []field{asText("DeliveryID", "SF"), asText("WayBillId", "W"), asText("Actions", "x")}, "Actions", Failed},
	} {
		for _, format := range []Format{XML, JSON} {
			_, err := decodeMessage(t, string(format.write(append(head(tt.event), tt.have...))))
			if fault, ok := errors.AsType[*Fault](err); !ok || fault.Field != tt.field || fault.Code != tt.code {
				t.Errorf("%s %v: got %v, want a fault of %s with code %d", tt.event, format, err, tt.field, tt.code)
			}
		}
	}
}

func TestFingerprint(t *testing.T) {
	if one := fingerprint("a", "bc"); len(one) != 16 || one == fingerprint("ab", "c") {
		t.Errorf("an order's fingerprint is %q, another order has the same", one)
	}
	add := wantAddWaybill()
	cancel := CancelWaybill{BizID: add.BizID, OrderID: add.OrderID}
	name := "order=" + fingerprint(add.BizID, add.OrderID) + " "
	if !strings.Contains(add.String(), name) || !strings.Contains(cancel.String(), name) {
		t.Errorf("the same order has other fingerprints in %v and %v", add, cancel)
	}
}
