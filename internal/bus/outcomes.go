package bus

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"carrier/internal/spans"
	"carrier/internal/state"
	"carrier/internal/store"
)

// outcome is the body of a message on carrier.outcomes.DELIVERY_ID.STATUS. It has neither the event's text nor a Token.
type outcome struct {
	Seq        uint64             `json:"seq"` // The event's number.
	EventID    string             `json:"event_id"`
	Source     string             `json:"source"`
	DeliveryID string             `json:"delivery_id"`
	WaybillID  string             `json:"waybill_id"`
	ActionType state.ActionType   `json:"action_type"`
	ActionTime int64              `json:"action_time"` // Unix seconds.
	Status     string             `json:"status"`
	Attempts   int                `json:"attempts"`
	Errcode    int                `json:"errcode"`
	Errmsg     string             `json:"errmsg"`
	Reason     string             `json:"reason"`
	ReceivedAt time.Time          `json:"received_at"`
	EndedAt    time.Time          `json:"ended_at"`
	Replay     string             `json:"replay,omitzero"`  // Of a push that was replayed: the replay's number.
	From       *state.Stage       `json:"from,omitzero"`    // This and below: of an event that was rejected.
	Allowed    []state.ActionType `json:"allowed,omitzero"` // Empty: nothing was allowed.
	Cause      uint64             `json:"cause,omitzero"`
}

// differing is the body where what upstream shows of a waybill is not what was delivered, and where it is again.
type differing struct {
	DeliveryID string    `json:"delivery_id"`
	WaybillID  string    `json:"waybill_id"`
	Status     string    `json:"status"`
	Merchant   string    `json:"merchant"` // With whose credentials it was looked at.
	FoundAt    time.Time `json:"found_at"` // When it differed first.
	CheckedAt  time.Time `json:"checked_at"`
	*names               // nil: upstream agrees.
}

// names are pushes that upstream does not show as they were delivered, by the event's number.
type names struct {
	Missing []uint64 `json:"missing"`
	Changed []uint64 `json:"changed"`
	Moved   []uint64 `json:"moved"`
	Extra   int      `json:"extra"` // Nodes that were not delivered.
}

// ending is what is fixed for a status: its word in the subject and in the body, and the CloudEvent's type.
type ending struct{ status, eventType string }

var endings = map[store.Status]ending{
	store.Delivered: {"delivered", "carrier.push.delivered"},
	store.Failed:    {"failed", "carrier.push.failed"},
	store.Discarded: {"discarded", "carrier.push.discarded"},
	store.NoPush:    {"rejected", "carrier.event.rejected"},
}

// What is fixed for notices of differences.
var (
	differs = ending{"differs", "carrier.waybill.differs"}
	agrees  = ending{"agrees", "carrier.waybill.agrees"}
)

// endingOf finds what is fixed for a notice; false if it is no end.
func endingOf(n *store.Notice) (ending, bool) {
	switch {
	case n.Difference == nil:
		end, ok := endings[n.Status]
		return end, ok
	case n.Difference.Agrees():
		return agrees, true
	}
	return differs, true
}

// outcomeMsg is a notice of the store named instance as a CloudEvent 1.0 in binary mode. An error says that it can never
// be told.
func outcomeMsg(n *store.Notice, instance string) (*nats.Msg, error) {
	end, ok := endingOf(n)
	if !ok {
		return nil, fmt.Errorf("%s is no end", n.Status)
	}
	if !isSubjectToken(n.Event.DeliveryID) {
		return nil, fmt.Errorf("there is no subject for account %q: its delivery_id has a space, '.', '*' or '>'", n.Event.DeliveryID)
	}
	body, err := encode(bodyOf(n, end.status))
	if err != nil {
		return nil, err
	}
	return &nats.Msg{
		Subject: outcomePrefix + n.Event.DeliveryID + "." + end.status, Data: body, Header: outcomeHeader(n, instance, end.eventType),
	}, nil
}

func bodyOf(n *store.Notice, status string) any {
	if n.Difference != nil {
		return differingBody(n.Difference, status)
	}
	return outcomeBody(n, status)
}

func differingBody(d *store.Difference, status string) *differing {
	body := &differing{
		DeliveryID: d.Waybill.DeliveryID, WaybillID: d.Waybill.WaybillID, Status: status, Merchant: d.Merchant,
		FoundAt: d.FoundAt.UTC(), CheckedAt: d.CheckedAt.UTC(),
	}
	if !d.Agrees() {
		body.names = &names{numbers(d.Missing), numbers(d.Changed), numbers(d.Moved), d.Extra}
	}
	return body
}

// numbers is a list as outcomes show it: never null.
func numbers(seqs []uint64) []uint64 { return append([]uint64{}, seqs...) }

func outcomeBody(n *store.Notice, status string) *outcome {
	o := &outcome{
		Seq: n.Seq, EventID: n.Event.ID, Source: n.Event.Source, DeliveryID: n.Event.DeliveryID, WaybillID: n.Event.WaybillID,
		ActionType: n.Event.Type, ActionTime: n.Event.Time, Status: status, Attempts: n.Tries,
		Errcode: n.Errcode, Errmsg: n.Errmsg, Reason: n.Reason, ReceivedAt: n.ReceivedAt.UTC(), EndedAt: n.At.UTC(),
	}
	if n.Replay != 0 {
		o.Replay = strconv.FormatUint(n.Replay, 10)
	}
	if n.Status == store.NoPush {
		o.Cause = n.Cause
		if n.Allowed != nil { // It was rejected as it came. Of one that was held first the stage at its time is not kept.
			o.From, o.Allowed = &n.From, n.Allowed
		}
	}
	return o
}

func outcomeHeader(n *store.Notice, instance, eventType string) nats.Header {
	id := noticeID(n)
	h := nats.Header{
		headMsgID:        {id},
		headContentType:  {jsonType},
		"ce-specversion": {"1.0"},
		"ce-id":          {id},
		headSource:       {percent("/carrier/" + instance + "/accounts/" + url.PathEscape(n.Event.DeliveryID))},
		"ce-type":        {eventType},
		"ce-subject":     {percent(n.Event.WaybillID)},
		headTime:         {n.At.UTC().Format(time.RFC3339Nano)},
		// CloudEvents, Sequence extension: compared as text, hence the zeros.
		"ce-sequence": {fmt.Sprintf("%020d", n.Number)},
	}
	if n.Event.Trace != "" {
		h[spans.Header] = []string{n.Event.Trace}
	}
	return h
}

// noticeID names a notice for good within its store: the event's number, and which of its ends it is from the second on.
// What is of a waybill has no event's number, and goes by its own.
func noticeID(n *store.Notice) string {
	if n.Difference != nil {
		return "w" + strconv.FormatUint(n.Number, 10)
	}
	id := strconv.FormatUint(n.Seq, 10)
	if n.Nth > 1 {
		id += "-" + strconv.Itoa(n.Nth)
	}
	return id
}

// percent encodes a header's value as the CloudEvents bindings want it (HTTP Protocol Binding 1.0.2, section 3.1.3.2):
// all but printable ASCII, and the space, the double quote and the percent sign.
func percent(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c > ' ' && c <= '~' && c != '"' && c != '%' {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}
