package orders

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"carrier/internal/callback"
)

// What a dispatch system is asked, as JSON. The members are the documents' fields in snake case. waybill_id is left
// out where WeChat wants the delivery company to number the waybill (its "0").

type header struct {
	Event      string `json:"event"`
	DeliveryID string `json:"delivery_id"`
	CreateTime int64  `json:"create_time"` // Unix seconds, by WeChat's clock.
	BizID      string `json:"biz_id"`
	BizPwd     string `json:"biz_pwd"`
	ShopAppID  string `json:"shop_app_id"`
}

type addQuestion struct {
	header
	OrderID   string  `json:"order_id"`
	WaybillID string  `json:"waybill_id,omitempty"`
	Remark    string  `json:"remark"`
	Sender    contact `json:"sender"`
	Receiver  contact `json:"receiver"`
	Cargo     cargo   `json:"cargo"`
	Insured   insured `json:"insured"`
	Service   service `json:"service"`
}

type contact struct {
	Name     string `json:"name"`
	Tel      string `json:"tel"`
	Mobile   string `json:"mobile"`
	Company  string `json:"company"`
	PostCode string `json:"post_code"`
	Country  string `json:"country"`
	Province string `json:"province"`
	City     string `json:"city"`
	Area     string `json:"area"`
	Address  string `json:"address"`
}

type cargo struct {
	Weight  float64 `json:"weight"` // kg
	SpaceX  float64 `json:"space_x"`
	SpaceY  float64 `json:"space_y"`
	SpaceZ  float64 `json:"space_z"` // cm, all three
	Count   int64   `json:"count"`
	Details []goods `json:"detail_list"`
}

type goods struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
}

type insured struct {
	UseInsured   int64 `json:"use_insured"`
	InsuredValue int64 `json:"insured_value"` // Hundredths of a yuan.
}

type service struct {
	ServiceType int64  `json:"service_type"`
	ServiceName string `json:"service_name"`
}

type cancelQuestion struct {
	header
	OrderID   string `json:"order_id"`
	WaybillID string `json:"waybill_id"`
}

type checkQuestion struct {
	header
	ShopName       string `json:"shop_name,omitempty"`
	ShopTelephone  string `json:"shop_telephone,omitempty"`
	ShopContact    string `json:"shop_contact,omitempty"`
	ServiceName    string `json:"service_name,omitempty"`
	SenderProvince string `json:"sender_province,omitempty"`
	SenderCity     string `json:"sender_city,omitempty"`
	SenderArea     string `json:"sender_area,omitempty"`
	SenderAddress  string `json:"sender_address,omitempty"`
}

// push is one of WeChat's pushes to an account, opened.
type push struct {
	account *account
	message *callback.Message
}

func (p *push) header(bizID string, bizPwd callback.Secret, shopAppID string) header {
	return header{
		Event: p.message.Event, DeliveryID: p.account.id, CreateTime: p.message.CreateTime,
		BizID: bizID, BizPwd: bizPwd.Reveal(), ShopAppID: shopAppID,
	}
}

func (p *push) addQuestion(e *callback.AddWaybill) Question {
	body := addQuestion{
		header: p.header(e.BizID, e.BizPwd, e.ShopAppID), OrderID: e.OrderID, Remark: e.Remark,
		Sender: contact(e.Sender), Receiver: contact(e.Receiver),
		Cargo: cargo{
			Weight: e.Cargo.Weight, SpaceX: e.Cargo.SpaceX, SpaceY: e.Cargo.SpaceY, SpaceZ: e.Cargo.SpaceZ, Count: e.Cargo.Count,
			Details: []goods{},
		},
		Insured: insured(e.Insured), Service: service(e.Service),
	}
	for _, d := range e.Cargo.DetailList {
		body.Cargo.Details = append(body.Cargo.Details, goods(d))
	}
	if e.WayBillID != unnumbered {
		body.WaybillID = e.WayBillID
	}
	return p.question(p.id(e.BizID, e.OrderID), body)
}

func (p *push) cancelQuestion(e *callback.CancelWaybill) Question {
	return p.question(p.id(e.BizID, e.OrderID),
		cancelQuestion{header: p.header(e.BizID, e.BizPwd, e.ShopAppID), OrderID: e.OrderID, WaybillID: e.WayBillID})
}

func (p *push) checkQuestion(e *callback.CheckBiz) Question {
	return p.question(rand.Text(), checkQuestion{
		header: p.header(e.BizID, e.BizPwd, e.ShopAppID), ShopName: e.ShopName, ShopTelephone: e.ShopTelphone, ShopContact: e.ShopContact,
		ServiceName: e.ServiceName, SenderProvince: e.SenderProvince, SenderCity: e.SenderCity, SenderArea: e.SenderArea, SenderAddress: e.SenderAddress,
	})
}

func (p *push) quotaQuestion(e *callback.GetQuota) Question {
	return p.question(rand.Text(), p.header(e.BizID, e.BizPwd, e.ShopAppID))
}

func (p *push) question(id string, body any) Question {
	return Question{ID: id, DeliveryID: p.account.id, Event: p.message.Event, Body: body}
}

// id names the push: the same for each of its sendings, which all have the CreateTime of the first. WeChat's own
// advice, FromUserName and CreateTime, would make one of two orders in the same second: their FromUserName is fixed.
func (p *push) id(bizID, orderID string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %q %q %q %d", p.message.Event, p.account.id, bizID, orderID, p.message.CreateTime))
	return hex.EncodeToString(sum[:16])
}
