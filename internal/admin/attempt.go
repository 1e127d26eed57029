package admin

import (
	"time"

	"carrier/internal/store"
)

// AttemptItem is one request, how it was sent, and its answer. How it was sent is not known of attempts from before that
// was kept: Breaker is empty then.
type AttemptItem struct {
	At         time.Time `json:"at"`
	DurationMS float64   `json:"duration_ms"`
	Errcode    *int      `json:"errcode"`
	Errmsg     string    `json:"errmsg"`
	RID        string    `json:"rid"`
	Scope      string    `json:"scope"`
	Unknown    bool      `json:"outcome_unknown"` // Sent, but no answer came.
	Replay     string    `json:"replay"`          // The replay that it comes of.
	Meaning    Text      `json:"meaning"`         // Of its errcode, and what to do; empty for one that is not known.

	Breaker      store.Breaker `json:"breaker"`        // Of its host, when it was sent. Open: an operator asked for it.
	FallbackHost string        `json:"fallback_host"`  // Where it went, if not to the main host.
	TokenAt      *time.Time    `json:"token_at"`       // When the Token that it used had come.
	NewerTokenAt *time.Time    `json:"newer_token_at"` // When the next one came; null: that one is the newest.
	// AccessTokenAt is when the access_token that it used was fetched, by the process that sent it.
	AccessTokenAt *time.Time `json:"access_token_at"`
	// RefetchedAt is when one was fetched next, as far as is known. It may be the same: upstream gives it to all who ask.
	RefetchedAt *time.Time `json:"access_token_refetched_at"`
}

// attempts are those of a push whose waybill has its newest Token since a time.
func (v *view) attempts(p *store.Push, tokenAt time.Time) []AttemptItem {
	items := make([]AttemptItem, len(p.Attempts))
	tokens, accessTokens := succession{at: tokenAt}, succession{at: v.accessTokenAt(p)}
	for i := len(items) - 1; i >= 0; i-- {
		a := &p.Attempts[i]
		items[i] = AttemptItem{
			At: a.At.UTC(), DurationMS: float64(a.Duration.Microseconds()) / 1000,
			Errcode: a.Errcode, Errmsg: shown(a.Errmsg, v.by), RID: a.RID, Scope: a.Scope, Unknown: a.Unknown,
			Replay: number(a.Replay), Meaning: Meaning(a.Errcode),
			Breaker: a.Breaker, FallbackHost: a.Fallback,
			TokenAt: instant(a.TokenAt), NewerTokenAt: instant(tokens.after(a.TokenAt)),
			AccessTokenAt: instant(a.AccessTokenAt), RefetchedAt: instant(accessTokens.after(a.AccessTokenAt)),
		}
	}
	return items
}

// accessTokenAt is when the present access_token of a push's account was fetched, as precise as attempts keep it. It is
// zero for a push without attempts, where it does not matter.
func (v *view) accessTokenAt(p *store.Push) time.Time {
	if len(p.Attempts) == 0 {
		return time.Time{}
	}
	if account := v.account(p.Event.DeliveryID); account != nil {
		return account.AccessTokenAt.Truncate(time.Millisecond)
	}
	return time.Time{}
}

// succession tells which one replaced another of things that replace each other, seen from the newest to the oldest. Each
// is known by when it came.
type succession struct {
	at   time.Time // The one that was seen last.
	next time.Time // The one that replaced it; zero: none did.
}

// after gives when the one came that replaced the one of a time, which is the next to be seen; zero if none did, or if
// there was none.
func (s *succession) after(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	if t.Before(s.at) {
		s.next = s.at
	}
	s.at = t
	return s.next
}
