package doctor

import (
	"strings"

	"carrier/internal/config"
	"carrier/internal/problem"
)

// shared says which AppIDs lose their access_token to somebody else. In the basic mode every fetch ends the life of the
// one before, whoever fetches: another account or merchant here, or another program.
func (d *doctor) shared() {
	users := map[string][]string{}
	basic := map[string]bool{}
	var order []string
	note := func(appID, user, mode string) {
		if appID == "" || mode == config.TokenNone {
			return
		}
		if users[appID] == nil {
			order = append(order, appID)
		}
		users[appID] = append(users[appID], user)
		basic[appID] = basic[appID] || mode == config.TokenBasic
	}
	for _, a := range d.o.Config.Accounts {
		note(a.AppID, a.DeliveryID, a.TokenMode)
	}
	for _, m := range d.o.Config.Merchants {
		if !m.Authorizer {
			note(m.AppID, m.Name, m.TokenMode)
		}
	}
	stable := text("set token_mode: stable, here and in every other program that uses this AppID", "请将此处及其他使用该 AppID 的程序都改为 token_mode: stable（稳定版接口）")
	for _, appID := range order { // Of one alone the configuration's warnings tell.
		if names := strings.Join(users[appID], ", "); basic[appID] && len(users[appID]) > 1 {
			d.fail(names, problem.Textf("all use the AppID %s, and with token_mode basic each ends the others' access_token", "共用 AppID %s，token_mode 为 basic 时会互相使对方的 access_token 失效", appID), stable)
		}
	}
}
