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
	}
}
