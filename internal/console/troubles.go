package console

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"carrier/internal/admin"
	"carrier/internal/state"
	"carrier/internal/store"
)

// trouble is something that is wrong, in words, and the list behind it.
type trouble struct {
	Class string // bad: customers do not see the truth, or soon will not; warn: somebody should look.
	Text  string
	Href  string
}

// When what is usual becomes worth a look.
const (
	oldPending   = 5 * time.Minute
	newLetter    = 24 * time.Hour
	aheadBy      = 30 * time.Second // Of a source's clock.
	refusedShare = 0.1
	refusedAtMin = 20
)

// troubles says what is wrong, the worst first.
func (c *Console) troubles(v *Visit, view *overviewView, slow slowly) []trouble {
	var all []trouble
	f := formatter{v.lang}
	bad := func(href, key string, args ...any) { all = append(all, trouble{"bad", v.T(key, args...), href}) }
	warn := func(href, key string, args ...any) { all = append(all, trouble{"warn", v.T(key, args...), href}) }
	for _, said := range slow.trouble {
		bad("/readyz", "trouble.said", said)
	}
	for i := range view.Accounts {
		accountTroubles(&view.Accounts[i], f, bad, warn)
	}
	if slow.differences > 0 {
		bad("/differences", "trouble.differences", slow.differences)
	}
	if n := view.Stats.Pushes[store.Failed]; n > 0 {
		warn("/pushes?status=failed", "trouble.failed", f.count(n))
	}
	if n := c.hourly(state.Rejected.String()); n > 0 {
		warn("/events/rejected?since=1h", "trouble.rejected", f.count(n))
	}
	if !slow.letter.IsZero() && time.Since(slow.letter) < newLetter {
		warn("/dead-letters", "trouble.letters", f.ago(slow.letter))
	}
	for _, s := range c.meter.bySource() {
		sourceTroubles(&s, f, warn)
	}
	slices.SortStableFunc(all, func(a, b trouble) int { return rank(a.Class) - rank(b.Class) })
	return all
}

// unseen says what customers do not see of what was scanned. What has only been on its way for a moment is not told.
func unseen(v *Visit, view *overviewView, slow slowly) string {
	f := formatter{v.lang}
	var parts []string
	tell := func(key string, n int64) {
		if n > 0 {
			parts = append(parts, v.T(key, f.count(n)))
		}
	}
	tell("unseen.failed", view.Stats.Pushes[store.Failed])
	var waits int64
	for i := range view.Accounts {
		if a := &view.Accounts[i]; a.Paused || a.Breaker.State == "open" || a.OldestPendingSeconds > oldPending.Seconds() {
			waits += a.Waiting
		}
	}
	tell("unseen.waits", waits)
	tell("unseen.differs", int64(slow.differences))
	if parts == nil {
		return ""
	}
	return v.T("unseen.not_all", strings.Join(parts, v.T("mark.comma")))
}

func rank(class string) int {
	if class == "bad" {
		return 0
	}
	return 1
}

// hourly is how many events of the last hour had a verdict.
func (c *Console) hourly(word string) (n int64) {
	for _, minute := range c.meter.hour() {
		n += minute.Events[word]
	}
	return n
}

// report takes a trouble: where the list behind it is, and its text.
type report func(href, key string, args ...any)

func accountTroubles(a *admin.AccountItem, f formatter, bad, warn report) {
	href := "/accounts#account-" + a.DeliveryID
	switch {
	case a.Guard.Tripped:
		bad(href, "trouble.guard", a.DeliveryID, a.Guard.Failed, a.Guard.Ended)
	case a.Paused:
		bad(href, "trouble.paused", a.DeliveryID, in(f.lang, a.PauseText))
	case a.Breaker.State != "closed":
		bad(href, "trouble.breaker", a.DeliveryID, a.Breaker.Host, f.count(a.Waiting))
	case a.OldestPendingSeconds > oldPending.Seconds():
		warn("/pushes?status=pending&delivery_id="+url.QueryEscape(a.DeliveryID), "trouble.old", a.DeliveryID, f.span(a.OldestPendingSeconds))
	}
	if a.AccessTokenExpiresAt != nil && a.AccessTokenExpiresAt.Before(time.Now()) && a.Waiting > 0 {
		bad(href, "trouble.token", a.DeliveryID)
	}
	if a.Quota.TransitHeldSince != nil {
		bad(href, "trouble.quota_held", a.DeliveryID)
	} else if a.Quota.EndsAt != nil {
		warn(href, "trouble.quota_ends", a.DeliveryID, a.Quota.EndsAt.In(beijing).Format("15:04"))
	}
}

func sourceTroubles(s *SourceHour, f formatter, warn report) {
	if s.Ages.n > 0 && s.Ages.least < -aheadBy {
		warn("/sources", "trouble.ahead", s.Name, f.span(-s.Ages.least.Seconds()))
	}
	total, refused := s.Events.Total(), s.Events.Refused()
	switch {
	case total < refusedAtMin || float64(refused) < refusedShare*float64(total):
	case s.Name == "":
		warn("/sources", "trouble.strangers", f.count(refused))
	default:
		warn("/sources", "trouble.source", s.Name, 100*refused/total)
	}
}
