package adminclient

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Waybill is a waybill's story.
type Waybill struct {
	DeliveryID   string     `json:"delivery_id"`
	WaybillID    string     `json:"waybill_id"`
	Stage        string     `json:"stage"`
	StageName    Text       `json:"stage_name"`
	TokenSet     bool       `json:"token_set"`
	TokenAt      *time.Time `json:"token_at"` // When the newest came.
	Parked       bool       `json:"parked"`   // Upstream refuses its Token.
	Frozen       bool       `json:"frozen"`   // An operator holds its pushes.
	FrozenSince  *time.Time `json:"frozen_since"`
	FrozenBy     string     `json:"frozen_by"`
	FrozenReason string     `json:"frozen_reason"`
	Timeline     []Step     `json:"timeline"` // By action_time.
	Shown        *Shown     `json:"shown"`    // nil if WeChat told nothing.
}

// Shown is what the customer sees of a waybill, as WeChat told a merchant's mini program.
type Shown struct {
	Version    int64         `json:"version"` // WeChat's; the higher, the newer.
	ReceivedAt time.Time     `json:"received_at"`
	OrderID    string        `json:"order_id"` // The merchant's; empty if WeChat did not tell it.
	Actions    []ShownAction `json:"actions"`  // In WeChat's order.
}

// ShownAction is one node of that.
type ShownAction struct {
	ActionTime int64  `json:"action_time"` // Unix seconds.
	ActionType int64  `json:"action_type"` // It may be one of WeChat's own.
	ActionMsg  string `json:"action_msg"`
}

// Step is one event of a waybill.
type Step struct {
	Seq        uint64    `json:"seq"`
	EventID    string    `json:"event_id"`
	Source     string    `json:"source"`
	ActionType int32     `json:"action_type"`
	ActionTime int64     `json:"action_time"` // Unix seconds.
	ActionMsg  string    `json:"action_msg"`
	ReceivedAt time.Time `json:"received_at"`
	Decision
	Push *StepPush `json:"push"` // nil if it has none.
}

// StepPush is where the push of a waybill's event stands, with its attempts, oldest first.
type StepPush struct {
	PushState
	Log []Attempt `json:"log"`
}

// WaybillVerb is what can be done with a waybill's pushes.
type WaybillVerb string

// The verbs.
const (
	Freeze WaybillVerb = "freeze" // Take scans, send nothing.
	Thaw   WaybillVerb = "thaw"   // Let its pushes go on.
	Skip   WaybillVerb = "skip"   // Discard the first open push.
	Retry  WaybillVerb = "retry"  // Let the first open push go at once.
)

func waybillPath(delivery, waybill string) string {
	return "/admin/v1/waybills/" + url.PathEscape(delivery) + "/" + url.PathEscape(waybill)
}

// Waybill is one waybill with its whole timeline.
func (c *Client) Waybill(ctx context.Context, delivery, waybill string) (Answer[Waybill], error) {
	return get[Waybill](ctx, c, waybillPath(delivery, waybill))
}

// ActOnWaybill carries out a verb.
func (c *Client) ActOnWaybill(ctx context.Context, delivery, waybill string, verb WaybillVerb, reason string) (Answer[Waybill], error) {
	return post[Waybill](ctx, c, waybillPath(delivery, waybill)+"/"+string(verb), why{reason})
}

// Expunged counts what was forgotten of a waybill. All is 0 if it was forgotten before.
type Expunged struct {
	Events    int     `json:"events"`    // Whose text was forgotten now.
	Discarded int     `json:"discarded"` // Pushes that were open or failed.
	Tokens    int     `json:"tokens"`
	Orders    int     `json:"orders"`
	Shown     int     `json:"shown"`   // Texts of what the customer was shown.
	Waybill   Waybill `json:"waybill"` // As it is now.
}

// Expunge forgets the waybill's personal data, for good.
func (c *Client) Expunge(ctx context.Context, delivery, waybill, reason string) (Answer[Expunged], error) {
	return post[Expunged](ctx, c, waybillPath(delivery, waybill)+"/expunge", why{reason})
}

// TokenAnswer says what became of a Token that was registered.
type TokenAnswer struct {
	TokenSet bool `json:"token_set"`
	Changed  bool `json:"changed"` // It was not the waybill's newest already.
}

// PutToken registers the waybill's Token.
func (c *Client) PutToken(ctx context.Context, delivery, waybill, token, reason string) (Answer[TokenAnswer], error) {
	body := struct {
		Token  string `json:"token"`
		Reason string `json:"reason,omitempty"`
	}{token, reason}
	return ask[TokenAnswer](ctx, c, request{method: http.MethodPut, path: waybillPath(delivery, waybill) + "/token", body: body})
}
