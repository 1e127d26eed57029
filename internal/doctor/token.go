package doctor

import (
	"bytes"
	"context"
	"errors"
	"os"
	"regexp"

	"carrier/internal/config"
	"carrier/internal/problem"
	"carrier/internal/wechat"
)

// credentials are what an access_token is fetched with.
type credentials struct {
	about, appid, mode string
	secret             config.Secret
	hosts              []string
	cloud              string // cloud_token_file
}

// tokens asks for each account's and each merchant's access_token, if that is wanted.
func (d *doctor) tokens(ctx context.Context) {
	d.shared()
	if !d.o.Online {
		return
	}
	for _, a := range d.o.Config.Accounts {
		d.token(ctx, credentials{a.DeliveryID, a.AppID, a.TokenMode, a.Secret, []string{a.BaseURL, a.FallbackBaseURL}, a.CloudTokenFile})
	}
	for _, m := range d.o.Config.Merchants {
		if m.Authorizer {
			d.ok(m.Name, text("not tried: only the service has what its platform needs for an access_token, and says at /readyz what is wrong (above)",
				"未尝试：第三方平台所需的票据只有服务持有；如有问题，服务会在 /readyz 中说明（见上）"))
			continue
		}
		d.token(ctx, credentials{m.Name, m.AppID, m.TokenMode, m.Secret, []string{m.BaseURL}, m.CloudTokenFile})
	}
}

// token asks for one. In the stable mode that gives the one in use, so that nobody is disturbed; in the basic mode it
// would end that one's life, so it is not done.
func (d *doctor) token(ctx context.Context, c credentials) {
	switch {
	case c.cloud != "":
		d.cloudToken(c.about, c.cloud)
		return
	case c.mode == config.TokenNone:
		d.ok(c.about, text("token_mode is none: no access_token is used", "token_mode 为 none：不使用 access_token"))
		return
	case c.mode == config.TokenBasic:
		d.ok(c.about, text("not tried: with token_mode basic, another access_token would end the one in use", "未尝试：token_mode 为 basic 时，重新获取会使正在使用的 access_token 失效"))
		return
	}
	var clients []*wechat.Client
	for _, host := range c.hosts {
		if host != "" {
			client := wechat.NewClient(wechat.ClientOptions{BaseURL: host, Timeout: d.o.Timeout})
			defer client.CloseIdleConnections()
			clients = append(clients, client)
		}
	}
	keeper := wechat.NewAccessToken(wechat.AccessTokenOptions{
		Clients: clients, AppID: c.appid, Secret: c.secret.Reveal, Mode: c.mode, Timeout: d.o.Timeout,
	})
	defer keeper.Close()
	if _, err := keeper.Get(ctx); err != nil {
		d.fail(c.about, problem.Textf("no access_token: %v", "无法获取 access_token：%v", reason(err)), tokenAdvice(err))
		return
	}
	d.ok(c.about, text("WeChat gives an access_token", "可获取 access_token"))
}

// cloudToken looks whether the container has its access_token.
func (d *doctor) cloudToken(about, file string) {
	if held, err := os.ReadFile(file); err != nil || len(bytes.TrimSpace(held)) == 0 {
		d.fail(about, problem.Textf("the container's access_token can't be read from %s (%v)", "无法从 %s 读取容器的 access_token（%v）", file, err),
			text("switch the container's 微信令牌 on, and check cloud_token_file", "请为云托管容器开启微信令牌，并检查 cloud_token_file"))
		return
	}
	d.ok(about, text("the container has an access_token", "容器持有 access_token"))
}

// reason is what upstream said, or why it said nothing.
func reason(err error) error {
	if t, ok := errors.AsType[*wechat.TokenError](err); ok {
		return t.Err
	}
	return err
}

// refusedIP finds the address in WeChat's "invalid ip 1.2.3.4 ipv6 ::ffff:1.2.3.4, not in whitelist".
var refusedIP = regexp.MustCompile(`invalid ip ([0-9A-Fa-f.:]+)`)

// tokenAdvice is what to do about an access_token that can't be had.
func tokenAdvice(err error) problem.Text {
	t, ok := errors.AsType[*wechat.TokenError](err)
	if !ok || t.Errcode == 0 {
		return text("see what is said of its host above", "参见上面对其主机的检查")
	}
	if ip := refusedIP.FindStringSubmatch(t.Err.Error()); t.Errcode == 40164 && ip != nil {
		return problem.Textf("add %s to the IP whitelist in the Mini Program console (开发管理 > 开发设置 > IP 白名单), then resume the account",
			"请在小程序后台（开发管理 > 开发设置 > IP 白名单）加入 %s，然后恢复该账户", ip[1])
	}
	en, zh := wechat.Meaning(t.Errcode, false), wechat.Meaning(t.Errcode, true)
	if en == "" {
		return text("look the errcode up in WeChat's documents (全局返回码)", "请在微信文档（全局返回码）中查询该错误码")
	}
	return text(en, zh)
}
