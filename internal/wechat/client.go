package wechat

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Defaults of [ClientOptions].
const (
	defaultBaseURL  = "https://api.weixin.qq.com"
	defaultMaxConns = 64
	defaultTimeout  = 10 * time.Second
	// sideConns bounds the connections for all calls but pushes.
	sideConns = 4
)

// ClientOptions say how one upstream host is called.
type ClientOptions struct {
	// BaseURL is scheme and host, and perhaps a path before upstream's own; default https://api.weixin.qq.com.
	// A query, a fragment, a user or another scheme than http and https is a programmer's mistake: NewClient panics.
	BaseURL string
	// MaxConns is how many pushes may be under way at once; as many connections are kept. Default 64. The other calls
	// have a few connections of their own, so that none of them waits behind pushes that hang.
	MaxConns int
	// Timeout bounds one attempt, all of it: connecting, sending, the whole answer. Default 10s.
	Timeout time.Duration
	// CloudTokenFile is the file of a cloud container (云托管) that holds its cloudbase_access_token, usually
	// /.tencentcloudbase/wx/cloudbase_access_token. It is read anew for each call that is made without an access_token,
	// since the cloud replaces it every 10 minutes. Empty: such calls are sent as they are, e.g. to the side-car of
	// 开放接口服务.
	CloudTokenFile string
	// UserAgent as in "carrier/1.2.3"; default "carrier".
	UserAgent string
	// Transport replaces the client's own connections, e.g. in tests; nil means its own.
	Transport http.RoundTripper
}

// Client makes calls to one upstream host. It is safe for concurrent use and starts nothing by itself. Make one a
// host and account, and keep it: its connections are what makes calls cheap.
type Client struct {
	base    *url.URL
	agent   string
	timeout time.Duration
	cloud   string            // The file of the cloud's access_token; "" if there is none.
	pushes  http.RoundTripper // updatePath.
	side    http.RoundTripper // All else: an access_token must not wait behind pushes that wait for it.

	pushTemplate atomic.Pointer[template] // The latest access_token's.
}

// template is a request without its body. Access_tokens change every two hours at most, so the URL is made once.
type template struct {
	credential
	req *http.Request
}

// credential is what stands in the query of a call.
type credential struct {
	param string // "" for none.
	token string
}

// NewClient makes a client. It connects with the first call.
func NewClient(o ClientOptions) *Client {
	c := &Client{
		base:    mustParseBase(cmp.Or(o.BaseURL, defaultBaseURL)),
		agent:   cmp.Or(o.UserAgent, "carrier"),
		timeout: cmp.Or(max(o.Timeout, 0), defaultTimeout),
		cloud:   o.CloudTokenFile,
		pushes:  o.Transport,
		side:    o.Transport,
	}
	if o.Transport == nil {
		c.pushes = newTransport(cmp.Or(max(o.MaxConns, 0), defaultMaxConns), c.timeout)
		c.side = newTransport(sideConns, c.timeout)
	}
	return c
}

func mustParseBase(base string) *url.URL {
	u, err := url.Parse(base)
	switch {
	case err != nil:
		panic("wechat: base URL: " + redact(err).Error())
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		panic("wechat: base URL " + RedactURL(base) + " must be http://HOST or https://HOST")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		panic("wechat: base URL " + RedactURL(base) + " must have no user, query or fragment")
	}
	return u
}

// newTransport keeps as many connections as it may open: with net/http's default of two idle ones a host, every other
// push would pay for a new connection.
func newTransport(conns int, timeout time.Duration) *http.Transport {
	protocols := new(http.Protocols)
	// One connection a push in flight is what upstream's front ends expect. A dead HTTP/2 connection would take all
	// pushes with it until TCP gives up.
	protocols.SetHTTP1(true)
	setup := min(timeout, 5*time.Second)
	return &http.Transport{
		Proxy:       http.ProxyFromEnvironment,
		DialContext: (&net.Dialer{Timeout: setup, KeepAlive: 15 * time.Second, Control: refuseLinkLocal}).DialContext,
		TLSClientConfig: &tls.Config{
			MinVersion:         tls.VersionTLS12,
			ClientSessionCache: tls.NewLRUClientSessionCache(conns),
		},
		TLSHandshakeTimeout: setup,
		// Under the attempt's own, so that a host that takes requests and says nothing is told from a slow body.
		ResponseHeaderTimeout: timeout - timeout/10,
		MaxConnsPerHost:       conns,
		MaxIdleConnsPerHost:   conns,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConns:          0, // No limit but the host's.
		DisableCompression:    true,
		// What is read of a stranger's answer is bounded, its header too.
		MaxResponseHeaderBytes: maxAnswerBytes,
		Protocols:              protocols,
	}
}

// refuseLinkLocal keeps calls off link-local addresses, from which clouds hand out credentials, whatever name leads there:
// that of a base_url was checked when the configuration was read, and may resolve to something else by now.
func refuseLinkLocal(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if ip := to.Addr().Unmap(); ip.IsLinkLocalUnicast() || ip.IsLinkLocalMulticast() {
		return fmt.Errorf("%s is a link-local address, where no upstream is: check the name in base_url", ip)
	}
	return nil
}

// CloseIdleConnections closes the connections that no call uses; the last thing to do with a client.
func (c *Client) CloseIdleConnections() {
	for _, rt := range []http.RoundTripper{c.pushes, c.side} {
		if closer, ok := rt.(interface{ CloseIdleConnections() }); ok {
			closer.CloseIdleConnections()
		}
	}
}

// Host is the host that the client calls, for logs.
func (c *Client) Host() string { return c.base.Host }

// request makes a template: method and path as documented, and the query, if any.
func (c *Client) request(method, path string, query url.Values) *http.Request {
	u := *c.base
	u.Path = strings.TrimSuffix(u.Path, "/") + path
	u.RawPath = ""
	u.RawQuery = query.Encode()
	// No Idempotency-Key: with one, net/http would silently send a push a second time on a dead connection.
	return &http.Request{
		Method: method, URL: &u, Host: u.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{
			"Content-Type": {"application/json"},
			"User-Agent":   {c.agent},
		},
	}
}

// credential is what a call with an access_token brings; "" means none, or the cloud's where there is a file of it.
func (c *Client) credential(accessToken string) (credential, *CallError) {
	switch {
	case accessToken != "":
		return credential{"access_token", accessToken}, nil
	case c.cloud == "":
		return credential{}, nil
	}
	token, err := os.ReadFile(c.cloud)
	if err == nil && !usableToken(string(bytes.TrimSpace(token))) {
		err = fmt.Errorf("%s holds no access_token", c.cloud)
	}
	if err != nil {
		return credential{}, &CallError{Kind: KindCloudToken,
			Err: fmt.Errorf("the cloud container's cloudbase_access_token: %w; switch the container's 微信令牌 on, or send through 开放接口服务", err)}
	}
	return credential{"cloudbase_access_token", string(bytes.TrimSpace(token))}, nil
}

// authorised makes a template of a call that brings a credential.
func (c *Client) authorised(path string, cred credential) *http.Request {
	query := url.Values{}
	if cred.param != "" {
		query.Set(cred.param, cred.token)
	}
	return c.request(http.MethodPost, path, query)
}

// ask makes a call and reads an answer of errcode and errmsg. secrets are what must show in no error.
func (c *Client) ask(ctx context.Context, rt http.RoundTripper, op string, req *http.Request, payload []byte, secrets ...string) (Answer, error) {
	r, callErr := do(ctx, rt, bounds{c.timeout, maxAnswerBytes}, req, payload)
	if callErr != nil {
		return Answer{}, c.blame(op, callErr, secrets...)
	}
	if bytes.Equal(bytes.TrimSpace(r.body), okAnswer) && r.status == http.StatusOK {
		return Answer{Errmsg: "ok", HTTPStatus: r.status}, nil
	}
	answer, _, bad := interpret(r)
	if bad != nil {
		return Answer{}, c.blame(op, r.callError(bad), secrets...)
	}
	answer.Errmsg = cleanErrmsg(answer.Errmsg, secrets...)
	return answer, nil
}

// blame completes an error: with the call's name, and without any secret.
func (c *Client) blame(op string, e *CallError, secrets ...string) *CallError {
	e.Op, e.Err = op, redact(e.Err, secrets...)
	return e
}

// callError is what a bad answer makes of its call.
func (r reply) callError(bad *kindError) *CallError {
	return &CallError{Sent: true, Kind: bad.kind, HTTPStatus: r.status, Err: fmt.Errorf("%w (%s)", bad.err, r.describe())}
}

// describe says what an answer looks like without quoting it: error pages like to repeat the URL.
func (r reply) describe() string {
	return fmt.Sprintf("HTTP %d, %d bytes of %s", r.status, len(r.body), cmp.Or(mediaType(r.header), "no type"))
}
