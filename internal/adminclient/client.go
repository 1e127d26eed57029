package adminclient

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxAnswer bounds what is read of an answer, in bytes. A page of 1,000 rows is about 1 MiB; a waybill's story can't
// get near it either.
const maxAnswer = 64 << 20

// Options say whom to ask, and who asks.
type Options struct {
	URL       string // The admin API's address, such as http://127.0.0.1:8081; a path before /admin/v1 is kept.
	Token     string // An admin token. A secret.
	Language  string // What the service is asked to speak: "en" or "zh"; empty means en.
	UserAgent string
	// Timeout bounds one request with its answer; 0 means 30 s. What the service needs long for by its nature has
	// longer, and a copy of the store as long as it takes.
	Timeout time.Duration
	// Transport carries the requests; nil means net/http's with HTTPS through the environment's proxy, and plain
	// HTTP, whose token a proxy could read, direct.
	Transport http.RoundTripper
}

// Client asks one service. It is safe for concurrent use.
type Client struct {
	base     string
	token    string
	language string
	agent    string
	timeout  time.Duration
	http     *http.Client
}

// New checks the options. An error names what to correct, and never repeats the token.
func New(o Options) (*Client, error) {
	base, err := checkURL(o.URL)
	if err != nil {
		return nil, err
	}
	if err := checkToken(o.Token); err != nil {
		return nil, err
	}
	if o.Transport == nil {
		o.Transport = transport()
	}
	return &Client{
		base: base, token: o.Token, language: cmp.Or(o.Language, "en"), agent: o.UserAgent,
		timeout: cmp.Or(o.Timeout, 30*time.Second),
		http: &http.Client{
			Transport: o.Transport,
			// What a redirect points to is not the address that the token is for.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

func checkURL(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "":
		return "", errors.New("the admin API's address must be like http://127.0.0.1:8081")
	case u.User != nil:
		return "", errors.New("the admin API's address must hold no user or password; the token says who asks")
	case u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("the admin API's address must end before any ? or #")
	}
	return strings.TrimRight(u.String(), "/"), nil
}

func checkToken(token string) error {
	if token == "" {
		return errors.New("there is no admin token")
	}
	for _, c := range []byte(token) {
		if c <= ' ' || c >= 0x7f {
			return errors.New("the admin token must be visible ASCII without spaces")
		}
	}
	return nil
}

func transport() http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone() // It is one unless somebody replaced it, and nobody does.
	t.Proxy = func(r *http.Request) (*url.URL, error) {
		if r.URL.Scheme != "https" {
			return nil, nil
		}
		return http.ProxyFromEnvironment(r)
	}
	return t
}

// Answer is what the service answered: decoded, and as it was written.
type Answer[T any] struct {
	Value T
	Raw   json.RawMessage
}

// request is one call.
type request struct {
	method string
	path   string // Escaped, from the first / on.
	query  url.Values
	body   any           // nil: none.
	longer time.Duration // What the answer may take beyond the client's time-out.
}

// ask carries out a request that is answered by one document.
func ask[T any](ctx context.Context, c *Client, r request) (Answer[T], error) {
	raw, err := c.do(ctx, r)
	if err != nil {
		return Answer[T]{}, err
	}
	a := Answer[T]{Raw: raw}
	if err := json.Unmarshal(raw, &a.Value); err != nil {
		return Answer[T]{}, &Unreadable{URL: c.base + r.path, Err: err}
	}
	return a, nil
}

func get[T any](ctx context.Context, c *Client, path string) (Answer[T], error) {
	return ask[T](ctx, c, request{method: http.MethodGet, path: path})
}

func post[T any](ctx context.Context, c *Client, path string, body any) (Answer[T], error) {
	return ask[T](ctx, c, request{method: http.MethodPost, path: path, body: body})
}

// do sends a request and returns the body of an answer in the two hundreds.
func (c *Client) do(ctx context.Context, r request) ([]byte, error) {
	limit := c.timeout + r.longer
	limited, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %v", limit))
	defer cancel()
	resp, err := c.open(limited, r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	return c.whole(limited, r, resp)
}

// open sends a request and returns an answer in the two hundreds, whose body is for the caller to read and close.
func (c *Client) open(ctx context.Context, r request) (*http.Response, error) {
	req, err := c.request(ctx, r)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, r, err)
	}
	if resp.StatusCode >= 200 && resp.StatusCode <= 299 {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := c.whole(ctx, r, resp)
	if err != nil {
		return nil, err
	}
	return nil, refusal(c.base, r.path, resp, body)
}

// whole reads an answer's body.
func (c *Client) whole(ctx context.Context, r request, resp *http.Response) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, c.unreachable(ctx, r, fmt.Errorf("the answer broke off: %w", err))
	case len(body) > maxAnswer:
		return nil, &Unreadable{URL: c.base + r.path, Err: fmt.Errorf("the answer is longer than %d bytes", maxAnswer)}
	}
	return body, nil
}

func (c *Client) request(ctx context.Context, r request) (*http.Request, error) {
	target := c.base + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	var body io.Reader
	if r.body != nil {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(r.body); err != nil {
			return nil, err
		}
		body = &b
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Accept", "application/json, application/problem+json")
	req.Header.Set("Accept-Language", c.language)
	if c.agent != "" {
		req.Header.Set("User-Agent", c.agent)
	}
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// unreachable is the error for a request without a whole answer.
func (c *Client) unreachable(ctx context.Context, r request, err error) error {
	op, ok := errors.AsType[*net.OpError](err)
	u := &Unreachable{URL: c.base, Err: err, Unsure: r.method != http.MethodGet && !(ok && op.Op == "dial")}
	// url.Error repeats method and address, which Unreachable says itself.
	if outer, ok := errors.AsType[*url.Error](err); ok {
		u.Err = outer.Err
	}
	if ctx.Err() != nil {
		u.Err = context.Cause(ctx)
	}
	return u
}
