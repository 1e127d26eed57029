package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"carrier/internal/app"
	"carrier/internal/config"
	"carrier/internal/merchant"
	"carrier/internal/wechat"
)

type wechatCommand struct {
	GetPath       wechatGetPath       `cmd:"" help:"getPath: the trace of a waybill as its customer sees it. 查询运单轨迹"`
	GetOrder      wechatGetOrder      `cmd:"" help:"getOrder: an order, with its label. 获取运单数据"`
	BatchGetOrder wechatBatchGetOrder `cmd:"" help:"batchGetOrder: any number of orders. 批量获取运单数据"`
	UpdatePath    wechatUpdatePath    `cmd:"" help:"updatePath, past the service: not recorded, not in order. 绕过服务更新运单轨迹"`
	RID           wechatRID           `cmd:"" name:"rid" help:"What WeChat kept of a call that it refused. 查询 rid"`
	Quota         wechatQuota         `cmd:"" help:"What is used of a call's quota. 查询接口额度"`
	ClearQuota    wechatClearQuota    `cmd:"" help:"Set what is used today back to 0: 10 times a month. 清零接口额度"`
}

// byHand is what the calls by hand share: a configuration with credentials, and the form of the answer.
type byHand struct {
	configFlag
	Cloud bool `help:"Print the answer in the form of 云调用 (camelCase, errMsg)."`
}

// hand is one call by hand.
type hand struct {
	*session // Without a service: what can be said to whoever sits there.
	cloud    bool
}

func (b *byHand) hand(w *world) *hand {
	return &hand{session: &session{screen: newScreen(w), world: w}, cloud: b.Cloud}
}

// finish prints what became of a call as its document has it, and says what is wrong with it in one line.
func (h *hand) finish(ctx context.Context, call string, answer any, err error) error {
	document, noAnswer := wechat.Document(call, answer, err, h.cloud)
	if noAnswer == nil {
		if err := printJSON(h.w, document); err != nil {
			return err
		}
	}
	return h.explainCall(ctx, err)
}

// explainCall says what a call's error means, and what to do about it.
func (h *hand) explainCall(ctx context.Context, err error) error {
	text := ""
	if p, ok := errors.AsType[*wechat.PartError](err); ok {
		text = h.sayf("orders %d to %d of %d: ", "第 %d 至 %d 个订单（共 %d 个）：", p.First, p.Last, p.Of)
	}
	refused, isRefused := errors.AsType[*wechat.RefusedError](err)
	token, isToken := errors.AsType[*wechat.TokenError](err)
	failed, isFailed := errors.AsType[*wechat.CallError](err)
	switch {
	case isRefused:
		return said{visible(text + h.refusal(refused)), err}
	case isToken && token.Errcode != 0:
		meaning := cmp.Or(token.Meaning(h.zh), h.say("this errcode is not documented", "该错误码没有文档说明"))
		return said{visible(text + h.sayf("no access_token: %v: %s", "未取得 access_token：%v：%s", token.Err, meaning)), err}
	case isToken:
		text += token.Error()
	case isFailed:
		text += h.failure(failed)
	default:
		return h.explain(ctx, err) // The running service's.
	}
	if ctx.Err() != nil {
		return said{visible(h.say("interrupted: ", "已中断：") + text), err}
	}
	return said{visible(h.advise(text, h.say("is base_url right, and can this machine reach it?", "请检查 base_url 是否正确、本机能否访问"))), err}
}

// failure is a call without an answer. Of one that changes something it matters whether that may have been done.
func (h *hand) failure(e *wechat.CallError) string {
	if e.Op == "updatePath" || e.Op == "clearQuota" {
		return e.Error()
	}
	return e.What()
}

// refusal is upstream's no: its errcode, its words, what it means, and how to find out more.
func (h *hand) refusal(e *wechat.RefusedError) string {
	text := h.sayf("%s: errcode %d: %s", "%s：错误码 %d：%s", e.Op, e.Errcode, cmp.Or(e.Errmsg, h.say("without words", "没有说明")))
	if meaning := wechat.Meaning(e.Errcode, h.zh); meaning != "" {
		return text + h.say(": ", "：") + meaning
	}
	if e.RID == "" {
		return text
	}
	return h.advise(text, h.sayf("carrier wechat rid %s shows what WeChat kept of the call", "可用 carrier wechat rid %s 查看微信保留的调用记录", e.RID))
}

// warn says something on standard error before a call.
func (h *hand) warn(en, zh string) {
	fmt.Fprintln(h.world.stderr, "carrier:", h.say(en, zh))
}

// merchantFlag says whose credentials are used.
type merchantFlag struct {
	Merchant string `placeholder:"NAME" help:"The name of one of merchants; may be left out where there is only one."`
}

// chosen is the merchant that is meant.
func (m *merchantFlag) chosen(c *config.Config) (*config.Merchant, error) {
	names := make([]string, len(c.Merchants))
	for i := range c.Merchants {
		names[i] = c.Merchants[i].Name
	}
	i := slices.Index(names, m.Merchant)
	switch {
	case len(names) == 0:
		return nil, errors.New("no merchant is configured; add its appid and secret under merchants, or give the right configuration with -c")
	case m.Merchant == "" && len(names) == 1:
		i = 0
	case m.Merchant == "":
		return nil, fmt.Errorf("there are several merchants; choose one with --merchant: %s", strings.Join(names, ", "))
	case i < 0:
		return nil, fmt.Errorf("--merchant: there is no merchant %q; there are: %s", m.Merchant, strings.Join(names, ", "))
	}
	return &c.Merchants[i], nil
}

// errByService says that only the service has a merchant's access_tokens.
var errByService = errors.New("has authorised a third-party platform, whose ticket the running service keeps")

// openMerchant makes the calls of a merchant possible; close ends that.
func (h *hand) openMerchant(m *config.Merchant) (who *merchant.Merchant, shut func(), err error) {
	if m.Authorizer {
		return nil, nil, fmt.Errorf("merchant %s %w", m.Name, errByService)
	}
	h.warnOfBasic(m.TokenMode)
	registry, err := merchant.New(merchant.Options{Merchants: app.MerchantSettings([]config.Merchant{*m}), UserAgent: agent()})
	if err != nil {
		return nil, nil, err
	}
	who, err = registry.Find("")
	return who, registry.Close, err
}

// warnOfBasic says what a fetch does to others.
func (h *hand) warnOfBasic(mode string) {
	if mode == wechat.ModeBasic {
		h.warn("token_mode is basic: the access_token fetched now ends the life of the one that a running service uses; it fetches another",
			"token_mode 为 basic：此次获取会使运行中服务的 access_token 失效，服务会重新获取")
	}
}

func agent() string { return "carrier-cli/" + version().Version }
