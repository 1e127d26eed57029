package config

import (
	"encoding/base64"
	"os"
	"strings"
	"testing"
)

// Parts of the configurations below, one line each.
const (
	goodAccount = "- {delivery_id: SF, appid: wx1, secret: s1}\n"
	goodSource  = "- {name: app, api_key: " + canary + "}\n"
	adminToken  = canary + "-" + canary
)

// account is a configuration with one good account that has one more key, in line 3.
func account(key string) string {
	return "accounts:\n- {delivery_id: SF, appid: wx1, secret: s1,\n  " + key + "}\n"
}

func TestCheckRefuses(t *testing.T) {
	short := base64.StdEncoding.EncodeToString(make([]byte, 23))
	aes := strings.Repeat("A", 43)
	for _, tt := range []struct {
		name, yaml string
		env        []string
		want       []string // All lines of the error, whole.
	}{
		// Listeners.
		{name: "listen without a port", yaml: "server:\n  listen: 127.0.0.1\n",
			want: []string{`c.yaml:2: server.listen: "127.0.0.1" is no address to listen on; write host:port, for example 127.0.0.1:8080`}},
		{name: "listen on a named port", yaml: "server:\n  admin_listen: 127.0.0.1:http\n",
			want: []string{`c.yaml:2: server.admin_listen: "127.0.0.1:http" is no address to listen on; write host:port, for example 127.0.0.1:8080`}},
		{name: "listen on a port too high", yaml: "server:\n  listen: 127.0.0.1:65536\n",
			want: []string{`c.yaml:2: server.listen: "127.0.0.1:65536" is no address to listen on; write host:port, for example 127.0.0.1:8080`}},
		{name: "listen on a URL", yaml: "server:\n  listen: http://127.0.0.1:1\n",
			want: []string{`c.yaml:2: server.listen: "http://127.0.0.1:1" is no address to listen on; write host:port, for example 127.0.0.1:8080`}},
		{name: "both listen on one address", yaml: "server:\n  listen: 127.0.0.1:9000\n  admin_listen: 127.0.0.1:9000\n",
			want: []string{"c.yaml:3: server.admin_listen: is the same address as server.listen; give it a port of its own"}},
		{name: "one listens on all addresses", yaml: "server:\n  listen: 127.0.0.1:9000\n  admin_listen: \"[::]:9000\"\nadmin: {tokens: [{name: a, role: viewer, token: " + adminToken + "}]}\n",
			want: []string{"c.yaml:3: server.admin_listen: is the same address as server.listen; give it a port of its own"}},
		{name: "open without a source", yaml: "server:\n  listen: :8080\n",
			want: []string{`c.yaml:2: server.listen: ":8080" is open to the network, but no source is configured; add one to sources, or listen on 127.0.0.1`}},
		{name: "open without an admin token", yaml: "server:\n  admin_listen: 10.0.0.1:8081\n",
			want: []string{`c.yaml:2: server.admin_listen: "10.0.0.1:8081" is open to the network, but no admin token is configured; add one to admin.tokens, or listen on 127.0.0.1`}},
		{name: "open by environment", env: []string{"CARRIER_SERVER_LISTEN=0.0.0.0:80"},
			want: []string{`CARRIER_SERVER_LISTEN: server.listen: "0.0.0.0:80" is open to the network, but no source is configured; add one to sources, or listen on 127.0.0.1`}},
		{name: "bodies too small", yaml: "server:\n  max_body: 1000\n",
			want: []string{"c.yaml:2: server.max_body: must be 1KiB to 64MiB, not 1000", "c.yaml: state.max_action_msg: 1KiB is not below server.max_body (1000), so no such event could arrive; lower it"}},

		// Store.
		{name: "store without a folder", yaml: "store:\n  url: \"file:\"\n",
			want: []string{"c.yaml:2: store.url: must be file:FOLDER or postgres://user:password@host:5432/database"}},
		{name: "store of another kind", yaml: "store:\n  url: mysql://root:" + canary + "@db/x\n",
			want: []string{"c.yaml:2: store.url: must be file:FOLDER or postgres://user:password@host:5432/database"}},
		{name: "store without a database", yaml: "store:\n  url: postgres://u:" + canary + "@db\n",
			want: []string{"c.yaml:2: store.url: must be file:FOLDER or postgres://user:password@host:5432/database"}},
		{name: "a node's name with a space", yaml: "store:\n  node: node 1\n",
			want: []string{`c.yaml:2: store.node: "node 1" must be at most 63 letters, digits and any of . _ -`}},
		{name: "a lease too short to be renewed", yaml: "store:\n  lease: 500ms\n",
			want: []string{"c.yaml:2: store.lease: must be 2s to 5m, not 500ms"}},
		{name: "retention shorter than the wait for a Token", yaml: "store:\n  retention: 23h\npush: {retry: {max_age: 1h}}\n",
			want: []string{"c.yaml:2: store.retention: 23h is shorter than push.no_token_wait (24h), so an event could be pruned while it still may be pushed; make it longer"}},
		{name: "retention shorter than retries", yaml: "store:\n  retention: 48h\n",
			want: []string{"c.yaml:2: store.retention: 48h is shorter than push.retry.max_age (72h), so an event could be pruned while it still may be pushed; make it longer"}},
		{name: "retention below zero", yaml: "store:\n  retention: -1h\n",
			want: []string{"c.yaml:2: store.retention: must not be negative, not -1h"}},
		{name: "free space below zero", yaml: "store:\n  min_free: -1\n",
			want: []string{"c.yaml:2: store.min_free: must not be negative, not -1"}},
		{name: "no such key file", yaml: "store:\n  key_file: keys\n",
			want: []string{"c.yaml:2: store.key_file: keys: there is no such file; check the path"}},

		// Sources.
		{name: "source without a name", yaml: "sources:\n- api_key: " + canary + "\n",
			want: []string{"c.yaml:2: sources[0].name: is missing; write a name of your own"}},
		{name: "source with a dot in its name", yaml: "sources:\n- {name: a.b, api_key: " + canary + "}\n",
			want: []string{`c.yaml:2: sources[0].name: "a.b" must be 1 to 64 letters, digits, - and _, beginning with a letter or digit`}},
		{name: "two sources with one name", yaml: "sources:\n" + goodSource + "- {name: app, api_key: other-" + canary + "}\n",
			want: []string{`c.yaml:3: sources[1].name: "app" is used twice; event ids are unique within a source, so give each its own name`}},
		{name: "two sources with one key", yaml: "sources:\n" + goodSource + "- name: two\n  api_key: " + canary + "\n",
			want: []string{"c.yaml:4: sources[1].api_key: is the same as sources[0].api_key; give each source its own"}},
		{name: "source without credentials", yaml: "sources:\n- name: app\n",
			want: []string{"c.yaml:2: sources[0]: has neither api_key nor signing_secret, so anybody could send in its name; give it one (or the ..._file twin)"}},
		{name: "short key", yaml: "sources:\n- name: app\n  api_key: CANARY-01234567\nserver: {listen: \":8080\"}\n",
			want: []string{"c.yaml:3: sources[0].api_key: is shorter than 16 characters and could be guessed; make one with: openssl rand -hex 32"}},
		{name: "key that no header can carry", yaml: "sources:\n- name: app\n  api_key: " + canary + "é\n",
			want: []string{"c.yaml:3: sources[0].api_key: holds a space or a character outside ASCII, which no HTTP header can carry; make one with: openssl rand -hex 32"}},
		{name: "source with WeChat's name", yaml: "sources:\n- {name: wechat, signing_secret: whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 24)) + "}\n",
			want: []string{`c.yaml:2: sources[0].name: "wechat" is the source of WeChat's own cancellations; choose another name`}},
		{name: "signing secret without its beginning", yaml: "sources:\n- name: app\n  signing_secret: " + canary + "\n",
			want: []string{`c.yaml:3: sources[0].signing_secret: must be whsec_ and the base64 of at least 24 bytes; make one with: echo "whsec_$(openssl rand -base64 32)"`}},
		{name: "signing secret that is no base64", yaml: "sources:\n- name: app\n  signing_secret: whsec_" + canary + "\n",
			want: []string{`c.yaml:3: sources[0].signing_secret: must be whsec_ and the base64 of at least 24 bytes; make one with: echo "whsec_$(openssl rand -base64 32)"`}},
		{name: "short signing secret", yaml: "sources:\n- name: app\n  signing_secret: whsec_" + short + "\n",
			want: []string{`c.yaml:3: sources[0].signing_secret: must be whsec_ and the base64 of at least 24 bytes; make one with: echo "whsec_$(openssl rand -base64 32)"`}},
		{name: "source for no account", yaml: "sources:\n- name: app\n  api_key: " + canary + "\n  delivery_ids: [SF,\n    YTO]\naccounts:\n" + goodAccount,
			want: []string{`c.yaml:5: sources[0].delivery_ids[1]: "YTO" is no account's delivery_id; add the account, or correct it`}},
		{name: "source with a negative rate", yaml: "sources:\n- name: app\n  api_key: " + canary + "\n  rate: -1\n",
			want: []string{"c.yaml:4: sources[0].rate: must not be negative, not -1"}},

		// Accounts.
		{name: "account without an id", yaml: "accounts:\n- {appid: wx1, secret: s1}\n",
			want: []string{"c.yaml:2: accounts[0].delivery_id: is missing; write WeChat's id of the company, for example SF"}},
		{name: "account with a slash in its id", yaml: "accounts:\n- {delivery_id: S/F, appid: wx1, secret: s1}\n",
			want: []string{`c.yaml:2: accounts[0].delivery_id: "S/F" must be 1 to 64 letters, digits, - and _, beginning with a letter or digit`}},
		{name: "two accounts with one id", yaml: "accounts:\n" + goodAccount + "- appid: wx2\n  secret: s2\n  delivery_id: SF\n",
			want: []string{`c.yaml:5: accounts[1].delivery_id: "SF" is used twice; give each account its own`}},
		{name: "account without appid and secret", yaml: "accounts:\n- delivery_id: SF\n",
			want: []string{
				"c.yaml:2: accounts[0].appid: is missing; write the mini program's AppID, or set token_mode: none in WeChat's cloud",
				"c.yaml:2: accounts[0].secret: is missing; give secret or secret_file, or set token_mode: none in WeChat's cloud",
			}},
		{name: "appid with a space", yaml: "accounts:\n- {delivery_id: SF, secret: s1, appid: wx 1}\n",
			want: []string{`c.yaml:2: accounts[0].appid: "wx 1" is no AppID; copy it from the mini program's settings`}},
		{name: "base_url empty", yaml: account(`base_url: ""`),
			want: []string{"c.yaml:3: accounts[0].base_url: is empty; write https://api.weixin.qq.com, or remove the key"}},
		{name: "base_url of another scheme", yaml: account("base_url: file:///etc/passwd"),
			want: []string{"c.yaml:3: accounts[0].base_url: must be http:// or https:// and a host, for example https://api.weixin.qq.com"}},
		{name: "base_url without a scheme", yaml: account("base_url: api.weixin.qq.com"),
			want: []string{"c.yaml:3: accounts[0].base_url: must be http:// or https:// and a host, for example https://api.weixin.qq.com"}},
		{name: "base_url with a user", yaml: account("base_url: https://u:" + canary + "@proxy.example"),
			want: []string{"c.yaml:3: accounts[0].base_url: must be a plain address, without user, query or fragment; remove those"}},
		{name: "base_url with a query", yaml: account("base_url: https://proxy.example/?key=" + canary),
			want: []string{"c.yaml:3: accounts[0].base_url: must be a plain address, without user, query or fragment; remove those"}},
		{name: "base_url with a fragment", yaml: account("base_url: \"https://proxy.example/#" + canary + "\""),
			want: []string{"c.yaml:3: accounts[0].base_url: must be a plain address, without user, query or fragment; remove those"}},
		{name: "base_url of the metadata service", yaml: account("base_url: http://169.254.169.254"),
			want: []string{`c.yaml:3: accounts[0].base_url: "169.254.169.254" is a link-local or metadata address, from which a cloud hands out credentials; use another host`}},
		{name: "base_url with a port that is none", yaml: account("base_url: https://proxy.example:65536"),
			want: []string{"c.yaml:3: accounts[0].base_url: the port must be 1 to 65535, not 65536"}},
		{name: "base_url over http", yaml: account("base_url: http://api.weixin.qq.com"),
			want: []string{`c.yaml:3: accounts[0].base_url: sends credentials over http to "api.weixin.qq.com", which is no private host; use https`}},
		{name: "fallback over http", yaml: account("fallback_base_url: http://api2.weixin.qq.com"),
			want: []string{`c.yaml:3: accounts[0].fallback_base_url: sends credentials over http to "api2.weixin.qq.com", which is no private host; use https`}},
		{name: "fallback to itself", yaml: account("fallback_base_url: HTTPS://API.weixin.qq.com/"),
			want: []string{"c.yaml:3: accounts[0].fallback_base_url: is the same as base_url, so it can't help when that one fails; remove it"}},
		{name: "sandbox that falls back to WeChat", yaml: account("base_url: http://127.0.0.1:9090,\n  fallback_base_url: https://api2.weixin.qq.com"),
			want: []string{"c.yaml:4: accounts[0].fallback_base_url: leads to WeChat's own host while base_url doesn't, so traffic meant for a sandbox or proxy would reach WeChat; remove it"}},
		{name: "unknown token_mode", yaml: account("token_mode: unstable"),
			want: []string{`c.yaml:3: accounts[0].token_mode: must be stable, basic or none, not "unstable"`}},
		{name: "no concurrency", yaml: account("concurrency: 0"),
			want: []string{"c.yaml:3: accounts[0].concurrency: must be 1 to 10000, not 0"}},
		{name: "too much concurrency", yaml: account("concurrency: 10001"),
			want: []string{"c.yaml:3: accounts[0].concurrency: must be 1 to 10000, not 10001"}},
		{name: "account with a negative rate", yaml: account("rate: -0.5"),
			want: []string{"c.yaml:3: accounts[0].rate: must not be negative, not -0.5"}},
		{name: "no timeout", yaml: account("timeout: 0"),
			want: []string{"c.yaml:3: accounts[0].timeout: must be above 0, not 0"}},
		{name: "long timeout", yaml: account("timeout: 26s"),
			want: []string{"c.yaml:3: accounts[0].timeout: 26s is longer than 25s, but a stop waits for requests in flight and takes 30s at most; shorten it"}},
		{name: "callback", yaml: account("callback: {token: " + canary + ", encoding_aes_key: " + canary + ", previous_encoding_aes_key: " + aes + "}"),
			want: []string{
				"c.yaml:3: accounts[0].callback.token: must be 3 to 32 letters and digits, as in WeChat's message push settings",
				"c.yaml:3: accounts[0].callback.encoding_aes_key: must be the 43 characters of an EncodingAESKey, as in WeChat's message push settings",
			}},
		{name: "callback keys without their fellows", yaml: account("callback: {previous_encoding_aes_key: "+aes+"}") + "- {delivery_id: YTO, appid: wx2, secret: s2, callback: {encoding_aes_key: " + aes + "}}\n",
			want: []string{
				"c.yaml:3: accounts[0].callback.encoding_aes_key: is missing beside previous_encoding_aes_key; write the new key here",
				"c.yaml:4: accounts[1].callback.token: is missing beside encoding_aes_key; copy both from WeChat's message push settings",
			}},
		{name: "encrypted callbacks without an appid", yaml: "accounts:\n- {delivery_id: SF, token_mode: none, base_url: http://x, callback: {token: abc, encoding_aes_key: " + aes + "}}\n",
			want: []string{"c.yaml:2: accounts[0].appid: is missing beside callback.encoding_aes_key; what WeChat encrypts ends with it"}},
		{name: "the cloud's access_token", yaml: account("cloud_token_file: t") + "- {delivery_id: YTO, token_mode: none, cloud_token_file: t, base_url: http://a.example}\n",
			want: []string{
				"c.yaml:3: accounts[0].cloud_token_file: is used only with token_mode: none; set that, or remove it",
				`c.yaml:4: accounts[1].base_url: sends credentials over http to "a.example", which is no private host; use https`,
			}},
		{name: "orders", yaml: account("orders: {url: ftp://x, secret_file: secret}"),
			want: []string{
				"c.yaml:3: accounts[0].orders.url: must be http:// or https:// and a host, for example https://api.weixin.qq.com",
				`c.yaml:3: accounts[0].orders.secret: must be whsec_ and the base64 of at least 24 bytes; make one with: echo "whsec_$(openssl rand -base64 32)"`,
			}},
		{name: "orders without a secret", yaml: account("orders: {url: http://dispatch:80}"),
			want: []string{
				"c.yaml:3: accounts[0].orders.secret: is missing beside url; write a whsec_ secret that both sides know",
			}},

		// Merchants.
		{name: "merchants", yaml: "merchants:\n- {name: shop, appid: wx1, secret: s}\n- {name: shop, token_mode: x, base_url: http://a.example}\n",
			want: []string{
				`c.yaml:3: merchants[1].token_mode: must be stable, basic or none, not "x"`,
				`c.yaml:3: merchants[1].name: "shop" is used twice; give each merchant its own`,
				"c.yaml:3: merchants[1].appid: is missing; write the mini program's AppID, or set token_mode: none in WeChat's cloud",
				"c.yaml:3: merchants[1].secret: is missing; give secret or secret_file, or set token_mode: none in WeChat's cloud",
				`c.yaml:3: merchants[1].base_url: sends credentials over http to "a.example", which is no private host; use https`,
			}},
		{name: "merchants share a shop", yaml: "merchants:\n- {name: a, appid: wx1, secret: s, shop_appids: [wx1, wx2]}\n" +
			"- {name: b, appid: wx2, secret: s, shop_appids: [wx 3, \"\"]}\n",
			want: []string{
				`c.yaml:3: merchants[1].appid: "wx2" is at merchants[0].shop_appids[1] already, so it would not be clear whose credentials are to be used; keep one`,
				`c.yaml:3: merchants[1].shop_appids[0]: "wx 3" is no AppID; copy it from the mini program's settings`,
				`c.yaml:3: merchants[1].shop_appids[1]: is empty; write an AppID, or remove it`,
			}},
		{name: "merchant with what belongs to another kind", yaml: "merchants:\n" +
			"- {name: a, appid: wx1, secret: s, cloud_token_file: t, refresh_token: r}\n" +
			"- {name: b, token_mode: none, cloud_token_file: t, base_url: http://api.weixin.qq.com}\n" +
			"- {name: c, secret: s, authorizer: true, token_mode: none, cloud_token_file: t}\n",
			want: []string{
				"c.yaml:2: merchants[0].refresh_token: is used only by merchants of a third-party platform; set authorizer: true, or remove it",
				"c.yaml:2: merchants[0].cloud_token_file: is used only with token_mode: none; set that, or remove it",
				`c.yaml:3: merchants[1].base_url: sends credentials over http to "api.weixin.qq.com", which is no private host; use https`,
				"c.yaml:4: merchants[2].authorizer: needs the third-party platform that the merchant has authorised; fill in platform.appid and what belongs to it",
				"c.yaml:4: merchants[2].appid: is missing; write the AppID of the merchant that has authorised the platform",
				"c.yaml:4: merchants[2].secret: has no use beside authorizer: true; remove one of them",
				"c.yaml:4: merchants[2].token_mode: has no use beside authorizer: true; remove it",
				"c.yaml:4: merchants[2].cloud_token_file: has no use beside authorizer: true; remove it",
			}},
		{name: "platform without its parts", yaml: "platform: {appid: wx9, base_url: ftp://x}\naccounts:\n- {delivery_id: component, appid: wx1, secret: s}\n",
			want: []string{
				"c.yaml:1: platform.secret: is missing; give secret or secret_file: the component_appsecret",
				"c.yaml:1: platform.base_url: must be http:// or https:// and a host, for example https://api.weixin.qq.com",
				"c.yaml:1: platform.callback.encoding_aes_key: is missing; without token and key no component_verify_ticket can be taken, and without that there are no access_tokens",
				`c.yaml:3: accounts[0].delivery_id: "component" is the address of the platform's callback; choose another id`,
			}},
		{name: "platform without an appid", yaml: "platform: {secret: s}\n",
			want: []string{"c.yaml:1: platform.appid: is missing; write the platform's component_appid, or remove the section"}},

		// State and push.
		{name: "negative times", yaml: "state:\n  reorder_window: -1s\n  max_future: -1s\n  max_age: -1s\n",
			want: []string{
				"c.yaml:2: state.reorder_window: must not be negative, not -1s",
				"c.yaml:3: state.max_future: must not be negative, not -1s",
				"c.yaml:4: state.max_age: must not be negative, not -1s",
			}},
		{name: "no text at all", yaml: "state:\n  max_action_msg: 0\n",
			want: []string{"c.yaml:2: state.max_action_msg: must be 1 to 64KiB, not 0"}},
		{name: "text larger than a body", yaml: "server: {max_body: 2KiB}\nstate:\n  max_action_msg: 2KiB\n",
			want: []string{"c.yaml:3: state.max_action_msg: 2KiB is not below server.max_body (2KiB), so no such event could arrive; lower it"}},
		{name: "retries that shrink", yaml: "push:\n  retry:\n    initial: 10m\n    multiplier: 0.9\n",
			want: []string{
				"c.yaml:3: push.retry.initial: 10m is longer than push.retry.max (5m); lower it",
				"c.yaml:4: push.retry.multiplier: must be 1 to 100, not 0.9",
			}},
		{name: "looked at before it must show", yaml: "verify: {after: 30s}\n",
			want: []string{"c.yaml:1: verify.after: 30s is shorter than verify.delay (1m), so nothing would ever count as missing; raise it, or lower verify.delay"}},
		{name: "no retries", yaml: "push:\n  retry: {initial: 0, max_age: 0}\n  no_token_wait: 0\n  token_retries: -1\n",
			want: []string{
				"c.yaml:2: push.retry.initial: must be above 0, not 0",
				"c.yaml:2: push.retry.max_age: must be above 0, not 0",
				"c.yaml:3: push.no_token_wait: must be above 0, not 0",
				"c.yaml:4: push.token_retries: must be 0 to 100, not -1",
			}},
		{name: "unknown_waybills of another kind", yaml: "push:\n  unknown_waybills: drop\n",
			want: []string{`c.yaml:2: push.unknown_waybills: must be wait or discard, not "drop"`}},
		{name: "quota_reserve above all", yaml: "push:\n  quota_reserve: 1.5\n",
			want: []string{
				"c.yaml:2: push.quota_reserve: must be 0 to 1, not 1.5",
			}},
		{name: "errcodes", yaml: "push:\n  errcodes:\n    0: event\n    40199: ignore\n    4019: event\n    930507: rate\n    45035: account\n",
			want: []string{
				"c.yaml:3: push.errcodes.0: 0 is success and can't mean anything else; remove it",
				`c.yaml:4: push.errcodes.40199: must be upstream, credential, account, rate, waybill or event, not "ignore"`,
				"c.yaml:5: push.errcodes.4019: 4019 is no error code of WeChat; correct it",
				"c.yaml:6: push.errcodes.930507: 930507 is no error code of WeChat; correct it",
			}},
		{name: "breaker", yaml: "push:\n  breaker: {min_requests: 0,\n    failure_ratio: 0,\n    interval: 0,\n    open_for: 0,\n    half_open: 0}\n",
			want: []string{
				"c.yaml:2: push.breaker.min_requests: must be 1 or more, not 0",
				"c.yaml:3: push.breaker.failure_ratio: must be above 0 and at most 1, not 0",
				"c.yaml:4: push.breaker.interval: must be above 0, not 0",
				"c.yaml:5: push.breaker.open_for: must be above 0, not 0",
				"c.yaml:6: push.breaker.half_open: must be 1 or more, not 0",
			}},
		{name: "guard", yaml: "push:\n  guard: {share: 1.1,\n    min: 0,\n    window: 0}\n",
			want: []string{
				"c.yaml:2: push.guard.share: must be 0 to 1, not 1.1",
				"c.yaml:3: push.guard.min: must be 1 or more, not 0",
				"c.yaml:4: push.guard.window: must be above 0, not 0",
			}},
		{name: "failure_ratio above all", yaml: "push:\n  breaker: {failure_ratio: 1.01}\n",
			want: []string{"c.yaml:2: push.breaker.failure_ratio: must be above 0 and at most 1, not 1.01"}},

		// Admin and log.
		{name: "short admin token", yaml: "admin:\n  tokens:\n  - name: ops\n    role: operator\n    token: " + canary + "-" + canary[:13] + "\nserver: {admin_listen: \":8081\"}\n",
			want: []string{"c.yaml:5: admin.tokens[0].token: is shorter than 32 characters and could be guessed; make one with: openssl rand -hex 32"}},
		{name: "admin token without anything", yaml: "admin:\n  tokens:\n  - {}\n",
			want: []string{
				`c.yaml:3: admin.tokens[0].role: must be operator or viewer, not ""`,
				"c.yaml:3: admin.tokens[0].name: is missing; write whose token it is; the audit log says it",
				"c.yaml:3: admin.tokens[0].token: is missing; give token or token_file",
			}},
		{name: "unknown role", yaml: "admin:\n  tokens:\n  - {name: ops, token: " + adminToken + ",\n    role: root}\n",
			want: []string{`c.yaml:4: admin.tokens[0].role: must be operator or viewer, not "root"`}},
		{name: "admin token and name used twice", yaml: "admin:\n  tokens:\n  - {name: ops, role: operator, token: " + adminToken + "}\n  - {name: ops, role: viewer, token: " + adminToken + "}\n",
			want: []string{
				`c.yaml:4: admin.tokens[1].name: "ops" is used twice; the audit log couldn't tell them apart`,
				"c.yaml:4: admin.tokens[1].token: is the same as admin.tokens[0].token; make one of its own with: openssl rand -hex 32",
			}},
		{name: "admin token that is a source's key", yaml: "sources:\n- {name: app, api_key: " + adminToken + "}\nadmin:\n  tokens:\n  - {name: ops, role: viewer, token: " + adminToken + "}\n",
			want: []string{"c.yaml:5: admin.tokens[0].token: is the same as sources[0].api_key; make one of its own with: openssl rand -hex 32"}},
		{name: "log", yaml: "log:\n  level: loud\n  format: xml\n",
			want: []string{
				`c.yaml:2: log.level: must be debug, info, warn or error, not "loud"`,
				`c.yaml:3: log.format: must be auto, text or json, not "xml"`,
			}},
		{name: "log by environment", env: []string{"CARRIER_LOG_LEVEL="},
			want: []string{`CARRIER_LOG_LEVEL: log.level: must be debug, info, warn or error, not ""`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inFolder(t, map[string]string{"c.yaml": tt.yaml, "secret": canary})
			c, err := Load("c.yaml", tt.env)
			if err != nil {
				t.Fatalf("Load: %v", err)
			}
			compareLines(t, c.Check(), tt.want)
		})
	}
}

func TestCheckAccepts(t *testing.T) {
	signing := "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 24))
	for _, tt := range []struct {
		name, yaml string
	}{
		{"an account", "accounts:\n" + goodAccount},
		{"longest timeout", account("timeout: 25s")},
		{"concurrency at its limits", account("concurrency: 1") + "- {delivery_id: YTO, appid: wx1, secret: s, concurrency: 10000}\n"},
		{"cloud container", "accounts: [{delivery_id: SF, token_mode: none, base_url: \"http://api.weixin.qq.com\"}]\n"},
		{"sandbox on loopback", account("base_url: http://127.0.0.1:9090")},
		{"sandbox by name", account("base_url: http://sandbox:9090/prefix")},
		{"sandbox on loopback, IPv6", account(`base_url: "http://[::1]:9090"`)},
		{"gateway in a private network", account("base_url: http://10.2.3.4")},
		{"gateway with a fallback of its own", account("base_url: https://gw1.example, fallback_base_url: https://gw2.example")},
		{"WeChat's other hosts", account("base_url: https://sh.api.weixin.qq.com, fallback_base_url: https://api2.weixin.qq.com")},
		{"signing secret of 24 bytes", "sources: [{name: app, signing_secret: " + signing + "}]\n"},
		{"two sources that sign with one secret", "sources: [{name: a, signing_secret: " + signing + "}, {name: b, signing_secret: " + signing + "}]\n"},
		{"open with credentials", "server: {listen: \":8080\", admin_listen: \":8081\"}\nsources:\n" + goodSource + "admin: {tokens: [{name: a, role: viewer, token: " + adminToken + "}]}\n"},
		{"any free ports", "server: {listen: 127.0.0.1:0, admin_listen: 127.0.0.1:0}\n"},
		{"loopback by name", "server: {listen: localhost:80, admin_listen: \"[::1]:80\"}\n"},
		{"everything kept", "store: {retention: 0}\n"},
		{"retention as long as needed", "store: {retention: 72h}\n"},
		{"folder as URL", "store: {url: \"file:///var/lib/carrier\"}\n"},
		{"no waiting", "state: {reorder_window: 0, max_future: 0}\npush: {token_retries: 0, retry: {initial: 1s, max: 1s, multiplier: 1}}\n"},
		{"no guard", "push: {guard: {share: 0}}\n"},
		{"every failure opens", "push: {breaker: {failure_ratio: 1, min_requests: 1, half_open: 1, interval: 1ms, open_for: 1ms}}\n"},
		{"new error codes", "push: {errcodes: {45035: account, -1: upstream, -2: event, 9300599: event}}\n"},
		{"logs for machines", "log: {level: debug, format: json}\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := load(t, tt.yaml).Check(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCheckWithoutFile(t *testing.T) {
	c := Default()
	c.Log.Level = "loud"
	compareLines(t, c.Check(), []string{`log.level: must be debug, info, warn or error, not "loud"`})
}

func TestHosts(t *testing.T) {
	for _, tt := range []struct {
		host              string
		metadata, private bool
	}{
		{host: "169.254.169.254", metadata: true},
		{host: "169.254.0.23", metadata: true},
		{host: "::ffff:169.254.169.254", metadata: true},
		{host: "fe80::1%eth0", metadata: true},
		{host: "fd00:ec2::254", metadata: true, private: true},
		{host: "100.100.100.200", metadata: true},
		{host: "metadata.google.internal.", metadata: true, private: true},
		{host: "Metadata.TencentYun.com", metadata: true},
		{host: "2852039166", metadata: true, private: true}, // 169.254.169.254 as one number.
		{host: "0xa9fea9fe", metadata: true, private: true},
		{host: "169.254.43518", metadata: true},
		{host: "0.0.0.0", metadata: true},
		{host: "::", metadata: true},
		{host: "224.0.0.1", metadata: true},
		{host: "127.0.0.1", private: true},
		{host: "::1", private: true},
		{host: "10.0.0.1", private: true},
		{host: "172.16.0.1", private: true},
		{host: "192.168.0.1", private: true},
		{host: "fd12::1", private: true},
		{host: "localhost", private: true},
		{host: "sandbox", private: true},
		{host: "gw.corp.internal", private: true},
		{host: "172.32.0.1"},
		{host: "8.8.8.8"},
		{host: "api.weixin.qq.com"},
		{host: "internal.example.com"},
		{host: "host1.example.com"},
	} {
		if got := isMetadata(tt.host); got != tt.metadata {
			t.Errorf("isMetadata(%q) = %t", tt.host, got)
		}
		if got := isPrivate(tt.host); got != tt.private {
			t.Errorf("isPrivate(%q) = %t", tt.host, got)
		}
	}
}

func TestWarnings(t *testing.T) {
	signing := "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 32))
	inFolder(t, map[string]string{"c.yaml": `
server: {trusted_proxies: [0.0.0.0/0]}
nats: {creds_file: creds}
sources:
- {name: app, api_key: ` + canary + `, signing_secret: ` + signing + `}
accounts:
- {delivery_id: A, appid: wx1, secret_file: secret, token_mode: basic, base_url: http://10.0.0.1}
- {delivery_id: B, token_mode: none}
- {delivery_id: C, appid: wx1, secret: s, base_url: http://localhost:1}
- {delivery_id: D, appid: wx1, secret: s, callback: {token: abc}}
- {delivery_id: E, appid: wx1, secret: s, orders: {url: http://dispatch, secret: ` + signing + `}}
- {delivery_id: F, appid: wx0000000000000000, secret: s}
- {delivery_id: G, appid: wx0000000000000000, secret: s, base_url: http://127.0.0.1:8090}
`, "secret": canary, "creds": ""})
	for _, name := range []string{"c.yaml", "secret"} {
		if err := os.Chmod(name, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Load("c.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"accounts[0].secret_file: secret: is readable by everyone; chmod 640 it",
		"c.yaml: is readable by everyone and holds a secret; chmod 640 it, or use ${NAME} or a ..._file key",
		"admin.tokens: there is none, so only this machine can reach server.admin_listen",
		"sources[0].api_key: is not used, because signing_secret is set; remove one of them",
		"accounts[0].token_mode: basic makes the tokens of every other user of this appid end; use stable",
		"accounts[0].base_url: credentials travel unencrypted; use https if the network is shared",
		"accounts[1].token_mode: none works in WeChat's cloud, over http; set base_url: http://api.weixin.qq.com",
		"accounts[3].callback: without encoding_aes_key what WeChat pushes is neither secret nor signed; choose the safe mode (安全模式) in its console, and set the key",
		"accounts[4].orders: is not used, because callback.token is empty, and without it no order is taken from WeChat",
		"accounts[5].appid: is the example's; write the AppID of the delivery company's mini program, or WeChat answers 40013",
		"server.trusted_proxies: 0.0.0.0/0 believes everybody's X-Forwarded-For; name your proxies only",
		"nats.creds_file: is not used, because nats.url is empty",
	}
	if got := strings.Join(c.Warnings(), "\n"); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestWarningsOfDefault(t *testing.T) {
	want := []string{
		"accounts: there is none, so nothing is pushed",
		"sources: there is none, so only this machine can reach server.listen",
		"admin.tokens: there is none, so only this machine can reach server.admin_listen",
	}
	if got := Default().Warnings(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", got, want)
	}
}
