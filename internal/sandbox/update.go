package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	maxBody = 1 << 20
	// milliseconds is where Unix seconds end to be plausible (the year 5138): such a time is one in milliseconds.
	milliseconds = 100_000_000_000
)

// actionTypes are the nine codes (WeChat 物流助手, updatePath, action_type 的合法值).
var actionTypes = map[int64]bool{
	100001: true, 100002: true, 100003: true, 200001: true, 300002: true, 300003: true, 300004: true,
	400001: true, 400002: true,
}

// update is the body of one push, as far as it can be read.
type update struct {
	token     string
	waybillID string
	at        int64 // Unix seconds
	action    int64
	message   string
	escaped   bool  // The body holds \u escapes, which upstream's pages advise against.
	trace     fault // How it shows otherwise than it was pushed; none: as it is.
}

// updateCall is the path of updatePath, as quotas name it too.
const updateCall = "/cgi-bin/express/delivery/path/update"

// updatePath is POST /cgi-bin/express/delivery/path/update.
func (s *Sandbox) updatePath(w http.ResponseWriter, r *http.Request) {
	if s.faults.outage() {
		s.ledger.lost("outage")
		panic(http.ErrAbortHandler)
	}
	v := s.judge(r)
	s.tellPath(r.Context(), &v)
	there := s.hold(r, v.hit)
	s.ledger.answered(v, there)
	s.logPush(r, v, there)
	switch {
	case !there:
	case v.fault.spoils():
		s.spoil(w, v.fault)
	default:
		s.answer(w, r, v.no)
	}
}

// verdict is what becomes of one push.
type verdict struct {
	hit
	app App
	up  update
	no  *refusal // nil: success
	// applied says that the push took effect, whatever its client gets to hear; n is its node's number, if kept.
	applied bool
	n       uint64
	flight  *flight // nil if it is not known which waybill it is of.
}

// judge decides what becomes of a push: what befalls it by a fault comes before what is wrong with it.
func (s *Sandbox) judge(r *http.Request) (v verdict) {
	now := time.Now()
	s.ledger.pushed()
	v.no = s.read(r, &v, now)
	if v.up.waybillID != "" {
		v.flight = s.ledger.enter(v.app, v.up.waybillID)
	}
	v.hit = s.faults.drawPush(v.up.waybillID)
	switch {
	case v.code != codeOK:
		v.no = v.hit.refusal()
	case v.no == nil && !v.fault.before():
		v.up.trace = v.hit.trace
		v.n, v.no = s.ledger.apply(v.app, &v.up, now)
		v.applied = v.no == nil
	}
	return v
}

// read checks everything about a push that needs no knowledge of its waybill.
func (s *Sandbox) read(r *http.Request, v *verdict, now time.Time) (no *refusal) {
	if v.app, no = s.authorize(r, now); no != nil {
		return no
	}
	body, no := readPost(r)
	if no != nil {
		return no
	}
	if no = s.usage.takePush(v.app.AppID, s.faults, now); no != nil {
		return no
	}
	v.up, no = parseUpdate(body, s.opts.MaxMessageBytes)
	return no
}

// authorize finds the app that a push's access_token is of.
func (s *Sandbox) authorize(r *http.Request, now time.Time) (App, *refusal) {
	if s.faults.expires() {
		s.tokens.expire(accessToken(r.URL.RawQuery), now)
	}
	return s.identify(r, now)
}

// identify finds the app that a request's access_token is of; in the cloud, without one, it is the zero app.
func (s *Sandbox) identify(r *http.Request, now time.Time) (App, *refusal) {
	token := accessToken(r.URL.RawQuery)
	if token == "" && s.opts.Cloud {
		return App{}, nil
	}
	return s.tokens.check(token, now)
}

// accessToken takes the parameter from a query without decoding what needs none.
func accessToken(query string) string {
	if v, ok := strings.CutPrefix(query, "access_token="); ok && !strings.ContainsAny(v, "&%+;") {
		return v
	}
	values, _ := url.ParseQuery(query) // What can be read of it.
	return values.Get("access_token")
}

// readPost reads the body of a POST, and leaves it in r for the rid of a refusal.
func readPost(r *http.Request) ([]byte, *refusal) {
	if r.Method != http.MethodPost {
		return nil, refuse(codeWantsPost, "")
	}
	var buf bytes.Buffer
	if n := r.ContentLength; n > 0 && n <= maxBody {
		buf.Grow(int(n) + bytes.MinRead)
	}
	n, err := buf.ReadFrom(io.LimitReader(r.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, refuse(codeFormat, "the body ended early")
	case n > maxBody:
		return nil, refuse(codeFormat, "the body is over 1 MiB")
	case n == 0:
		return nil, refuse(codeEmptyBody, "")
	}
	r.Body = &readBody{buf.Bytes(), time.Now()}
	return buf.Bytes(), nil
}

// parseUpdate reads and checks a body. With a refusal, what could be read is there all the same.
func parseUpdate(body []byte, maxMessage int) (update, *refusal) {
	// A map, because a struct would take "Token" for "token", which upstream does not.
	var fields map[string]json.RawMessage
	if !utf8.Valid(body) {
		return update{}, refuse(codeFormat, "not UTF-8")
	}
	if json.Unmarshal(body, &fields) != nil {
		return update{}, refuse(codeFormat, "")
	}
	up := update{escaped: bytes.Contains(body, []byte(`\u`))}
	var no *refusal
	for _, f := range []struct {
		name string
		to   any
	}{
		{"waybill_id", &up.waybillID}, {"token", &up.token}, {"action_time", &up.at},
		{"action_type", &up.action}, {"action_msg", &up.message},
	} {
		raw, ok := fields[f.name]
		switch {
		case no != nil:
		case !ok:
			no = refuse(codeArgs, f.name+" is required")
		case json.Unmarshal(raw, f.to) != nil:
			no = refuse(codeFormat, f.name+" has the wrong type")
		}
	}
	if no == nil {
		no = up.check(maxMessage)
	}
	return up, no
}

// check is what upstream requires of the values.
func (up *update) check(maxMessage int) *refusal {
	switch {
	case up.waybillID == "":
		return refuse(codeArgs, "waybill_id is required")
	case up.token == "":
		return refuse(codeArgs, "token is required")
	case up.at <= 0:
		return refuse(codeArgs, "action_time is required, in Unix seconds")
	case up.at >= milliseconds:
		return refuse(codeArgs, "action_time is in Unix seconds, not milliseconds")
	case !actionTypes[up.action]:
		return refuse(codeArgs, fmt.Sprintf("action_type %d is none of the nine codes", up.action))
	case up.message == "":
		return refuse(codeArgs, "action_msg is required")
	case len(up.message) > maxMessage:
		return refuse(codeTooLong, fmt.Sprintf("action_msg has %d bytes, at most %d", len(up.message), maxMessage))
	}
	return nil
}

// logPush writes one line per push at debug level, without its Token and its text, which may hold a phone number.
func (s *Sandbox) logPush(r *http.Request, v verdict, there bool) {
	if s.opts.CountOnly || !s.log.Enabled(r.Context(), slog.LevelDebug) {
		return
	}
	code := codeOK
	if v.no != nil {
		code = v.no.code
	}
	s.log.Debug("push", "waybill_id", v.up.waybillID, "action_type", v.up.action, "action_time", v.up.at,
		"appid", v.app.AppID, "n", v.n, "errcode", code, "fault", string(v.fault), "client_gone", !there)
}
