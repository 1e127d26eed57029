package wechat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// How an account gets its access_tokens.
const (
	// ModeStable asks stable_token, which gives all who ask the same access_token. The default.
	ModeStable = "stable"
	// ModeBasic asks the older token call, where each call ends the life of the access_token before.
	ModeBasic = "basic"
	// ModeNone sends none: in WeChat's cloud a side-car adds it.
	ModeNone = "none"

	// modePlatform and modeAuthorizer are a third-party platform's; see Platform.
	modePlatform   = "platform"
	modeAuthorizer = "authorizer"
)

// Names and paths of the calls that give access_tokens. Source: WeChat, getStableAccessToken and getAccessToken.
const (
	opStableToken   = "getStableAccessToken"
	pathStableToken = "/cgi-bin/stable_token"
	opBasicToken    = "getAccessToken"
	pathBasicToken  = "/cgi-bin/token"
)

// maxAccessTokenBytes: upstream asks to reserve 512 and may take more.
const maxAccessTokenBytes = 4096

// grant is an access_token as upstream gave it, or its refusal.
type grant struct {
	Answer
	accessToken  string
	refreshToken string // The authorizer's; "" with all other calls.
	authorizer   string // Its appid; "" with all calls but queryAuth.
	expiresIn    int64  // Seconds, unchecked: 0 when upstream sent nothing that is a number.
	at           time.Time
}

// stableToken asks for the access_token that all share. Unless force is set, it is the one that is valid now. force
// makes a new one and ends the old one's life at once, for everybody; 20 times a day, at least 30 s apart.
func (c *Client) stableToken(ctx context.Context, within time.Duration, appID, secret string, force bool) (grant, error) {
	body, err := json.Marshal(struct {
		GrantType    string `json:"grant_type"`
		AppID        string `json:"appid"`
		Secret       string `json:"secret"`
		ForceRefresh bool   `json:"force_refresh"`
	}{"client_credential", appID, secret, force})
	if err != nil {
		return grant{}, err
	}
	return c.askGrant(ctx, within, grantCall{op: opStableToken, field: "access_token"}, c.request(http.MethodPost, pathStableToken, nil), body, secret)
}

// basicToken asks for a new access_token; the old one works for five more minutes.
func (c *Client) basicToken(ctx context.Context, within time.Duration, appID, secret string) (grant, error) {
	query := url.Values{"grant_type": {"client_credential"}, "appid": {appID}, "secret": {secret}}
	return c.askGrant(ctx, within, grantCall{op: opBasicToken, field: "access_token"}, c.request(http.MethodGet, pathBasicToken, query), nil, secret)
}

// grantCall is the name of a call that gives an access_token, of the field that brings it, and of the object that this is
// in ("": in none).
type grantCall struct{ op, field, inside string }

// askGrant makes a call for an access_token, within a time that the client's own time-out may shorten. As with all
// calls the error is a *CallError, and a refusal is an answer.
func (c *Client) askGrant(ctx context.Context, within time.Duration, call grantCall, req *http.Request, payload []byte, secrets ...string) (grant, error) {
	at := time.Now() // Its life began after this, so it ends no earlier than counted from here.
	r, callErr := do(ctx, c.side, bounds{min(c.timeout, within), maxAnswerBytes}, req, payload)
	if callErr != nil {
		return grant{}, c.blame(call.op, callErr, secrets...)
	}
	g, bad := readGrant(r, call)
	if bad != nil {
		return grant{}, c.blame(call.op, r.callError(bad), append(secrets, g.accessToken)...)
	}
	g.at, g.Errmsg = at, cleanErrmsg(g.Errmsg, secrets...)
	return g, nil
}

// readGrant reads {"access_token","expires_in"}, which has no errcode on success, or {"errcode","errmsg"}.
func readGrant(r reply, call grantCall) (grant, *kindError) {
	answer, fields, bad := interpret(r)
	if bad != nil && (bad.kind != KindNoErrcode || string(fields["errcode"]) == "null") {
		return grant{}, bad
	}
	if answer.Errcode != 0 {
		return grant{Answer: answer}, nil
	}
	if call.inside != "" {
		inner := fields[call.inside]
		if fields = nil; json.Unmarshal(inner, &fields) != nil { // The cause would quote it.
			return grant{}, &kindError{KindNoToken, fmt.Errorf("the answer has neither an errcode nor %s", call.inside)}
		}
	}
	g := grant{
		Answer:       Answer{HTTPStatus: r.status},
		accessToken:  readString(fields[call.field]),
		authorizer:   readString(fields["authorizer_appid"]),
		refreshToken: readString(fields["authorizer_refresh_token"]),
	}
	// Not a number counts as 0, which is kept for the shortest time: a formality must not stop all pushes.
	g.expiresIn, _ = strconv.ParseInt(string(fields["expires_in"]), 10, 64)
	if !usableToken(g.accessToken) {
		return g, &kindError{KindNoToken, errors.New("the answer has neither an errcode nor an access_token that can be used")}
	}
	return g, nil
}

// usableToken tells whether s can be an access_token: printable ASCII without spaces, not too long.
func usableToken(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != "" && len(s) <= maxAccessTokenBytes
}
