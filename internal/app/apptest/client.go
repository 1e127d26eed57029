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
	"net/url"
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

// Ask makes a request to the admin listener as the operator.
func (c *Client) Ask(t testing.TB, method, path string, body any) (int, []byte) {
	t.Helper()
	return c.AskAs(t, c.Operator, method, path, body)
}

// AskAs makes it with another token; without an Authorization header if token is empty.
func (c *Client) AskAs(t testing.TB, token, method, path string, body any) (int, []byte) {
	t.Helper()
	var raw []byte
	if body != nil {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
	}
	status, _, text, err := c.Do(t.Context(), method, c.Admin+path, "application/json", raw, func(r *http.Request, _ []byte) {
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
	})
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return status, text
}

// read asks for JSON as the operator; any status but want ends the test.
func read[T any](t testing.TB, c *Client, path string) T {
	t.Helper()
	status, body := c.Ask(t, http.MethodGet, path, nil)
	var v T
	if status != http.StatusOK {
		t.Fatalf("GET %s: status %d: %s", path, status, body)
	}
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("GET %s: %v: %s", path, err, body)
	}
	return v
}

// Push is a push as the admin API shows it; Attempts only where one is asked for.
type Push struct {
	Seq           uint64     `json:"seq"`
	EventID       string     `json:"event_id"`
	Source        string     `json:"source"`
	DeliveryID    string     `json:"delivery_id"`
	WaybillID     string     `json:"waybill_id"`
	ActionType    int        `json:"action_type"`
	ActionTime    int64      `json:"action_time"`
	ActionMsg     string     `json:"action_msg"`
	Status        string     `json:"status"`
	WaitingFor    string     `json:"waiting_for"`
	Errcode       *int       `json:"errcode"`
	Errmsg        string     `json:"errmsg"`
	Reason        string     `json:"reason"`
	NextAttemptAt *time.Time `json:"next_attempt_at"`
	ReceivedAt    time.Time  `json:"received_at"`
	DeliveredAt   *time.Time `json:"delivered_at"`
	Replay        string     `json:"replay"`
}

// ListedPush is a push in a list, where attempts is a count.
type ListedPush struct {
	Push
	Attempts int `json:"attempts"` // Those that count.
}

// PushDetail is one push with its attempts.
type PushDetail struct {
	Push
	Tries    int       `json:"tries"` // Those that count.
	Attempts []Attempt `json:"attempts"`
}

// Attempt is one request and its answer.
type Attempt struct {
	At         time.Time `json:"at"`
	DurationMS float64   `json:"duration_ms"`
	Errcode    *int      `json:"errcode"`
	Errmsg     string    `json:"errmsg"`
	RID        string    `json:"rid"`
	Scope      string    `json:"scope"`
	Unknown    bool      `json:"outcome_unknown"`
	Replay     string    `json:"replay"`
}

// Replay is a replay as the admin API shows it.
type Replay struct {
	ID        string     `json:"id"`
	Status    string     `json:"status"`
	By        string     `json:"by"`
	Reason    string     `json:"reason"`
	CreatedAt time.Time  `json:"created_at"`
	EndedAt   *time.Time `json:"ended_at"`
	Matched   int        `json:"matched"`
	Requeued  int        `json:"requeued"`
	Skipped   int        `json:"skipped"`
	Delivered int        `json:"delivered"`
	Failed    int        `json:"failed"`
	Discarded int        `json:"discarded"`
	Open      int        `json:"open"`
}

// DryRun is what a replay would do.
type DryRun struct {
	Matched  int            `json:"matched"`
	Complete bool           `json:"complete"`
	Totals   map[string]int `json:"totals"`
	Calls    int            `json:"calls"`
	Minutes  float64        `json:"minutes"`
	Sample   []struct {
		Seq     uint64 `json:"seq"`
		Verdict string `json:"verdict"`
		Behind  uint64 `json:"behind"`
		Would   string `json:"would"`
	} `json:"sample"`
}

// StoredEvent is an event of any verdict.
type StoredEvent struct {
	Seq        uint64     `json:"seq"`
	EventID    string     `json:"event_id"`
	Source     string     `json:"source"`
	DeliveryID string     `json:"delivery_id"`
	WaybillID  string     `json:"waybill_id"`
	ActionType int        `json:"action_type"`
	ActionTime int64      `json:"action_time"`
	ActionMsg  string     `json:"action_msg"`
	Verdict    string     `json:"verdict"`
	Reason     string     `json:"reason"`
	Late       bool       `json:"late"`
	Gap        bool       `json:"gap"`
	HeldUntil  *time.Time `json:"held_until"`
	Status     string     `json:"status"`
}

// Waybill is a waybill's story.
type Waybill struct {
	Stage    string `json:"stage"`
	TokenSet bool   `json:"token_set"`
	Parked   bool   `json:"parked"`
	Timeline []Step `json:"timeline"`
	Shown    *Shown `json:"shown"`
}

// Shown is what the customer sees, as WeChat told.
type Shown struct {
	Version int64         `json:"version"`
	OrderID string        `json:"order_id"`
	Actions []ShownAction `json:"actions"`
}

// ShownAction is one node of that.
type ShownAction struct {
	ActionTime int64  `json:"action_time"`
	ActionType int64  `json:"action_type"`
	ActionMsg  string `json:"action_msg"`
}

// Step is one event of a waybill.
type Step struct {
	Seq        uint64     `json:"seq"`
	EventID    string     `json:"event_id"`
	ActionType int        `json:"action_type"`
	ActionTime int64      `json:"action_time"`
	ActionMsg  string     `json:"action_msg"`
	Verdict    string     `json:"verdict"`
	Reason     string     `json:"reason"`
	Late       bool       `json:"late"`
	Gap        bool       `json:"gap"`
	HeldUntil  *time.Time `json:"held_until"`
	Push       *struct {
		Status     string `json:"status"`
		WaitingFor string `json:"waiting_for"`
		Reason     string `json:"reason"`
		Attempts   int    `json:"attempts"`
	} `json:"push"`
}

// AccountState is an account as the admin API shows it.
type AccountState struct {
	DeliveryID string `json:"delivery_id"`
	Breaker    struct {
		State       string     `json:"state"`
		OpenedBy    string     `json:"opened_by"`
		NextProbeAt *time.Time `json:"next_probe_at"`
	} `json:"breaker"`
	Paused               bool             `json:"paused"`
	PauseReason          string           `json:"pause_reason"`
	PausedUntil          *time.Time       `json:"paused_until"`
	AccessTokenExpiresAt *time.Time       `json:"access_token_expires_at"`
	Counts               map[string]int64 `json:"counts"`
	OldestPendingSeconds float64          `json:"oldest_pending_seconds"`
	InFlight             int              `json:"in_flight"`
	ConcurrencyNow       int              `json:"concurrency_now"`
	Quota                struct {
		Used             int64      `json:"used"`
		Limit            *int64     `json:"limit"`
		Remaining        *int64     `json:"remaining"`
		EndsAt           *time.Time `json:"ends_at"`
		AskedAt          *time.Time `json:"asked_at"`
		AskError         string     `json:"ask_error"`
		Reserved         int64      `json:"reserved"`
		TransitHeldSince *time.Time `json:"transit_held_since"`
		TransitHeldUntil *time.Time `json:"transit_held_until"`
	} `json:"quota"`
}

// Call makes a request as the operator that must be answered with a status, and reads the answer into out, if that is
// not nil.
func (c *Client) Call(t testing.TB, method, path string, body any, status int, out any) {
	t.Helper()
	got, text := c.Ask(t, method, path, body)
	if got != status {
		t.Fatalf("%s %s: status %d, want %d: %s", method, path, got, status, text)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(text, out); err != nil {
		t.Fatalf("%s %s: %v: %s", method, path, err, text)
	}
}

type list[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"next_cursor"`
}

// all reads all pages of a list.
func all[T any](t testing.TB, c *Client, path string, filter url.Values) []T {
	t.Helper()
	if filter == nil {
		filter = url.Values{}
	}
	filter.Set("limit", "1000")
	filter.Del("cursor")
	var items []T
	for {
		page := read[list[T]](t, c, path+"?"+filter.Encode())
		items = append(items, page.Items...)
		if page.NextCursor == "" {
			return items
		}
		filter.Set("cursor", page.NextCursor)
	}
}

// GetPush reads one push with its attempts.
func (c *Client) GetPush(t testing.TB, seq uint64) PushDetail {
	t.Helper()
	return read[PushDetail](t, c, fmt.Sprintf("/admin/v1/pushes/%d", seq))
}

// Pushes lists pushes; filter is a query, such as "status=pending".
func (c *Client) Pushes(t testing.TB, filter string) []ListedPush {
	t.Helper()
	return all[ListedPush](t, c, "/admin/v1/pushes", parse(t, filter))
}

// EventsOf lists events of all verdicts.
func (c *Client) EventsOf(t testing.TB, filter string) []StoredEvent {
	t.Helper()
	return all[StoredEvent](t, c, "/admin/v1/events", parse(t, filter))
}

func parse(t testing.TB, query string) url.Values {
	t.Helper()
	v, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Waybill reads a waybill's story.
func (c *Client) Waybill(t testing.TB, deliveryID, waybillID string) Waybill {
	t.Helper()
	return read[Waybill](t, c, "/admin/v1/waybills/"+url.PathEscape(deliveryID)+"/"+url.PathEscape(waybillID))
}

// Account reads one account.
func (c *Client) Account(t testing.TB, deliveryID string) AccountState {
	t.Helper()
	for _, a := range read[list[AccountState]](t, c, "/admin/v1/accounts").Items {
		if a.DeliveryID == deliveryID {
			return a
		}
	}
	t.Fatalf("there is no account %s", deliveryID)
	return AccountState{}
}

// Settled waits until nothing is pending or held.
func (c *Client) Settled(t testing.TB, within time.Duration) {
	t.Helper()
	Eventually(t, within, func() bool { return c.open(t) == 0 }, func() string {
		return fmt.Sprintf("nothing open: %d are; pending are %+v, held %+v", c.open(t), first(c.Pushes(t, "status=pending")),
			first(c.EventsOf(t, "verdict=held")))
	})
}

// open counts what is pending or held. It asks for no list while there are counters that say enough: a test that waits
// must not keep the service busy.
func (c *Client) open(t testing.TB) int {
	t.Helper()
	pending := 0
	for _, a := range read[list[AccountState]](t, c, "/admin/v1/accounts").Items {
		pending += int(a.Counts["pending"])
	}
	if pending > 0 {
		return pending
	}
	return len(c.EventsOf(t, "verdict=held"))
}

// Drain waits until nothing is pending or held, or until that has not changed for a while. What is left over then is
// for the oracle to explain.
func (c *Client) Drain(t testing.TB, while time.Duration) {
	t.Helper()
	left, since := -1, time.Now()
	for left != 0 && time.Since(since) < while {
		if open := c.open(t); open != left {
			left, since = open, time.Now()
		}
		time.Sleep(pollEvery)
	}
}

// first is the first few of a list, for a message.
func first[T any](items []T) []T { return items[:min(3, len(items))] }
