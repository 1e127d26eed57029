package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"carrier/internal/config"
	"carrier/internal/state"
	"carrier/internal/wechat"
)

// accountFlag says with which delivery company's credentials a call is made.
type accountFlag struct {
	DeliveryID string `placeholder:"ID" help:"The account (delivery_id); may be left out where there is only one."`
}

// chosen is the account that is meant.
func (a *accountFlag) chosen(c *config.Config) (*config.Account, error) {
	var ids []string
	for i := range c.Accounts {
		if id := c.Accounts[i].DeliveryID; id == a.DeliveryID || a.DeliveryID == "" && len(c.Accounts) == 1 {
			return &c.Accounts[i], nil
		}
		ids = append(ids, c.Accounts[i].DeliveryID)
	}
	switch {
	case len(ids) == 0:
		return nil, errors.New("no account is configured; give the service's own configuration with -c")
	case a.DeliveryID == "":
		return nil, fmt.Errorf("there are several accounts; choose one with --delivery-id: %s", strings.Join(ids, ", "))
	}
	return nil, fmt.Errorf("--delivery-id: there is no account %q; there are: %s", a.DeliveryID, strings.Join(ids, ", "))
}

// account is a delivery company's own mini program, for calls by hand.
type account struct {
	*wechat.Caller // On its main host.
	main           *wechat.Client
	tokens         *wechat.AccessToken
}

// openAccount makes the calls of an account possible; close ends that.
func (h *hand) openAccount(c *config.Account) *account {
	h.warnOfBasic(c.TokenMode)
	client := wechat.NewClient(wechat.ClientOptions{
		BaseURL: c.BaseURL, Timeout: time.Duration(c.Timeout), UserAgent: agent(), CloudTokenFile: c.CloudTokenFile,
	})
	tokens := wechat.NewAccessToken(wechat.AccessTokenOptions{
		Clients: []*wechat.Client{client}, AppID: c.AppID, Secret: c.Secret.Reveal, Mode: c.TokenMode,
	})
	return &account{wechat.NewCaller(tokens, client), client, tokens}
}

func (a *account) close() {
	a.tokens.Close()
	a.main.CloseIdleConnections()
}

// updatePath sends one node, once more if upstream refuses the access_token: then it did nothing.
func (a *account) updatePath(ctx context.Context, u wechat.PathUpdate) (wechat.Answer, error) {
	for again := false; ; again = true {
		token, err := a.tokens.Get(ctx)
		if err != nil {
			return wechat.Answer{}, err
		}
		answer, err := a.main.UpdatePath(ctx, token, u)
		switch {
		case err != nil || answer.Errcode == 0:
			return answer, err
		case again || wechat.ScopeOf(answer.Errcode) != wechat.ScopeCredential:
			return answer, &wechat.RefusedError{Op: "updatePath", Answer: answer}
		}
		a.tokens.Refused(token)
	}
}

type wechatUpdatePath struct {
	byHand
	accountFlag
	requestFlag
	TokenFile  string `name:"waybill-token-file" placeholder:"FILE" help:"Holds token: the waybill's, and nothing else; - is standard input."`
	WaybillID  string `placeholder:"ID" help:"waybill_id."`
	ActionTime int64  `placeholder:"SECONDS" help:"action_time: Unix seconds; default now."`
	ActionType int32  `placeholder:"CODE" help:"action_type: one of the nine codes."`
	ActionMsg  string `placeholder:"TEXT" help:"action_msg: what the customer reads."`
	Yes        bool   `help:"Do not ask; needed where there is no terminal."`
}

func (c *wechatUpdatePath) Run(ctx context.Context, w *world) error {
	u, err := c.update(w)
	if err != nil {
		return err
	}
	if !c.Yes && (!canAsk(w) || c.takesInput()) {
		return usageError{errors.New("this goes to WeChat past the service, and there is nobody to ask; --yes does it without asking")}
	}
	config, err := c.load(w)
	if err != nil {
		return err
	}
	chosen, err := c.chosen(config)
	if err != nil {
		return usageError{err}
	}
	h := c.hand(w)
	h.warn("this goes to WeChat past the service: it keeps nothing of it, does not check it against the waybill's stage, sends it in no order "+
		"with the waybill's other pushes, and WeChat can't take it back; an event (carrier send) is the right way",
		"此操作绕过服务直接发往微信：服务不会记录，不校验运单状态，与该运单其他推送无先后保证，且微信无法撤回；正确方式是发送事件（carrier send）")
	if !c.Yes {
		if err := h.confirm(ctx, h.sayf("Send %d of waybill %s with the credentials of %s? [y/N] ", "以 %[3]s 的凭据发送运单 %[2]s 的 %[1]d？[y/N] ",
			u.ActionType, u.WaybillID, chosen.DeliveryID)); err != nil {
			return err
		}
	}
	a := h.openAccount(chosen)
	defer a.close()
	answer, err := a.updatePath(ctx, u)
	return h.finish(ctx, "updatePath", answer, err)
}

// takesInput tells whether standard input is used up, so that no answer can come from there.
func (c *wechatUpdatePath) takesInput() bool { return c.Request == "-" || c.TokenFile == "-" }

// update is the node that the flags, or the request, describe.
func (c *wechatUpdatePath) update(w *world) (wechat.PathUpdate, error) {
	u := wechat.PathUpdate{WaybillID: c.WaybillID, ActionTime: c.ActionTime, ActionType: c.ActionType, ActionMsg: c.ActionMsg}
	err := c.read(w, map[string]any{
		"token": &u.Token, "waybill_id": &u.WaybillID, "action_time": &u.ActionTime, "action_type": &u.ActionType, "action_msg": &u.ActionMsg,
	}, u != wechat.PathUpdate{})
	if err != nil {
		return u, err
	}
	if c.TokenFile != "" {
		if u.Token != "" {
			return u, usageError{errors.New("the request has token; leave it out, or --waybill-token-file")}
		}
		if u.Token, err = readToken(w, "--waybill-token-file", c.TokenFile); err != nil {
			return u, usageError{err}
		}
	}
	if u.ActionTime == 0 && c.Request == "" {
		u.ActionTime = time.Now().Unix()
	}
	if err := checkUpdate(&u); err != nil {
		return u, usageError{err}
	}
	return u, nil
}

// firstMillis is the smallest time that is taken for milliseconds.
const firstMillis = 100_000_000_000

// maxMsgBytes is the longest text that the service sends by default; upstream's own limit is not public.
const maxMsgBytes = 1024

// checkUpdate refuses what upstream would, or what would do harm there.
func checkUpdate(u *wechat.PathUpdate) error {
	switch {
	case u.Token == "":
		return errors.New("token is missing: the waybill's, of its add_waybill; give it with --waybill-token-file, or in the request with -f")
	case u.WaybillID == "":
		return errors.New("waybill_id is missing; give --waybill-id, or the request as JSON with -f")
	case !state.ActionType(u.ActionType).Valid():
		return fmt.Errorf("action_type %d is none of the nine codes, such as 200001; see the README", u.ActionType)
	case u.ActionTime <= 0 || u.ActionTime >= firstMillis:
		return fmt.Errorf("action_time %d is not in Unix seconds", u.ActionTime)
	case u.ActionMsg == "" || len(u.ActionMsg) > maxMsgBytes || !utf8.ValidString(u.ActionMsg):
		return fmt.Errorf("action_msg must be 1 to %d bytes of UTF-8; it has %d", maxMsgBytes, len(u.ActionMsg))
	}
	return nil
}
