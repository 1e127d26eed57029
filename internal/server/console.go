package server

import (
	"crypto/sha256"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"carrier/internal/admin"
	"carrier/internal/console"
)

// page is one of the console's pages, or an act of one.
type page struct {
	method, path string
	access       console.Access
	handle       console.Handler
}

// serve answers with the page. The console itself sees who is logged in, and answers errors with pages.
func (p *page) serve(con *console.Console, a *auth) echo.HandlerFunc {
	return func(c echo.Context) error {
		con.Serve(c.Response(), c.Request(), a.call(c), p.access, func(v *console.Visit) error {
			return recovered(func(echo.Context) error { return p.handle(v) })(c)
		})
		return nil
	}
}

// addPages adds the console's pages to the routes of the admin listener. A browser that asks for what there is not gets
// a page too.
func addPages(e *echo.Echo, con *console.Console, a *auth) {
	document := e.HTTPErrorHandler
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		if c.Response().Committed || !wantsPage(c.Request()) {
			document(err, c)
			return
		}
		con.Fail(c.Response(), c.Request(), a.call(c), problemOf(err))
	}
	for _, p := range consolePages(con) {
		serve := p.serve(con, a)
		e.Add(p.method, p.path, serve)
		if p.method == http.MethodGet {
			e.Add(http.MethodHead, p.path, serve)
		}
	}
}

// wantsPage tells whether somebody looks with a browser at what is no part of the API.
func wantsPage(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/html") && !strings.HasPrefix(r.URL.Path, "/admin/")
}

// call is what the console is told of a request.
func (a *auth) call(c echo.Context) console.Call {
	return console.Call{
		From: c.RealIP(), Secure: c.Scheme() == "https", Tokens: a,
		Param: func(name string) string { return param(c, name) },
	}
}

// Open implements console.Tokens: a wrong token at the log-in counts as one at the API does.
func (a *auth) Open(token, from string) (console.TokenKey, admin.Actor, error) {
	key := sha256.Sum256([]byte(token))
	by, err := a.admit(key, token != "", from)
	return key, by, err
}

// Whose implements console.Tokens.
func (a *auth) Whose(key console.TokenKey) (admin.Actor, bool) { return a.owner(key) }
