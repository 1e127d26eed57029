package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"carrier/internal/app"
	"carrier/internal/config"
)

// clientTimeout is how long the service may take for an answer.
const clientTimeout = 10 * time.Second

// client is a courier's backend, as far as the service sees it: HTTP with a key.
type client struct {
	events, admin string // base URLs
	key, token    string
	signing       string // The secret of the other source, for who tries how to sign.
	http          *http.Client
}

func newClient(a *app.App, c *config.Config) client {
	return client{
		events: "http://" + a.Addr(), admin: "http://" + a.AdminAddr(),
		key: c.Sources[0].APIKey.Reveal(), token: c.Admin.Tokens[0].Token.Reveal(), signing: c.Sources[1].SigningSecret.Reveal(),
		http: &http.Client{Timeout: clientTimeout},
	}
}

// event is a scan as it is sent.
type event struct {
	ID         string `json:"id"`
	DeliveryID string `json:"delivery_id"`
	WaybillID  string `json:"waybill_id"`
	ActionType int    `json:"action_type"`
	ActionTime int64  `json:"action_time"`
	ActionMsg  string `json:"action_msg"`
}

// result is what the service answered for one event.
type result struct {
	ID      string `json:"id"`
	Verdict string `json:"verdict"`
	Seq     uint64 `json:"seq"`
}

// published stands for the verdict of an event that the NATS server has: the service takes it from there.
const published = "published"

// acked tells whether the service promised to keep the event.
func (r *result) acked() bool {
	switch r.Verdict {
	case "accepted", "held", "ignored", "duplicate", published:
		return true
	}
	return false
}

// send posts one event.
func (c *client) send(ctx context.Context, e *event) (result, error) {
	var r result
	err := c.call(ctx, http.MethodPost, c.events+"/v1/events", "application/json", c.key, e, &r)
	return r, err
}

// sendBatch posts many, as NDJSON.
func (c *client) sendBatch(ctx context.Context, events []event) ([]result, error) {
	var body bytes.Buffer
	for i := range events {
		if err := json.NewEncoder(&body).Encode(&events[i]); err != nil {
			return nil, err
		}
	}
	var answer struct {
		Results []result `json:"results"`
	}
	err := c.call(ctx, http.MethodPost, c.events+"/v1/events/batch", "application/x-ndjson", c.key, body.Bytes(), &answer)
	return answer.Results, err
}

// push is what the admin API tells of a push.
type push struct {
	Status     string `json:"status"`
	WaitingFor string `json:"waiting_for"`
}

// push reads one.
func (c *client) push(ctx context.Context, seq uint64) (p push, err error) {
	err = c.call(ctx, http.MethodGet, fmt.Sprintf("%s/admin/v1/pushes/%d", c.admin, seq), "application/json", c.token, []byte(nil), &p)
	return p, err
}

// call makes a request and reads its answer, whatever its status says: a rejection has a verdict too.
func (c *client) call(ctx context.Context, method, url, mediaType, key string, body, answer any) error {
	raw, ok := body.([]byte)
	if !ok {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", mediaType)
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 500 || resp.StatusCode == http.StatusUnauthorized {
		return fmt.Errorf("%s %s: %s: %s", method, url, resp.Status, text)
	}
	return json.Unmarshal(text, answer)
}
