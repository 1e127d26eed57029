package console

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"carrier/internal/problem"
)

// loginView is the form to log in with.
type loginView struct {
	Next  string           // Where to go then.
	Error *problem.Problem // Why it was not taken; nil: nothing was tried.
	Ended bool             // A form was sent without a session: nothing was done.
}

// LoginPage shows the form. Who is logged in already goes on.
func (c *Console) LoginPage(v *Visit) error {
	next := v.R.URL.Query().Get("next")
	if v.session != nil {
		return v.Redirect(next)
	}
	return v.Show("login", loginView{Next: next, Ended: v.R.URL.Query().Has("ended")})
}

// Login takes an admin token and begins a session.
func (c *Console) Login(v *Visit) error {
	if _, err := v.Form(); err != nil {
		return err
	}
	next := v.Field("next")
	key, by, err := v.call.Tokens.Open(v.Field("token"), v.call.From)
	if p, ok := errors.AsType[*problem.Problem](err); ok {
		return v.refuse(p, "login", loginView{Next: next, Error: p})
	}
	if err != nil {
		return err
	}
	c.endPresent(v)
	http.SetCookie(v.W, v.cookie(c.sessions.begin(key, time.Now())))
	c.log.Info("logged in to the console", "by", by.Name, "from", v.call.From)
	return v.Redirect(next)
}

// Logout ends the session.
func (c *Console) Logout(v *Visit) error {
	c.endPresent(v)
	gone := v.cookie("")
	gone.MaxAge = -1
	http.SetCookie(v.W, gone)
	c.log.Info("logged out of the console", "by", v.By.Name, "from", v.call.From)
	return v.Redirect("/login")
}

// endPresent ends the session that the request came with, if it has one: no id outlives a log-in.
func (c *Console) endPresent(v *Visit) {
	if cookie, err := v.R.Cookie(sessionCookie); err == nil {
		c.sessions.stop(cookie.Value)
	}
}

// askToLogIn leads to the form, and from there to the page that was asked for. An act that was sent is not repeated by
// itself: the form says that nothing was done.
func (v *Visit) askToLogIn() error {
	ask := url.Values{}
	switch v.R.Method {
	case http.MethodGet, http.MethodHead:
		if here := v.R.URL.RequestURI(); here != "/" {
			ask.Set("next", here)
		}
	default:
		ask.Set("next", v.back())
		ask.Set("ended", "1")
	}
	to := "/login"
	if len(ask) > 0 {
		to += "?" + ask.Encode()
	}
	return v.Redirect(to)
}
