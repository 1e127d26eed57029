// Command send sends scan events to carrier, and registers Tokens. It needs the standard library only.
//
//	send send URL FILE                                    events, one JSON object a line
//	send token ADMIN_URL DELIVERY_ID WAYBILL_ID TOKEN     a waybill's Token
//
// Credentials come from the environment: CARRIER_SIGNING_SECRET (whsec_...), or CARRIER_API_KEY; for token
// CARRIER_ADMIN_TOKEN. For each event a line is printed, its id and its verdict. The exit status is 1 if any was refused.
package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	batchSize = 100 // Events a request; 1,000 and 1 MiB are the most.
	patience  = 10  // Attempts. A real sender keeps its events, and goes on for as long as it takes.
)

// result is what became of an event: the answer to one, or an item of a batch's. What was refused is a problem
// (RFC 9457) with a verdict.
type result struct {
	ID       string `json:"id"`
	Verdict  string `json:"verdict"`
	Original string `json:"original"` // Of a duplicate.
	Title    string `json:"title"`    // Of a problem.
	Detail   string `json:"detail"`
}

// safe tells whether the event is durable, and as it should be.
func (r *result) safe() bool {
	switch r.Verdict {
	case "accepted", "held", "ignored":
		return true
	case "duplicate":
		return r.Original != "rejected"
	}
	return false
}

var client = &http.Client{
	Timeout: 30 * time.Second,
	// A redirect would take the key to another host.
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := errors.New("send URL FILE, or token ADMIN_URL DELIVERY_ID WAYBILL_ID TOKEN")
	switch args := os.Args[1:]; {
	case len(args) == 3 && args[0] == "send":
		err = send(ctx, args[1], args[2])
	case len(args) == 5 && args[0] == "token":
		err = token(ctx, args[1], args[2], args[3], args[4])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// send sends a file's events in its order: those of one waybill must not overtake each other.
func send(ctx context.Context, address, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var lines [][]byte
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			lines = append(lines, line)
		}
	}
	refused := 0
	for part := range slices.Chunk(lines, batchSize) {
		results, err := sendPart(ctx, address, part)
		if err != nil {
			return err
		}
		for _, r := range results {
			if r.ID == "" {
				r.ID = "-"
			}
			fmt.Println(r.ID, r.Verdict)
			if !r.safe() {
				refused++
				fmt.Fprintln(os.Stderr, " ", r.Detail)
			}
		}
	}
	if refused > 0 {
		return fmt.Errorf("refused: %d of %d", refused, len(lines))
	}
	return nil
}

func sendPart(ctx context.Context, address string, lines [][]byte) ([]result, error) {
	if len(lines) == 1 {
		var one result
		err := post(ctx, &one, "application/json", lines[0], address, "v1", "events")
		return []result{one}, err
	}
	var batch struct {
		Results []result `json:"results"`
	}
	body := append(bytes.Join(lines, []byte("\n")), '\n')
	err := post(ctx, &batch, "application/x-ndjson", body, address, "v1", "events", "batch")
	return batch.Results, err
}

// post sends until there is an answer. Each attempt has the same bytes, so that what was taken already is a duplicate.
func post(ctx context.Context, into any, mediaType string, body []byte, address string, path ...string) error {
	to, err := url.JoinPath(address, path...)
	if err != nil {
		return err
	}
	id := rand.Text()
	for attempt := range patience {
		pause := mathrand.N(min(30*time.Second, 200*time.Millisecond<<attempt))
		status, header, answer, err := call(ctx, http.MethodPost, to, mediaType, body, func(h http.Header) error { return sign(h, id, body) })
		switch {
		case err == nil && status == http.StatusOK || err == nil && status == http.StatusAccepted:
			return json.Unmarshal(answer, into)
		case err == nil && status < 500 && status != http.StatusTooManyRequests && status != http.StatusRequestTimeout:
			return refused(status, answer, into)
		case err == nil:
			err = fmt.Errorf("status %d", status)
			if seconds, bad := strconv.Atoi(header.Get("Retry-After")); bad == nil {
				pause = time.Duration(seconds) * time.Second
			}
		}
		fmt.Fprintf(os.Stderr, "not taken yet (%v); again in %v\n", err, pause.Round(time.Millisecond))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return fmt.Errorf("%s: not taken after %d attempts; keep the events and send them again", to, patience)
}

// refused reads an answer that stays the same however often the request is sent: a verdict (rejected, invalid, conflict),
// or a mistake in the sender's settings, which is an error.
func refused(status int, answer []byte, into any) error {
	var r result
	if err := json.Unmarshal(answer, &r); err == nil && r.Verdict != "" {
		return json.Unmarshal(answer, into)
	}
	return fmt.Errorf("status %d %s: %s", status, r.Title, r.Detail)
}

// call makes one request. An error means that there is no answer, or half of one.
func call(ctx context.Context, method, to, mediaType string, body []byte, authorize func(http.Header) error) (int, http.Header, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, to, bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	req.Header.Set("Content-Type", mediaType)
	if err := authorize(req.Header); err != nil {
		return 0, nil, nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, answer, err
}

// sign says who sends: by a signature (https://www.standardwebhooks.com), or by the key.
func sign(h http.Header, id string, body []byte) error {
	secret := os.Getenv("CARRIER_SIGNING_SECRET")
	if secret == "" {
		h.Set("Authorization", "Bearer "+os.Getenv("CARRIER_API_KEY"))
		return nil
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return fmt.Errorf("CARRIER_SIGNING_SECRET: %w", err)
	}
	now := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, now, body)
	h.Set("Webhook-Id", id)
	h.Set("Webhook-Timestamp", now)
	h.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return nil
}

// token registers a waybill's Token; what waited for it is pushed then.
func token(ctx context.Context, admin, deliveryID, waybillID, value string) error {
	to, err := url.JoinPath(admin, "admin", "v1", "waybills", url.PathEscape(deliveryID), url.PathEscape(waybillID), "token")
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]string{"token": value})
	if err != nil {
		return err
	}
	status, _, answer, err := call(ctx, http.MethodPut, to, "application/json", body, func(h http.Header) error {
		h.Set("Authorization", "Bearer "+os.Getenv("CARRIER_ADMIN_TOKEN"))
		return nil
	})
	if err != nil {
		return err
	}
	var waybill struct {
		TokenSet bool `json:"token_set"`
	}
	if err := json.Unmarshal(answer, &waybill); err != nil || status != http.StatusOK || !waybill.TokenSet {
		return refused(status, answer, &result{})
	}
	fmt.Println(waybillID, "token_set")
	return nil
}
