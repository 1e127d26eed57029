package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

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
	weixin                 // The handler itself checks WeChat's signature.
	viewer                 // Any admin token.
	operator               // An operator's token.
)

func (a access) String() string {
	return [...]string{"anyone", "source", "wechat", "viewer", "operator"}[a]
}

// auth checks admin tokens. It is safe for concurrent use.
type auth struct {
	tokens atomic.Pointer[[]hashed] // Replaced as a whole: see Server.SetTokens.
	wrong  throttle
	log    *slog.Logger
}

type hashed struct {
	digest [sha256.Size]byte
	actor  admin.Actor
}

func newAuth(o *Options) *auth {
	a := &auth{log: o.Log}
	a.set(o.Tokens)
	return a
}

// set puts other tokens in the place of all that there are.
func (a *auth) set(tokens []Token) {
	all := make([]hashed, len(tokens))
	for i, t := range tokens {
		all[i] = hashed{sha256.Sum256([]byte(t.Value)), admin.Actor{Name: t.Name, Operator: t.Operator}}
	}
	a.tokens.Store(&all)
}

// actorKey is where a request's admin.Actor is kept for its handler.
const actorKey = "actor"

func actor(c echo.Context) admin.Actor {
	a, _ := c.Get(actorKey).(admin.Actor)
	return a
}

// guard lets a handler be called by those who may.
func (a *auth) guard(who access, handle echo.HandlerFunc) echo.HandlerFunc {
	if who == anyone || who == sources || who == weixin {
		return handle
	}
	return func(c echo.Context) error {
		c.Response().Header().Set("Cache-Control", "no-store")
		by, err := a.identify(c)
		if err != nil {
			return err
		}
		if who == operator && !by.Operator {
			a.log.Warn("a viewer's token was used for what only operators may do", "by", by.Name, "from", by.From, "route", c.Path())
			return problem.New(problem.Forbidden).Sayf(
				"The token %q is a viewer's; this needs one with the role operator.",
				"令牌 %q 的角色是 viewer；该操作需要 operator 角色的令牌。", by.Name)
		}
		c.Set(actorKey, by)
		return handle(c)
	}
}

// identify says who asks. An address that keeps trying wrong tokens is refused for a while, whatever it sends, so that
// nobody can guess on, however many answers they take. Only a token that has been right from there before is still
// taken: a guess gains nothing by that, and a neighbour's stale token locks no operator out.
func (a *auth) identify(c echo.Context) (admin.Actor, error) {
	given, token, bearer := credentials(c.Request())
	var key [sha256.Size]byte // Of no token, unless there is one.
	if bearer {
		key = sha256.Sum256([]byte(token))
	}
	by, err := a.admit(key, given, c.RealIP())
	if err != nil {
		c.Response().Header().Set("WWW-Authenticate", `Bearer realm="carrier admin"`)
	}
	return by, err
}

// admit says whose the token with that digest is. given tells whether there are credentials at all: without any, nobody
// has guessed.
func (a *auth) admit(digest [sha256.Size]byte, given bool, from string) (admin.Actor, error) {
	by, ok := a.owner(digest)
	if wait := a.wrong.blocked(from, time.Now()); wait > 0 && !(ok && a.wrong.knows(from, by.Name)) {
		return admin.Actor{}, tooManyWrong(wait)
	}
	if ok {
		a.wrong.right(from, by.Name)
		by.From = from
		return by, nil
	}
	if given && a.wrong.count(from, time.Now()) {
		a.log.Warn("wrong admin tokens: the address is refused for a while", "from", from, "wrong", maxWrong, "for", wrongWindow)
	}
	return admin.Actor{}, a.unauthorized()
}

// owner compares the digest with every token's, in constant time, so that nothing of a token shows in the timing.
func (a *auth) owner(digest [sha256.Size]byte) (by admin.Actor, ok bool) {
	for _, t := range *a.tokens.Load() {
		if same := subtle.ConstantTimeCompare(digest[:], t.digest[:]); same == 1 {
			by, ok = t.actor, true
		}
	}
	return by, ok
}

// credentials are what a request identifies itself with; given tells whether it has any, of whatever kind.
func credentials(r *http.Request) (given bool, token string, bearer bool) {
	header := r.Header.Get("Authorization")
	scheme, token, _ := strings.Cut(header, " ")
	bearer = strings.EqualFold(scheme, "Bearer")
	return header != "", token, bearer
}

func tooManyWrong(wait time.Duration) error {
	return problem.New(problem.RateLimited).After(wait).Say(
		"Too many wrong tokens came from this address: for a while none is looked at. Correct the token, and try again after the seconds in Retry-After.",
		"该地址多次使用错误的令牌，暂时不再校验。请更正令牌，并在 Retry-After 指定的秒数之后重试。")
}

func (a *auth) unauthorized() error {
	if len(*a.tokens.Load()) == 0 {
		return problem.New(problem.Unauthorized).Say(
			"No admin token is configured; add one under admin.tokens and reload the configuration (SIGHUP), or restart.",
			"未配置管理令牌；请在 admin.tokens 中添加，然后重新加载配置（SIGHUP）或重启。")
	}
	return problem.New(problem.Unauthorized).Say(
		"Send Authorization: Bearer TOKEN with one of the tokens of admin.tokens.",
		"请使用 admin.tokens 中的令牌，发送 Authorization: Bearer TOKEN。")
}
