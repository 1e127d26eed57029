package console

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"carrier/internal/admin"
	"carrier/internal/problem"
)

// Visit is one request: who looks, how they want to be spoken to, and the ways to answer.
type Visit struct {
	W  http.ResponseWriter
	R  *http.Request
	By admin.Actor // The zero Actor if nobody is logged in.

	console *Console
	call    Call
	lang    problem.Language
	theme   string   // "light", "dark", or empty: as the system has it
	session *session // nil: nobody is logged in
}

// visit finds out who asks.
func (c *Console) visit(w http.ResponseWriter, r *http.Request, call Call) *Visit {
	v := &Visit{W: w, R: r, console: c, call: call, lang: language(r), theme: theme(r)}
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return v
	}
	if v.session = c.sessions.find(cookie.Value, call.Tokens, time.Now()); v.session != nil {
		v.By, _ = call.Tokens.Whose(v.session.token)
		v.By.From = call.From
	}
	return v
}

// Context ends when nobody waits for the answer any more.
func (v *Visit) Context() context.Context { return v.R.Context() }

// Param is a part of the path, unescaped.
func (v *Visit) Param(name string) string { return v.call.Param(name) }

// Query are the parameters of the address. One that is empty is as good as missing: a form sends all its fields.
func (v *Visit) Query() (url.Values, error) {
	values, err := url.ParseQuery(v.R.URL.RawQuery)
	if err != nil {
		return nil, problem.New(problem.InvalidFilter).Because(err).Say(
			"The part of the address after ? can't be read: escape % as %25, and ; as %3B.",
			"地址中 ? 之后的部分无法解析：请将 % 转义为 %25，; 转义为 %3B。")
	}
	for name, all := range values {
		kept := all[:0]
		for _, value := range all {
			if value = strings.TrimSpace(value); value != "" {
				kept = append(kept, value)
			}
		}
		if values[name] = kept; len(kept) == 0 {
			delete(values, name)
		}
	}
	return values, nil
}

// Form are the fields of the form that was sent; the address's parameters are not among them.
func (v *Visit) Form() (url.Values, error) {
	if err := v.R.ParseForm(); err != nil {
		return nil, problem.New(problem.InvalidRequest).Because(err).Say("The form can't be read. Go back and send it again.",
			"无法读取表单。请返回后重新提交。")
	}
	return v.R.PostForm, nil
}

// Field is one field of the form that was sent, without spaces around it.
func (v *Visit) Field(name string) string { return strings.TrimSpace(v.R.PostFormValue(name)) }

// T is a text of the catalogue in the visitor's language.
func (v *Visit) T(key string, args ...any) string { return say(v.lang, key, args...) }

// In is a text in the visitor's language.
func (v *Visit) In(t admin.Text) string { return in(v.lang, t) }

// Show answers with a page: the template of that name, filled with view.
func (v *Visit) Show(name string, view any) error { return v.page(http.StatusOK, name, view) }

// Done ends an act: back to a path of the console, where a text of the catalogue says what was done.
func (v *Visit) Done(to, key string, args ...any) error {
	if v.session != nil {
		v.session.flash(v.T(key, args...))
	}
	return v.Redirect(to)
}

// Redirect sends the visitor to a path of the console, to be read with GET.
func (v *Visit) Redirect(to string) error {
	if !local(to) {
		to = "/"
	}
	http.Redirect(v.W, v.R, to, http.StatusSeeOther)
	return nil
}

// back is where a visitor came from, as far as that is a page of the console, and else the overview.
func (v *Visit) back() string {
	from, err := url.Parse(v.R.Referer())
	if err != nil || from.Host != v.R.Host || from.Path == v.R.URL.Path || !local(from.RequestURI()) {
		return "/"
	}
	return from.RequestURI()
}

// page writes a page. It is made in memory first, so that one that fails is answered with an error and not cut off.
func (v *Visit) page(status int, name string, view any) error {
	body, err := v.console.pages.render(v.lang, name, v.frame(view, status == http.StatusOK))
	if err != nil {
		return err
	}
	h := v.W.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", v.lang.Tag())
	h.Add("Vary", "Accept-Language, Cookie")
	v.W.WriteHeader(status)
	if v.R.Method == http.MethodHead {
		return nil
	}
	_, _ = v.W.Write(body) // Whoever has gone away reads no error.
	return nil
}

// Frame is what a template is filled with: what stands around every page, and the page's own view.
type Frame struct {
	Lang  string
	Theme string
	Path  string      // Of this page.
	Here  string      // This page with its parameters; of one that answers a form, the page that the form was on.
	By    admin.Actor // The zero Actor if nobody is logged in.
	Nav   []navItem
	Flash []string // What was just done.
	View  any
}

// bareFrame is a frame with nothing around the view, for a part of a page.
func (v *Visit) bareFrame(view any) Frame {
	here := v.R.URL.RequestURI()
	if v.R.Method == http.MethodPost {
		here = v.back() // A link to another language can't send the form again.
	}
	return Frame{Lang: v.lang.Tag(), Theme: v.theme, Path: v.R.URL.Path, Here: here, By: v.By, View: view}
}

// frame is what stands around a view. What was just done is told on a page that came off: on one about an error it would
// be taken for part of that.
func (v *Visit) frame(view any, cameOff bool) Frame {
	f := v.bareFrame(view)
	if v.session == nil {
		return f
	}
	f.Nav = navigation(v.R.URL.Path)
	if cameOff {
		f.Flash = v.session.takeFlash()
	}
	return f
}

// LoggedIn tells whether anybody is.
func (f Frame) LoggedIn() bool { return f.By.Name != "" }

// With is the address of this page with another value of a parameter; empty takes it out.
func (f Frame) With(name, value string) string { return withParam(f.Here, name, value) }

// Listen is the address at which a live page is listened to: of is its name, and id, if it is not empty, what it is about.
func (f Frame) Listen(of, id string) string {
	u, err := url.Parse(f.Here)
	if err != nil {
		return ""
	}
	q := u.Query()
	q.Set("of", of)
	if id != "" {
		q.Set("id", id)
	}
	return "/console/events?" + q.Encode()
}

// withParam changes one parameter of a path with parameters.
func withParam(here, name, value string) string {
	u, err := url.Parse(here)
	if err != nil {
		return "/"
	}
	q := u.Query()
	if q.Del(name); value != "" {
		q.Set(name, value)
	}
	u.RawQuery = q.Encode()
	return u.RequestURI()
}
