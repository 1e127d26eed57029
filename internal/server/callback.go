package server

import "github.com/labstack/echo/v4"

// callback passes WeChat's own pushes on. The path says whose they are: WeChat pushes to each delivery company's address.
func callback(to Callbacks) echo.HandlerFunc {
	return func(c echo.Context) error {
		return to.Callback(c.Response(), c.Request(), c.Param("delivery"))
	}
}
