package adminclient

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Comparison is what WeChat shows of a waybill beside what was delivered.
type Comparison struct {
	DeliveryID string           `json:"delivery_id"`
	WaybillID  string           `json:"waybill_id"`
	Stage      string           `json:"stage"`
	StageName  Text             `json:"stage_name"`
	Merchant   string           `json:"merchant"` // Whose credentials asked.
	AskedAt    time.Time        `json:"asked_at"`
	Order      *ComparedOrder   `json:"order"` // nil if the order is not known there.
	Same       bool             `json:"same"`  // No line is a difference.
	Totals     map[string]int64 `json:"totals"`
	Lines      []ComparedLine   `json:"lines"`
	Notes      []Text           `json:"notes"`
}

// ComparedOrder is what getOrder answered.
type ComparedOrder struct {
	OrderID     string `json:"order_id"`
	Errcode     *int   `json:"errcode"` // nil if no answer came.
	Errmsg      string `json:"errmsg"`
	OrderStatus *int64 `json:"order_status"` // nil if it is not known.
	Cancelled   bool   `json:"cancelled"`
}

// ComparedLine is a push, or a node that WeChat shows, or both.
type ComparedLine struct {
	Kind      string       `json:"kind"`
	Seq       uint64       `json:"seq"` // 0: there is no push.
	Status    string       `json:"status"`
	Delivered *ShownAction `json:"delivered"`
	Upstream  *ShownAction `json:"upstream"`
	Text      Text         `json:"text"`
}

// Difference says what WeChat did not show of a waybill as it was delivered, when that was checked last.
type Difference struct {
	DeliveryID string    `json:"delivery_id"`
	WaybillID  string    `json:"waybill_id"`
	Merchant   string    `json:"merchant"`
	FoundAt    time.Time `json:"found_at"`
	CheckedAt  time.Time `json:"checked_at"`
	Missing    []uint64  `json:"missing"` // Pushes, by number.
	Changed    []uint64  `json:"changed"`
	Moved      []uint64  `json:"moved"`
	Extra      int       `json:"extra"` // Nodes that were not delivered.
}

// Differences are all that are known, those found last first.
type Differences struct {
	Items []Difference `json:"items"`
}

// OrderHint is what the caller knows of a waybill's order. Empty members say nothing.
type OrderHint struct {
	Merchant string `json:"merchant,omitempty"` // By its name in the configuration.
	OrderID  string `json:"order_id,omitempty"`
	OpenID   string `json:"openid,omitempty"` // The customer's.
}

// Heal is what is pushed again, or would be.
type Heal struct {
	DryRun   bool       `json:"dry_run"`
	Seqs     []uint64   `json:"seqs"` // Pushes that WeChat does not show, in the order of sending.
	Replay   *Replay    `json:"replay"`
	Text     Text       `json:"text"`
	Upstream Comparison `json:"upstream"`
}

// askingWeChat is what an answer may take that waits for WeChat's.
const askingWeChat = 30 * time.Second

// Compare asks WeChat what it shows of a waybill.
func (c *Client) Compare(ctx context.Context, delivery, waybill string, hint OrderHint) (Answer[Comparison], error) {
	query := url.Values{}
	for name, value := range map[string]string{"merchant": hint.Merchant, "order_id": hint.OrderID, "openid": hint.OpenID} {
		if value != "" {
			query.Set(name, value)
		}
	}
	path := waybillPath(delivery, waybill) + "/upstream"
	return ask[Comparison](ctx, c, request{method: http.MethodGet, path: path, query: query, longer: askingWeChat})
}

// Differences lists the waybills that the service found to differ from what WeChat shows.
func (c *Client) Differences(ctx context.Context) (Answer[Differences], error) {
	return get[Differences](ctx, c, "/admin/v1/differences")
}

// Heal pushes again what WeChat does not show of a waybill, or with dryRun tells what that would be.
func (c *Client) Heal(ctx context.Context, delivery, waybill string, hint OrderHint, dryRun bool, reason string) (Answer[Heal], error) {
	body := struct {
		OrderHint
		DryRun bool   `json:"dry_run"`
		Reason string `json:"reason,omitempty"`
	}{hint, dryRun, reason}
	path := waybillPath(delivery, waybill) + "/heal"
	return ask[Heal](ctx, c, request{method: http.MethodPost, path: path, body: body, longer: askingWeChat})
}
