package orders

import (
	"encoding/json"
	"testing"

	"carrier/api/apicheck"
	"carrier/internal/callback"
)

// TestQuestionsAreDescribed: what a dispatch system is asked is what api/asyncapi.yaml says.
func TestQuestionsAreDescribed(t *testing.T) {
	description, err := apicheck.LoadAsync()
	if err != nil {
		t.Fatal(err)
	}
	of := func(event string) *push {
		return &push{account: &account{id: "SF"}, message: &callback.Message{Event: event, CreateTime: 1767320000}}
	}
	goods := callback.Cargo{DetailList: []callback.CargoDetail{{Name: "book", Count: 1}}}
	tests := map[string]Question{
		"addWaybill":    of(AddWaybill).addQuestion(&callback.AddWaybill{WayBillID: "W1", Cargo: goods}),
		"cancelWaybill": of(CancelWaybill).cancelQuestion(&callback.CancelWaybill{}),
		"checkBiz": of(CheckBiz).checkQuestion(&callback.CheckBiz{ShopName: "a", ShopTelphone: "b", ShopContact: "c", ServiceName: "d",
			SenderProvince: "e", SenderCity: "f", SenderArea: "g", SenderAddress: "h"}),
		"getQuota": of(GetQuota).quotaQuestion(&callback.GetQuota{}),
	}
	for name, q := range tests {
		body, err := encode(q.Body)
		if err != nil {
			t.Fatal(err)
		}
		headers := map[string]string{"content-type": "application/json", "Nats-Msg-Id": q.ID}
		if err := description.Message(name, headers, body, true); err != nil {
			t.Errorf("%v", err)
		}
	}
}

// TestAnswersAreDescribed: the members of an answer that are read are those that are told of.
func TestAnswersAreDescribed(t *testing.T) {
	description, err := apicheck.LoadAsync()
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(wireAnswer{ResultCode: new(0), WaybillData: map[string]string{"k": "v"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := description.Message("dispatchAnswer", nil, body, true); err != nil {
		t.Error(err)
	}
	var read map[string]any
	if err := json.Unmarshal(body, &read); err != nil {
		t.Fatal(err)
	}
	told, _ := description.At("components", "schemas", "DispatchAnswer", "properties")
	for _, name := range told.Names() {
		if _, is := read[name]; !is {
			t.Errorf("%s is told of, and not read", name)
		}
	}
}
