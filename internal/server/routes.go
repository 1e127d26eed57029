package server

import (
	"net/http"

	"github.com/labstack/echo/v4"
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

		{http.MethodGet, "/admin/v1/pushes", viewer, h.pushes},
		{http.MethodGet, "/admin/v1/pushes/:seq", viewer, h.push},
		{http.MethodPost, "/admin/v1/pushes/:seq/replay", operator, h.replay},
		{http.MethodGet, "/admin/v1/events", viewer, h.events},
		{http.MethodGet, "/admin/v1/waybills/:delivery/:waybill", viewer, h.waybill},
		{http.MethodPut, "/admin/v1/waybills/:delivery/:waybill/token", operator, h.putToken},
		{http.MethodGet, "/admin/v1/accounts", viewer, h.accounts},
		{http.MethodPost, "/admin/v1/accounts/:delivery/pause", operator, h.pause},
		{http.MethodPost, "/admin/v1/accounts/:delivery/resume", operator, h.resume},
		{http.MethodPost, "/admin/v1/store/backup", operator, h.backup},
	}
}

// RouteInfo is a route as documentation and tests see it.
type RouteInfo struct {
	Method, Path string
	Access       string // "anyone", "source", "viewer" or "operator"
	Admin        bool   // on server.admin_listen, else on server.listen
}

// Routes lists all routes of both listeners.
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
