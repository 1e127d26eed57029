package sandbox

import (
	"crypto/subtle"
	"fmt"
	"sync"
	"time"
)

// What upstream says of its access_tokens (获取接口调用凭据, 获取稳定版接口调用凭据).
const (
	overlap        = 5 * time.Minute  // Old and new both work for so long; stable ones rotate so long before expiry.
	forceSpacing   = 30 * time.Second // A forced refresh sooner after the last one refreshes nothing.
	forcesPerDay   = 20
	basicPerDay    = 2_000
	stablePerDay   = 500_000
	stablePerMin   = 10_000
	maxApps        = 1_000  // Where any appid is taken.
	maxGrants      = 10_000 // Older ones are forgotten: then unknown (40001), be they expired or not.
	tokenChars     = 136
	minTokenChars  = 32
	maxTokenChars  = 512
	orderTokenSize = 64
)

// grant is one access_token.
type grant struct {
	value     string
	app       App
	expiresAt time.Time
	// endsAt is when it stops to be one of the latest; zero while it is. Refused with 40001 from then on.
	endsAt time.Time
}

// usable tells whether g may be used at now, and why not.
func (g *grant) usable(now time.Time) *refusal {
	if !g.endsAt.IsZero() && !now.Before(g.endsAt) {
		return refuse(codeCredential, "")
	}
	if !now.Before(g.expiresAt) {
		return refuse(codeTokenExpired, "")
	}
	return nil
}

// life is how long g may still be used.
func (g *grant) life(now time.Time) time.Duration {
	if g.usable(now) != nil {
		return 0
	}
	return g.expiresAt.Sub(now)
}

// account is an appid's tokens. The two ways to get one are isolated from each other.
type account struct {
	App
	basic  *grant
	stable []*grant // Those that may still be alive; the last one is the current.

	basicDay, stableMin, stableDay, forces window
	forcedAt                               time.Time
}

// tokens hands out access_tokens and checks them. Safe for concurrent use.
type tokens struct {
	life    time.Duration
	overlap time.Duration
	chance  *chance
	anyApp  bool

	mu       sync.Mutex // Owns what follows.
	accounts map[string]*account
	grants   map[string]*grant
	order    []string // Keys of grants, oldest first.
}

func newTokens(apps []App, life time.Duration, c *chance) *tokens {
	t := &tokens{
		life: life, overlap: min(overlap, life/2), chance: c, anyApp: len(apps) == 0,
		accounts: map[string]*account{}, grants: map[string]*grant{},
	}
	for _, a := range apps {
		t.accounts[a.AppID] = &account{App: a}
	}
	return t
}

// account finds an app by its credentials.
func (t *tokens) account(appID, secret string) (*account, *refusal) {
	switch {
	case appID == "":
		return nil, refuse(codeAppIDMissing, "")
	case secret == "":
		return nil, refuse(codeNoSecret, "")
	}
	a, ok := t.accounts[appID]
	switch {
	case ok && (t.anyApp || same(a.Secret, secret)):
		return a, nil
	case ok && t.ownedByAnother(secret):
		return nil, refuse(codeCredential, "the appsecret is another appid's")
	case ok:
		return nil, refuse(codeSecret, "")
	case !t.anyApp:
		return nil, refuse(codeAppID, "")
	case len(t.accounts) >= maxApps:
		return nil, refuse(codeAppID, fmt.Sprintf("the sandbox takes %d appids at most", maxApps))
	}
	a = &account{App: App{AppID: appID}}
	t.accounts[appID] = a
	return a, nil
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func (t *tokens) ownedByAnother(secret string) bool {
	for _, a := range t.accounts {
		if same(a.Secret, secret) {
			return true
		}
	}
	return false
}

// issued is what the two calls answer.
type issued struct {
	value string
	life  time.Duration
}

// fetchBasic gives a new token; the one before works for the overlap.
func (t *tokens) fetchBasic(appID, secret string, now time.Time) (issued, *refusal) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a, no := t.account(appID, secret)
	if no != nil {
		return issued{}, no
	}
	if !a.basicDay.take(day(now), basicPerDay) {
		return issued{}, refuse(codeDayQuota, "")
	}
	if a.basic != nil {
		a.basic.endsAt = now.Add(t.overlap)
	}
	a.basic = t.issue(a.App, now)
	return issued{a.basic.value, t.life}, nil
}

// fetchStable gives the current token, a new one if it is about to expire, or if force is set and allowed.
func (t *tokens) fetchStable(appID, secret string, force bool, now time.Time) (issued, *refusal) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a, no := t.account(appID, secret)
	if no != nil {
		// This page doesn't know 40001: a secret is wrong whoever's it is.
		if no.code == codeCredential {
			no = refuse(codeSecret, "")
		}
		return issued{}, no
	}
	if !a.stableMin.take(minute(now), stablePerMin) {
		return issued{}, refuse(codeMinuteQuota, "")
	}
	if !a.stableDay.take(day(now), stablePerDay) {
		return issued{}, refuse(codeDayQuota, "")
	}
	if force && (a.forcedAt.IsZero() || now.Sub(a.forcedAt) >= forceSpacing) {
		if !a.forces.take(day(now), forcesPerDay) {
			return issued{}, refuse(codeDayQuota, "force_refresh")
		}
		t.endStable(a, now)
		a.forcedAt = now
	}
	g := t.currentStable(a, now)
	return issued{g.value, g.life(now)}, nil
}

// currentStable is the newest token of a with a life left beyond the overlap; it issues one if there is none.
func (t *tokens) currentStable(a *account, now time.Time) *grant {
	if n := len(a.stable); n > 0 && a.stable[n-1].life(now) > t.overlap {
		return a.stable[n-1]
	}
	a.stable = append(alive(a.stable, now), t.issue(a.App, now))
	return a.stable[len(a.stable)-1]
}

// endStable ends all of a's stable tokens at once.
func (t *tokens) endStable(a *account, now time.Time) {
	for _, g := range a.stable {
		g.endsAt = now
	}
	a.stable = nil
}

func alive(grants []*grant, now time.Time) []*grant {
	var out []*grant
	for _, g := range grants {
		if g.life(now) > 0 {
			out = append(out, g)
		}
	}
	return out
}

// issue makes a token, and forgets the oldest if there are too many.
func (t *tokens) issue(app App, now time.Time) *grant {
	g := &grant{value: "97_" + t.chance.text(tokenChars-3), app: app, expiresAt: now.Add(t.life)}
	t.grants[g.value] = g
	t.order = append(t.order, g.value)
	if len(t.order) > maxGrants {
		delete(t.grants, t.order[0])
		t.order = t.order[1:]
	}
	return g
}

// check tells whose token it is.
func (t *tokens) check(value string, now time.Time) (App, *refusal) {
	switch {
	case value == "":
		return App{}, refuse(codeTokenMissing, "")
	case !wellFormed(value):
		return App{}, refuse(codeTokenForm, "")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	g, ok := t.grants[value]
	if !ok {
		return App{}, refuse(codeCredential, "")
	}
	return g.app, g.usable(now)
}

// owner is the appid that a token was given to, usable or not; "" if that is not known.
func (t *tokens) owner(value string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if g, ok := t.grants[value]; ok {
		return g.app.AppID
	}
	return ""
}

// wellFormed tells whether upstream could have made such a token.
func wellFormed(v string) bool {
	if len(v) < minTokenChars || len(v) > maxTokenChars {
		return false
	}
	for i := range len(v) {
		if !urlSafe(v[i]) {
			return false
		}
	}
	return true
}

func urlSafe(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// expire ends the life of one token, as if its time were over.
func (t *tokens) expire(value string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if g, ok := t.grants[value]; ok && g.expiresAt.After(now) {
		g.expiresAt = now
	}
}

// expireAll ends the life of every token.
func (t *tokens) expireAll(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, g := range t.grants {
		if g.expiresAt.After(now) {
			g.expiresAt = now
		}
	}
}
