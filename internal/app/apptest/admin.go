package apptest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"
)

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

// read asks for JSON as the operator; any status but 200 ends the test.
func read[T any](t testing.TB, c *Client, path string) (v T) {
	t.Helper()
	c.Call(t, http.MethodGet, path, nil, http.StatusOK, &v)
	return v
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
