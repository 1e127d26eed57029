package sender

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxAnswerBytes bounds an answer: a thousand results, each with twenty field errors, stay far below.
const maxAnswerBytes = 64 << 20

// httpLink posts to the webhook.
type httpLink struct {
	o        *Options
	endpoint string
	client   *http.Client
}

func newHTTPLink(o *Options) (*httpLink, error) {
	endpoint, err := endpointOf(o.URL)
	if err := errors.Join(err, o.checkCredentials()); err != nil {
		return nil, err
	}
	transport := o.Transport
	if transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = o.Parallel
		transport = t
	}
	return &httpLink{o: o, endpoint: endpoint, client: &http.Client{
		Transport: transport,
		// A redirect would take the key to another host, and make a GET of the POST.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// endpointOf is where batches go.
func endpointOf(address string) (string, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return "", errors.New("the URL must be the service's address, such as http://127.0.0.1:8080")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("the URL must hold no user, password, ? or #; the key comes from a file or the environment")
	}
	return u.JoinPath("v1", "events", "batch").String(), nil
}

// checkCredentials wants one way for the source to say who it is.
func (o *Options) checkCredentials() error {
	switch {
	case o.Key != "" && len(o.SigningKey) > 0:
		return errors.New("a source has either an API key or a signing secret; give one of them")
	case o.Key == "" && len(o.SigningKey) == 0:
		return errors.New("the source's API key or signing secret is missing")
	case !isHeaderText(o.Key):
		return errors.New("the API key must be visible ASCII characters without spaces; is it the right file?")
	}
	return nil
}

func isHeaderText(key string) bool {
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return false
		}
	}
	return true
}

func (h *httpLink) String() string { return h.endpoint }
func (h *httpLink) limit() int     { return maxBodyBytes }

func (h *httpLink) post(ctx context.Context, id string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.endpoint, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	h.setHeader(req.Header, id, body)
	resp, err := h.client.Do(req)
	if err != nil {
		return nil, h.unreached(ctx, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return nil, h.unreached(ctx, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, refused(h, resp.StatusCode, explain(resp, answer), resp.Header.Get("Retry-After"))
	}
	return answer, nil
}

func (h *httpLink) setHeader(header http.Header, id string, body []byte) {
	header.Set("Content-Type", contentType)
	header.Set("Accept", "application/json")
	header.Set("User-Agent", h.o.UserAgent)
	if h.o.Language != "" {
		header.Set("Accept-Language", h.o.Language)
	}
	if len(h.o.SigningKey) > 0 {
		sign(header, h.o.SigningKey, id, time.Now(), body)
	} else {
		header.Set("Authorization", "Bearer "+h.o.Key)
	}
}

// unreached is the error for a request without an answer, or with half of one.
func (h *httpLink) unreached(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return &temporaryError{err: fmt.Errorf("%s: %w; is the service running there?", h.endpoint, err)}
}

// explain puts an answer to the batch as a whole into words: the problem's, if it is one.
func explain(resp *http.Response, body []byte) string {
	if said := explained(body); said != "" {
		return said
	}
	if to := resp.Header.Get("Location"); to != "" && resp.StatusCode/100 == 3 {
		return "leads to " + printable(shortenedTo(to, 200)) + "; give the service's own address"
	}
	text := http.StatusText(resp.StatusCode)
	if resp.StatusCode < 500 {
		text += "; is that the service's address for events?"
	}
	return strings.TrimSpace(text)
}
