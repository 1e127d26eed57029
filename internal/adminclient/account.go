package adminclient

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"
)

// Account tells how an account is.
type Account struct {
	DeliveryID           string           `json:"delivery_id"`
	Breaker              Breaker          `json:"breaker"`
	Fallback             *Breaker         `json:"fallback_breaker"` // nil without a fallback host.
	Paused               bool             `json:"paused"`
	PauseReason          string           `json:"pause_reason"`
	PauseText            Text             `json:"pause_text"`
	PauseSince           *time.Time       `json:"pause_since"`
	PausedUntil          *time.Time       `json:"paused_until"`
	NextProbeAt          *time.Time       `json:"next_probe_at"` // Of a pause that upstream's answers asked for.
	AccessTokenExpiresAt *time.Time       `json:"access_token_expires_at"`
	Counts               map[string]int64 `json:"counts"` // Pushes by status.
	OldestPendingSeconds float64          `json:"oldest_pending_seconds"`
	Waiting              int64            `json:"waiting"` // Pending pushes.
	InFlight             int              `json:"in_flight"`
	ConcurrencyNow       int              `json:"concurrency_now"`
	Guard                Guard            `json:"guard"`
	Quota                Quota            `json:"quota"`
}

// Breaker tells how a host's breaker is.
type Breaker struct {
	Host        string     `json:"host"`
	State       string     `json:"state"` // closed, open or half_open.
	Since       *time.Time `json:"since"`
	OpenedBy    string     `json:"opened_by"`
	OpenedText  Text       `json:"opened_text"`
	NextProbeAt *time.Time `json:"next_probe_at"`
}

// Guard tells whether failing was stopped, since too many pushes would have failed for good.
type Guard struct {
	Tripped      bool       `json:"tripped"`
	Failed       int        `json:"failed"` // Of Ended, in the last window.
	Ended        int        `json:"ended"`
	Since        *time.Time `json:"since"`
	LetFailUntil *time.Time `json:"let_fail_until"` // Until then pushes may fail all the same.
}

// Quota tells how much of the day's quota of updatePath is used, and how long it will last.
type Quota struct {
	Day              string     `json:"day"` // In Beijing; empty from a service that does not count.
	Used             int64      `json:"used"`
	Limit            *int64     `json:"limit"` // nil while WeChat has not said so, and then Remaining too.
	Remaining        *int64     `json:"remaining"`
	RatePerMinute    float64    `json:"rate_per_minute"`
	EndsAt           *time.Time `json:"ends_at"` // At this rate; nil if it lasts the day, or if that is not known.
	AskedAt          *time.Time `json:"asked_at"`
	AskError         string     `json:"ask_error"`          // Why WeChat did not say, since AskedAt.
	Reserved         int64      `json:"reserved"`           // Calls that push.quota_reserve keeps.
	TransitHeldSince *time.Time `json:"transit_held_since"` // Transit scans wait, as no more remains than that.
	TransitHeldUntil *time.Time `json:"transit_held_until"`
}

const accountsPath = "/admin/v1/accounts"

func accountPath(delivery, verb string) string {
	return accountsPath + "/" + url.PathEscape(delivery) + "/" + verb
}

// Accounts lists the accounts.
func (c *Client) Accounts(ctx context.Context) (Answer[Items[Account]], error) {
	return get[Items[Account]](ctx, c, accountsPath)
}

// Account tells how one is, out of the list of them.
func (c *Client) Account(ctx context.Context, delivery string) (Answer[Account], error) {
	all, err := get[Items[json.RawMessage]](ctx, c, accountsPath)
	if err != nil {
		return Answer[Account]{}, err
	}
	for _, raw := range all.Value.Items {
		a := Answer[Account]{Raw: raw}
		if err := json.Unmarshal(raw, &a.Value); err != nil {
			return Answer[Account]{}, &Unreadable{URL: c.base + accountsPath, Err: err}
		}
		if a.Value.DeliveryID == delivery {
			return a, nil
		}
	}
	return Answer[Account]{}, fmt.Errorf("there is no account %q; the list of accounts shows their delivery_ids", delivery)
}

// Items is a list that comes in one piece.
type Items[T any] struct {
	Items []T `json:"items"`
}

// PauseAccount stops an account's pushes.
func (c *Client) PauseAccount(ctx context.Context, delivery, reason string) (Answer[Account], error) {
	return post[Account](ctx, c, accountPath(delivery, "pause"), why{reason})
}

// ResumeAccount lets an account's pushes go on. For letFail the guard does not stop pushes from failing for good;
// 0 leaves it on.
func (c *Client) ResumeAccount(ctx context.Context, delivery string, letFail time.Duration, reason string) (Answer[Account], error) {
	body := struct {
		Reason     string `json:"reason"`
		LetFailFor string `json:"let_fail_for,omitempty"`
	}{Reason: reason}
	if letFail > 0 {
		body.LetFailFor = letFail.String()
	}
	return post[Account](ctx, c, accountPath(delivery, "resume"), body)
}

// ProbeAccount lets one push go out now, although the account's breaker is open or upstream's answers paused it.
func (c *Client) ProbeAccount(ctx context.Context, delivery, reason string) (Answer[Account], error) {
	return post[Account](ctx, c, accountPath(delivery, "probe"), why{reason})
}
