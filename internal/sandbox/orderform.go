package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// form reads an order's JSON by the names, types and sizes of the document (WeChat 物流助手, addOrder). It keeps the
// first thing that is wrong.
type form struct{ no *refusal }

// part is one object of a form.
type part struct {
	*form
	path    string // "" or "sender."
	members map[string]json.RawMessage
}

// need says whether a member may be left out.
type need bool

const (
	required need = true
	optional need = false
)

func readForm(body []byte) part {
	p := part{form: &form{}}
	if !utf8.Valid(body) || json.Unmarshal(body, &p.members) != nil || p.members == nil {
		p.fail(codeFormat, "a JSON object in UTF-8 is wanted")
	}
	return p
}

func (f *form) fail(code int, format string, args ...any) {
	if f.no == nil {
		f.no = refuse(code, fmt.Sprintf(format, args...))
	}
}

// member decodes one member into v; false if it is not there, or not of that type.
func (p part) member(name string, v any, n need) bool {
	raw, ok := p.members[name]
	switch {
	case !ok || bytes.Equal(raw, []byte("null")):
		if n == required {
			p.fail(codeOrderArgs, "%s%s is required", p.path, name)
		}
		return false
	case json.Unmarshal(raw, v) != nil:
		p.fail(codeFormat, "%s%s has the wrong type", p.path, name)
		return false
	}
	return true
}

// text is a string of at most so many bytes.
func (p part) text(name string, maxBytes int, n need) string {
	var s string
	switch {
	case !p.member(name, &s, n):
	case s == "" && n == required:
		p.fail(codeOrderArgs, "%s%s is required", p.path, name)
	case len(s) > maxBytes:
		p.fail(codeTooLong, "%s%s has %d bytes, at most %d", p.path, name, len(s), maxBytes)
	}
	return s
}

// whole is a whole number that is not negative.
func (p part) whole(name string, n need) int64 {
	var v int64
	if p.member(name, &v, n) && v < 0 {
		p.fail(codeOrderArgs, "%s%s is negative", p.path, name)
	}
	return v
}

// decimal is a number that is not negative, as it was written.
func (p part) decimal(name string, n need) number {
	var v float64
	if !p.member(name, &v, n) {
		return "0"
	}
	if v < 0 {
		p.fail(codeOrderArgs, "%s%s is negative", p.path, name)
	}
	return number(strconv.FormatFloat(v, 'f', -1, 64))
}

func (p part) object(name string, n need) part {
	sub := part{form: p.form, path: p.path + name + "."}
	p.member(name, &sub.members, n)
	return sub
}

// orderForm is what order/add is given, in the form in which the carrier gets it.
type orderForm struct {
	orderID, openID, deliveryID, bizID, remark string
	sender, receiver, cargo, insured, service  fields
}

// sourceApp is the add_source of an order from an app or a web page: without openid, the customer is not notified.
const sourceApp = 2

func readOrderForm(body []byte) (orderForm, *refusal) {
	p := readForm(body)
	f := orderForm{
		orderID: p.text("order_id", 512, required), deliveryID: p.text("delivery_id", 64, required),
		bizID: p.text("biz_id", 128, required), remark: p.text("custom_remark", 1024, optional),
	}
	source := p.whole("add_source", required)
	switch source {
	case 0:
		if f.openID = p.text("openid", 128, optional); f.openID == "" {
			p.fail(codeOpenID, "openid is required with add_source 0")
		}
		p.object("shop", required)
	case sourceApp:
		f.openID = p.text("openid", 128, optional)
		p.text("wx_appid", 64, required)
	default:
		p.fail(codeOrderArgs, "add_source is %d, 0 or %d is wanted", source, sourceApp)
	}
	f.sender, f.receiver = p.object("sender", required).party(), p.object("receiver", required).party()
	f.cargo = p.object("cargo", required).cargo()
	insured := p.object("insured", required)
	f.insured = fields{{"UseInsured", integer(insured.whole("use_insured", required))}, {"InsuredValue", integer(insured.whole("insured_value", required))}}
	service := p.object("service", required)
	f.service = fields{{"ServiceType", integer(service.whole("service_type", required))}, {"ServiceName", service.text("service_name", 128, required)}}
	return f, p.no
}

// party is a sender or a receiver.
func (p part) party() fields {
	country := p.text("country", 64, optional)
	if country == "" {
		country = "中国"
	}
	out := fields{
		{"Name", p.text("name", 64, required)}, {"Tel", p.text("tel", 32, optional)}, {"Mobile", p.text("mobile", 32, optional)},
		{"Company", p.text("company", 64, optional)}, {"PostCode", p.text("post_code", 10, optional)}, {"Country", country},
		{"Province", p.text("province", 64, required)}, {"City", p.text("city", 64, required)},
		{"Area", p.text("area", 64, required)}, {"Address", p.text("address", 512, required)},
	}
	tel, _ := out.text("Tel")
	if mobile, _ := out.text("Mobile"); tel == "" && mobile == "" {
		p.fail(codeOrderArgs, "%stel or %smobile is required", p.path, p.path)
	}
	return out
}

const maxCargoDetails = 100 // Not documented.

func (p part) cargo() fields {
	out := fields{
		{"Weight", p.decimal("weight", required)}, {"Space_X", p.decimal("space_x", required)},
		{"Space_Y", p.decimal("space_y", required)}, {"Space_Z", p.decimal("space_z", required)},
		{"Count", integer(p.whole("count", required))},
	}
	var raw []json.RawMessage
	p.member("detail_list", &raw, required)
	if len(raw) > maxCargoDetails {
		p.fail(codeTooLong, "%sdetail_list has %d items, at most %d", p.path, len(raw), maxCargoDetails)
		raw = nil
	}
	var details list
	for i, item := range raw {
		d := part{form: p.form, path: fmt.Sprintf("%sdetail_list[%d].", p.path, i)}
		if json.Unmarshal(item, &d.members) != nil {
			p.fail(codeFormat, "%shas the wrong type", d.path)
		}
		details = append(details, fields{{"Name", d.text("name", 128, required)}, {"Count", integer(d.whole("count", required))}})
	}
	return append(out, field{"DetailList", details})
}

// cancelForm is what order/cancel is given.
type cancelForm struct{ orderID, openID, deliveryID, waybillID string }

func readCancelForm(body []byte) (cancelForm, *refusal) {
	p := readForm(body)
	f := cancelForm{
		orderID: p.text("order_id", 512, required), deliveryID: p.text("delivery_id", 64, required),
		waybillID: p.text("waybill_id", 64, required), openID: p.text("openid", 128, optional),
	}
	return f, p.no
}
