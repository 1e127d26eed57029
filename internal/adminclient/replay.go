package adminclient

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// ReplayRequest asks for a bulk replay.
type ReplayRequest struct {
	Filter         Filter  `json:"filter"`
	DryRun         bool    `json:"dry_run"`
	Rate           float64 `json:"rate"` // Pushes a second at most; 0: the usual rate, which live traffic does not feel.
	Reason         string  `json:"reason"`
	SkipSuperseded bool    `json:"skip_superseded"`
}

// Plan is what a dry run says.
type Plan struct {
	Matched   int64            `json:"matched"`
	Evaluated int64            `json:"evaluated"`
	Complete  bool             `json:"complete"` // Everything that matched was evaluated.
	Totals    map[string]int64 `json:"totals"`   // By verdict.
	Calls     int64            `json:"calls"`    // Upstream calls needed.
	Minutes   float64          `json:"minutes"`
	Sample    []PlanItem       `json:"sample"`
}

// PlanItem is what would become of one push.
type PlanItem struct {
	Seq        uint64 `json:"seq"`
	DeliveryID string `json:"delivery_id"`
	WaybillID  string `json:"waybill_id"`
	ActionType int32  `json:"action_type"`
	ActionTime int64  `json:"action_time"` // Unix seconds.
	Status     string `json:"status"`
	Errcode    *int   `json:"errcode"`
	Reason     string `json:"reason"`
	Verdict    string `json:"verdict"`
	Behind     uint64 `json:"behind"`
	Text       Text   `json:"text"`
}

// Replay is a replay and how far it is.
type Replay struct {
	ID             string          `json:"id"`
	Status         string          `json:"status"` // running, paused, cancelled or done.
	By             string          `json:"by"`
	Reason         string          `json:"reason"`
	CreatedAt      time.Time       `json:"created_at"`
	EndedAt        *time.Time      `json:"ended_at"`
	Seq            uint64          `json:"seq"` // The push, of a replay of a single one.
	Filter         map[string]any  `json:"filter"`
	Rate           float64         `json:"rate"`
	SkipSuperseded bool            `json:"skip_superseded"`
	Matched        int64           `json:"matched"`
	Requeued       int64           `json:"requeued"`
	Skipped        int64           `json:"skipped"`
	Delivered      int64           `json:"delivered"`
	Failed         int64           `json:"failed"`
	Discarded      int64           `json:"discarded"`
	Open           int64           `json:"open"`
	Waiting        []ReplayWaiting `json:"waiting"`
}

// Ended tells whether the replay makes no progress any more.
func (r *Replay) Ended() bool { return r.Status == "done" || r.Status == "cancelled" }

// ReplayWaiting says why an account's part does not go on just now.
type ReplayWaiting struct {
	DeliveryID string `json:"delivery_id"`
	Text       Text   `json:"text"`
}

// ReplayVerb is what can be done with a replay.
type ReplayVerb string

// The verbs.
const (
	PauseReplay  ReplayVerb = "pause"
	ResumeReplay ReplayVerb = "resume"
	CancelReplay ReplayVerb = "cancel"
)

func replayPath(id string) string { return "/admin/v1/replays/" + url.PathEscape(id) }

// DryRun tells what a replay would do.
func (c *Client) DryRun(ctx context.Context, r ReplayRequest) (Answer[Plan], error) {
	r.DryRun = true
	return ask[Plan](ctx, c, replays(r))
}

// StartReplay starts one.
func (c *Client) StartReplay(ctx context.Context, r ReplayRequest) (Answer[Replay], error) {
	r.DryRun = false
	return ask[Replay](ctx, c, replays(r))
}

// replays asks for a replay, or a dry run. The service first reads all that the filter finds, and gives that 10 minutes.
func replays(r ReplayRequest) request {
	return request{method: http.MethodPost, path: "/admin/v1/replays", body: r, longer: 10 * time.Minute}
}

// Replays lists replays, newest first.
func (c *Client) Replays() List[Replay] { return List[Replay]{client: c, path: "/admin/v1/replays"} }

// Replay is one replay.
func (c *Client) Replay(ctx context.Context, id string) (Answer[Replay], error) {
	return get[Replay](ctx, c, replayPath(id))
}

// ActOnReplay carries out a verb.
func (c *Client) ActOnReplay(ctx context.Context, id string, verb ReplayVerb, reason string) (Answer[Replay], error) {
	return post[Replay](ctx, c, replayPath(id)+"/"+string(verb), why{reason})
}

// MarshalJSON writes numbers as numbers, where a filter is one; a value that is no number is for the service to refuse.
func (f Filter) MarshalJSON() ([]byte, error) {
	out := make(map[string]any, len(f))
	for name, value := range f {
		out[name] = value
		if name == "errcode" || name == "action_type" {
			var n int64
			if json.Unmarshal([]byte(value), &n) == nil {
				out[name] = n
			}
		}
	}
	return json.Marshal(out)
}
