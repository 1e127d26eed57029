package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// The errcodes that the sandbox gives by its own rules. Any other can be given as a fault.
const (
	codeOK           = 0
	codeBusy         = -1
	codeCredential   = 40001 // The access_token is not, or no longer, the one; or the secret is another app's.
	codeGrantType    = 40002
	codeAppID        = 40013
	codeTokenForm    = 40014 // No access_token looks like that.
	codeURL          = 40066
	codeArgs         = 40097
	codeSecret       = 40125
	codeNoWaybill    = 40199
	codeTokenMissing = 41001
	codeAppIDMissing = 41002
	codeNoSecret     = 41004
	codeTokenExpired = 42001
	codeWantsGet     = 43001
	codeWantsPost    = 43002
	codeEmptyBody    = 44002
	codeDayQuota     = 45009
	codeMinuteQuota  = 45011
	codeFormat       = 47001
	codeOrderToken   = 9300507 // The waybill's Token is another's.
	codeTooLong      = 9300526

	// Of a third-party platform's calls.
	codeTicket       = 61006
	codeAuthCode     = 61009
	codeRefreshToken = 61023

	// Of the merchants' calls (addOrder, cancelOrder).
	codeOpenID         = 40003
	codeOrderArgs      = 930561
	codeNoOrder        = 930563
	codeCarrierRefused = 9300501 // The carrier's own ResultCode says why.
	codeCarrierFailed  = 9300502 // It did not answer, or not what can be used.
	codeNoCarrier      = 9300503
	codeOrderRepeated  = 9300522
	codeNotBound       = 9300525
	codeWrongWaybill   = 9300528

	// Of the calls about calls (openapi/quota/get, openapi/rid/get, clear_quota).
	codeNoRID     = 76001
	codeRIDForm   = 76002
	codeOthersRID = 76003
	codeOldRID    = 76004
	codeNoPath    = 76021
	codeNoClear   = 48006 // clear_quota was done 10 times this month.
)

// messages are upstream's words, as far as they are public (WeChat 全局返回码, and each call's own page).
var messages = map[int]string{
	codeOK:           "ok",
	codeBusy:         "system error",
	codeCredential:   "invalid credential, access_token is invalid or not latest, could get access_token by getStableAccessToken",
	codeGrantType:    "invalid grant_type",
	codeAppID:        "invalid appid",
	codeTokenForm:    "invalid access_token",
	codeURL:          "invalid url",
	codeArgs:         "invalid args",
	codeSecret:       "invalid appsecret",
	40164:            "invalid ip, not in whitelist",
	codeNoWaybill:    "waybill not found",
	40243:            "appsecret is frozen",
	codeTokenMissing: "access_token missing",
	codeAppIDMissing: "appid missing",
	codeNoSecret:     "appsecret missing",
	codeTokenExpired: "access_token expired",
	codeWantsGet:     "require GET method",
	codeWantsPost:    "require POST method",
	codeEmptyBody:    "empty post data",
	codeDayQuota:     "reach max api daily quota limit",
	codeMinuteQuota:  "api minute-quota reach limit, must slower, retry next minute",
	codeFormat:       "data format error",
	48001:            "api unauthorized",
	48004:            "api forbidden for irregularities",
	50002:            "user limited",
	codeTicket:       "component ticket is invalid",
	codeAuthCode:     "code is invalid",
	codeRefreshToken: "refresh_token is invalid",
	61024:            "invalid usage, must use api_component_token",
	89503:            "this ip needs the administrator's confirmation",
	89506:            "this ip was refused by the administrator within 24 hours",
	89507:            "this ip was refused by the administrator within 1 hour",
	codeOrderToken:   "invalid token, cannot be decrypted, or the decryption result differs from the plaintext",
	codeTooLong:      "arg size exceed limit",

	codeOpenID:         "invalid openid",
	codeOrderArgs:      "args error",
	codeNoOrder:        "order not exists",
	codeCarrierRefused: "delivery logic fail",
	codeCarrierFailed:  "delivery sys error",
	codeNoCarrier:      "delivery_id not exists",
	codeOrderRepeated:  "this orderid is repeated",
	codeNotBound:       "biz_id not bound",
	codeWrongWaybill:   "invalid waybill_id",

	codeNoRID:     "rid not found",
	codeRIDForm:   "rid is error",
	codeOthersRID: "could not query this rid, no permission",
	codeOldRID:    "rid is time out",
	codeNoPath:    "cgi_path not found, please check",
	codeNoClear:   "forbid to clear quota because of reaching the limit",
}

// refusal is an answer with an errcode other than 0. nil: no objection.
type refusal struct {
	code   int
	detail string // Which field, and what is wrong with it; may be empty. Never holds a secret.
}

func refuse(code int, detail string) *refusal { return &refusal{code, detail} }

// errmsg is the refusal in upstream's form, its request id at the end.
func (r *refusal) errmsg(rid string) string { return r.text() + " rid: " + rid }

// text is what is wrong.
func (r *refusal) text() string {
	text, ok := messages[r.code]
	if !ok {
		text = "error " + strconv.Itoa(r.code)
	}
	if r.detail != "" {
		text += ": " + r.detail
	}
	return text
}

// What upstream says of its bodies; not the registered parameter name, but this.
const contentType = "application/json; encoding=utf-8"

var okBody = []byte(`{"errcode":0,"errmsg":"ok"}`)

// plainAnswer is what calls that bring nothing answer, and all refusals.
type plainAnswer struct {
	Errcode int    `json:"errcode"`
	Errmsg  string `json:"errmsg"`
}

// answer writes a refusal, or success for nil. The HTTP status is 200 for every errcode.
func (s *Sandbox) answer(w http.ResponseWriter, r *http.Request, no *refusal) {
	if no == nil {
		write(w, contentType, okBody)
		return
	}
	s.writeRefusal(w, r, func(rid string) []byte { return encode(plainAnswer{no.code, no.errmsg(rid)}) })
}

// writeRefusal writes an answer with a rid, of which rid/get can tell.
func (s *Sandbox) writeRefusal(w http.ResponseWriter, r *http.Request, answer func(rid string) []byte) {
	now := time.Now()
	rid := s.chance.rid(now)
	body := answer(rid)
	s.remember(rid, r, body, now)
	write(w, contentType, body)
}

func write(w http.ResponseWriter, contentType string, body []byte) {
	w.Header()["Content-Type"] = []string{contentType}
	_, _ = w.Write(body) // The client has gone; nobody is left to be told.
}

// encode is json.Marshal for values that can't fail.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("sandbox: encoding %T: %v", v, err))
	}
	return b
}

// writeJSON answers one of the sandbox's own calls, readable in a terminal.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // The client has gone; nobody is left to be told.
}

// writeProblem answers one of the sandbox's own calls that could not be done.
func writeProblem(w http.ResponseWriter, status int, err error) {
	writeJSON(w, status, map[string]string{"error": err.Error()})
}
