package sandbox

import (
	"bytes"
	"cmp"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Callback is one time that something was sent to a carrier, and what came back.
type Callback struct {
	N          uint64    `json:"n"` // Counts from 1, in the order in which they ended.
	At         time.Time `json:"at"`
	DeliveryID string    `json:"delivery_id"`
	Event      string    `json:"event"`
	OrderID    string    `json:"order_id,omitempty"`
	WaybillID  string    `json:"waybill_id,omitempty"` // As it was pushed: "0" where the carrier makes it.
	// Kind is push, repeat (answered, and sent again), forged_signature, forged_plain or verify.
	Kind    string `json:"kind"`
	Attempt int    `json:"attempt"`
	// Sent is the message before encryption, without BizPwd, its Token masked.
	Sent   string   `json:"sent,omitempty"`
	Status int      `json:"status"` // 0: there was no answer.
	Took   Duration `json:"took"`
	// Answer is what came back, decrypted if it could be, cut and masked.
	Answer     string `json:"answer,omitempty"`
	ResultCode *int64 `json:"result_code,omitempty"`
	// Mistake says why the answer could not be used. For the forged kinds: that it was taken.
	Mistake string `json:"mistake,omitempty"`
	// Unanswered says that the mistake is no answer, rather than a wrong one: it came too late, got lost by a fault, or
	// was an HTTP status of 5xx. Upstream pushes again.
	Unanswered bool `json:"unanswered,omitempty"`
}

const (
	kindPush            = "push"
	kindRepeat          = "repeat"
	kindForgedSignature = "forged_signature"
	kindForgedPlain     = "forged_plain"
	kindVerify          = "verify"
)

// CallbackStats counts callbacks since the start, or since Clear.
type CallbackStats struct {
	Sent     uint64 `json:"sent"`     // Of all kinds.
	Forged   uint64 `json:"forged"`   // Those of the two forged kinds.
	Repeats  uint64 `json:"repeats"`  // Those that had been answered before.
	Mistakes uint64 `json:"mistakes"` // Those whose answer could not be used.
	// Unanswered are those of the mistakes that are no answer.
	Unanswered uint64 `json:"unanswered"`
}

// callbacks keeps the newest of them. Safe for concurrent use.
type callbacks struct {
	max int

	mu    sync.Mutex // Owns what follows.
	last  uint64
	kept  []Callback
	stats CallbackStats
}

// add numbers a callback and keeps it.
func (cs *callbacks) add(c Callback) Callback {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.last++
	c.N = cs.last
	cs.stats.Sent++
	switch c.Kind {
	case kindForgedPlain, kindForgedSignature:
		cs.stats.Forged++
	case kindRepeat:
		cs.stats.Repeats++
	}
	if c.Mistake != "" {
		cs.stats.Mistakes++
	}
	if c.Unanswered {
		cs.stats.Unanswered++
	}
	cs.kept = append(cs.kept, c)
	if len(cs.kept) > cs.max {
		cs.kept[0] = Callback{} // Lets go of its texts.
		cs.kept = cs.kept[1:]
	}
	return c
}

func (cs *callbacks) clear() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.kept, cs.stats = nil, CallbackStats{}
}

func (cs *callbacks) counts() CallbackStats {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.stats
}

// after lists those after number since, oldest first, at most limit, of one order if orderID is not empty.
func (cs *callbacks) after(since uint64, limit int, orderID string) []Callback {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	out := []Callback{}
	for _, c := range cs.kept {
		if c.N > since && len(out) < limit && cmp.Or(orderID, c.OrderID) == c.OrderID {
			out = append(out, c)
		}
	}
	return out
}

// Callbacks are the pushes to carriers that are kept, oldest first, and what they were answered.
func (s *Sandbox) Callbacks() []Callback { return s.callbacks.after(0, s.opts.MaxCallbacks, "") }

// serveCallbacks is GET /_sandbox/callbacks: page by page (since, limit), of one order (order_id).
func (s *Sandbox) serveCallbacks(w http.ResponseWriter, r *http.Request) {
	methods{http.MethodGet: func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		since, limit, err := paging(q)
		if err != nil {
			writeProblem(w, http.StatusBadRequest, err)
			return
		}
		list := s.callbacks.after(since, limit, q.Get("order_id"))
		if n := len(list); n > 0 {
			since = list[n-1].N
		}
		writeJSON(w, http.StatusOK, map[string]any{"callbacks": list, "next": since})
	}}.serve(w, r)
}

// record begins the note of one sending.
func (p *eventPush) record(kind string, attempt int) Callback {
	return Callback{
		DeliveryID: p.to.DeliveryID, Event: p.event, OrderID: p.orderID, WaybillID: p.waybillID, Kind: kind, Attempt: attempt,
		Sent: p.mask.show(p.content.with(map[string]string{"BizPwd": hidden, "Token": hint4(p.token)}).render(p.to.Format)),
	}
}

// masker takes secrets out of what is shown.
type masker struct{ replacer *strings.Replacer }

const (
	hidden   = "***"
	maxShown = 8 << 10
)

// hint4 is the beginning of a Token: enough to tell two apart.
func hint4(token string) string {
	if len(token) < 32 {
		return hidden
	}
	return fmt.Sprintf("%s***(%d)", token[:4], len(token))
}

// maskOf hides a Token and a password, also as XML and JSON escape them.
func maskOf(token, bizPwd string) masker {
	var pairs []string
	for _, s := range []struct{ secret, shown string }{{token, hint4(token)}, {bizPwd, hidden}} {
		if s.secret == "" {
			continue
		}
		var escaped bytes.Buffer
		_ = xml.EscapeText(&escaped, []byte(s.secret)) // A buffer never fails.
		quoted, _ := json.Marshal(s.secret)            // Nor does a string.
		for _, form := range []string{string(quoted[1 : len(quoted)-1]), string(bytes.Trim(rawJSON(s.secret), `"`)), escaped.String(), s.secret} {
			pairs = append(pairs, form, s.shown)
		}
	}
	return masker{strings.NewReplacer(pairs...)}
}

// show is a text that people may see: masked, then cut.
func (m masker) show(text []byte) string {
	shown := m.replacer.Replace(string(text))
	if len(shown) > maxShown {
		shown = shown[:maxShown] + "..."
	}
	return strings.ToValidUTF8(shown, "\uFFFD")
}
