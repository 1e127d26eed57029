package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"carrier/internal/admin"
	"carrier/internal/problem"
	"carrier/internal/state"
)

// adminAPI turns requests into calls of admin.Service, and what it returns into answers.
type adminAPI struct{ *admin.Service }

func (h *adminAPI) pushes(c echo.Context) error {
	q, err := admin.PushQuery(c.QueryParams(), time.Now())
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK)(h.Pushes(c.Request().Context(), actor(c), q))
}

func (h *adminAPI) events(c echo.Context) error {
	q, err := admin.EventQuery(c.QueryParams(), time.Now())
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK)(h.Events(c.Request().Context(), actor(c), q))
}

func (h *adminAPI) push(c echo.Context) error {
	seq, err := seqParam(c)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK)(h.Push(c.Request().Context(), actor(c), seq))
}

func (h *adminAPI) replay(c echo.Context) error {
	seq, err := seqParam(c)
	if err != nil {
		return err
	}
	var body struct {
		Force bool `json:"force"`
	}
	if err := readJSON(c, &body); err != nil {
		return err
	}
	return answer(c, http.StatusAccepted)(h.Replay(c.Request().Context(), actor(c), seq, body.Force))
}

func (h *adminAPI) waybill(c echo.Context) error {
	w, err := waybillParam(c)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK)(h.Waybill(c.Request().Context(), actor(c), w))
}

func (h *adminAPI) putToken(c echo.Context) error {
	w, err := waybillParam(c)
	if err != nil {
		return err
	}
	var body struct {
		Token string `json:"token"`
	}
	if err := readJSON(c, &body); err != nil {
		return err
	}
	changed, err := h.PutToken(c.Request().Context(), actor(c), w, body.Token)
	return answer(c, http.StatusOK)(struct {
		TokenSet bool `json:"token_set"`
		Changed  bool `json:"changed"`
	}{true, changed}, err)
}

func (h *adminAPI) accounts(c echo.Context) error { return c.JSON(http.StatusOK, h.AccountList()) }

func (h *adminAPI) pause(c echo.Context) error {
	var body struct {
		Reason string `json:"reason"`
	}
	if err := readJSON(c, &body); err != nil {
		return err
	}
	return h.afterAccount(c, h.Pause(c.Request().Context(), actor(c), param(c, "delivery"), body.Reason))
}

func (h *adminAPI) resume(c echo.Context) error {
	return h.afterAccount(c, h.Resume(c.Request().Context(), actor(c), param(c, "delivery")))
}

// backup streams a copy of the store. One that fails half-way must not look whole, so the connection is cut.
func (h *adminAPI) backup(c echo.Context) error {
	w := c.Response()
	if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil {
		return err
	}
	w.Header().Set(echo.HeaderContentType, "application/x-tar")
	err := h.Backup(c.Request().Context(), actor(c), w)
	if err != nil && w.Committed {
		h.Log.Error("sending a copy of the store", "err", err)
		panic(http.ErrAbortHandler)
	}
	return err
}

// afterAccount answers with the account as it is now.
func (h *adminAPI) afterAccount(c echo.Context, err error) error {
	if err != nil {
		return err
	}
	for _, a := range h.AccountList().Items {
		if a.DeliveryID == param(c, "delivery") {
			return c.JSON(http.StatusOK, a)
		}
	}
	return problem.New(problem.NotFound)
}

// answer writes a value as JSON, or passes the error on.
func answer(c echo.Context, status int) func(v any, err error) error {
	return func(v any, err error) error {
		if err != nil {
			return err
		}
		return c.JSON(status, v)
	}
}

// param is a part of the path, unescaped: waybill numbers may hold any printable character. Echo routes by the raw path
// where there is one, and otherwise by what net/http has unescaped already.
func param(c echo.Context, name string) string {
	value := c.Param(name)
	if c.Request().URL.RawPath == "" {
		return value
	}
	if s, err := url.PathUnescape(value); err == nil {
		return s
	}
	return value
}

func seqParam(c echo.Context) (uint64, error) {
	seq, err := strconv.ParseUint(c.Param("seq"), 10, 64)
	if err != nil || seq == 0 {
		return 0, problem.New(problem.NotFound).Sayf("%q is no event number; the lists show them as seq.",
			"%q 不是事件编号；编号见列表中的 seq。", c.Param("seq"))
	}
	return seq, nil
}

func waybillParam(c echo.Context) (state.Waybill, error) {
	w := state.Waybill{DeliveryID: param(c, "delivery"), WaybillID: param(c, "waybill")}
	if n := len([]rune(w.WaybillID)); n == 0 || n > state.MaxWaybillChars || strings.ContainsFunc(w.WaybillID, notInID) {
		return w, problem.New(problem.NotFound).Say("That is no waybill number: it has 1 to 64 characters without spaces.",
			"不是有效的运单号：应为 1 到 64 个字符且不含空格。")
	}
	return w, nil
}

// notInID matches what no id holds; such a number can name nothing.
func notInID(r rune) bool { return r <= ' ' || r == 0x7f }

// maxAdminBody bounds the bodies of admin requests, which are small.
const maxAdminBody = 64 << 10

// readJSON reads an optional JSON object into v. Unknown members and anything after it are refused.
func readJSON(c echo.Context, v any) error {
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), c.Request().Body, maxAdminBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return problem.New(problem.BodyTooLarge)
	}
	if err != nil {
		return problem.New(problem.UnreadableBody).Because(err)
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	switch {
	case !json.Valid(body):
		return problem.New(problem.MalformedJSON)
	case bytes.TrimSpace(body)[0] != '{':
		return problem.New(problem.InvalidRequest).Say("The body must be a JSON object.", "请求体必须是 JSON 对象。")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return wrongField(err)
	}
	return nil
}

// wrongField names the member that encoding/json did not take.
func wrongField(err error) error {
	p := problem.New(problem.InvalidRequest)
	if te, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		p.Errors = []problem.FieldError{{Field: te.Field, Code: "type",
			Message: problem.Textf("%s has the wrong type.", "%s 的类型不正确。", te.Field)}}
		return p
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		name = strings.Trim(name, `"`)
		p.Errors = []problem.FieldError{{Field: name, Code: "unknown_field",
			Message: problem.Textf("There is no member %s here.", "没有名为 %s 的字段。", name)}}
	}
	return p
}
