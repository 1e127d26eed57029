package wechat

import (
	"context"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever happens in whatever order: Get never gives what was refused or has ended, a refusal changes something just
// when it speaks of the current access_token, every error says when to come back, and no fetch comes before. The host
// checks upstream's limits of forced refreshes.
func TestAccessTokenModel(t *testing.T) {
	bodies := []string{"", "", "", // As usual.
		`{"errcode":-1}`, `{"errcode":40164}`, `{"errcode":45011}`, `<html>`}
	rapid.Check(t, func(rt *rapid.T) {
		mode := rapid.SampledFrom([]string{ModeStable, ModeBasic}).Draw(rt, "mode")
		withRun := rapid.Bool().Draw(rt, "run")
		rapid.SyncTest(rt, func(rt *rapid.T) {
			h := &tokenHost{t: t, latency: 10 * time.Millisecond}
			a := NewAccessToken(AccessTokenOptions{Clients: []*Client{h.client()}, AppID: "wx1",
				Secret: func() string { return canarySecret }, Mode: mode})
			defer a.Close()
			if withRun {
				defer run(t, a)()
			}
			var current string
			var given, refused []string
			retryAt := time.Time{}
			rt.Repeat(map[string]func(*rapid.T){
				"get": func(rt *rapid.T) {
					fetches, asked := h.count(), time.Now()
					token, err := a.Get(context.Background()) // Of the outer test, t.Context is of no bubble.
					if asked.Before(retryAt) && h.count() != fetches {
						rt.Errorf("a fetch %v before its time", retryAt.Sub(asked))
					}
					if err != nil {
						e, ok := err.(*TokenError)
						if !ok || e.Scope == "" || !e.RetryAt.After(time.Now()) || e.RetryAt.After(time.Now().Add(2*time.Minute)) {
							rt.Errorf("Get = %#v", err)
							return
						}
						if !withRun { // Run may have a later failure meanwhile, or a success.
							retryAt = e.RetryAt
						}
						return
					}
					if slices.Contains(refused, token) || !expiresAt(a).After(time.Now()) {
						rt.Errorf("Get gives %q, refused %v, expires %v", token, refused, expiresAt(a))
					}
					retryAt, current, given = time.Time{}, token, append(given, token)
				},
				"refuse": func(rt *rapid.T) {
					if len(given) == 0 {
						return
					}
					token := rapid.SampledFrom(given).Draw(rt, "token")
					generation := generationOf(a)
					changed := a.Refused(token)
					if changed && slices.Contains(refused, token) {
						rt.Errorf("%q was refused twice", token)
					}
					if !withRun && changed != (token == current && !slices.Contains(refused, token)) {
						rt.Errorf("refusal of %q changed something: %v; the current one is %q", token, changed, current)
					}
					if changed {
						refused = append(refused, token)
					}
					if generationOf(a) != generation {
						rt.Errorf("a refusal made a new one")
					}
				},
				"time":   func(rt *rapid.T) { time.Sleep(time.Duration(rapid.IntRange(1, 1200).Draw(rt, "s")) * time.Second) },
				"fault":  func(rt *rapid.T) { h.instead(say(rapid.SampledFrom(bodies).Draw(rt, "body"))) },
				"rotate": func(*rapid.T) { h.rotate() },
			})
		})
	})
}
