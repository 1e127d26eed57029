package server

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"carrier/api"
	"carrier/internal/admin"
	"carrier/internal/console"
)

// route is one way in.
type route struct {
	method, path string
	access       access
	handle       echo.HandlerFunc
}

// eventRoutes are served on server.listen.
func eventRoutes(o *Options) []route {
	return []route{
		{http.MethodPost, "/v1/events", sources, o.Events.Event},
		{http.MethodPost, "/v1/events/batch", sources, o.Events.Batch},
		{http.MethodGet, "/wechat/:delivery/callback", weixin, callback(o.Callbacks)},
		{http.MethodPost, "/wechat/:delivery/callback", weixin, callback(o.Callbacks)},
		{http.MethodGet, "/livez", anyone, livez},
	}
}

// adminRoutes are served on server.admin_listen.
func adminRoutes(o *Options) []route {
	h := &adminAPI{o.Admin}
	return []route{
		{http.MethodGet, "/livez", anyone, livez},
		{http.MethodGet, "/readyz", anyone, readyz(o.Ready)},
		{http.MethodGet, "/metrics", anyone, echo.WrapHandler(o.Metrics)},
		{http.MethodGet, "/openapi.yaml", anyone, description(api.OpenAPI)},
		{http.MethodGet, "/asyncapi.yaml", anyone, description(api.AsyncAPI)},
		{http.MethodGet, "/docs", anyone, docs},
		{http.MethodGet, "/docs/*", anyone, docsFile},

		{http.MethodGet, "/admin/v1/pushes", viewer, listed(admin.PushQuery, h.Pushes)},
		{http.MethodGet, "/admin/v1/pushes/:seq", viewer, show(seqParam, h.Push)},
		{http.MethodPost, "/admin/v1/pushes/:seq/replay", operator, plain(h.replay)},
		{http.MethodPost, "/admin/v1/pushes/:seq/discard", operator, act(http.StatusOK, seqParam, h.Discard)},
		{http.MethodPost, "/admin/v1/pushes/:seq/retry", operator, act(http.StatusAccepted, seqParam, h.Retry)},
		{http.MethodGet, "/admin/v1/events", viewer, listed(admin.EventQuery, h.Events)},
		{http.MethodPost, "/admin/v1/events/:seq/accept", operator, act(http.StatusOK, seqParam, h.Accept)},

		{http.MethodGet, "/admin/v1/waybills", viewer, listed(admin.FindQuery, h.Find)},
		{http.MethodGet, "/admin/v1/silent", viewer, listed(admin.SilentQuery, h.Silent)},
		{http.MethodGet, "/admin/v1/waybills/:delivery/:waybill", viewer, show(waybillParam, h.Waybill)},
		{http.MethodPut, "/admin/v1/waybills/:delivery/:waybill/token", operator, plain(h.putToken)},
		{http.MethodPost, "/admin/v1/waybills/:delivery/:waybill/freeze", operator, act(http.StatusOK, waybillParam, h.Freeze)},
		{http.MethodPost, "/admin/v1/waybills/:delivery/:waybill/thaw", operator, act(http.StatusOK, waybillParam, h.Thaw)},
		{http.MethodPost, "/admin/v1/waybills/:delivery/:waybill/skip", operator, act(http.StatusOK, waybillParam, h.Skip)},
		{http.MethodPost, "/admin/v1/waybills/:delivery/:waybill/retry", operator, act(http.StatusOK, waybillParam, h.RetryWaybill)},
		{http.MethodGet, "/admin/v1/waybills/:delivery/:waybill/upstream", viewer, h.upstream},
		{http.MethodPost, "/admin/v1/waybills/:delivery/:waybill/heal", operator, plain(h.heal)},
		{http.MethodPost, "/admin/v1/waybills/:delivery/:waybill/expunge", operator, act(http.StatusOK, waybillParam, h.Expunge)},

		{http.MethodPost, "/admin/v1/replays", operator, plain(h.startReplay)},
		{http.MethodGet, "/admin/v1/replays", viewer, listed(admin.ReplaysQuery, h.ListReplays)},
		{http.MethodGet, "/admin/v1/replays/:id", viewer, show(replayParam, h.ReadReplay)},
		{http.MethodPost, "/admin/v1/replays/:id/pause", operator, act(http.StatusOK, replayParam, h.PauseReplay)},
		{http.MethodPost, "/admin/v1/replays/:id/resume", operator, act(http.StatusOK, replayParam, h.ResumeReplay)},
		{http.MethodPost, "/admin/v1/replays/:id/cancel", operator, act(http.StatusOK, replayParam, h.CancelReplay)},

		{http.MethodGet, "/admin/v1/accounts", viewer, plain(h.accounts)},
		{http.MethodPost, "/admin/v1/accounts/:delivery/pause", operator, act(http.StatusOK, accountParam, h.Pause)},
		{http.MethodPost, "/admin/v1/accounts/:delivery/resume", operator, plain(h.resume)},
		{http.MethodPost, "/admin/v1/accounts/:delivery/probe", operator, act(http.StatusOK, accountParam, h.Probe)},

		{http.MethodPost, "/admin/v1/wechat/path", viewer, h.upstreamPath},
		{http.MethodPost, "/admin/v1/wechat/order", operator, h.upstreamOrder},
		{http.MethodPost, "/admin/v1/wechat/orders", operator, h.upstreamOrders},

		{http.MethodGet, "/admin/v1/differences", viewer, plain(h.differences)},
		{http.MethodGet, "/admin/v1/dead-letters", viewer, listed(admin.DeadLettersQuery, h.DeadLetters)},
		{http.MethodGet, "/admin/v1/audit", viewer, listed(admin.AuditQuery, h.Audit)},
		{http.MethodGet, "/admin/v1/stats", viewer, plain(h.stats)},
		{http.MethodPost, "/admin/v1/store/backup", operator, plain(h.backup)},
	}
}

// consolePages are served on server.admin_listen too. Who may see them is somebody's session, not a request's token.
func consolePages(c *console.Console) []page {
	return []page{
		{http.MethodGet, "/login", console.Anyone, c.LoginPage},
		{http.MethodPost, "/login", console.Anyone, c.Login},
		{http.MethodPost, "/logout", console.Viewer, c.Logout},
		{http.MethodGet, "/console/static/:build/:file", console.Anyone, c.Static},

		{http.MethodGet, "/console/events", console.Viewer, c.Events},

		{http.MethodGet, "/", console.Viewer, c.Overview},
		{http.MethodGet, "/sources", console.Viewer, c.Sources},
		{http.MethodGet, "/accounts", console.Viewer, c.Accounts},
		{http.MethodPost, "/accounts/:delivery/pause", console.Operator, c.PauseAccount},
		{http.MethodPost, "/accounts/:delivery/resume", console.Operator, c.ResumeAccount},
		{http.MethodPost, "/accounts/:delivery/probe", console.Operator, c.ProbeAccount},
		{http.MethodGet, "/replays", console.Viewer, c.Replays},
		{http.MethodGet, "/replays/:id", console.Viewer, c.Replay},
		{http.MethodPost, "/replays/:id/pause", console.Operator, c.PauseReplay},
		{http.MethodPost, "/replays/:id/resume", console.Operator, c.ResumeReplay},
		{http.MethodPost, "/replays/:id/cancel", console.Operator, c.CancelReplay},
		{http.MethodGet, "/differences", console.Viewer, c.Differences},
		{http.MethodGet, "/dead-letters", console.Viewer, c.DeadLetters},
		{http.MethodGet, "/audit", console.Viewer, c.Audit},

		{http.MethodGet, "/pushes", console.Viewer, c.Pushes},
		{http.MethodGet, "/pushes.csv", console.Viewer, c.PushesCSV},
		{http.MethodPost, "/pushes/replay", console.Operator, c.ReplayAll},
		{http.MethodPost, "/pushes/replay/chosen", console.Operator, c.ReplayChosen},
		{http.MethodGet, "/pushes/:seq", console.Viewer, c.Push},
		{http.MethodPost, "/pushes/:seq/replay", console.Operator, c.ReplayPush},
		{http.MethodPost, "/pushes/:seq/discard", console.Operator, c.DiscardPush},
		{http.MethodPost, "/pushes/:seq/retry", console.Operator, c.RetryPush},

		{http.MethodGet, "/waybills", console.Viewer, c.Waybills},
		{http.MethodGet, "/waybills/:delivery/:waybill", console.Viewer, c.Waybill},
		{http.MethodPost, "/waybills/:delivery/:waybill/upstream", console.Viewer, c.AskUpstream},
		{http.MethodPost, "/waybills/:delivery/:waybill/token", console.Operator, c.PutToken},
		{http.MethodPost, "/waybills/:delivery/:waybill/freeze", console.Operator, c.FreezeWaybill},
		{http.MethodPost, "/waybills/:delivery/:waybill/thaw", console.Operator, c.ThawWaybill},
		{http.MethodPost, "/waybills/:delivery/:waybill/skip", console.Operator, c.SkipHead},
		{http.MethodPost, "/waybills/:delivery/:waybill/retry", console.Operator, c.RetryHead},
		{http.MethodPost, "/waybills/:delivery/:waybill/heal", console.Operator, c.Heal},
		{http.MethodPost, "/waybills/:delivery/:waybill/expunge", console.Operator, c.Expunge},

		{http.MethodGet, "/events/rejected", console.Viewer, c.Rejected},
		{http.MethodGet, "/events/held", console.Viewer, c.Held},
		{http.MethodPost, "/events/:seq/accept", console.Operator, c.AcceptEvent},
		{http.MethodGet, "/silent", console.Viewer, c.Silent},
	}
}

// RouteInfo is a route as documentation and tests see it.
type RouteInfo struct {
	Method, Path string
	Access       string // "anyone", "source", "wechat", "viewer" or "operator"
	Admin        bool   // on server.admin_listen, else on server.listen
}

// Pages lists the console's pages.
func Pages() []RouteInfo {
	var all []RouteInfo
	for _, p := range consolePages(nil) {
		all = append(all, RouteInfo{p.method, p.path, p.access.String(), true})
	}
	return all
}

// Routes lists the API's routes, of both listeners.
func Routes() []RouteInfo {
	var all []RouteInfo
	o := &Options{Events: noEvents{}}
	for i, routes := range [][]route{eventRoutes(o), adminRoutes(o)} {
		for _, r := range routes {
			all = append(all, RouteInfo{r.method, r.path, r.access.String(), i == 1})
		}
	}
	return all
}

// noEvents lets Routes list the webhook's routes without one.
type noEvents struct{ Events }

func (noEvents) Event(echo.Context) error { return nil }
func (noEvents) Batch(echo.Context) error { return nil }
