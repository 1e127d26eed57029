package wechat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// In a cloud function (云调用, cloud.openapi.logistics.getPath) requests and answers have the names of HTTPS in camel
// case, and an errMsg that names the call. The functions here change one form into the other, so that what a cloud
// function shows can be compared with what HTTPS brings. Fields that are not documented are changed like the others.
//
//	HTTPS                                 云调用
//	{"waybill_id": ...}                   {"waybillId": ...}
//	{"path_item_num": 3}                  {"pathItemNum": 3, "errMsg": "openapi.logistics.getPath:ok"}
//	{"errcode": 0, "errmsg": "ok"}        {"errCode": 0, "errMsg": "openapi.logistics.updatePath:ok"}
//	{"errcode": 40199, "errmsg": "no"}    {"errCode": 40199, "errMsg": "openapi.logistics.getPath:fail no"}
//	{"order_list": [{"errcode": 0}]}      {"orderList": [{"errcode": 0}], "errMsg": ...}
//
// Source: WeChat 物流助手, the documents of the four calls, 云调用. How a failure is worded is not documented: it is as
// wx-server-sdk throws it.

// CloudRequest changes a request from its HTTPS form into that of 云调用.
func CloudRequest(body []byte) ([]byte, error) { return rename(body, camelCase) }

// HTTPSRequest changes a request from its form in 云调用 into that of HTTPS.
func HTTPSRequest(body []byte) ([]byte, error) { return rename(body, snakeCase) }

// CloudAnswer changes an answer to a call ("getPath") from its HTTPS form into that of 云调用.
func CloudAnswer(call string, body []byte) ([]byte, error) {
	members, err := renamed(body, camelCase)
	if err != nil {
		return nil, err
	}
	var out []member
	errmsg, code := "", "0"
	for _, m := range members {
		switch m.name {
		case "errcode":
			code = string(m.value)
			out = append(out, member{"errCode", m.value})
		case "errmsg":
			errmsg = readString(m.value)
		default:
			out = append(out, m)
		}
	}
	words := cloudPrefix(call) + "ok"
	if code != "0" {
		words = cloudPrefix(call) + "fail " + errmsg
	}
	out = append(out, member{"errMsg", appendString(nil, words)})
	return appendMembers(nil, out), nil
}

// HTTPSAnswer changes an answer to a call ("getPath") from its form in 云调用 into that of HTTPS.
func HTTPSAnswer(call string, body []byte) ([]byte, error) {
	members, err := renamed(body, snakeCase)
	if err != nil {
		return nil, err
	}
	hasCode := false
	for i, m := range members {
		if m.name == "err_code" {
			hasCode, members[i].name = true, "errcode"
		}
	}
	out := members[:0]
	for _, m := range members {
		if m.name != "err_msg" {
			out = append(out, m)
			continue
		}
		words := strings.TrimPrefix(readString(m.value), cloudPrefix(call))
		words = strings.TrimSpace(strings.TrimPrefix(words, "fail"))
		if hasCode || words != "ok" { // Where HTTPS leaves the errcode out, it says no "ok".
			out = append(out, member{"errmsg", appendString(nil, words)})
		}
	}
	return appendMembers(nil, out), nil
}

func cloudPrefix(call string) string { return "openapi.logistics." + call + ":" }

// CloudName is the name that a field of HTTPS ("waybill_id") has in 云调用 ("waybillId").
func CloudName(field string) string { return camelCase(field) }

// camelCase is the name of 云调用 for waybill_id: waybillId. Names of another form stay, errcode and errmsg too.
func camelCase(name string) string {
	words := strings.Split(name, "_")
	for i, word := range words {
		if word == "" || !isLower(word[0]) {
			return name
		}
		if i > 0 {
			words[i] = string(word[0]-'a'+'A') + word[1:]
		}
	}
	return strings.Join(words, "")
}

// snakeCase is the name of HTTPS for waybillId: waybill_id.
func snakeCase(name string) string {
	if name == "" || !isLower(name[0]) || strings.Contains(name, "_") {
		return name
	}
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; c >= 'A' && c <= 'Z' {
			b.WriteByte('_')
			b.WriteByte(c - 'A' + 'a')
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func isLower(c byte) bool { return c >= 'a' && c <= 'z' }

// member is a name and a value of an object, in the order in which they came.
type member struct {
	name  string
	value json.RawMessage
}

// maxDepth bounds how deep what is renamed is nested; the documents' forms need 3.
const maxDepth = 32

var errTooDeep = fmt.Errorf("it is nested more than %d levels deep", maxDepth)

// rename gives every member of a JSON object, and of those within it, another name.
func rename(body []byte, to func(string) string) ([]byte, error) {
	members, err := renamed(body, to)
	if err != nil {
		return nil, err
	}
	return appendMembers(nil, members), nil
}

// renamed is the members of a JSON object under their other names, those within them changed likewise.
func renamed(body []byte, to func(string) string) ([]member, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(body, &all); err != nil || all == nil {
		return nil, errors.New("a JSON object is wanted")
	}
	return renameObject(body, to, 0)
}

// renameObject wants valid JSON.
func renameObject(body []byte, to func(string) string, depth int) ([]member, error) {
	if depth > maxDepth {
		return nil, errTooDeep
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	_, _ = dec.Token() // The opening brace.
	var out []member
	seen := map[string]bool{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		name := to(key.(string))
		if seen[name] {
			return nil, fmt.Errorf("it has %q twice", name)
		}
		seen[name] = true
		if value, err = renameValue(value, to, depth+1); err != nil {
			return nil, err
		}
		out = append(out, member{name, value})
	}
	return out, nil
}

func renameValue(value json.RawMessage, to func(string) string, depth int) (json.RawMessage, error) {
	switch value[0] {
	case '{':
		members, err := renameObject(value, to, depth)
		if err != nil {
			return nil, err
		}
		return appendMembers(nil, members), nil
	case '[':
		return renameList(value, to, depth)
	}
	return value, nil
}

func renameList(value json.RawMessage, to func(string) string, depth int) (json.RawMessage, error) {
	if depth > maxDepth {
		return nil, errTooDeep
	}
	var items []json.RawMessage
	if err := json.Unmarshal(value, &items); err != nil {
		return nil, err
	}
	out := json.RawMessage{'['}
	for i, item := range items {
		item, err := renameValue(item, to, depth+1)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, item...)
	}
	return append(out, ']'), nil
}

func appendMembers(b []byte, members []member) []byte {
	b = append(b, '{')
	for _, m := range members {
		b = append(appendName(b, m.name), m.value...)
	}
	return append(b, '}')
}
