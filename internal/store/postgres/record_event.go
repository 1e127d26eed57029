package postgres

import (
	"encoding/json"
	"strings"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
)

// row is a row of events: an event, its place in its waybill's timeline, and its push.
type row struct {
	seq        uint64
	slot       int16
	event      state.Event // Without its Token.
	expunged   bool        // Its text was forgotten.
	receivedAt int64       // Unix ms.
	first      answer
	entry      state.Entry // Without its MsgHash, which only the timeline has.
	push       pushRecord  // Status NoPush while the event is not accepted.

	stored bool // It is in the database already.
}

// answer is an event's first decision, as its sender was told.
type answer struct {
	verdict   state.Verdict
	reason    state.Reason
	late, gap bool
	from      state.Stage
	allowed   []state.ActionType
	cause     uint64
}

// pushRecord is where a push stands, but for its Ord, which its event says.
type pushRecord struct {
	store.PushRecord
	doneAfter uint64 // The newest replay that there was when it ended. Clocks of nodes differ; this tells what came first.
}

// fixedColumns are those of an event that never change, but for its text, which can be forgotten.
var fixedColumns = []column[*row]{
	plain("slot", "smallint", func(r *row) *int16 { return &r.slot }),
	plain("delivery_id", "text", func(r *row) *string { return &r.event.DeliveryID }),
	plain("waybill_id", "text", func(r *row) *string { return &r.event.WaybillID }),
	plain("source", "text", func(r *row) *string { return &r.event.Source }),
	plain("id", "text", func(r *row) *string { return &r.event.ID }),
	whole("action_type", "integer", func(r *row) *state.ActionType { return &r.event.Type }),
	plain("action_time", "bigint", func(r *row) *int64 { return &r.event.Time }),
	plain("trace", "text", func(r *row) *string { return &r.event.Trace }),
	stamp("received_at", func(r *row) *int64 { return &r.receivedAt }),
	small("first_verdict", func(r *row) *state.Verdict { return &r.first.verdict }),
	small("first_reason", func(r *row) *state.Reason { return &r.first.reason }),
	plain("first_late", "boolean", func(r *row) *bool { return &r.first.late }),
	plain("first_gap", "boolean", func(r *row) *bool { return &r.first.gap }),
	small("from_stage", func(r *row) *state.Stage { return &r.first.from }),
	list("allowed", "integer[]", func(r *row) *[]state.ActionType { return &r.first.allowed }),
	number("cause", func(r *row) *uint64 { return &r.first.cause }),
}

// mutableColumns are those that an update writes, behind the key.
var mutableColumns = []column[*row]{
	number("seq", func(r *row) *uint64 { return &r.seq }),
	words("msg", func(r *row) *string { return &r.event.Msg }),
	plain("expunged", "boolean", func(r *row) *bool { return &r.expunged }),

	small("verdict", func(r *row) *state.Verdict { return &r.entry.Verdict }),
	small("reason", func(r *row) *state.Reason { return &r.entry.Reason }),
	plain("late", "boolean", func(r *row) *bool { return &r.entry.Late }),
	plain("gap", "boolean", func(r *row) *bool { return &r.entry.Gap }),
	plain("override", "boolean", func(r *row) *bool { return &r.entry.Override }),
	stamp("held_until", func(r *row) *int64 { return &r.entry.Until }),
	number("ord", func(r *row) *uint64 { return &r.entry.Ord }),

	small("status", func(r *row) *store.Status { return &r.push.Status }),
	plain("push_reason", "text", func(r *row) *string { return &r.push.Reason }),
	whole("tries", "integer", func(r *row) *int { return &r.push.Tries }),
	whole("refusals", "integer", func(r *row) *int { return &r.push.Refusals }),
	whole("used", "bigint", func(r *row) *time.Duration { return &r.push.Used }),
	stamp("next_at", func(r *row) *int64 { return &r.push.NextAt }),
	stamp("opened_at", func(r *row) *int64 { return &r.push.OpenedAt }),
	stamp("done_at", func(r *row) *int64 { return &r.push.DoneAt }),
	stamp("verified_at", func(r *row) *int64 { return &r.push.VerifiedAt }),
	stamp("token_until", func(r *row) *int64 { return &r.push.TokenUntil }),
	number("replay", func(r *row) *uint64 { return &r.push.Replay }),
	plain("bulk", "boolean", func(r *row) *bool { return &r.push.Bulk }),
	whole("ends", "integer", func(r *row) *int { return &r.push.Ends }),
	number("done_after", func(r *row) *uint64 { return &r.push.doneAfter }),
	computed("errcode", "integer", func(r *row) *int32 { return r.push.errcodeColumn() }),
	{
		name: "attempts", typ: "json",
		array: func(rows []*row) any {
			return gather(rows, func(r *row) string { return encodeAttempts(r.push.Attempts) })
		},
		dest: func(r *row) any { return (*attempts)(&r.push.Attempts) },
	},
}

var (
	eventColumns = append(append([]column[*row]{}, mutableColumns...), fixedColumns...)
	insertEvents = insertSQL("events", eventColumns)
	updateEvents = updateSQL("events", 1, mutableColumns)
	// eventFields are what scanRow takes.
	eventFields = names("e", eventColumns)
)

// newRow is a row to scan into.
func newRow() *row { return &row{stored: true} }

// complete derives what a scanned row does not say twice.
func (r *row) complete() {
	r.entry.Seq, r.entry.Type, r.entry.Time = r.seq, r.event.Type, r.event.Time
	switch {
	case r.first.verdict != state.Rejected && len(r.first.allowed) == 0:
		r.first.allowed = nil
	case r.first.allowed == nil:
		r.first.allowed = []state.ActionType{}
	}
}

// store is the push as the interface gives it, without what it waits for.
func (r *row) store() store.Push {
	p := &r.push
	return store.Push{
		Seq: r.seq, Ord: r.entry.Ord, Event: r.event, ReceivedAt: codec.FromMillis(r.receivedAt),
		Status: p.Status, Reason: p.Reason, Tries: p.Tries, Refusals: p.Refusals, Used: p.Used,
		NextAt: codec.FromMillis(p.NextAt), DoneAt: codec.FromMillis(p.DoneAt), VerifiedAt: codec.FromMillis(p.VerifiedAt),
		OpenedAt: codec.FromMillis(p.OpenedAt), Replay: p.Replay, Bulk: p.Bulk, Attempts: p.Attempts,
	}
}

// storeEvent is the event as the interface gives it.
func (r *row) storeEvent() store.Event {
	e := store.Event{
		Seq: r.seq, Event: r.event, ReceivedAt: codec.FromMillis(r.receivedAt),
		First: r.first.verdict, Verdict: r.entry.Verdict, Reason: r.entry.Reason, Late: r.entry.Late, Gap: r.entry.Gap,
		HeldUntil: codec.FromMillis(r.entry.Until), Override: r.entry.Override, Expunged: r.expunged, Status: r.push.Status,
		From: r.first.from, Cause: r.first.cause,
	}
	if r.first.verdict == state.Rejected {
		e.Allowed = r.first.allowed
	}
	return e
}

// recorded tells whether an attempt is the last one that was noted.
func (p *pushRecord) recorded(a store.Attempt) bool {
	if len(p.Attempts) == 0 {
		return false
	}
	last := p.Attempts[len(p.Attempts)-1:]
	a.Replay = last[0].Replay // The push may have become part of another since.
	return encodeAttempts(last) == encodeAttempts([]store.Attempt{a})
}

func (p *pushRecord) errcodeColumn() *int32 {
	code := p.Errcode()
	if code == nil {
		return nil
	}
	return new(int32(*code))
}

// attempt is a store.Attempt in the column attempts.
type attempt struct {
	At      int64  `json:"at"` // Unix ms.
	Nanos   int64  `json:"ns"` // How long it took.
	Errcode *int   `json:"errcode,omitempty"`
	Errmsg  string `json:"errmsg,omitempty"`
	RID     string `json:"rid,omitempty"`
	Scope   string `json:"scope,omitempty"`
	Replay  uint64 `json:"replay,omitempty"`
	Unknown bool   `json:"unknown,omitempty"`

	Breaker       store.Breaker `json:"breaker,omitzero"` // By its name.
	Fallback      string        `json:"fallback,omitempty"`
	AccessTokenAt int64         `json:"access_token_at,omitempty"` // Unix ms.
	TokenAt       int64         `json:"token_at,omitempty"`        // Unix ms.
}

func encodeAttempts(list []store.Attempt) string {
	if len(list) == 0 {
		return "[]"
	}
	rows := make([]attempt, len(list))
	for i, a := range list {
		rows[i] = attempt{
			At: codec.Millis(a.At), Nanos: int64(a.Duration), Errcode: a.Errcode, Errmsg: text(a.Errmsg), RID: text(a.RID),
			Scope: a.Scope, Replay: a.Replay, Unknown: a.Unknown,
			Breaker: a.Breaker, Fallback: a.Fallback, AccessTokenAt: codec.Millis(a.AccessTokenAt), TokenAt: codec.Millis(a.TokenAt),
		}
	}
	b, _ := json.Marshal(rows) // Nothing in it can fail.
	return string(b)
}

// attempts are what the column attempts is read into.
type attempts []store.Attempt

// UnmarshalJSON takes the column.
func (list *attempts) UnmarshalJSON(b []byte) error {
	var rows []attempt
	if err := json.Unmarshal(b, &rows); err != nil {
		return err
	}
	*list = nil
	for _, a := range rows {
		*list = append(*list, store.Attempt{
			At: codec.FromMillis(a.At), Duration: time.Duration(a.Nanos), Errcode: a.Errcode, Errmsg: a.Errmsg, RID: a.RID,
			Scope: a.Scope, Replay: a.Replay, Unknown: a.Unknown,
			Breaker: a.Breaker, Fallback: a.Fallback, AccessTokenAt: codec.FromMillis(a.AccessTokenAt), TokenAt: codec.FromMillis(a.TokenAt),
		})
	}
	return nil
}

// text is what PostgreSQL keeps of a text that may come from anywhere: valid UTF-8 without zero bytes.
func text(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", " ")
}
