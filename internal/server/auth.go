package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"carrier/internal/admin"
	"carrier/internal/problem"
)

// Token is one user of the admin API.
type Token struct {
	Name     string
	Value    string // At least 32 characters. Only its hash is kept.
	Operator bool   // Else a viewer.
}

// access says who may call a route.
type access uint8

const (
	anyone   access = iota // No credentials: health, metrics.
	sources                // The handler itself checks the source's key or signature.
	viewer                 // Any admin token.
	operator               // An operator's token.
)

func (a access) String() string { return [...]string{"anyone", "source", "viewer", "operator"}[a] }

// auth checks admin tokens.
type auth struct {
	tokens []hashed
}

type hashed struct {
	digest [sha256.Size]byte
	actor  admin.Actor
}

func newAuth(tokens []Token) *auth {
	a := &auth{}
	for _, t := range tokens {
		a.tokens = append(a.tokens, hashed{sha256.Sum256([]byte(t.Value)), admin.Actor{Name: t.Name, Operator: t.Operator}})
	}
	return a
}

// actorKey is where a request's admin.Actor is kept for its handler.
const actorKey = "actor"

func actor(c echo.Context) admin.Actor {
	a, _ := c.Get(actorKey).(admin.Actor)
	return a
}

// guard lets a handler be called by those who may.
func (a *auth) guard(who access, handle echo.HandlerFunc) echo.HandlerFunc {
	if who == anyone || who == sources {
		return handle
	}
	return func(c echo.Context) error {
		c.Response().Header().Set("Cache-Control", "no-store")
		by, ok := a.find(c.Request())
		if !ok {
			c.Response().Header().Set("WWW-Authenticate", `Bearer realm="carrier admin"`)
			return a.unauthorized()
		}
		if who == operator && !by.Operator {
			return problem.New(problem.Forbidden).Sayf(
				"The token %q is a viewer's; this needs one with the role operator.",
				"令牌 %q 的角色是 viewer；该操作需要 operator 角色的令牌。", by.Name)
		}
		c.Set(actorKey, by)
		return handle(c)
	}
}

// find compares the digest with every token's, in constant time, so that nothing of a token shows in the timing.
func (a *auth) find(r *http.Request) (admin.Actor, bool) {
	scheme, value, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return admin.Actor{}, false
	}
	digest := sha256.Sum256([]byte(value))
	var by admin.Actor
	found := 0
	for i := range a.tokens {
		if same := subtle.ConstantTimeCompare(digest[:], a.tokens[i].digest[:]); same == 1 {
			by, found = a.tokens[i].actor, 1
		}
	}
	return by, found == 1
}

func (a *auth) unauthorized() error {
	if len(a.tokens) == 0 {
		return problem.New(problem.Unauthorized).Say(
			"No admin token is configured; add one under admin.tokens and restart.",
			"未配置管理令牌；请在 admin.tokens 中添加后重启。")
	}
	return problem.New(problem.Unauthorized).Say(
		"Send Authorization: Bearer TOKEN with one of the tokens of admin.tokens.",
		"请使用 admin.tokens 中的令牌，发送 Authorization: Bearer TOKEN。")
}
