package doctor

import (
	"context"
	"crypto/rand"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"carrier/internal/callback"
	"carrier/internal/config"
	"carrier/internal/problem"
)

// callbacks looks whether WeChat's pushes can come in: as WeChat does it when the address is saved in its console, by a
// GET with a signed echostr that must come back (消息推送, 验证消息的确来自微信服务器).
func (d *doctor) callbacks(ctx context.Context) {
	c := d.o.Config
	if !takesCallbacks(c) {
		return
	}
	if d.o.CallbackURL == "" {
		d.ok("", text("not tried from outside: give the public address with --callback-url https://HOST", "未从外部验证：可用 --callback-url https://域名 给出公网地址"))
		return
	}
	for i := range c.Accounts {
		if a := &c.Accounts[i]; a.Callback.Token != "" && ctx.Err() == nil {
			d.callback(ctx, a)
		}
	}
}

// callback tries one account's address.
func (d *doctor) callback(ctx context.Context, a *config.Account) {
	u, err := url.Parse(strings.TrimRight(d.o.CallbackURL, "/"))
	if err != nil || u.Host == "" || u.RawQuery != "" {
		d.fail(d.o.CallbackURL, text("is no address", "不是有效地址"), text("give --callback-url https://HOST, without a path of an account", "请以 --callback-url https://域名 给出，无需账户路径"))
		return
	}
	address := u.String() + "/wechat/" + url.PathEscape(a.DeliveryID) + "/callback"
	if port := u.Port(); port != "" && port != "80" && port != "443" {
		d.warn(address, problem.Textf("WeChat pushes to ports 80 and 443 only, not to %s", "微信仅支持 80 与 443 端口，不支持 %s", port),
			text("put a reverse proxy with TLS on port 443 before server.listen", "请在 server.listen 前部署监听 443 端口的 TLS 反向代理"))
	}
	if u.Scheme != "https" {
		d.warn(address, text("without TLS, whoever is on the way reads what WeChat pushes unless it is encrypted (安全模式)", "没有 TLS：除非使用安全模式，传输途中可被窃听"), text("use https", "请使用 https"))
	}
	status, answer, echostr, err := d.echo(ctx, address, a.Callback.Token.Reveal())
	switch {
	case err != nil:
		d.fail(address, problem.Textf("can't be reached: %v", "无法访问：%v", err), unreachedAdvice(err))
	case status == http.StatusOK && answer == echostr:
		d.ok(address, text("takes WeChat's pushes; use this as the URL in 消息推送配置", "可接收微信推送；请在消息推送配置中填写该 URL"))
	case status == http.StatusUnauthorized:
		d.fail(address, text("the service there refuses a signed check (status 401): it has another callback.token, or its clock is wrong", "该服务拒绝签名校验（401）：callback.token 不一致，或其时钟有误"),
			text("let the running service have this configuration (reload it), and check its clock", "请让运行中的服务使用本配置（重新加载），并检查其时钟"))
	case status == http.StatusNotFound:
		d.fail(address, text("there is no such path (status 404): the proxy does not pass it on, or the running service has no callback for this account", "路径不存在（404）：代理未转发，或运行中的服务未配置该账户的回调"),
			text("pass /wechat/ on to server.listen, and reload the service", "请将 /wechat/ 转发到 server.listen，并重新加载服务"))
	default:
		d.fail(address, problem.Textf("does not send the echostr back (status %d)", "未原样返回 echostr（状态码 %d）", status),
			text("a proxy or another program answers there: pass /wechat/ on to server.listen unchanged", "由代理或其他程序应答：请将 /wechat/ 原样转发到 server.listen"))
	}
}

// echo asks an address to send an echostr back, signed with a Token as WeChat does.
func (d *doctor) echo(ctx context.Context, address, token string) (status int, answer, echostr string, err error) {
	ctx, cancel := d.look(ctx)
	defer cancel()
	at, nonce := strconv.FormatInt(time.Now().Unix(), 10), rand.Text()
	echostr = rand.Text()
	query := url.Values{"signature": {callback.Signature(token, at, nonce)}, "timestamp": {at}, "nonce": {nonce}, "echostr": {echostr}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"?"+query.Encode(), nil)
	if err != nil {
		return 0, "", "", err
	}
	resp, err := direct().Do(req)
	if err != nil {
		return 0, "", "", unwrapped(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	return resp.StatusCode, strings.TrimSpace(string(body)), echostr, err
}

// direct is a client without a proxy that follows no redirect: WeChat has none, and does not follow any.
func direct() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{}).DialContext},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
