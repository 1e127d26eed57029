package server

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"carrier/internal/admin"
	"carrier/internal/problem"
	"carrier/internal/replay"
	"carrier/internal/state"
	"carrier/internal/verify"
)

// adminAPI turns requests into calls of admin.Service, and what it returns into answers.
type adminAPI struct{ *admin.Service }

// listed answers with a page of a list; read makes its query of the parameters, show reads the page.
func listed[Q, T any](read func(url.Values, time.Time) (Q, error), show func(context.Context, admin.Actor, Q) (T, error)) echo.HandlerFunc {
	return func(c echo.Context) error {
		values, err := parameters(c)
		if err != nil {
			return err
		}
		q, err := read(values, time.Now())
		if err != nil {
			return err
		}
		return answer(c, http.StatusOK)(show(c.Request().Context(), actor(c), q))
	}
}

// plain is a handler of a call that takes no parameters: one that is given all the same is refused, not ignored.
func plain(handle echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		values, err := parameters(c)
		if err != nil {
			return err
		}
		if err := admin.NoQuery(values); err != nil {
			return err
		}
		return handle(c)
	}
}

// parameters reads the address's query. net/url alone drops what it can't read: a filter would be lost silently.
func parameters(c echo.Context) (url.Values, error) {
	values, err := url.ParseQuery(c.Request().URL.RawQuery)
	if err != nil {
		return nil, problem.New(problem.InvalidFilter).Because(err).Say("The part of the address after ? can't be read: escape % as %25, and ; as %3B.",
			"地址中 ? 之后的部分无法解析：请将 % 转义为 %25，; 转义为 %3B。")
	}
	return values, nil
}

// show reads one thing by the part of the path that names it.
func show[K, T any](key func(echo.Context) (K, error), read func(context.Context, admin.Actor, K) (T, error)) echo.HandlerFunc {
	return plain(func(c echo.Context) error {
		k, err := key(c)
		if err != nil {
			return err
		}
		return answer(c, http.StatusOK)(read(c.Request().Context(), actor(c), k))
	})
}

// act carries out what takes a reason and nothing else, on what the path names.
func act[K, T any](status int, key func(echo.Context) (K, error), do func(context.Context, admin.Actor, K, string) (T, error)) echo.HandlerFunc {
	return plain(func(c echo.Context) error {
		k, err := key(c)
		if err != nil {
			return err
		}
		var reason string
		if err := readBody(c, reasonText(&reason)); err != nil {
			return err
		}
		return answer(c, status)(do(c.Request().Context(), actor(c), k, reason))
	})
}

func (h *adminAPI) replay(c echo.Context) error {
	seq, err := seqParam(c)
	if err != nil {
		return err
	}
	var force bool
	var reason string
	if err := readBody(c, truth("force", &force), reasonText(&reason)); err != nil {
		return err
	}
	return answer(c, http.StatusAccepted)(h.Replay(c.Request().Context(), actor(c), seq, force, reason))
}

func (h *adminAPI) putToken(c echo.Context) error {
	w, err := waybillParam(c)
	if err != nil {
		return err
	}
	var token, reason string
	if err := readBody(c, text("token", &token), reasonText(&reason)); err != nil {
		return err
	}
	changed, err := h.PutToken(c.Request().Context(), actor(c), w, token, reason)
	return answer(c, http.StatusOK)(struct {
		TokenSet bool `json:"token_set"`
		Changed  bool `json:"changed"`
	}{true, changed}, err)
}

func (h *adminAPI) upstream(c echo.Context) error {
	values, err := parameters(c)
	if err != nil {
		return err
	}
	hint, err := admin.UpstreamQuery(values, time.Now())
	if err != nil {
		return err
	}
	w, err := waybillParam(c)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK)(h.Upstream(c.Request().Context(), actor(c), w, hint))
}

// heal pushes again what WeChat does not show, or tells what that would be. 202 says that something goes out.
func (h *adminAPI) heal(c echo.Context) error {
	w, err := waybillParam(c)
	if err != nil {
		return err
	}
	var hint verify.Hint
	var dryRun bool
	var reason string
	err = readBody(c, truth("dry_run", &dryRun), reasonText(&reason), text("merchant", &hint.Merchant), text("order_id", &hint.OrderID),
		text("openid", &hint.OpenID))
	if err != nil {
		return err
	}
	if dryRun {
		return answer(c, http.StatusOK)(h.PlanHeal(c.Request().Context(), actor(c), w, hint))
	}
	item, err := h.Heal(c.Request().Context(), actor(c), w, hint, reason)
	if item.Replay == nil {
		return answer(c, http.StatusOK)(item, err)
	}
	return answer(c, http.StatusAccepted)(item, err)
}

// maxCounting bounds the time that a bulk replay, or a dry run, has to count what it is of.
const maxCounting = 10 * time.Minute

// startReplay begins a bulk replay, or tells what one would do. Both first read every push that the filter finds: of
// millions, that is longer than other answers may take.
func (h *adminAPI) startReplay(c echo.Context) error {
	if err := http.NewResponseController(c.Response()).SetWriteDeadline(time.Now().Add(maxCounting + time.Minute)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), maxCounting)
	defer cancel()
	var r replay.Request
	var dryRun bool
	var filter url.Values
	var errs []problem.FieldError
	err := readBody(c, conditions("filter", &filter, &errs), truth("dry_run", &dryRun), number("rate", &r.Rate),
		reasonText(&r.Reason), truth("skip_superseded", &r.SkipSuperseded))
	if err != nil {
		return err
	}
	if err := refused(errs); err != nil {
		return err
	}
	if filter == nil {
		return refused([]problem.FieldError{{Field: "filter", Code: "required", Message: problem.Text{
			En: `filter must say which pushes; {} means all that failed.`, Zh: "必须给出 filter；{} 表示全部失败的推送。"}}})
	}
	if r.Filter, err = admin.ReplayQuery(filter, time.Now()); err != nil {
		return err
	}
	if dryRun {
		return answer(c, http.StatusOK)(h.PlanReplay(ctx, actor(c), r))
	}
	return answer(c, http.StatusAccepted)(h.StartReplay(ctx, actor(c), r))
}

func (h *adminAPI) accounts(c echo.Context) error { return c.JSON(http.StatusOK, h.AccountList()) }

func (h *adminAPI) resume(c echo.Context) error {
	var reason string
	var letFail time.Duration
	if err := readBody(c, reasonText(&reason), duration("let_fail_for", &letFail)); err != nil {
		return err
	}
	return answer(c, http.StatusOK)(h.Resume(c.Request().Context(), actor(c), param(c, "delivery"), reason, letFail))
}

func (h *adminAPI) differences(c echo.Context) error {
	return answer(c, http.StatusOK)(h.Differences(c.Request().Context()))
}

func (h *adminAPI) stats(c echo.Context) error {
	return answer(c, http.StatusOK)(h.Stats(c.Request().Context()))
}

// backup streams a copy of the store. One that fails half-way must not look whole, so the connection is cut.
func (h *adminAPI) backup(c echo.Context) error {
	var reason string
	if err := readBody(c, reasonText(&reason)); err != nil {
		return err
	}
	w := c.Response()
	if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil {
		return err
	}
	w.Header().Set(echo.HeaderContentType, "application/x-tar")
	err := h.Backup(c.Request().Context(), actor(c), reason, w)
	if err != nil && w.Committed {
		h.Log.Error("sending a copy of the store", "err", err)
		panic(http.ErrAbortHandler)
	}
	return err
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

// replayParam is the number of a replay.
func replayParam(c echo.Context) (uint64, error) {
	id, err := strconv.ParseUint(c.Param("id"), 10, 64)
	if err != nil || id == 0 {
		return 0, problem.New(problem.NotFound).Sayf("%q is no replay; GET /admin/v1/replays lists them.",
			"%q 不是重放编号；可用 GET /admin/v1/replays 查看。", c.Param("id"))
	}
	return id, nil
}

func accountParam(c echo.Context) (string, error) { return param(c, "delivery"), nil }

func waybillParam(c echo.Context) (state.Waybill, error) {
	w := state.Waybill{DeliveryID: param(c, "delivery"), WaybillID: param(c, "waybill")}
	if !state.IsWaybillID(w.WaybillID) { // Such a one names nothing, and a Token must not make it a waybill.
		return w, problem.New(problem.NotFound).Say("That is no waybill number: it has 1 to 64 characters, none of them a space or invisible.",
			"不是有效的运单号：应为 1 到 64 个字符，不含空格和不可见字符。")
	}
	return w, nil
}
