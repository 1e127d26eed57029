package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const updateURL = "/cgi-bin/express/delivery/path/update"

// reply is what upstream's calls answer, read as a careful client does.
type reply struct {
	Errcode     *int   `json:"errcode"`
	Errmsg      string `json:"errmsg"`
	AccessToken string `json:"access_token"`
	ExpiresIn   int64  `json:"expires_in"`
}

// code is the errcode; 0 if a token call left it out.
func (r reply) code() int {
	if r.Errcode == nil {
		return 0
	}
	return *r.Errcode
}

// call sends one request without a network and reads the answer, whose status must be 200.
func call(t testing.TB, s *Sandbox, method, url, body string) reply {
	t.Helper()
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, httptest.NewRequest(method, url, strings.NewReader(body)))
	if rec.Code != http.StatusOK {
		t.Fatalf("%s: status %d, want 200; body %s", method, rec.Code, rec.Body)
	}
	if got := rec.Header().Get("Content-Type"); got != contentType {
		t.Errorf("Content-Type %q, want %q", got, contentType)
	}
	var r reply
	if err := json.Unmarshal(rec.Body.Bytes(), &r); err != nil {
		t.Fatalf("answer %q: %v", rec.Body, err)
	}
	return r
}

// own sends a request to one of the sandbox's own calls and decodes the answer into out.
func own(t testing.TB, s *Sandbox, method, url, body string, wantStatus int, out any) {
	t.Helper()
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, httptest.NewRequest(method, url, strings.NewReader(body)))
	if rec.Code != wantStatus {
		t.Fatalf("%s %s: status %d, want %d; body %s", method, url, rec.Code, wantStatus, rec.Body)
	}
	if err := json.Unmarshal(rec.Body.Bytes(), out); err != nil {
		t.Fatalf("%s %s: answer %q: %v", method, url, rec.Body, err)
	}
}

// bodyOf is a valid push; n makes its text its own.
func bodyOf(waybill, token string, n int) string {
	return fmt.Sprintf(`{"token":%q,"waybill_id":%q,"action_time":%d,"action_type":200001,"action_msg":"到达 %d <深圳&广州>"}`,
		token, waybill, 1533052800+n, n)
}

// push sends a push with a valid access_token and returns its errcode.
func push(t testing.TB, s *Sandbox, accessToken, body string) int {
	t.Helper()
	return call(t, s, http.MethodPost, updateURL+"?access_token="+accessToken, body).code()
}

// testToken fetches a stable access_token.
func testToken(t testing.TB, s *Sandbox, appID string) string {
	t.Helper()
	got, no := s.tokens.fetchStable(appID, "secret", false, time.Now())
	if no != nil {
		t.Fatalf("access_token: %s", no.errmsg(""))
	}
	return got.value
}

// addOrder makes a waybill known and returns its Token.
func addOrder(t testing.TB, s *Sandbox, o Order) string {
	t.Helper()
	got, err := s.AddOrder(o)
	if err != nil {
		t.Fatalf("AddOrder(%+v): %v", o, err)
	}
	return got.Token
}

func setFaults(t testing.TB, s *Sandbox, f Faults) {
	t.Helper()
	if err := s.SetFaults(f); err != nil {
		t.Fatalf("SetFaults: %v", err)
	}
}

// testStart is a time for what takes its time as an argument.
var testStart = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
