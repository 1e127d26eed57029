package bench

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/go-playground/validator/v10"
	"github.com/labstack/echo/v4"
)

// handler is what one would write first: an Echo handler that decodes an event with encoding/json, validates it by
// tags, answers, and stores nothing. It is the yardstick for durable events, one a request.
type handler struct {
	listener net.Listener
	server   *http.Server
}

// plainEvent is an event with its rules as tags, as far as the stock ones go.
type plainEvent struct {
	ID         string `json:"id" validate:"required,max=128,printascii"`
	DeliveryID string `json:"delivery_id" validate:"required,max=64"`
	WaybillID  string `json:"waybill_id" validate:"required,max=64,printascii"`
	ActionType int    `json:"action_type" validate:"oneof=100001 100002 100003 200001 300002 300003 300004 400001 400002"`
	ActionTime int64  `json:"action_time" validate:"gt=0,lt=100000000000"`
	ActionMsg  string `json:"action_msg" validate:"required,max=1024"`
	Token      string `json:"token" validate:"max=256"`
}

type plainAnswer struct {
	ID        string `json:"id"`
	WaybillID string `json:"waybill_id"`
	Verdict   string `json:"verdict"`
	Stage     string `json:"stage"`
	Seq       uint64 `json:"seq"`
}

func newHandler(ctx context.Context) (*handler, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", anyPort)
	if err != nil {
		return nil, err
	}
	e := echo.New()
	validate := validator.New(validator.WithRequiredStructEnabled())
	e.POST("/v1/events", func(c echo.Context) error {
		var event plainEvent
		if err := json.NewDecoder(c.Request().Body).Decode(&event); err != nil {
			return echo.NewHTTPError(http.StatusBadRequest, err.Error())
		}
		if err := validate.Struct(&event); err != nil {
			return echo.NewHTTPError(http.StatusUnprocessableEntity, err.Error())
		}
		return c.JSON(http.StatusAccepted, plainAnswer{event.ID, event.WaybillID, "accepted", "in_transit", 1})
	})
	return &handler{l, &http.Server{Handler: e, ReadHeaderTimeout: 5 * time.Second}}, nil
}

func (h *handler) hello() hello { return hello{Events: h.listener.Addr().String()} }

func (h *handler) run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { _ = h.server.Close() })()
	if err := h.server.Serve(h.listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
