package apptest

import "time"

// Kept is an event that the service keeps, as lists show it.
type Kept struct {
	Seq        uint64 `json:"seq"`
	EventID    string `json:"event_id"`
	Source     string `json:"source"`
	DeliveryID string `json:"delivery_id"`
	WaybillID  string `json:"waybill_id"`
	ActionType int    `json:"action_type"`
	ActionTime int64  `json:"action_time"`
	ActionMsg  string `json:"action_msg"`
}

// Push is a push as the admin API shows it, but for its attempts.
type Push struct {
	Kept
	Status        string     `json:"status"`
	WaitingFor    string     `json:"waiting_for"`
	Errcode       *int       `json:"errcode"`
	Errmsg        string     `json:"errmsg"`
	Reason        string     `json:"reason"`
	NextAttemptAt *time.Time `json:"next_attempt_at"`
	ReceivedAt    time.Time  `json:"received_at"`
	DeliveredAt   *time.Time `json:"delivered_at"`
	Replay        string     `json:"replay"`
}

// ListedPush is a push in a list, where attempts is a count.
type ListedPush struct {
	Push
	Attempts int `json:"attempts"` // Those that count.
}

// PushDetail is one push with its attempts.
type PushDetail struct {
	Push
	Tries    int       `json:"tries"` // Those that count.
	Attempts []Attempt `json:"attempts"`
}

// Attempt is one request and its answer.
type Attempt struct {
	At         time.Time `json:"at"`
	DurationMS float64   `json:"duration_ms"`
	Errcode    *int      `json:"errcode"`
	Errmsg     string    `json:"errmsg"`
	RID        string    `json:"rid"`
	Scope      string    `json:"scope"`
	Unknown    bool      `json:"outcome_unknown"`
	Replay     string    `json:"replay"`
}

// Replay is a replay as the admin API shows it.
type Replay struct {
	ID        string     `json:"id"`
	Status    string     `json:"status"`
	By        string     `json:"by"`
	Reason    string     `json:"reason"`
	CreatedAt time.Time  `json:"created_at"`
	EndedAt   *time.Time `json:"ended_at"`
	Matched   int        `json:"matched"`
	Requeued  int        `json:"requeued"`
	Skipped   int        `json:"skipped"`
	Delivered int        `json:"delivered"`
	Failed    int        `json:"failed"`
	Discarded int        `json:"discarded"`
	Open      int        `json:"open"`
}

// DryRun is what a replay would do.
type DryRun struct {
	Matched  int            `json:"matched"`
	Complete bool           `json:"complete"`
	Totals   map[string]int `json:"totals"`
	Calls    int            `json:"calls"`
	Minutes  float64        `json:"minutes"`
	Sample   []struct {
		Seq     uint64 `json:"seq"`
		Verdict string `json:"verdict"`
		Behind  uint64 `json:"behind"`
		Would   string `json:"would"`
	} `json:"sample"`
}

// StoredEvent is an event of any verdict.
type StoredEvent struct {
	Kept
	Verdict   string     `json:"verdict"`
	Reason    string     `json:"reason"`
	Late      bool       `json:"late"`
	Gap       bool       `json:"gap"`
	HeldUntil *time.Time `json:"held_until"`
	Status    string     `json:"status"`
}

// Waybill is a waybill's story.
type Waybill struct {
	Stage    string `json:"stage"`
	TokenSet bool   `json:"token_set"`
	Parked   bool   `json:"parked"`
	Timeline []Step `json:"timeline"`
	Shown    *Shown `json:"shown"`
}

// Shown is what the customer sees, as WeChat told.
type Shown struct {
	Version int64         `json:"version"`
	OrderID string        `json:"order_id"`
	Actions []ShownAction `json:"actions"`
}

// ShownAction is one node of that.
type ShownAction struct {
	ActionTime int64  `json:"action_time"`
	ActionType int64  `json:"action_type"`
	ActionMsg  string `json:"action_msg"`
}

// Step is one event of a waybill.
type Step struct {
	Seq        uint64     `json:"seq"`
	EventID    string     `json:"event_id"`
	ActionType int        `json:"action_type"`
	ActionTime int64      `json:"action_time"`
	ActionMsg  string     `json:"action_msg"`
	Verdict    string     `json:"verdict"`
	Reason     string     `json:"reason"`
	Late       bool       `json:"late"`
	Gap        bool       `json:"gap"`
	HeldUntil  *time.Time `json:"held_until"`
	Push       *struct {
		Status     string `json:"status"`
		WaitingFor string `json:"waiting_for"`
		Reason     string `json:"reason"`
		Attempts   int    `json:"attempts"`
	} `json:"push"`
}

// AccountState is an account as the admin API shows it.
type AccountState struct {
	DeliveryID string `json:"delivery_id"`
	Breaker    struct {
		State       string     `json:"state"`
		OpenedBy    string     `json:"opened_by"`
		NextProbeAt *time.Time `json:"next_probe_at"`
	} `json:"breaker"`
	Paused               bool             `json:"paused"`
	PauseReason          string           `json:"pause_reason"`
	PausedUntil          *time.Time       `json:"paused_until"`
	AccessTokenExpiresAt *time.Time       `json:"access_token_expires_at"`
	Counts               map[string]int64 `json:"counts"`
	OldestPendingSeconds float64          `json:"oldest_pending_seconds"`
	InFlight             int              `json:"in_flight"`
	ConcurrencyNow       int              `json:"concurrency_now"`
	Quota                struct {
		Used             int64      `json:"used"`
		Limit            *int64     `json:"limit"`
		Remaining        *int64     `json:"remaining"`
		EndsAt           *time.Time `json:"ends_at"`
		AskedAt          *time.Time `json:"asked_at"`
		AskError         string     `json:"ask_error"`
		Reserved         int64      `json:"reserved"`
		TransitHeldSince *time.Time `json:"transit_held_since"`
		TransitHeldUntil *time.Time `json:"transit_held_until"`
	} `json:"quota"`
}
