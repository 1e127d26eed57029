package telemetry

import (
	"net/http"
	"strconv"
	"strings"
)

// Names are the labels that come from the configuration and from the other parts: their numbers bound the series.
type Names struct {
	Sources     []string
	DeliveryIDs []string
	Routes      []string // Patterns, not paths.
	Errcodes    []int    // Those with a meaning.
}

// other stands for every label that is not known: neither a stranger nor a mistake here may make series without end, or
// put a waybill's number, an event's id or a text into one.
const other = "other"

// words are the labels that are fixed. Those of a test beside the parts that use them are the same.
var words = map[string][]string{
	"verdict": {"accepted", "held", "ignored", "duplicate", "rejected", "invalid", "conflict", "unauthorized", "limited", "unavailable"},
	"event":   {"add_waybill", "cancel_waybill", "check_biz", "get_quota", "add_express_path", ""},
	"result": {"accepted", "repeated", "refused", "verified", "forged", "stale", "replayed", "unreadable", "unknown", "failed",
		"same", "different", "no_merchant", "limited", "cancelled"},
	"scope":   {"ok", "upstream", "credential", "account", "rate", "waybill", "event"},
	"status":  {"pending", "delivered", "failed", "discarded"},
	"outcome": {natsAcked, "returned", "dead"},
	"stage": {"created", "assigned", "pickup_failed", "picked_up", "in_transit", "out_for_delivery", "delivery_failed",
		"held_before_pickup", "held_after_pickup"},
}

// known are the labels that are used as they are, by the label's name. It is not changed once made.
type known map[string]map[string]bool

// Know says which names are labels from now on; all others are "other". A later call replaces an earlier one.
func (m *Metrics) Know(n Names) {
	if m == nil {
		return
	}
	k := known{}
	for name, values := range words {
		k.add(name, values...)
	}
	k.add("source", append([]string{""}, n.Sources...)...) // Empty: it could not be told.
	k.add("delivery_id", append([]string{""}, n.DeliveryIDs...)...)
	k.add("route", append([]string{"none"}, n.Routes...)...)
	for _, code := range n.Errcodes {
		k.add("errcode", strconv.Itoa(code))
	}
	for code := range 600 {
		if http.StatusText(code) != "" {
			k.add("code", strconv.Itoa(code))
		}
	}
	m.known.Store(&k)
}

func (k known) add(name string, values ...string) {
	if k[name] == nil {
		k[name] = make(map[string]bool, len(values))
	}
	for _, v := range values {
		k[name][label(v)] = true
	}
}

// label is a label's value: as it is if it is known.
func (m *Metrics) label(name, value string) string {
	if (*m.known.Load())[name][value] {
		return value
	}
	return other
}

// label makes s fit for a label: the client library panics on what is no UTF-8.
func label(s string) string { return strings.ToValidUTF8(s, "\ufffd") }
