package sandbox

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// basicToken is GET /cgi-bin/token (获取接口调用凭据).
func (s *Sandbox) basicToken(w http.ResponseWriter, r *http.Request) {
	s.serveToken(w, r, func() (issued, *refusal) {
		if r.Method != http.MethodGet {
			return issued{}, refuse(codeWantsGet, "")
		}
		q := r.URL.Query()
		if q.Get("grant_type") != "client_credential" {
			return issued{}, refuse(codeGrantType, "")
		}
		return s.tokens.fetchBasic(q.Get("appid"), q.Get("secret"), time.Now())
	})
}

// stableToken is POST /cgi-bin/stable_token (获取稳定版接口调用凭据).
func (s *Sandbox) stableToken(w http.ResponseWriter, r *http.Request) {
	s.serveToken(w, r, func() (issued, *refusal) {
		body, no := readPost(r)
		if no != nil {
			return issued{}, no
		}
		var q struct {
			GrantType    string `json:"grant_type"`
			AppID        string `json:"appid"`
			Secret       string `json:"secret"`
			ForceRefresh bool   `json:"force_refresh"`
		}
		if err := json.Unmarshal(body, &q); err != nil {
			if isForm(body) {
				return issued{}, refuse(codeAppIDMissing, "")
			}
			return issued{}, refuse(codeFormat, "")
		}
		if q.AppID != "" && q.GrantType != "client_credential" {
			return issued{}, refuse(codeGrantType, "")
		}
		if q.ForceRefresh {
			s.ledger.forced()
		}
		return s.tokens.fetchStable(q.AppID, q.Secret, q.ForceRefresh, time.Now())
	})
}

// isForm tells whether body is what an HTML form sends; upstream then finds no appid in it.
func isForm(body []byte) bool {
	if body = bytes.TrimSpace(body); len(body) == 0 || body[0] == '{' || body[0] == '[' {
		return false
	}
	values, err := url.ParseQuery(string(body))
	return err == nil && bytes.IndexByte(body, '=') > 0 && len(values) > 0
}

// serveToken answers with what fetch gives, through the faults of the token calls.
func (s *Sandbox) serveToken(w http.ResponseWriter, r *http.Request, fetch func() (issued, *refusal)) {
	if s.faults.outage() {
		panic(http.ErrAbortHandler)
	}
	hit := s.faults.drawToken()
	var got issued
	no := hit.refusal()
	if no == nil && !hit.fault.before() {
		got, no = fetch()
	}
	s.ledger.tokenAnswered(no, hit.fault)
	if !s.hold(r, hit) {
		return
	}
	switch {
	case hit.fault.spoils():
		s.spoil(w, hit.fault)
	case no != nil:
		s.answer(w, r, no)
	default:
		write(w, contentType, encode(struct {
			AccessToken string `json:"access_token"`
			ExpiresIn   int64  `json:"expires_in"`
		}{got.value, int64(got.life / time.Second)}))
	}
}
