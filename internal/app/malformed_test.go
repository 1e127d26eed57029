package app_test

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// badRequest is a request that must be refused, and how.
type badRequest struct {
	name   string
	path   string // Default /v1/events.
	media  string // Default application/json.
	header http.Header
	noKey  bool
	body   string
	status []int  // Any of these.
	code   string // Of the problem; empty: any.
	field  string // That must be among the errors; empty: any.
}

const goodBody = `{"id":"scan-0001","delivery_id":"SF","waybill_id":"12345678901234567890","action_type":300002,` +
	`"action_time":1533052800,"action_msg":"丽影邓丽君【18666666666】正在派件","token":"TOKEN"}`

// TestMalformedCorpus sends what strangers, broken scanners and misled proxies send. Each is refused with a documented
// status and a problem that names the cause; none is kept, and none hurts the service.
func TestMalformedCorpus(t *testing.T) {
	up := apptest.NewUpstream(t, sandbox.Options{Open: true})
	settings := apptest.NewSettings(t, sf(up))
	s := start(t, settings)
	corpus := slices.Concat(brokenBodies(), brokenFields(), brokenHeaders(), brokenBatches(), brokenSignatures(t, settings))
	if len(corpus) < 2000 {
		t.Errorf("the corpus has %d cases, want 2,000 or more", len(corpus))
	}
	failed := 0
	for _, c := range corpus {
		if err := refused(t, s, settings, &c); err != nil {
			if failed++; failed <= 20 {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
	t.Logf("%d requests, %d of them answered wrongly", len(corpus), failed)
	keptNothing(t, s)
}

// keptNothing checks that no event is kept, and that the service still works.
func keptNothing(t *testing.T, s *service) {
	t.Helper()
	if kept := s.EventsOf(t, ""); len(kept) != 0 {
		t.Errorf("%d events are kept, the first is %+v; want none", len(kept), kept[0])
	}
	s.Accept(t, scan("GOOD", 1, 100001))
	if strings.Contains(s.log.String(), "panic") {
		t.Errorf("something panicked; the log ends with\n%s", s.log.Tail(5))
	}
}

// refused sends one request and says what is wrong with its answer.
func refused(t *testing.T, s *service, settings *apptest.Settings, c *badRequest) error {
	media, path := c.media, c.path
	if media == "" {
		media = "application/json"
	}
	if path == "" {
		path = "/v1/events"
	}
	status, head, body, err := s.Do(t.Context(), http.MethodPost, s.Events+path, media, []byte(c.body), func(r *http.Request, _ []byte) {
		if !c.noKey {
			r.Header.Set("Authorization", "Bearer "+settings.Key)
		}
		for name, values := range c.header {
			r.Header[http.CanonicalHeaderKey(name)] = values
		}
		if media == "none" {
			r.Header.Del("Content-Type")
		}
	})
	if err != nil {
		return fmt.Errorf("no answer: %w", err)
	}
	var p apptest.Answer
	switch {
	case !slices.Contains(c.status, status):
		return fmt.Errorf("status %d, want one of %d: %.300s", status, c.status, body)
	case head.Get("Content-Type") != "application/problem+json":
		return fmt.Errorf("Content-Type %q, want a problem: %.300s", head.Get("Content-Type"), body)
	case json.Unmarshal(body, &p) != nil:
		return fmt.Errorf("the problem is no JSON: %.300s", body)
	case p.Status != status || p.Title == "" || p.Detail == "" || p.Code == "":
		return fmt.Errorf("the problem is incomplete: %.300s", body)
	case c.code != "" && p.Code != c.code:
		return fmt.Errorf("code %q, want %q: %.300s", p.Code, c.code, body)
	case c.field != "" && !slices.ContainsFunc(p.Errors, func(e struct {
		Field string `json:"field"`
		Code  string `json:"code"`
	}) bool {
		return e.Field == c.field && e.Code != ""
	}):
		return fmt.Errorf("field %q is not named: %.300s", c.field, body)
	case bytes.Contains(body, []byte("json:")) || bytes.Contains(body, []byte("state.")) || bytes.Contains(body, []byte(".go:")):
		return fmt.Errorf("the problem speaks of the implementation: %.300s", body)
	}
	return nil
}

// brokenBodies are bodies that are no JSON, or no object.
func brokenBodies() []badRequest {
	var list []badRequest
	malformed := func(name, body string) {
		list = append(list, badRequest{name: name, body: body, status: []int{400}})
	}
	for n := range len(goodBody) {
		malformed(fmt.Sprintf("cut at byte %d", n), goodBody[:n])
		malformed(fmt.Sprintf("not UTF-8 at byte %d", n), goodBody[:n]+"\xff"+goodBody[n+1:])
		malformed(fmt.Sprintf("NUL at byte %d", n), goodBody[:n]+"\x00"+goodBody[n:])
	}
	malformed("trailing brace", goodBody+"}")
	malformed("two events", goodBody+goodBody)
	malformed("byte order mark", "\xef\xbb\xbf"+goodBody)
	malformed("UTF-16", utf16Bytes(goodBody))
	malformed("NaN", strings.Replace(goodBody, "300002", "NaN", 1))
	malformed("Infinity", strings.Replace(goodBody, "300002", "-Infinity", 1))
	malformed("hexadecimal", strings.Replace(goodBody, "300002", "0x493e2", 1))
	malformed("leading zero", strings.Replace(goodBody, "300002", "0300002", 1))
	malformed("single quotes", strings.ReplaceAll(goodBody, `"`, `'`))
	malformed("comment", goodBody+"// a comment")
	malformed("XML", `<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>`)
	malformed("form", "id=1&waybill_id=2")
	malformed("line break in a string", strings.Replace(goodBody, "scan-0001", "scan\r\n0001", 1))
	for _, depth := range []int{10, 1000, 100_000} {
		list = append(list, badRequest{name: fmt.Sprintf("%d arrays deep", depth),
			body: strings.Repeat("[", depth) + strings.Repeat("]", depth), status: []int{400, 422}})
		list = append(list, badRequest{name: fmt.Sprintf("%d objects deep", depth),
			body: strings.Repeat(`{"id":`, depth) + "1" + strings.Repeat("}", depth), status: []int{400, 422}})
	}
	for _, body := range []string{"null", "true", "1", `"text"`, "[]", "[" + goodBody + "]", "{}"} {
		list = append(list, badRequest{name: "no event: " + body[:min(len(body), 10)], body: body, status: []int{422}, code: "invalid_event"})
	}
	list = append(list, badRequest{name: "over max_body", body: `{"id":"` + strings.Repeat("x", 1<<20) + `"}`, status: []int{413}, code: "body_too_large"})
	return list
}

func utf16Bytes(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteByte(byte(r))
		b.WriteByte(byte(r >> 8))
	}
	return b.String()
}

// brokenFields are events of which one field is wrong.
func brokenFields() []badRequest {
	var list []badRequest
	values := map[string]string{
		"id": `"scan-0001"`, "delivery_id": `"SF"`, "waybill_id": `"12345678901234567890"`, "action_type": "300002",
		"action_time": "1533052800", "action_msg": `"丽影邓丽君【18666666666】正在派件"`, "token": `"TOKEN"`,
	}
	wrong := func(field, what, value string) {
		list = append(list, badRequest{name: field + " " + what, status: []int{422}, code: "invalid_event", field: field,
			body: strings.Replace(goodBody, `"`+field+`":`+values[field], `"`+field+`":`+value, 1)})
	}
	for field, good := range values {
		isText := good[0] == '"'
		for _, v := range []string{"null", "true", "false", "[]", "{}", `["x"]`, `{"a":1}`, "1.5", "-1", "1e400", "-1e400", "0",
			"99999999999999999999", "9223372036854775808", "1.0", "1e3", `""`} {
			if v == `""` && field == "token" {
				continue // No Token.
			}
			wrong(field, "is "+v, v)
		}
		if !isText {
			wrong(field, "is a text", `"300002"`)
		}
		list = append(list, badRequest{name: field + " twice", status: []int{422}, field: field,
			body: strings.Replace(goodBody, "{", `{"`+field+`":`+good+",", 1)})
		for _, name := range []string{strings.ToUpper(field), strings.ToUpper(field[:1]) + field[1:], field + " ", " " + field, field + "s",
			strings.ReplaceAll(field, "_", "-"), strings.Replace(field, "i", "ı", 1)} {
			if name == field {
				continue
			}
			list = append(list, badRequest{name: fmt.Sprintf("field %q", name), status: []int{422}, field: name,
				body: strings.Replace(goodBody, `"`+field+`":`, `"`+name+`":`, 1)})
		}
		if field != "delivery_id" && field != "token" {
			list = append(list, badRequest{name: field + " missing", status: []int{422}, field: field,
				body: strings.Replace(strings.Replace(goodBody, `"`+field+`":`+good+",", "", 1), ",}", "}", 1)})
		}
	}
	for _, field := range []string{"id", "waybill_id"} {
		for c := range 0x21 {
			if field == "id" && c == ' ' {
				continue // An id may hold spaces.
			}
			wrong(field, fmt.Sprintf("with U+%04X", c), fmt.Sprintf(`"a\u%04xb"`, c))
		}
		for _, c := range []rune{0x7f, 0x85, 0x200b, 0x202e, 0x2066, 0xfeff, 0x2028} {
			wrong(field, fmt.Sprintf("with U+%04X", c), fmt.Sprintf(`"a\u%04xb"`, c))
		}
	}
	for _, field := range []string{"id", "delivery_id", "waybill_id", "action_msg", "token"} {
		wrong(field, "with half a surrogate pair", `"a\ud800b"`)
		wrong(field, "with the pair turned round", `"\udc00\ud800"`)
	}
	wrong("id", "of 129 characters", `"`+strings.Repeat("单", 129)+`"`)
	wrong("waybill_id", "of 65 characters", `"`+strings.Repeat("单", 65)+`"`)
	wrong("waybill_id", "with a wide space", `"a　b"`)
	wrong("action_msg", "of 1,025 bytes", `"`+strings.Repeat("x", 1025)+`"`)
	wrong("action_msg", "of 342 Chinese characters", `"`+strings.Repeat("单", 342)+`"`)
	wrong("token", "of 257 bytes", `"`+strings.Repeat("x", 257)+`"`)
	wrong("delivery_id", "of nobody", `"JD"`)
	wrong("delivery_id", "by letter case", `"sf"`)
	for code := 99_990; code < 100_010; code++ {
		if !slices.Contains(apptest.ActionTypes, code) {
			wrong("action_type", fmt.Sprint("is ", code), fmt.Sprint(code))
		}
	}
	wrong("action_time", "far ahead", fmt.Sprint(time.Now().Add(time.Hour).Unix()))
	for _, ms := range []string{"1533052800000", "100000000000", "9999999999999"} {
		list = append(list, badRequest{name: "action_time " + ms, status: []int{422}, field: "action_time",
			body: strings.Replace(goodBody, "1533052800", ms, 1)})
	}
	return list
}

// brokenHeaders are good events in a form that is not taken, or from nobody.
func brokenHeaders() []badRequest {
	var list []badRequest
	for _, media := range []string{"none", "text/plain", "application/xml", "text/xml", "application/x-www-form-urlencoded",
		"multipart/form-data; boundary=x", "application/json; charset=gbk", "application/json; charset=utf-16", "application/jsonx",
		"application/x-ndjson", "application/cloudevents-batch+json", "json", "application/json,text/plain", "*/*", ";", "\x7f"} {
		if media == "\x7f" {
			continue
		}
		list = append(list, badRequest{name: "media type " + media, media: media, body: goodBody, status: []int{415}})
	}
	for _, encoding := range []string{"gzip", "deflate", "br", "zstd", "identity, gzip", "x"} {
		list = append(list, badRequest{name: "encoding " + encoding, header: http.Header{"Content-Encoding": {encoding}}, body: goodBody,
			status: []int{415}, code: "unsupported_encoding"})
	}
	for _, credentials := range []string{"", "Bearer", "Bearer ", "Bearer x", "Basic eDp5", "bearer  ", "Token x", "Bearer " + strings.Repeat("x", 9000)} {
		list = append(list, badRequest{name: fmt.Sprintf("credentials %.20q", credentials), noKey: true, body: goodBody,
			header: http.Header{"Authorization": {credentials}}, status: []int{401}, code: "unauthorized"})
	}
	for _, envelope := range []string{
		`{}`, `{"specversion":"1.0"}`, `{"specversion":"0.3","id":"1","source":"/s","type":"t","data":` + goodBody + `}`,
		`{"specversion":"1.0","source":"/s","type":"t","data":` + goodBody + `}`,
		`{"specversion":"1.0","id":"1","source":"/s","type":"t"}`,
		`{"specversion":"1.0","id":"1","source":"/s","type":"t","data":"text"}`,
		`{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"!!!"}`,
		`{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"text/xml","data":` + goodBody + `}`,
		`[]`, `null`,
	} {
		list = append(list, badRequest{name: "CloudEvent " + envelope[:min(40, len(envelope))], media: "application/cloudevents+json", body: envelope,
			status: []int{422}})
	}
	envelope := `{"specversion":"1.0","id":"scan-0001","source":"/s","type":"t","data":` + goodBody + `}`
	for n := range len(envelope) {
		list = append(list,
			badRequest{name: fmt.Sprintf("CloudEvent cut at byte %d", n), media: "application/cloudevents+json",
				body: envelope[:n], status: []int{400}},
			badRequest{name: fmt.Sprintf("CloudEvent not UTF-8 at byte %d", n), media: "application/cloudevents+json",
				body: envelope[:n] + "\xff" + envelope[n+1:], status: []int{400}})
	}
	for _, header := range []http.Header{
		{"Ce-Id": {"1"}}, {"Ce-Specversion": {"1.0"}}, {"Ce-Specversion": {"2.0"}, "Ce-Id": {"1"}, "Ce-Source": {"/s"}, "Ce-Type": {"t"}},
		{"Ce-Specversion": {"1.0"}, "Ce-Id": {"%ff"}, "Ce-Source": {"/s"}, "Ce-Type": {"t"}},
	} {
		list = append(list, badRequest{name: fmt.Sprint("CloudEvent headers ", header), header: header, body: goodBody, status: []int{422}})
	}
	return list
}

// brokenBatches are batches that can't be read as a whole.
func brokenBatches() []badRequest {
	const path = "/v1/events/batch"
	var list []badRequest
	array := "[" + goodBody + "]"
	for n := range len(array) {
		list = append(list,
			badRequest{name: fmt.Sprintf("array cut at byte %d", n), path: path, body: array[:n], status: []int{400}},
			badRequest{name: fmt.Sprintf("array not UTF-8 at byte %d", n), path: path, body: array[:n] + "\xc0" + array[n+1:], status: []int{400}})
	}
	for _, body := range []string{goodBody, "null", "1", `"x"`} {
		list = append(list, badRequest{name: "batch " + body[:1], path: path, body: body, status: []int{422}})
	}
	line := `{"id":"1"}`
	list = append(list,
		badRequest{name: "1,001 in an array", path: path, body: "[" + strings.Repeat(line+",", 1000) + line + "]", status: []int{413}, code: "batch_too_large"},
		badRequest{name: "1,001 lines", path: path, media: "application/x-ndjson", body: strings.Repeat(line+"\n", 1001), status: []int{413}, code: "batch_too_large"},
		badRequest{name: "a batch as text", path: path, media: "text/csv", body: goodBody, status: []int{415}},
	)
	return list
}

// brokenSignatures are requests of the source that signs, with every bit of a valid signature flipped, and more.
func brokenSignatures(t *testing.T, settings *apptest.Settings) []badRequest {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(settings.SigningSecret, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Unix()
	sum := func(id string, at int64, body string) []byte {
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%d.%s", id, at, body)
		return mac.Sum(nil)
	}
	good := sum("msg_1", now, goodBody)
	var list []badRequest
	add := func(name, id, at, signature string) {
		list = append(list, badRequest{name: "signature " + name, noKey: true, body: goodBody, status: []int{401}, code: "unauthorized",
			header: http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {at}, "Webhook-Signature": {signature}}})
	}
	v1 := func(mac []byte) string { return "v1," + base64.StdEncoding.EncodeToString(mac) }
	stamp := fmt.Sprint(now)
	for bit := range len(good) * 8 {
		flipped := slices.Clone(good)
		flipped[bit/8] ^= 1 << (bit % 8)
		add(fmt.Sprintf("with bit %d flipped", bit), "msg_1", stamp, v1(flipped))
	}
	for n := range len(good) {
		add(fmt.Sprintf("of %d bytes", n), "msg_1", stamp, v1(good[:n]))
	}
	text := v1(good)
	for n := range len(text) {
		add(fmt.Sprintf("cut at %d", n), "msg_1", stamp, text[:n])
	}
	add("of another id", "msg_2", stamp, v1(good))
	add("of another time", "msg_1", fmt.Sprint(now+1), v1(good))
	add("of another body", "msg_1", stamp, v1(sum("msg_1", now, goodBody+" ")))
	add("too old", "msg_1", fmt.Sprint(now-301), v1(sum("msg_1", now-301, goodBody)))
	add("too new", "msg_1", fmt.Sprint(now+400), v1(sum("msg_1", now+400, goodBody)))
	add("of version 2", "msg_1", stamp, "v2,"+base64.StdEncoding.EncodeToString(good))
	add("without a version", "msg_1", stamp, base64.StdEncoding.EncodeToString(good))
	for _, at := range []string{"", "x", "-1", "1e9", "99999999999999999999", stamp + ".0", "0x" + stamp} {
		add(fmt.Sprintf("at %q", at), "msg_1", at, v1(good))
	}
	return list
}

// TestBadItemsSpoilNoBatch sends bad items between good ones.
func TestBadItemsSpoilNoBatch(t *testing.T) {
	up := apptest.NewUpstream(t, sandbox.Options{Open: true})
	settings := apptest.NewSettings(t, sf(up))
	s := start(t, settings)
	var lines []string
	good := 0
	for i, c := range brokenFields() {
		if strings.ContainsAny(c.body, "\n\r") {
			continue
		}
		if lines = append(lines, c.body); len(lines) == 999 {
			break
		}
		if i%10 == 0 {
			text, _ := json.Marshal(scan(fmt.Sprintf("BETWEEN%d", i), 1, 100001))
			lines = append(lines, string(text))
			good++
		}
	}
	status, _, body, err := s.Do(t.Context(), http.MethodPost, s.Events+"/v1/events/batch", "application/x-ndjson",
		[]byte(strings.Join(lines, "\n")), func(r *http.Request, _ []byte) { r.Header.Set("Authorization", "Bearer "+settings.Key) })
	if err != nil || status != http.StatusOK {
		t.Fatalf("status %d, error %v: %.300s", status, err, body)
	}
	var answer struct {
		Results []apptest.Answer
		Counts  map[string]int
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatal(err)
	}
	if answer.Counts["accepted"] != good || answer.Counts["invalid"] != len(lines)-good || len(answer.Results) != len(lines) {
		t.Errorf("counts %v over %d results, want %d accepted and %d invalid", answer.Counts, len(answer.Results), good, len(lines)-good)
	}
	if kept := s.EventsOf(t, ""); len(kept) != good {
		t.Errorf("%d events are kept, want the %d good ones", len(kept), good)
	}
}

// TestBrokenHTTP speaks to the port without an HTTP client.
func TestBrokenHTTP(t *testing.T) {
	up := apptest.NewUpstream(t, sandbox.Options{Open: true})
	settings := apptest.NewSettings(t, sf(up))
	s := start(t, settings)
	head := func(extra ...string) string {
		lines := append([]string{"POST /v1/events HTTP/1.1", "Host: carrier", "Authorization: Bearer " + settings.Key,
			"Content-Type: application/json"}, extra...)
		return strings.Join(lines, "\r\n") + "\r\n\r\n"
	}
	length := func(n int) string { return fmt.Sprintf("Content-Length: %d", n) }
	cases := []struct {
		name   string
		sent   string
		end    bool // The sender closes its side after that.
		status int  // 0: closed without an answer is well, too.
	}{
		{"body shorter than announced", head(length(len(goodBody)+10)) + goodBody, true, 400},
		{"body longer than announced", head(length(len(goodBody)-10)) + goodBody, true, 400},
		{"nothing of the body", head(length(100)), true, 400},
		{"chunked and cut", head("Transfer-Encoding: chunked") + "20\r\n" + goodBody[:0x20] + "\r\n", true, 400},
		{"chunked with a bad size", head("Transfer-Encoding: chunked") + "zz\r\n" + goodBody + "\r\n0\r\n\r\n", true, 400},
		{"chunked and too large", head("Transfer-Encoding: chunked") + strings.Repeat("8000\r\n"+strings.Repeat(" ", 0x8000)+"\r\n", 40) + "0\r\n\r\n", true, 413},
		{"announced too large", head(length(1 << 40)), false, 413},
		{"negative length", head("Content-Length: -1"), true, 400},
		{"length in words", head("Content-Length: ten"), true, 400},
		{"two lengths", head(length(10), length(20)) + goodBody, true, 400},
		{"two kinds of credentials", strings.Replace(head(length(len(goodBody))), "Host:", "Authorization: Bearer x\r\nHost:", 1) + goodBody, true, 401},
		{"no host", "POST /v1/events HTTP/1.1\r\n\r\n", true, 400},
		{"a header without a colon", head("nonsense"), true, 400},
		{"a space before the colon", head("X : y"), true, 400},
		{"a control character in a header", head("X: a\x01b"), true, 400},
		{"headers over 16 KiB", head("X: " + strings.Repeat("x", 64<<10)), true, 431},
		{"an unknown method", strings.Replace(head(length(0)), "POST", "BREW", 1), true, 405},
		{"another method", strings.Replace(head(length(0)), "POST", "GET", 1), true, 405},
		{"another path", strings.Replace(head(length(0)), "/v1/events", "/v1/event", 1), true, 404},
		{"a path with ..", strings.Replace(head(length(0)), "/v1/events", "/v1/../../etc/passwd", 1), true, 404},
		{"the admin API on the events' port", "GET /admin/v1/pushes HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + settings.Operator + "\r\n\r\n", true, 404},
		{"metrics on the events' port", "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", true, 404},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", true, 0},
		{"noise", "\x00\xff\x00\xff\r\n\r\n", true, 400},
		// These two are the protocol's own answers (RFC 9112, sections 2.3 and 6.1).
		{"an unknown transfer encoding", head("Transfer-Encoding: gzip"), true, 501},
		{"HTTP/9", strings.Replace(head(length(0)), "HTTP/1.1", "HTTP/9.9", 1), true, 505},
		{"a header that never ends", "POST /v1/events HTTP/1.1\r\nHost: x\r\nX: ", false, 0}, // Closed within seconds.
	}
	t.Run("cases", func(t *testing.T) { // Ends when all parallel cases have.
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				status := speak(t, s.Events, c.sent, c.end)
				if status != c.status && !(c.status == 0 && status == 400) {
					t.Errorf("status %d, want %d", status, c.status)
				}
			})
		}
	})
	keptNothing(t, s)
}

// speak sends bytes to the service and returns the status of its answer; 0 if it closes without one.
func speak(t *testing.T, url, sent string, end bool) int {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	// The service may close before it has read all.
	_, _ = conn.Write([]byte(sent))
	if end {
		_ = conn.(*net.TCPConn).CloseWrite()
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if netErr, ok := err.(net.Error); ok && netErr.Timeout() {
		t.Fatalf("no answer and not closed within 20s")
	}
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode
}
