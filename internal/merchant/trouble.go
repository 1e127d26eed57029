package merchant

import (
	"context"
	"fmt"
	"time"
)

// ticketLife is how long a component_verify_ticket is good (WeChat 第三方平台, 验证票据).
const ticketLife = 12 * time.Hour

// Trouble says why merchants' access_tokens can't be had, as far as WeChat has said so: a line for each.
func (r *Registry) Trouble() (lines []string) {
	for _, m := range r.merchants {
		if refused := m.tokens.Failure(); refused != nil && refused.Errcode != 0 {
			lines = append(lines, fmt.Sprintf("merchant %s: no access_token: %v", m.Name, refused.Err))
		}
	}
	return lines
}

// Trouble says what keeps a platform from making calls for merchants, before any is made: a line for each. authorizers
// are the appids of those that it is to make them for.
func (v *Vault) Trouble(ctx context.Context, authorizers []string, now time.Time) (lines []string) {
	kept, err := v.ticket(ctx)
	switch at := time.Unix(kept.At, 0); {
	case err != nil:
		return []string{fmt.Sprintf("platform %s: its component_verify_ticket can't be read: %v", v.appID, err)}
	case kept.Ticket == "":
		lines = append(lines, fmt.Sprintf("platform %s: no component_verify_ticket has come yet; WeChat pushes one every 10 minutes to /wechat/component/callback (授权事件接收URL)", v.appID))
	case now.Sub(at) > ticketLife:
		lines = append(lines, fmt.Sprintf("platform %s: the last component_verify_ticket is of %s and good for 12 hours; WeChat's pushes do not reach /wechat/component/callback any more",
			v.appID, at.UTC().Format(time.RFC3339)))
	}
	for _, appID := range authorizers {
		if token, err := v.RefreshToken(ctx, appID); err == nil && token == "" {
			lines = append(lines, fmt.Sprintf("merchant %s has not authorised platform %s", appID, v.appID))
		}
	}
	return lines
}
