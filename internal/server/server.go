// Package server is the two HTTP listeners: one for events (and WeChat's callbacks), which may face the network, and
// one for admin, health and metrics, which stays inside. routes.go lists every route with who may call it.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/labstack/echo/v4"

	"carrier/internal/admin"
	"carrier/internal/console"
	"carrier/internal/problem"
)

// Events answers the webhook's two routes (see ingest.Webhook).
type Events interface {
	Event(c echo.Context) error
	Batch(c echo.Context) error
}

// Callbacks takes WeChat's own pushes (see orders.Service). An error is what is to be answered instead.
type Callbacks interface {
	Callback(w http.ResponseWriter, r *http.Request, deliveryID string) error
}

// Options sets up a Server.
type Options struct {
	Listen      string // host:port of events.
	AdminListen string // host:port of admin, health and metrics.
	Events      Events
	Callbacks   Callbacks
	Admin       *admin.Service
	Console     *console.Console // nil: there is none
	Tokens      []Token
	Metrics     http.Handler
	// Ready says why the service can't take events (an error), and what is degraded while it can.
	Ready func() (degraded []string, err error)
	// Observe hears of each request; route is the pattern, not the path. It must not block. May be nil.
	Observe        func(route string, status int, took time.Duration)
	TrustedProxies []netip.Prefix // Peers whose X-Forwarded-For is believed.
	Log            *slog.Logger
}

// Server is both listeners.
type Server struct {
	events, admin         *http.Server
	eventsAddr, adminAddr net.Listener
	auth                  *auth
	console               *console.Console // nil: there is none
	log                   *slog.Logger
}

// Listen opens both listeners, so that a taken port is found before anything else is started. It serves nothing yet.
func Listen(ctx context.Context, o Options) (*Server, error) {
	var lc net.ListenConfig
	events, err := lc.Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("server.listen: %w; is another process using it? choose another address", err)
	}
	adm, err := lc.Listen(ctx, "tcp", o.AdminListen)
	if err != nil {
		return nil, errors.Join(
			fmt.Errorf("server.admin_listen: %w; is another process using it? choose another address", err), events.Close())
	}
	auth := newAuth(&o)
	adminSide := newEcho(&o, adminRoutes(&o), auth, notOnAdmin)
	if o.Console != nil {
		addPages(adminSide, o.Console, auth)
	}
	return &Server{
		events:     newHTTPServer(newEcho(&o, eventRoutes(&o), auth, notOnEvents), o.Log),
		admin:      newHTTPServer(adminSide, o.Log),
		eventsAddr: events, adminAddr: adm, auth: auth, console: o.Console, log: o.Log,
	}, nil
}

// Addr is where events are taken; AdminAddr is the other one.
func (s *Server) Addr() string { return s.eventsAddr.Addr().String() }

// AdminAddr is where admin, health and metrics are served.
func (s *Server) AdminAddr() string { return s.adminAddr.Addr().String() }

// SetTokens puts other admin tokens in the place of all that there are, at once: sessions of the console that were begun
// with a token which is no more end, and so do the live pages under them.
func (s *Server) SetTokens(tokens []Token) {
	s.auth.set(tokens)
	if s.console != nil {
		s.console.EndOrphans(s.auth)
	}
}

// ServeEvents serves events until ctx ends, and then until the requests under way are answered, at most grace long.
func (s *Server) ServeEvents(ctx context.Context, grace time.Duration) error {
	return s.serve(ctx, s.events, s.eventsAddr, grace)
}

// ServeAdmin does the same for the other listener.
func (s *Server) ServeAdmin(ctx context.Context, grace time.Duration) error {
	return s.serve(ctx, s.admin, s.adminAddr, grace)
}

// serve waits for the end of Shutdown itself: Serve returns as soon as it begins, with requests still under way. Those
// that outlast grace, and connections on which nothing was ever asked, are cut off: that is no failure of the stop.
func (s *Server) serve(ctx context.Context, srv *http.Server, l net.Listener, grace time.Duration) error {
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := srv.Shutdown(stop)
	if errors.Is(err, context.DeadlineExceeded) {
		s.log.Warn("connections were cut off that did not end in time", "listener", l.Addr().String(), "after", grace)
		err = srv.Close()
	}
	<-failed
	return err
}

// Close closes both listeners, if they are not served.
func (s *Server) Close() error { return errors.Join(s.eventsAddr.Close(), s.adminAddr.Close()) }

// newHTTPServer sets every time-out: Echo's own server has none, so that a slow client would hold it for ever.
func newHTTPServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       90 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// What a listener says of paths that it does not have: often they are the other one's.
var (
	notOnEvents = problem.Text{
		En: "There is nothing at this address. Events are posted to /v1/events and /v1/events/batch here; " +
			"console, admin API, /docs, /metrics and /readyz are on the other listener, server.admin_listen.",
		Zh: "该地址没有内容。此端口的 /v1/events 与 /v1/events/batch 接收事件；控制台、管理接口、/docs、/metrics 与 /readyz 在另一端口 server.admin_listen。",
	}
	notOnAdmin = problem.Text{
		En: "There is nothing at this address; /docs lists what there is. Events are posted to the other listener, server.listen.",
		Zh: "该地址没有内容，可用接口见 /docs。事件请发往另一端口 server.listen。",
	}
)

// newEcho routes. Echo's own server and binder are not used.
func newEcho(o *Options, routes []route, auth *auth, notHere problem.Text) *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = ipExtractor(o.TrustedProxies)
	e.HTTPErrorHandler = func(err error, c echo.Context) { answerError(o.Log, err, notHere, c) }
	e.Use(observe(o), recovered)
	for _, r := range routes {
		handle := auth.guard(r.access, r.handle)
		e.Add(r.method, r.path, handle)
		if r.method == http.MethodGet {
			e.Add(http.MethodHead, r.path, handle) // RFC 9110, section 9.1; load balancers use it. net/http drops the body.
		}
	}
	return e
}

// ipExtractor believes X-Forwarded-For only of the proxies named: anybody can send the header.
func ipExtractor(trusted []netip.Prefix) echo.IPExtractor {
	if len(trusted) == 0 {
		return echo.ExtractIPDirect()
	}
	options := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, p := range trusted {
		options = append(options, echo.TrustIPRange(&net.IPNet{
			IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
		}))
	}
	return echo.ExtractIPFromXFFHeader(options...)
}

// observe tells of each request when it is answered.
func observe(o *Options) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if o.Observe == nil {
				return next(c)
			}
			start := time.Now()
			if err := next(c); err != nil {
				c.Error(err)
			}
			route := c.Path()
			if c.Response().Status == http.StatusNotFound && route == "" {
				route = "none"
			}
			o.Observe(route, c.Response().Status, time.Since(start))
			return nil
		}
	}
}

// recovered makes an error of a panic, so that one request can't end the process or tell the caller what it held.
func recovered(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			if r := recover(); r != nil {
				if r == http.ErrAbortHandler {
					panic(r)
				}
				err = newPanicError(r)
			}
		}()
		return next(c)
	}
}

// answerError is the one place that makes an answer of an error: problems speak for themselves, the router's errors
// get the problem of their status (notHere says what there is instead of a path), everything else is logged and answered as
// an internal error.
func answerError(log *slog.Logger, err error, notHere problem.Text, c echo.Context) {
	if c.Response().Committed {
		return
	}
	p := problemOf(err)
	if errors.Is(err, echo.ErrNotFound) {
		p.Detail = notHere
	}
	if p.Status() == http.StatusInternalServerError {
		logFailure(log, p, c) // The others have a cause that its own part tells of, once and not with each request.
	}
	if err := p.Write(c.Response(), c.Request()); err != nil {
		log.Debug("answering a request", "err", err)
	}
}

// problemOf is the problem that an error is answered with.
func problemOf(err error) *problem.Problem {
	if p, ok := errors.AsType[*problem.Problem](err); ok {
		return p
	}
	if he, ok := errors.AsType[*echo.HTTPError](err); ok {
		return problem.New(problem.ForStatus(he.Code))
	}
	return problem.New(problem.Internal).Because(err)
}

func logFailure(log *slog.Logger, p *problem.Problem, c echo.Context) {
	args := []any{"route", c.Path(), "code", string(p.Code), "err", p.Cause}
	if pe, ok := errors.AsType[*panicError](p.Cause); ok {
		args = append(args, "stack", pe.stack)
	}
	log.Error("a request failed", args...)
}
