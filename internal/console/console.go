package console

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"

	"carrier/internal/problem"
)

// Admin is all that the pages need of admin.Service: what each does is declared beside it.
type Admin interface {
	Accounts
	Figures
	Replays
	Records
	Pushes
	Bulk
	Events
	Finder
	Waybills
}

// Options sets up a Console.
type Options struct {
	Admin Admin
	Meter *Meter // nil: a new one, that nobody else counts with.
	// Trouble says what is wrong with the service as a whole, in sentences. nil: nothing ever is.
	Trouble func() []string
	Log     *slog.Logger
}

// Console is the pages. It is safe for concurrent use. Live pages need [Console.Run].
type Console struct {
	admin    Admin
	log      *slog.Logger
	pages    pages
	sessions *sessions
	origin   *http.CrossOriginProtection
	meter    *Meter
	trouble  func() []string
	hub      hub
	slow     slow
}

// New parses the templates; an error is one that can't be parsed.
func New(o Options) (*Console, error) {
	parsed, err := parsePages()
	if err != nil {
		return nil, err
	}
	if o.Meter == nil {
		o.Meter = NewMeter()
	}
	if o.Trouble == nil {
		o.Trouble = func() []string { return nil }
	}
	return &Console{
		admin: o.Admin, log: o.Log, pages: parsed, sessions: newSessions(), origin: http.NewCrossOriginProtection(),
		meter: o.Meter, trouble: o.Trouble,
	}, nil
}

// EndOrphans ends the sessions whose token is not among these any more.
func (c *Console) EndOrphans(tokens Tokens) {
	if ended := c.sessions.endOrphans(tokens); ended > 0 {
		c.log.Info("sessions of the console ended, as their admin tokens were taken out", "sessions", ended)
	}
}

// Handler answers a visit. An error becomes a page that says what to do next.
type Handler func(v *Visit) error

// Access says who may see a page.
type Access uint8

const (
	Anyone   Access = iota // Nobody needs to be logged in.
	Viewer                 // Whoever is logged in.
	Operator               // Who is logged in with an operator's token.
)

// String is the access in a word, for documentation.
func (a Access) String() string { return [...]string{"anyone", "viewer", "operator"}[a] }

// Call is what the server knows of a request.
type Call struct {
	From   string                   // The address that it came from.
	Secure bool                     // It came over TLS.
	Param  func(name string) string // A part of the path, unescaped.
	Tokens Tokens
}

// policy lets a page load nothing but what is served beside it, run no script that stands in it, and be in no frame.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// maxForm bounds what is read of a form.
const maxForm = 256 << 10

// Serve answers one request: it sees who asks and whether they may, and what comes of handle. It always answers.
func (c *Console) Serve(w http.ResponseWriter, r *http.Request, call Call, who Access, handle Handler) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	v := c.visit(w, r, call)
	if err := c.answer(v, who, handle); err != nil {
		v.fail(err)
	}
}

// answer lets handle answer if who asks may.
func (c *Console) answer(v *Visit, who Access, handle Handler) error {
	if err := c.origin.Check(v.R); err != nil {
		return problem.New(problem.Forbidden).Because(err).Say(
			"The form was sent from another site's page, so nothing was done. Open the console itself and try again.",
			"表单来自其他网站的页面，未执行任何操作。请在控制台内重新操作。")
	}
	if v.remember() {
		return nil
	}
	switch {
	case who != Anyone && v.session == nil:
		return v.askToLogIn()
	case who == Operator && !v.By.Operator:
		return problem.New(problem.Forbidden).Sayf(
			"The token %q is a viewer's; this needs one with the role operator. Nothing was done.",
			"令牌 %q 的角色是 viewer；该操作需要 operator 角色的令牌。未执行任何操作。", v.By.Name)
	}
	return handle(v)
}

// fail answers with a page about an error. What nobody can mend by another request is logged.
func (v *Visit) fail(err error) {
	if errors.Is(err, context.Canceled) && v.R.Context().Err() != nil {
		return // Nobody is there to read it.
	}
	p, ok := errors.AsType[*problem.Problem](err)
	if !ok {
		p = problem.New(problem.Internal).Because(err)
	}
	if p.Status() == http.StatusInternalServerError {
		v.logFailure(p.Cause)
	}
	if err := v.refuse(p, "error", errorView{Problem: p, Back: v.back()}); err != nil {
		v.console.log.Error("the page about an error failed", "path", v.R.URL.Path, "err", err)
		http.Error(v.W, p.Detail.En, p.Status())
	}
}

// refuse answers with a page that tells of a problem.
func (v *Visit) refuse(p *problem.Problem, name string, view any) error {
	if p.RetryAfter > 0 {
		v.W.Header().Set("Retry-After", strconv.Itoa(p.RetrySeconds()))
	}
	return v.page(p.Status(), name, view)
}

// logFailure logs an error, with the place if it was a panic.
func (v *Visit) logFailure(err error) {
	args := []any{"path", v.R.URL.Path, "err", err}
	if at, ok := errors.AsType[interface {
		error
		Stack() string
	}](err); ok {
		args = append(args, "stack", at.Stack())
	}
	v.console.log.Error("a page failed", args...)
}

// errorView is what went wrong and where to go from there.
type errorView struct {
	*problem.Problem
	Back string
}

// Title is what went wrong, in a few words.
func (e errorView) Title() problem.Text {
	entry, _ := problem.Look(e.Code)
	return entry.Title
}

// Fail answers with a page about an error that came before any handler, such as a path that there is not.
func (c *Console) Fail(w http.ResponseWriter, r *http.Request, call Call, err error) {
	c.Serve(w, r, call, Anyone, func(*Visit) error { return err })
}

// local tells whether to is a path of the console: no other site's address, however a browser reads it.
func local(to string) bool {
	u, err := url.Parse(to)
	return err == nil && u.Scheme == "" && u.Host == "" && len(to) > 0 && to[0] == '/' &&
		(len(to) == 1 || to[1] != '/' && to[1] != '\\')
}
