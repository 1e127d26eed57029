package wechat

import (
	"context"
	"strconv"
	"unicode/utf8"
)

const opUpdatePath = "updatePath"

// PathOfUpdatePath is updatePath's path, by which quotas name the call. Source: WeChat 物流助手, 运力方使用, updatePath.
const PathOfUpdatePath = "/cgi-bin/express/delivery/path/update"

// PathUpdate is updatePath's request, all of it required. Upstream has no key against repeats: to try again means to
// send the very same values.
type PathUpdate struct {
	Token      string `json:"token"` // The waybill's, from its add_waybill. A secret.
	WaybillID  string `json:"waybill_id"`
	ActionTime int64  `json:"action_time"` // Unix seconds.
	ActionType int32  `json:"action_type"`
	ActionMsg  string `json:"action_msg"` // Sent byte for byte.
}

// UpdatePath sends one node of a waybill's trace. An empty accessToken sends none, or the
// cloud's ([ClientOptions.CloudTokenFile]).
//
// The error is nil if and only if upstream answered with a readable errcode, whatever it is; otherwise it is a
// *CallError.
func (c *Client) UpdatePath(ctx context.Context, accessToken string, u PathUpdate) (Answer, error) {
	cred, callErr := c.credential(accessToken)
	if callErr != nil {
		return Answer{}, c.blame(opUpdatePath, callErr)
	}
	t := c.pushTemplate.Load()
	if t == nil || t.credential != cred {
		t = &template{cred, c.authorised(PathOfUpdatePath, cred)}
		c.pushTemplate.Store(t)
	}
	return c.ask(ctx, c.pushes, opUpdatePath, t.req, u.appendJSON(nil), cred.token, u.Token)
}

// appendJSON appends the request's body: the fields in the order of the documents, `< > &` and everything else beyond
// ASCII as they are. Upstream asks for unescaped text (全局返回码 40033 refuses \uxxxx), and encoding/json would escape
// U+2028 and U+2029 even when told not to.
func (u *PathUpdate) appendJSON(b []byte) []byte {
	if b == nil {
		const names = 96 // Names, punctuation and numbers take less.
		b = make([]byte, 0, names+len(u.Token)+len(u.WaybillID)+len(u.ActionMsg))
	}
	b = append(b, `{"token":`...)
	b = appendString(b, u.Token)
	b = append(b, `,"waybill_id":`...)
	b = appendString(b, u.WaybillID)
	b = append(b, `,"action_time":`...)
	b = strconv.AppendInt(b, u.ActionTime, 10)
	b = append(b, `,"action_type":`...)
	b = strconv.AppendInt(b, int64(u.ActionType), 10)
	b = append(b, `,"action_msg":`...)
	b = appendString(b, u.ActionMsg)
	return append(b, '}')
}

// appendString appends s as a JSON string. Only what RFC 8259, section 7 forbids is escaped. Bytes that are no UTF-8
// become U+FFFD, as with encoding/json; events that hold some are refused before they are stored.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			b = append(b, s[start:i]...)
			b = appendEscape(b, c)
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			b = append(b, s[start:i]...)
			b = utf8.AppendRune(b, utf8.RuneError)
			start = i + size
		}
		i += size
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	case '\b':
		return append(b, `\b`...)
	case '\f':
		return append(b, `\f`...)
	}
	const hex = "0123456789abcdef"
	return append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}
