package callback

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"carrier/internal/state"
)

// Response is what goes back to WeChat, with status 200.
type Response struct {
	ContentType string
	Body        []byte
}

// Success answers a message that wants no reply of its own. It is never encrypted (消息加解密, 回包).
func Success() Response {
	return Response{ContentType: "text/plain; charset=utf-8", Body: []byte("success")}
}

// Reply is one of AddWaybillReply, CancelWaybillReply, CheckBizReply and GetQuotaReply. The Reply method of an event
// makes it, with what has to be sent back already filled in. An empty ResultMsg becomes the code's own words.
type Reply interface {
	event() string
	fields() ([]field, error)
}

// AddWaybillReply answers an order.
type AddWaybillReply struct {
	Token       Secret // As it came, as are the two below.
	OrderID     string
	BizID       string
	WayBillID   string // The waybill's id for good; the same for every repeat of the order.
	ResultCode  ResultCode
	ResultMsg   string
	WaybillData WaybillData // What the label shows beyond the documents' own variables.
}

// CancelWaybillReply answers a cancellation.
type CancelWaybillReply struct {
	BizID, OrderID, WayBillID string // As they came.

	ResultCode ResultCode
	ResultMsg  string
}

// CheckBizReply says whether a merchant's account may be bound.
type CheckBizReply struct {
	BizID      string
	ResultCode ResultCode
	ResultMsg  string
	Quota      int64
}

// GetQuotaReply says how many waybills a merchant may still order.
type GetQuotaReply struct {
	BizID      string
	ResultCode ResultCode
	ResultMsg  string
	Quota      int64 // 0: none.
}

// Reply begins the answer to this order; WayBillID is the one that came, and has to be replaced if that is "0".
func (e *AddWaybill) Reply(code ResultCode, msg string) AddWaybillReply {
	return AddWaybillReply{Token: e.Token, OrderID: e.OrderID, BizID: e.BizID, WayBillID: e.WayBillID, ResultCode: code, ResultMsg: msg}
}

// Reply answers this cancellation.
func (e *CancelWaybill) Reply(code ResultCode, msg string) CancelWaybillReply {
	return CancelWaybillReply{BizID: e.BizID, OrderID: e.OrderID, WayBillID: e.WayBillID, ResultCode: code, ResultMsg: msg}
}

// Reply answers this question.
func (e *CheckBiz) Reply(code ResultCode, msg string, quota int64) CheckBizReply {
	return CheckBizReply{BizID: e.BizID, ResultCode: code, ResultMsg: msg, Quota: quota}
}

// Reply answers this question.
func (e *GetQuota) Reply(code ResultCode, msg string, quota int64) GetQuotaReply {
	return GetQuotaReply{BizID: e.BizID, ResultCode: code, ResultMsg: msg, Quota: quota}
}

// WaybillData are pairs for the label's template.
type WaybillData []WaybillField

// WaybillField is one pair, for example ZTO_bagAddr and 广州.
type WaybillField struct{ Key, Value string }

// Text is ##key##value##key##value##, or empty. The documents know no way to escape a #. A lone one within a value (3#楼)
// can be told from the separators and is kept; one at an end, or two in a row, can't and is refused, as is any in a key.
func (d WaybillData) Text() (string, error) {
	if len(d) == 0 {
		return "", nil
	}
	var b strings.Builder
	for _, f := range d {
		if f.Key == "" || strings.Contains(f.Key, "#") {
			return "", fmt.Errorf("waybill data: the key %.64q must not be empty or hold a #", f.Key)
		}
		if strings.Contains(f.Value, "##") || strings.HasPrefix(f.Value, "#") || strings.HasSuffix(f.Value, "#") {
			return "", fmt.Errorf("waybill data: the value of %.64q begins or ends with #, or has two in a row, which separate the values", f.Key)
		}
		b.WriteString("##" + f.Key + "##" + f.Value)
	}
	return b.String() + "##", nil
}

// Reply writes a reply to the message: in its format, from its receiver to its sender, and encrypted with the key that
// it was encrypted with. CreateTime is the message's own, so that a repeat of the message is answered with the same
// reply; now is for the envelope of an encrypted one. It is an error if the reply is to another event, if it accepts an
// order without a waybill id, if WaybillData can't be written, or if there are no random bytes.
func (m *Message) Reply(r Reply, now time.Time) (Response, error) {
	if r.event() != m.Event {
		return Response{}, fmt.Errorf("callback: a reply to %s for the message %.64q", r.event(), m.Event)
	}
	fs, err := r.fields()
	if err != nil {
		return Response{}, fmt.Errorf("callback: reply to %s: %w", m.Event, err)
	}
	head := []field{asText("ToUserName", m.From), asText("FromUserName", m.To), asNumber("CreateTime", m.CreateTime),
		asText("MsgType", "event"), asText("Event", r.event())}
	return m.wrap(m.Format.write(append(head, fs...)), now)
}

// wrap encrypts a reply if its message was encrypted (消息加解密, 回包加密).
func (m *Message) wrap(message []byte, now time.Time) (Response, error) {
	s, key, nonce := m.inner.s, m.inner.key, m.inner.nonce
	if key == nil {
		return Response{m.Format.contentType(), message}, nil
	}
	encrypt, err := s.seal(key, message)
	if err != nil {
		return Response{}, err
	}
	timestamp := now.Unix()
	signature := Signature(s.token, strconv.FormatInt(timestamp, 10), nonce, encrypt)
	return Response{m.Format.contentType(), m.Format.write([]field{
		asText("Encrypt", encrypt), asText("MsgSignature", signature), asNumber("TimeStamp", timestamp), asText("Nonce", nonce)})}, nil
}

func (AddWaybillReply) event() string    { return addWaybill }
func (CancelWaybillReply) event() string { return cancelWaybill }
func (CheckBizReply) event() string      { return checkBiz }
func (GetQuotaReply) event() string      { return getQuota }

func (r AddWaybillReply) fields() ([]field, error) {
	if r.ResultCode == OK && (r.WayBillID == "0" || !state.IsWaybillID(r.WayBillID)) {
		return nil, fmt.Errorf("the waybill id %.64q can't be given to an order: it must be 1 to %d characters without spaces, and not 0",
			r.WayBillID, state.MaxWaybillChars)
	}
	data, err := r.WaybillData.Text()
	if err != nil {
		return nil, err
	}
	return append(
		[]field{asText("Token", r.Token.Reveal()), asText("OrderID", r.OrderID), asText("BizID", r.BizID), asText("WayBillID", r.WayBillID)},
		append(r.ResultCode.fields(r.ResultMsg), asText("WaybillData", data))...), nil
}

func (r CancelWaybillReply) fields() ([]field, error) {
	return append([]field{asText("BizID", r.BizID), asText("OrderID", r.OrderID), asText("WayBillID", r.WayBillID)},
		r.ResultCode.fields(r.ResultMsg)...), nil
}

func (r CheckBizReply) fields() ([]field, error) {
	return append([]field{asText("BizID", r.BizID)}, append(r.ResultCode.fields(r.ResultMsg), asNumber("Quota", r.Quota))...), nil
}

func (r GetQuotaReply) fields() ([]field, error) { return CheckBizReply(r).fields() }

func (c ResultCode) fields(msg string) []field {
	return []field{asNumber("ResultCode", int64(c)), asText("ResultMsg", cmp.Or(msg, c.String()))}
}
