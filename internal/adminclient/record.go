package adminclient

import (
	"context"
	"io"
	"net/http"
	"time"
)

// AuditEntry is an act that the audit log keeps.
type AuditEntry struct {
	ID         string    `json:"id"`
	At         time.Time `json:"at"`
	By         string    `json:"by"`
	From       string    `json:"from"` // An address.
	Action     string    `json:"action"`
	DeliveryID string    `json:"delivery_id"`
	WaybillID  string    `json:"waybill_id"`
	Seq        uint64    `json:"seq"`
	Replay     string    `json:"replay"`
	Reason     string    `json:"reason"`
	Detail     string    `json:"detail"`
}

// Audit lists acts, newest first.
func (c *Client) Audit(f Filter) List[AuditEntry] { return List[AuditEntry]{c, "/admin/v1/audit", f} }

// DeadLetter is a message that can never be read.
type DeadLetter struct {
	ID         string    `json:"id"`
	ReceivedAt time.Time `json:"received_at"`
	Source     string    `json:"source"`
	Subject    string    `json:"subject"`
	Code       string    `json:"code"`
	Reason     string    `json:"reason"`
	Text       Text      `json:"text"`        // The same in both languages.
	Body       *string   `json:"body"`        // nil if it is no UTF-8, or not for a viewer to see.
	BodyBase64 string    `json:"body_base64"` // The bytes where Body is nil.
}

// DeadLetters lists them, newest first.
func (c *Client) DeadLetters() List[DeadLetter] {
	return List[DeadLetter]{client: c, path: "/admin/v1/dead-letters"}
}

// Stats is what the service holds and how it is.
type Stats struct {
	Version        string                  `json:"version"`
	StartedAt      time.Time               `json:"started_at"`
	UptimeSeconds  float64                 `json:"uptime_seconds"`
	Events         map[string]int64        `json:"events"` // By verdict.
	Held           int64                   `json:"held"`
	Pushes         map[string]int64        `json:"pushes"` // By status.
	Accounts       map[string]AccountStats `json:"accounts"`
	ReplaysRunning int64                   `json:"replays_running"`
	Store          StoreStats              `json:"store"`
}

// AccountStats is one account's part.
type AccountStats struct {
	Counts               map[string]int64 `json:"counts"` // Pushes by status.
	OldestPendingSeconds float64          `json:"oldest_pending_seconds"`
}

// StoreStats tells how the store is.
type StoreStats struct {
	Commits   int64    `json:"commits"`
	Rows      int64    `json:"rows"`
	CommitMS  float64  `json:"commit_ms"`  // The mean.
	FreeBytes *float64 `json:"free_bytes"` // nil where it is not known.
}

// Stats reads the service's figures.
func (c *Client) Stats(ctx context.Context) (Answer[Stats], error) {
	return get[Stats](ctx, c, "/admin/v1/stats")
}

// Backup copies the service's store: a tar archive of its folder, which is for the caller to close. A copy that broke
// off ends in an error, never as if it were whole. It takes as long as it takes; ctx ends it.
func (c *Client) Backup(ctx context.Context, reason string) (io.ReadCloser, error) {
	resp, err := c.open(ctx, request{method: http.MethodPost, path: "/admin/v1/store/backup", body: why{reason}})
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}
