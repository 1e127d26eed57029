package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"

	"carrier/internal/problem"
)

// maxAnswerBytes bounds what is read of any answer: the largest, of a NATS server's monitoring, has some kilobytes.
const maxAnswerBytes = 1 << 20

// service asks a running service how it is.
func (d *doctor) service(ctx context.Context) {
	address := d.o.Config.Server.AdminURL()
	var health struct {
		Status, Reason string
		Degraded       []string
	}
	status, err := d.get(ctx, address+"/readyz", &health)
	_, refused := errors.AsType[*net.OpError](err)
	switch {
	case refused:
		d.warn(address, problem.Textf("no service runs there (%v)", "没有运行中的服务（%v）", err), text("start it: carrier serve", "请启动：carrier serve"))
	case status == 0:
		d.fail(address, problem.Textf("something listens there, but gives no answer: %v", "该地址有程序监听，但没有应答：%v", err),
			text("see the service's log; if it is not the service, change server.admin_listen", "请查看服务日志；如非本服务，请修改 server.admin_listen"))
	case err != nil || status != http.StatusOK && status != http.StatusServiceUnavailable || health.Status == "":
		d.fail(address, problem.Textf("what answers there is not the service (status %d)", "该地址的应答不是本服务（状态码 %d）", status),
			text("change server.admin_listen, or stop the other program", "请修改 server.admin_listen，或停止占用端口的程序"))
	case health.Status == "unready":
		d.fail(address, problem.Textf("the service takes no events: %s", "服务不接收事件：%s", health.Reason),
			text("put that right; its log says more", "请按原因处理，详见服务日志"))
	case health.Status == "ready":
		d.ok(address, text("the service runs and is ready", "服务运行中，已就绪"))
	}
	for _, what := range health.Degraded {
		d.warn(address, text(what, what), text("its log and carrier accounts list say more", "详见服务日志与 carrier accounts list"))
	}
}

// get reads JSON from a server that needs no credentials, without a proxy. An error of the network comes without the
// address.
func (d *doctor) get(ctx context.Context, address string, into any) (status int, err error) {
	ctx, cancel := d.look(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, err
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return 0, unwrapped(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return resp.StatusCode, unwrapped(ctx, err)
	}
	return resp.StatusCode, json.Unmarshal(body, into)
}

// unwrapped is an HTTP client's error without the address, which findings name already; or why ctx ended.
func unwrapped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
