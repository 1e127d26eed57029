package adminclient

import (
	"context"
	"strconv"
	"time"
)

// Text is a text in both languages.
type Text struct {
	En string `json:"en"`
	Zh string `json:"zh"`
}

// In is the text in Chinese or English; where one is missing, the other.
func (t Text) In(zh bool) string {
	if zh && t.Zh != "" || t.En == "" {
		return t.Zh
	}
	return t.En
}

// Scan is the event itself, as lists show it.
type Scan struct {
	Seq        uint64    `json:"seq"`
	EventID    string    `json:"event_id"`
	Source     string    `json:"source"`
	DeliveryID string    `json:"delivery_id"`
	WaybillID  string    `json:"waybill_id"`
	ActionType int32     `json:"action_type"`
	ActionTime int64     `json:"action_time"` // Unix seconds.
	ActionMsg  string    `json:"action_msg"`
	ReceivedAt time.Time `json:"received_at"`
}

// PushState is where a push stands.
type PushState struct {
	Status        string     `json:"status"`
	WaitingFor    string     `json:"waiting_for"`
	Waiting       *Waiting   `json:"waiting"` // nil if it does not wait.
	Attempts      int        `json:"attempts"`
	Errcode       *int       `json:"errcode"` // Of the last attempt; nil if there was none, or no readable answer.
	Errmsg        string     `json:"errmsg"`
	Reason        string     `json:"reason"`
	DeliveredAt   *time.Time `json:"delivered_at"`
	VerifiedAt    *time.Time `json:"verified_at"` // When WeChat was last seen to show it.
	NextAttemptAt *time.Time `json:"next_attempt_at"`
	Replay        string     `json:"replay"` // The replay that made it pending the last time.
}

// Waiting says what a pending push waits for.
type Waiting struct {
	For    string     `json:"for"`
	Since  *time.Time `json:"since"`
	Until  *time.Time `json:"until"`
	Behind uint64     `json:"behind"` // The push of the same waybill that goes first; 0: none.
	Parked bool       `json:"parked"`
	Frozen bool       `json:"frozen"`
	Text   Text       `json:"text"`
}

// Push is a push in a list.
type Push struct {
	Scan
	PushState
}

// PushDetail is one push with its attempts, oldest first.
type PushDetail struct {
	Push
	Tries    int       `json:"tries"`    // The attempts that count.
	Attempts []Attempt `json:"attempts"` // In place of the number that lists have under this name.
}

// Attempt is one request to upstream and its answer.
type Attempt struct {
	At         time.Time `json:"at"`
	DurationMS float64   `json:"duration_ms"`
	Errcode    *int      `json:"errcode"`
	Errmsg     string    `json:"errmsg"`
	RID        string    `json:"rid"`
	Scope      string    `json:"scope"`
	Unknown    bool      `json:"outcome_unknown"` // Sent, but no answer came.
	Replay     string    `json:"replay"`
	Meaning    Text      `json:"meaning"`

	Breaker       string     `json:"breaker"`       // Of its host, when it was sent; empty: not known.
	FallbackHost  string     `json:"fallback_host"` // Where it went, if not to the main host.
	TokenAt       *time.Time `json:"token_at"`      // When the Token that it used had come.
	NewerTokenAt  *time.Time `json:"newer_token_at"`
	AccessTokenAt *time.Time `json:"access_token_at"` // When the access_token that it used was fetched.
	RefetchedAt   *time.Time `json:"access_token_refetched_at"`
}

// why is the body of acts that need nothing but a reason.
type why struct {
	Reason string `json:"reason"`
}

func pushPath(seq uint64) string { return "/admin/v1/pushes/" + strconv.FormatUint(seq, 10) }

// Pushes lists pushes, newest first.
func (c *Client) Pushes(f Filter) List[Push] { return List[Push]{c, "/admin/v1/pushes", f} }

// Push is one push.
func (c *Client) Push(ctx context.Context, seq uint64) (Answer[PushDetail], error) {
	return get[PushDetail](ctx, c, pushPath(seq))
}

// ReplayPush makes an ended push pending again. A delivered one needs force.
func (c *Client) ReplayPush(ctx context.Context, seq uint64, force bool, reason string) (Answer[Push], error) {
	body := struct {
		Force  bool   `json:"force"`
		Reason string `json:"reason"`
	}{force, reason}
	return post[Push](ctx, c, pushPath(seq)+"/replay", body)
}

// DiscardPush decides that a push will not be sent.
func (c *Client) DiscardPush(ctx context.Context, seq uint64, reason string) (Answer[Push], error) {
	return post[Push](ctx, c, pushPath(seq)+"/discard", why{reason})
}
