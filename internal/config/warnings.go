package config

import (
	"net/url"
)

// Warnings tells what works but is likely not what is wanted, one line each. It is for a configuration that Check
// accepts.
func (c *Config) Warnings() []string { return append(c.fileWarnings(), c.SettingWarnings()...) }

// SettingWarnings are those of the Warnings that are about settings, not about files that others can read.
func (c *Config) SettingWarnings() []string {
	var w []string
	add := func(when bool, text string) {
		if when {
			w = append(w, text)
		}
	}
	add(len(c.Accounts) == 0, "accounts: there is none, so nothing is pushed")
	add(len(c.Sources) == 0 && !c.NATS.On(), "sources: there is none, so only this machine can reach server.listen")
	add(len(c.Sources) == 0 && c.NATS.On(), "sources: there is none, so events come over NATS only")
	add(len(c.Admin.Tokens) == 0, "admin.tokens: there is none, so only this machine can reach server.admin_listen")
	for i, s := range c.Sources {
		add(s.APIKey != "" && s.SigningSecret != "",
			index("sources", i)+".api_key: is not used, because signing_secret is set; remove one of them")
	}
	for i, s := range c.Sources {
		add(s.APIKey != "" && len(s.APIKey) < minAPIKey,
			index("sources", i)+".api_key: is short and could be guessed; make one with: openssl rand -hex 32")
	}
	for i, t := range c.Admin.Tokens {
		add(len(t.Token) < minAdminToken,
			index("admin.tokens", i)+".token: is short and could be guessed; make one with: openssl rand -hex 32")
	}
	for i, a := range c.Accounts {
		w = append(w, a.warnings(index("accounts", i))...)
	}
	for _, p := range c.Server.TrustedProxies {
		add(p.Bits() == 0, "server.trusted_proxies: "+p.String()+" believes everybody's X-Forwarded-For; name your proxies only")
	}
	return append(w, c.NATS.warnings()...)
}

// warnings tells which of NATS's keys are without effect, and where passwords travel in the clear.
func (n NATS) warnings() []string {
	var w []string
	why := "nats.url is empty"
	if n.IsEmbedded() {
		why = "the embedded server asks for none"
	}
	for _, file := range []struct{ key, value string }{
		{"creds_file", n.CredsFile}, {"nkey_file", n.NKeyFile}, {"user", n.User}, {"tls.ca_file", n.TLS.CAFile}, {"tls.cert_file", n.TLS.CertFile},
	} {
		if file.value != "" && (!n.On() || n.IsEmbedded()) {
			w = append(w, "nats."+file.key+": is not used, because "+why)
		}
	}
	if n.On() && !n.IsEmbedded() && n.TLS == (NATSTLS{}) && (n.User != "" || natsUser(n.URL.Reveal())) {
		for _, server := range natsServers(n.URL.Reveal()) {
			if u, err := url.Parse(server); err == nil && u.Scheme == "nats" && !isLoopback(u.Hostname()) {
				return append(w, "nats.url: the password travels unencrypted, unless the server insists on TLS; use tls:// if the network is shared")
			}
		}
	}
	return w
}

// exampleAppID stands in the configurations that come with carrier.
const exampleAppID = "wx0000000000000000"

func (a Account) warnings(at string) []string {
	var w []string
	if a.AppID == exampleAppID && isWeChat(a.BaseURL) {
		w = append(w, at+".appid: is the example's; write the AppID of the delivery company's mini program, or WeChat answers 40013")
	}
	if a.TokenMode == TokenBasic {
		w = append(w, at+".token_mode: basic makes the tokens of every other user of this appid end; use stable")
	}
	if a.Callback.Token != "" && a.Callback.EncodingAESKey == "" {
		w = append(w, at+".callback: without encoding_aes_key what WeChat pushes is neither secret nor signed; choose the safe mode (安全模式) in its console, and set the key")
	}
	if a.Orders.URL != "" && a.Callback.Token == "" {
		w = append(w, at+".orders: is not used, because callback.token is empty, and without it no order is taken from WeChat")
	}
	u, err := url.Parse(a.BaseURL)
	if err != nil {
		return w
	}
	bare := a.TokenMode == TokenNone && a.CloudTokenFile == "" // Calls carry no credential.
	if bare && u.Scheme == "https" && isWeChat(a.BaseURL) {
		w = append(w, at+".token_mode: none works in WeChat's cloud, over http; set base_url: http://api.weixin.qq.com")
	}
	if !bare && u.Scheme == "http" && !isLoopback(u.Hostname()) {
		w = append(w, at+".base_url: credentials travel unencrypted; use https if the network is shared")
	}
	return w
}
