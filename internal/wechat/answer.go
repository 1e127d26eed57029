package wechat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Answer is what upstream said: its errcode, whatever it means.
type Answer struct {
	Errcode    int    `json:"errcode"` // 0 is success; what others speak of is ScopeOf's to say.
	Errmsg     string `json:"errmsg"`  // Upstream's words with their rid, at most 512 bytes, without secrets.
	RID        string `json:"-"`       // Upstream's id of the call, for its support (openapi/rid/get, 7 days); "" if none was given.
	HTTPStatus int    `json:"-"`
}

// okAnswer is nearly every answer there is, byte for byte.
var okAnswer = []byte(`{"errcode":0,"errmsg":"ok"}`)

// maxErrmsgBytes bounds what is kept of an errmsg: it is stored with every attempt.
const maxErrmsgBytes = 512

// interpret reads an answer and its other fields. An HTTP status of 500 or more is upstream's failure whatever the
// body says. A 4xx may come with an errcode, which then counts, but never as a success.
func interpret(r reply) (Answer, map[string]json.RawMessage, *kindError) {
	switch {
	case r.status >= 500:
		return Answer{}, nil, &kindError{KindHTTPStatus, fmt.Errorf("upstream answered HTTP %d %s", r.status, http.StatusText(r.status))}
	case r.status >= 300 && r.status < 400:
		return Answer{}, nil, &kindError{KindRedirect,
			fmt.Errorf("upstream redirects to host %q, which is not followed: correct base_url", redirectHost(r.header))}
	}
	fields, bad := readObject(r.body)
	code := 0
	if bad == nil {
		code, bad = readErrcode(fields)
	}
	if r.status >= 400 && (bad != nil || code == 0) {
		return Answer{}, fields, &kindError{KindHTTPStatus, fmt.Errorf("upstream answered HTTP %d %s", r.status, http.StatusText(r.status))}
	}
	if bad != nil {
		return Answer{}, fields, bad
	}
	errmsg := readString(fields["errmsg"])
	return Answer{Errcode: code, Errmsg: errmsg, RID: readRID(errmsg), HTTPStatus: r.status}, fields, nil
}

// redirectHost is where an answer would lead, without anything that the URL may hold besides.
func redirectHost(h http.Header) string {
	u, err := url.Parse(h.Get("Location"))
	if err != nil {
		return ""
	}
	return u.Host
}

func mediaType(h http.Header) string {
	t, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return t
}

// errNotObject: what answered is not upstream's API.
var errNotObject = errors.New("the answer is no JSON object: a proxy, a gateway or another host may have answered")

// readObject splits a JSON object into its fields. encoding/json alone would match the names in any letter case and
// let the last of repeated ones win, so that `{"errcode":40001,"ErrCode":0}` would read as a success.
func readObject(body []byte) (map[string]json.RawMessage, *kindError) {
	dec := json.NewDecoder(bytes.NewReader(body))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, &kindError{KindNotJSON, errNotObject}
	}
	fields := make(map[string]json.RawMessage, 4)
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, &kindError{KindNotJSON, errNotObject}
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, &kindError{KindNotJSON, errNotObject}
		}
		name, _ := key.(string)
		if _, twice := fields[name]; twice && name == "errcode" {
			return nil, &kindError{KindBadErrcode, errors.New("the answer has two errcodes")}
		}
		fields[name] = value
	}
	if _, err := dec.Token(); err != nil { // The closing brace.
		return nil, &kindError{KindNotJSON, errNotObject}
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, &kindError{KindNotJSON, errors.New("something follows the answer's JSON object")}
	}
	return fields, nil
}

// readErrcode wants an integer that is there: a missing one must not read as 0, which is success.
func readErrcode(fields map[string]json.RawMessage) (int, *kindError) {
	raw, ok := fields["errcode"]
	if !ok || string(raw) == "null" {
		return 0, &kindError{KindNoErrcode, errors.New("the answer has no errcode, so nobody knows whether it is a success")}
	}
	code, err := strconv.Atoi(string(raw))
	if err != nil {
		return 0, &kindError{KindBadErrcode, errors.New("the answer's errcode is no integer")}
	}
	return code, nil
}

// readString is a string's value, and empty for anything else.
func readString(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// readRID finds the id in "invalid credential ... rid: 5f1e2a3b-0c1d2e3f-4a5b6c7d".
func readRID(errmsg string) string {
	i := strings.LastIndex(errmsg, "rid:")
	if i < 0 {
		return ""
	}
	rest := strings.TrimLeft(errmsg[i+len("rid:"):], " ")
	end := strings.IndexFunc(rest, func(r rune) bool {
		return !(r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z')
	})
	if end >= 0 {
		rest = rest[:end]
	}
	return rest[:min(len(rest), 64)]
}

// cleanErrmsg makes upstream's words fit to be stored, logged and shown: no secret that they repeat, no control or
// direction characters, not too long. Secrets go first, lest half of one is left by the cut.
func cleanErrmsg(errmsg string, secrets ...string) string {
	errmsg = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Bidi_Control, r) {
			return ' '
		}
		return r
	}, hide(errmsg, secrets...))
	if len(errmsg) <= maxErrmsgBytes {
		return errmsg
	}
	cut := maxErrmsgBytes
	for cut > 0 && !utf8.RuneStart(errmsg[cut]) {
		cut--
	}
	return errmsg[:cut]
}
