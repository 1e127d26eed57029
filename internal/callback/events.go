package callback

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"

	"carrier/internal/state"
)

// maxIDBytes is the most that an order's id has (addOrder), which is taken for the merchant's too.
const maxIDBytes = 512

// Event is what a message says: one of *AddWaybill, *CancelWaybill, *CheckBiz, *GetQuota, *AddExpressPath and *Unknown.
// The fields have the documents' names and are as WeChat sent them, which is as merchants typed them. Each prints and
// logs without passwords, Tokens and addresses.
type Event interface {
	fmt.Stringer
	slog.LogValuer
	event() string
}

// Contact is a sender or a receiver. It is never to be logged.
type Contact struct {
	Name, Tel, Mobile, Company, PostCode   string
	Country, Province, City, Area, Address string // Country is 中国 where none is given.
}

// String says nothing about anybody.
func (c Contact) String() string { return masked }

// Format masks it for every verb.
func (c Contact) Format(f fmt.State, verb rune) { printText(f, verb, masked) }

// LogValue masks it in logs.
func (c Contact) LogValue() slog.Value { return slog.StringValue(masked) }

// Cargo is what is sent.
type Cargo struct {
	Weight     float64 // kg
	SpaceX     float64 `json:"Space_X"` // cm, as the two below.
	SpaceY     float64 `json:"Space_Y"`
	SpaceZ     float64 `json:"Space_Z"`
	Count      int64
	DetailList []CargoDetail
}

// CargoDetail is one kind of goods.
type CargoDetail struct {
	Name  string
	Count int64
}

// Insured is how a parcel is insured.
type Insured struct {
	UseInsured   int64 // 0 no, 1 yes.
	InsuredValue int64 // 分, hundredths of a yuan.
}

// Service is which of the carrier's services was ordered.
type Service struct {
	ServiceType int64
	ServiceName string
}

// AddWaybill is an order (运力方使用, 请求下单事件). It may come repeatedly: the same BizID and OrderID want the same
// waybill.
type AddWaybill struct {
	Token     Secret // The waybill's, for updatePath.
	OrderID   string
	BizID     string
	BizPwd    Secret
	ShopAppID string
	WayBillID string // From WeChat's range of numbers; "0": the carrier has to choose one.
	Remark    string
	Sender    Contact
	Receiver  Contact
	Cargo     Cargo
	Insured   Insured
	Service   Service
}

// CancelWaybill wants an order cancelled (取消订单事件). It has no Token.
type CancelWaybill struct {
	OrderID   string
	BizID     string
	BizPwd    Secret
	ShopAppID string
	WayBillID string
}

// CheckBiz asks whether a merchant's account may be bound (审核商户事件). What follows ShopAppID comes for EMS only.
type CheckBiz struct {
	BizID        string
	BizPwd       Secret
	ShopAppID    string
	ShopName     string
	ShopTelphone string // The documents' spelling.
	ShopContact  string
	ServiceName  string

	SenderAddress, SenderProvince, SenderCity, SenderArea string
}

// GetQuota asks how many waybills a merchant may still order (查询商户余额事件).
type GetQuota struct {
	BizID     string
	BizPwd    Secret
	ShopAppID string
}

// AddExpressPath tells a merchant's mini program what the customer sees of a waybill (运单轨迹更新事件): all of it, each
// time. The answer is [Success].
type AddExpressPath struct {
	DeliveryID string
	WayBillID  string // WayBillId there.
	OrderID    string // OrderId there; older messages have none.
	Version    int64  // Counts changes, not actions.
	Count      int64  // Of actions, says WeChat.
	Actions    []PathAction
}

// PathAction is one node of a trace. Types beyond the documented ones occur (300001).
type PathAction struct {
	ActionTime int64 // Unix seconds.
	ActionType int64
	ActionMsg  string
}

// Unknown is any other message: the answer is [Success].
type Unknown struct{ Name string }

// Decode reads what the message says. A fault comes beside the event, with what could be read of it: the reply then
// has the fault's ResultCode. So errors are always *[Fault].
func (m *Message) Decode() (Event, error) {
	f := newFields(m.inner.body)
	e := decode(m.Event, f)
	if fault := f.first(); fault != nil {
		return e, fault
	}
	return e, nil
}

func decode(name string, f fields) Event {
	switch name {
	case addWaybill:
		return readAddWaybill(f)
	case cancelWaybill:
		return readCancelWaybill(f)
	case checkBiz:
		return readCheckBiz(f)
	case getQuota:
		return &GetQuota{BizID: f.id("BizID"), BizPwd: NewSecret(f.text("BizPwd")), ShopAppID: f.text("ShopAppID")}
	case addExpressPath:
		return readAddExpressPath(f)
	}
	return &Unknown{name}
}

// The events' names, in lower case.
const (
	addWaybill     = "add_waybill"
	cancelWaybill  = "cancel_waybill"
	checkBiz       = "check_biz"
	getQuota       = "get_quota"
	addExpressPath = "add_express_path"
)

func (*AddWaybill) event() string     { return addWaybill }
func (*CancelWaybill) event() string  { return cancelWaybill }
func (*CheckBiz) event() string       { return checkBiz }
func (*GetQuota) event() string       { return getQuota }
func (*AddExpressPath) event() string { return addExpressPath }
func (u *Unknown) event() string      { return u.Name }

func readAddWaybill(f fields) *AddWaybill {
	e := &AddWaybill{OrderID: f.id("OrderID"), BizID: f.id("BizID"), WayBillID: f.waybill(BadWaybillID)}
	token := f.need("Token")
	if len(token) > state.MaxTokenBytes {
		f.bad("Token", fmt.Sprintf("has more than %d bytes", state.MaxTokenBytes))
	}
	e.Token, e.BizPwd = NewSecret(token), NewSecret(f.text("BizPwd"))
	e.ShopAppID, e.Remark = f.text("ShopAppID"), f.text("Remark")
	e.Sender = f.in("Sender", SenderIncomplete).contact()
	e.Receiver = f.in("Receiver", ReceiverIncomplete).contact()
	e.Cargo = f.in("Cargo", BadCargo).cargo()
	insured := f.in("Insured", BadInsurance)
	e.Insured = Insured{insured.integer("UseInsured"), insured.integer("InsuredValue")}
	service := f.in("Service", BadService)
	e.Service = Service{service.integer("ServiceType"), service.text("ServiceName")}
	return e
}

func readCancelWaybill(f fields) *CancelWaybill {
	f.code = UnknownOrder
	e := &CancelWaybill{OrderID: f.id("OrderID"), BizID: f.id("BizID"), WayBillID: f.waybill(UnknownOrder)}
	f.code = Failed
	e.BizPwd, e.ShopAppID = NewSecret(f.text("BizPwd")), f.text("ShopAppID")
	return e
}

func readCheckBiz(f fields) *CheckBiz {
	return &CheckBiz{BizID: f.id("BizID"), BizPwd: NewSecret(f.text("BizPwd")), ShopAppID: f.text("ShopAppID"),
		ShopName: f.text("ShopName"), ShopTelphone: f.text("ShopTelphone"), ShopContact: f.text("ShopContact"), ServiceName: f.text("ServiceName"),
		SenderAddress: f.text("SenderAddress"), SenderProvince: f.text("SenderProvince"), SenderCity: f.text("SenderCity"), SenderArea: f.text("SenderArea")}
}

func readAddExpressPath(f fields) *AddExpressPath {
	e := &AddExpressPath{DeliveryID: f.need("DeliveryID"), WayBillID: f.waybill(Failed), OrderID: f.text("OrderId", "OrderID"),
		Version: f.integer("Version"), Count: f.integer("Count")}
	for _, a := range f.each("Actions") {
		e.Actions = append(e.Actions, PathAction{a.integer("ActionTime"), a.integer("ActionType"), a.text("ActionMsg")})
	}
	return e
}

// id reads what names an order or a merchant: it becomes part of keys.
func (f fields) id(name string) string {
	id := f.need(name)
	if len(id) > maxIDBytes {
		f.bad(name, fmt.Sprintf("has more than %d bytes", maxIDBytes))
	}
	return id
}

// waybill reads a waybill's id. The documents spell it in three ways, each on other pages; one message has one.
func (f fields) waybill(code ResultCode) string {
	f.code = code
	id := f.need("WayBillID", "WayBillId", "WaybillId")
	if id != "" && !state.IsWaybillID(id) {
		f.bad("WayBillID", fmt.Sprintf("must be 1 to %d characters without spaces and control characters", state.MaxWaybillChars))
	}
	return id
}

func (f fields) contact() Contact {
	return Contact{Name: f.text("Name"), Tel: f.text("Tel"), Mobile: f.text("Mobile"), Company: f.text("Company"), PostCode: f.text("PostCode"),
		Country: f.text("Country"), Province: f.text("Province"), City: f.text("City"), Area: f.text("Area"), Address: f.text("Address")}
}

func (f fields) cargo() Cargo {
	c := Cargo{Weight: f.decimal("Weight"), SpaceX: f.decimal("Space_X"), SpaceY: f.decimal("Space_Y"), SpaceZ: f.decimal("Space_Z"),
		Count: f.integer("Count")}
	for _, d := range f.each("DetailList") {
		c.DetailList = append(c.DetailList, CargoDetail{d.text("Name"), d.integer("Count")})
	}
	return c
}

// fingerprint is a short name for an order, for logs: it depends on BizID and OrderID alone, so it is the same for
// every repeat and for the order's cancellation, and nothing of it is secret or personal.
func fingerprint(bizID, orderID string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d:%s%s", len(bizID), bizID, orderID))
	return hex.EncodeToString(sum[:8])
}
