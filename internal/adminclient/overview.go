package adminclient

import "time"

// WaybillSummary is a waybill in a list.
type WaybillSummary struct {
	DeliveryID string     `json:"delivery_id"`
	WaybillID  string     `json:"waybill_id"`
	Stage      string     `json:"stage"`
	StageName  Text       `json:"stage_name"`
	TokenSet   bool       `json:"token_set"`
	Parked     bool       `json:"parked"`   // Upstream refuses its Token.
	Frozen     bool       `json:"frozen"`   // An operator holds its pushes.
	Pending    int        `json:"pending"`  // Of its pushes.
	Failed     int        `json:"failed"`   // Likewise.
	Accepted   *Scan      `json:"accepted"` // Of its events that were accepted, the one that came last; nil if none was.
	HeardAt    *time.Time `json:"heard_at"` // When its newest event came; nil if WeChat alone told of it.
}

// SilentWaybill is a waybill that stands still.
type SilentWaybill struct {
	WaybillSummary
	SilentSeconds float64 `json:"silent_seconds"`
}

// FindWaybills lists the waybills whose number ends in a text.
func (c *Client) FindWaybills(end string) List[WaybillSummary] {
	return List[WaybillSummary]{c, "/admin/v1/waybills", Filter{"ends_with": end}}
}

// SilentWaybills lists the waybills of which nothing came for long, the one that fell silent first at the top.
func (c *Client) SilentWaybills(f Filter) List[SilentWaybill] {
	return List[SilentWaybill]{c, "/admin/v1/silent", f}
}
