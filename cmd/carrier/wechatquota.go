package main

import (
	"context"
	"errors"
	"fmt"

	"carrier/internal/config"
	"carrier/internal/wechat"
)

// The calls whose quota is asked about unless another is given: what an account, and what a merchant, uses most.
const (
	updatePathCall = "/cgi-bin/express/delivery/path/update"
	getPathCall    = "/cgi-bin/express/business/path/get"
)

// program is a call about calls: it is made for the mini program whose calls it is about.
type program struct {
	configFlag
	accountFlag
	merchantFlag
}

// caller is a mini program at work.
type caller struct {
	*wechat.Caller
	*hand
	appID    string
	merchant bool // Else a delivery company's.
}

// with finds out which mini program is meant, and has f ask for it. Where neither flag is given that is the only account,
// or the only merchant if there is no account.
func (p *program) with(w *world, f func(*caller) error) error {
	c, err := p.load(w)
	if err != nil {
		return err
	}
	h := (&byHand{}).hand(w)
	switch {
	case p.DeliveryID != "" && p.Merchant != "":
		return usageError{errors.New("give --delivery-id or --merchant: a call is made for one mini program")}
	case p.Merchant != "" || p.DeliveryID == "" && len(c.Accounts) == 0:
		return p.asMerchant(c, h, f)
	}
	chosen, err := p.accountFlag.chosen(c)
	if err != nil {
		return usageError{err}
	}
	a := h.openAccount(chosen)
	defer a.close()
	return f(&caller{a.Caller, h, chosen.AppID, false})
}

func (p *program) asMerchant(c *config.Config, h *hand, f func(*caller) error) error {
	m, err := p.merchantFlag.chosen(c)
	if err != nil {
		return usageError{err}
	}
	who, shut, err := h.openMerchant(m)
	if errors.Is(err, errByService) {
		err = fmt.Errorf("%w, so this call can't be made for it by hand; choose another merchant, or an account with --delivery-id", err)
	}
	if err != nil {
		return usageError{err}
	}
	defer shut()
	return f(&caller{who.Caller, h, who.AppID, true})
}

type wechatRID struct {
	program
	RID string `arg:"" name:"rid" help:"As it stands at the end of errmsg: 5f1e2a3b-0c1d2e3f-4a5b6c7d."`
}

func (c *wechatRID) Run(ctx context.Context, w *world) error {
	return c.with(w, func(who *caller) error {
		info, err := who.GetRID(ctx, c.RID)
		return who.finish(ctx, "getRidInfo", struct {
			Request wechat.RequestInfo `json:"request"`
		}{info}, err)
	})
}

type wechatQuota struct {
	program
	CGIPath string `arg:"" optional:"" name:"cgi-path" help:"The call, from /cgi-bin/ on; default that of updatePath, for a merchant that of getPath."`
}

func (c *wechatQuota) Run(ctx context.Context, w *world) error {
	return c.with(w, func(who *caller) error {
		call := c.CGIPath
		switch {
		case call == "" && who.merchant:
			call = getPathCall
		case call == "":
			call = updatePathCall
		}
		quota, err := who.GetQuota(ctx, call)
		return who.finish(ctx, "getApiQuota", quota, err)
	})
}

type wechatClearQuota struct {
	program
	Yes bool `help:"Do not ask; needed where there is no terminal."`
}

func (c *wechatClearQuota) Run(ctx context.Context, w *world) error {
	if !c.Yes && !canAsk(w) {
		return usageError{errors.New("WeChat lets quotas be cleared 10 times a month, and there is no terminal to ask; --yes does it without asking")}
	}
	return c.with(w, func(who *caller) error {
		if who.appID == "" {
			return usageError{fmt.Errorf("the mini program has no appid in the configuration, and WeChat wants it; add it")}
		}
		if !c.Yes {
			if err := who.confirm(ctx, who.sayf("Set back to 0 what %s has used of all its calls today? WeChat allows that 10 times a month. [y/N] ",
				"将 %s 今日所有接口的已用额度清零？微信每月只允许 10 次。[y/N] ", who.appID)); err != nil {
				return err
			}
		}
		err := who.ClearQuota(ctx, who.appID)
		return who.finish(ctx, "clearQuota", wechat.Answer{Errmsg: "ok"}, err)
	})
}
