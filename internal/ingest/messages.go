package ingest

import (
	"fmt"

	"carrier/internal/problem"
)

// rule is one thing that a field can break. ruleNone is none.
type rule uint8

const (
	ruleNone rule = iota

	// Shape.
	ruleType
	ruleString
	ruleNumber
	ruleInteger
	ruleRange
	ruleLoneSurrogate
	ruleUnknownField
	ruleRepeatedField

	// Content: what the validator tags check.
	ruleRequired
	ruleMaxChars
	ruleMaxBytes
	rulePrintable
	ruleOneWord
	ruleKnownDeliveryID
	ruleActionType
	rulePositive
	ruleSeconds
	ruleNotFuture
	ruleNotTooOld

	// Whose it is.
	ruleForbiddenDeliveryID

	// CloudEvents.
	ruleSpecVersion
	ruleAttributeName
	ruleAttributeType
	ruleHeaderValue
	ruleIDMismatch
	ruleDataContentType
	ruleDataTwice
	ruleBase64
	ruleDataNotUTF8
	ruleDataNotJSON

	numRules
)

// ruleTexts says how a broken rule is told: a code for programs, a sentence for people that says what would be right.
var ruleTexts = [numRules]struct{ code, en, zh string }{
	ruleType:          {"type", "must be %s, not %s", "必须是%s，不能是%s"},
	ruleString:        {"type", "must be a string, not %s", "必须是字符串，不能是%s"},
	ruleNumber:        {"type", "must be an integer, not %s", "必须是整数，不能是%s"},
	ruleInteger:       {"integer", "must be written as a plain integer, without fraction or exponent", "必须写成普通整数，不能带小数或指数"},
	ruleRange:         {"range", "is too large a number", "数值超出范围"},
	ruleLoneSurrogate: {"lone_surrogate", `holds half of a surrogate pair (\ud800 to \udfff), which is no character; encode the text as UTF-8`, `含有不成对的代理码元（\ud800 至 \udfff），不是合法字符；请以 UTF-8 编码文本`},
	ruleUnknownField:  {"unknown_field", "is no field of an event; names are written in lower case: id, delivery_id, waybill_id, action_type, action_time, action_msg, token", "不是事件的字段；字段名须为小写：id、delivery_id、waybill_id、action_type、action_time、action_msg、token"},
	ruleRepeatedField: {"repeated_field", "is there more than once; keep one", "字段重复出现，请只保留一个"},

	ruleRequired:        {"required", "is missing or empty, and must be given", "缺失或为空，必须填写"},
	ruleMaxChars:        {"too_long", "is longer than %s characters", "超过 %s 个字符"},
	ruleMaxBytes:        {"too_long", "is longer than %s bytes of UTF-8", "超过 %s 字节（UTF-8）"},
	rulePrintable:       {"illegal_character", "holds a control or another unprintable character; use letters, digits, punctuation and plain spaces", "含有控制字符或不可打印字符；请使用字母、数字、标点和普通空格"},
	ruleOneWord:         {"illegal_character", "holds a space, a control or an invisible character; send the bare number", "含有空格、控制字符或不可见字符；请只发送运单号本身"},
	ruleKnownDeliveryID: {"unknown_delivery_id", "is no delivery company that this source can send for; it can for: %s", "不是该来源可用的物流公司；可用的有：%s"},
	ruleActionType:      {"unknown_action_type", "must be one of 100001, 100002, 100003, 200001, 300002, 300003, 300004, 400001, 400002", "必须是以下之一：100001、100002、100003、200001、300002、300003、300004、400001、400002"},
	rulePositive:        {"action_time_not_positive", "must be the scan's time in Unix seconds, above 0", "必须是扫描时间的 Unix 秒数，且大于 0"},
	ruleSeconds:         {"action_time_milliseconds", "must be in seconds, and looks like milliseconds; divide it by 1000", "必须以秒为单位，当前值像是毫秒；请除以 1000"},
	ruleNotFuture:       {"action_time_future", "lies more than %s ahead of the time here; check the sender's clock", "比服务器时间超前 %s 以上；请检查发送方时钟"},
	ruleNotTooOld:       {"action_time_too_old", "lies more than %s back, and is too old to be taken", "早于 %s 之前，过旧，不予接收"},

	ruleForbiddenDeliveryID: {"forbidden_delivery_id", "is not among the delivery companies that this source may send for; it may for: %s", "不在该来源有权使用的物流公司之列；有权使用的有：%s"},

	ruleSpecVersion:     {"unsupported_specversion", `must be "1.0"`, `必须是 "1.0"`},
	ruleAttributeName:   {"unknown_field", "is no name of a CloudEvents attribute: those are lower-case letters and digits", "不是合法的 CloudEvents 属性名：只能由小写字母和数字组成"},
	ruleAttributeType:   {"type", "must be a string, an integer or a boolean, not %s", "必须是字符串、整数或布尔值，不能是%s"},
	ruleHeaderValue:     {"header_encoding", "is not percent-encoded UTF-8 as the CloudEvents HTTP binding wants it", "不是 CloudEvents HTTP 绑定要求的百分号编码 UTF-8"},
	ruleIDMismatch:      {"id_mismatch", "differs from the id of the CloudEvent; leave it out, or make it the same", "与 CloudEvent 的 id 不一致；请去掉或保持一致"},
	ruleDataContentType: {"data_content_type", "must be application/json, as the data is an event in JSON", "必须是 application/json：data 是 JSON 格式的事件"},
	ruleDataTwice:       {"data_twice", "must not be given beside data; keep one of them", "不能与 data 同时出现，请只保留其一"},
	ruleBase64:          {"not_base64", "must be standard base64", "必须是标准 base64"},
	ruleDataNotUTF8:     {"not_utf8", "must decode to UTF-8", "解码后必须是 UTF-8"},
	ruleDataNotJSON:     {"malformed_json", "must decode to one JSON object", "解码后必须是一个 JSON 对象"},
}

// kindWords names the types of JSON.
var kindWords = [...]problem.Text{
	kindNull:   {En: "null (leave the field out instead)", Zh: " null（请改为不带该字段）"},
	kindBool:   {En: "a boolean", Zh: "布尔值"},
	kindNumber: {En: "a number", Zh: "数字"},
	kindString: {En: "a string", Zh: "字符串"},
	kindArray:  {En: "an array", Zh: "数组"},
	kindObject: {En: "an object", Zh: "对象"},
}

// on says that field breaks r. An argument that is a problem.Text is filled in in each language.
func (r rule) on(field string, args ...any) problem.FieldError {
	t := &ruleTexts[r]
	return problem.FieldError{Field: field, Code: t.code, Message: problem.Text{
		En: fmt.Sprintf(t.en, argsIn(problem.English, args)...),
		Zh: fmt.Sprintf(t.zh, argsIn(problem.Chinese, args)...),
	}}
}

func argsIn(l problem.Language, args []any) []any {
	in := make([]any, len(args))
	for i, a := range args {
		if t, ok := a.(problem.Text); ok {
			a = t.In(l)
		}
		in[i] = a
	}
	return in
}
