package apptest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Client talks to a service from outside. It is safe for concurrent use; methods that need a test end it when the
// service can't be reached.
type Client struct {
	Events, Admin    string // base URLs
	Operator, Viewer string // admin tokens
	key              string
	signing          []byte
	HTTP             *http.Client
}

func newClient(t testing.TB, s *Settings, events, admin string) *Client {
	t.Helper()
	signing, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s.SigningSecret, "whsec_"))
	if err != nil {
		t.Fatalf("the signing secret: %v", err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return &Client{
		Events: events, Admin: admin, Operator: s.Operator, Viewer: s.Viewer, key: s.Key, signing: signing,
		HTTP: &http.Client{Transport: transport, Timeout: 60 * time.Second},
	}
}

// Event is a scan as it is sent.
type Event struct {
	ID         string `json:"id"`
	DeliveryID string `json:"delivery_id,omitempty"`
	WaybillID  string `json:"waybill_id"`
	ActionType int    `json:"action_type"`
	ActionTime int64  `json:"action_time"`
	ActionMsg  string `json:"action_msg"`
	Token      string `json:"token,omitempty"`
}

// Answer is what the webhook answers for one event, a problem's members among it.
type Answer struct {
	HTTP int         `json:"-"` // The status of the whole answer.
	Head http.Header `json:"-"`
	Body []byte      `json:"-"`

	ID        string `json:"id"`
	WaybillID string `json:"waybill_id"`
	Verdict   string `json:"verdict"`
	Stage     string `json:"stage"`
	Reason    string `json:"reason"`
	Late      bool   `json:"late"`
	Gap       bool   `json:"gap"`
	Seq       uint64 `json:"seq"`
	Original  string `json:"original"`

	Code    string `json:"code"`
	Title   string `json:"title"`
	Detail  string `json:"detail"`
	Status  int    `json:"status"`
	From    string `json:"from"`
	Allowed []int  `json:"allowed"`
	Errors  []struct {
		Field string `json:"field"`
		Code  string `json:"code"`
	} `json:"errors"`
}

// Final is the verdict that the event got when it first came.
func (a *Answer) Final() string {
	if a.Verdict == "duplicate" {
		return a.Original
	}
	return a.Verdict
}

// Post sends one event, with the scanner's key.
func (c *Client) Post(ctx context.Context, e Event) (Answer, error) {
	return c.one(ctx, e, c.authorize)
}

// PostSigned sends one event as the depot.
func (c *Client) PostSigned(ctx context.Context, e Event) (Answer, error) {
	return c.one(ctx, e, c.sign)
}

func (c *Client) one(ctx context.Context, e Event, credentials func(*http.Request, []byte)) (Answer, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return Answer{}, err
	}
	status, head, text, err := c.Do(ctx, http.MethodPost, c.Events+"/v1/events", "application/json", body, credentials)
	if err != nil {
		return Answer{}, err
	}
	a := Answer{HTTP: status, Head: head, Body: text}
	if err := json.Unmarshal(text, &a); err != nil {
		return a, fmt.Errorf("status %d with an answer that is no JSON (%w): %.200s", status, err, text)
	}
	return a, nil
}

// PostBatch sends events as NDJSON; signed chooses the depot's credentials.
func (c *Client) PostBatch(ctx context.Context, events []Event, signed bool) ([]Answer, error) {
	var body bytes.Buffer
	for _, e := range events {
		line, err := json.Marshal(e)
		if err != nil {
			return nil, err
		}
		body.Write(append(line, '\n'))
	}
	credentials := c.authorize
	if signed {
		credentials = c.sign
	}
	status, head, text, err := c.Do(ctx, http.MethodPost, c.Events+"/v1/events/batch", "application/x-ndjson", body.Bytes(), credentials)
	if err != nil {
		return nil, err
	}
	var answer struct{ Results []Answer }
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, fmt.Errorf("status %d with an answer that is no JSON (%w): %.200s", status, err, text)
	}
	if status == http.StatusOK && len(answer.Results) != len(events) {
		return nil, fmt.Errorf("%d results for %d events: %.200s", len(answer.Results), len(events), text)
	}
	if status != http.StatusOK {
		answer.Results = make([]Answer, len(events))
	}
	for i := range answer.Results {
		answer.Results[i].HTTP, answer.Results[i].Head = status, head
	}
	return answer.Results, nil
}

func (c *Client) authorize(r *http.Request, _ []byte) { r.Header.Set("Authorization", "Bearer "+c.key) }

// sign signs as Standard Webhooks 1.0 defines it.
func (c *Client) sign(r *http.Request, body []byte) {
	id, at := "msg_"+strconv.FormatInt(time.Now().UnixNano(), 36), strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, c.signing)
	fmt.Fprintf(mac, "%s.%s.%s", id, at, body)
	r.Header.Set("webhook-id", id)
	r.Header.Set("webhook-timestamp", at)
	r.Header.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

// Do makes one request and reads its whole answer. An error says that there was none.
func (c *Client) Do(ctx context.Context, method, url, mediaType string, body []byte, prepare func(*http.Request, []byte)) (int, http.Header, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	if mediaType != "" {
		req.Header.Set("Content-Type", mediaType)
	}
	if prepare != nil {
		prepare(req, body)
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, text, err
}

// Send sends one event and ends the test if there is no answer.
func (c *Client) Send(t testing.TB, e Event) Answer {
	t.Helper()
	a, err := c.Post(t.Context(), e)
	if err != nil {
		t.Fatalf("sending %s: %v", e.ID, err)
	}
	return a
}

// Accept sends events one by one, each of which must be accepted; it returns their numbers.
func (c *Client) Accept(t testing.TB, events ...Event) []uint64 {
	t.Helper()
	seqs := make([]uint64, len(events))
	for i, e := range events {
		a := c.Send(t, e)
		if a.HTTP != http.StatusAccepted || a.Verdict != "accepted" {
			t.Fatalf("event %s of waybill %s: status %d, verdict %q (%s)", e.ID, e.WaybillID, a.HTTP, a.Verdict, a.Body)
		}
		seqs[i] = a.Seq
	}
	return seqs
}
