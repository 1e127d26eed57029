package server

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

func livez(c echo.Context) error { return c.String(http.StatusOK, "ok\n") }

// health is the answer of /readyz.
type health struct {
	Status   string   `json:"status"` // "ready", "degraded" or "unready"
	Reason   string   `json:"reason,omitempty"`
	Degraded []string `json:"degraded,omitempty"`
}

// readyz tells a load balancer whether to send events here. An open breaker or a paused account is degraded, not
// unready: events must be taken most of all while they can't be pushed.
func readyz(ready func() ([]string, error)) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Response().Header().Set("Cache-Control", "no-store")
		degraded, err := ready()
		switch {
		case err != nil:
			return c.JSON(http.StatusServiceUnavailable, health{Status: "unready", Reason: err.Error(), Degraded: degraded})
		case len(degraded) > 0:
			return c.JSON(http.StatusOK, health{Status: "degraded", Degraded: degraded})
		}
		return c.JSON(http.StatusOK, health{Status: "ready"})
	}
}
