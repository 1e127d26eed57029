package config

import (
	"os"
	"strings"
	"testing"
)

// canary stands for a secret in what Load and Check refuse. No message may hold it.
const canary = "CANARY-0123456789"

func TestLoadRefuses(t *testing.T) {
	long := strings.Repeat("x", 100)
	for _, tt := range []struct {
		name, yaml string
		env        []string
		want       []string // All lines of the error, whole.
	}{
		{name: "unknown key", yaml: "server:\n  listn: 127.0.0.1:1\n",
			want: []string{"c.yaml:2: server.listn: is no key; did you mean listen?"}},
		{name: "unknown key in another style", yaml: "accounts:\n- delivery_id: SF\n  baseUrl: https://a.example\n",
			want: []string{"c.yaml:3: accounts[0].baseUrl: is no key; did you mean base_url?"}},
		{name: "twin of what is no secret", yaml: "log: {level_file: x}\n",
			want: []string{"c.yaml:1: log.level_file: is no key; the keys here are level, format"}},
		{name: "key of another section", yaml: "max_body: 1MiB\n",
			want: []string{"c.yaml:1: max_body: is no key; it belongs at server.max_body"}},
		{name: "long unknown key", yaml: "log:\n  " + long + ": 1\n",
			want: []string{"c.yaml:2: log." + long + ": is no key; the keys here are level, format"}},
		{name: "authorizer is no truth", yaml: "merchants:\n- {name: a, appid: wx1, secret: s, authorizer: yes please}\n",
			want: []string{"c.yaml:2: merchants[0].authorizer: must be true or false; write it without quotes"}},
		{name: "repeated key", yaml: "log:\n  level: info\n  format: text\n  level: debug\n",
			want: []string{"c.yaml:4: log.level: is given twice, first in line 2; keep one"}},
		{name: "repeated section", yaml: "log: {}\nserver: {}\nlog: {}\n",
			want: []string{"c.yaml:3: log: is given twice, first in line 1; keep one"}},
		{name: "repeated unknown key", yaml: "x1: 1\nx1: 2\n",
			want: []string{
				"c.yaml:1: x1: is no key; the keys here are server, store, nats, sources, accounts, merchants, platform, state, push, verify, admin, log",
				"c.yaml:2: x1: is given twice, first in line 1; keep one",
			}},
		{name: "repeated errcode", yaml: "push:\n  errcodes:\n    40199: event\n    \"40199\": rate\n",
			want: []string{"c.yaml:4: push.errcodes.40199: is given twice; keep one"}},
		{name: "second document", yaml: "log: {}\n---\nserver: {}\n",
			want: []string{"c.yaml:3:7: begins a second document; a configuration is one"}},
		{name: "section is text", yaml: "server: " + canary + "\n",
			want: []string{"c.yaml:1: server: must be a mapping (key: value), not text"}},
		{name: "file is a list", yaml: "- server\n", want: []string{"c.yaml:1: must be a mapping (key: value), not a list"}},
		{name: "file is text", yaml: canary + "\n", want: []string{"c.yaml:1: must be a mapping (key: value), not text"}},
		{name: "list is a mapping", yaml: "accounts:\n  delivery_id: SF\n",
			want: []string{`c.yaml:1: accounts: must be a list, not a mapping; write [a, b], or one "- " line for each`}},
		{name: "list is text", yaml: "sources:\n- delivery_ids: SF\n",
			want: []string{`c.yaml:2: sources[0].delivery_ids: must be a list, not text; write [a, b], or one "- " line for each`}},
		{name: "errcodes are a list", yaml: "push:\n  errcodes: [40199]\n",
			want: []string{"c.yaml:2: push.errcodes: must be a mapping of codes, {40199: event}, not a list"}},
		{name: "errcode in words", yaml: "push:\n  errcodes:\n    busy: event\n",
			want: []string{"c.yaml:3: push.errcodes.busy: is no error code; write its number, {40199: event}"}},
		{name: "text is a number", yaml: "accounts:\n- secret: 123456789\n",
			want: []string{"c.yaml:2: accounts[0].secret: must be text, not a number; put it in quotes"}},
		{name: "text is a truth value", yaml: "sources:\n- name: true\n",
			want: []string{"c.yaml:2: sources[0].name: must be text, not true or false; put it in quotes"}},
		{name: "text is a mapping", yaml: "accounts:\n- secret: {" + canary + ": x}\n",
			want: []string{"c.yaml:2: accounts[0].secret: must be text, not a mapping"}},
		{name: "text is nothing", yaml: "log:\n  level:\n",
			want: []string{"c.yaml:2: log.level: has no value; give it one, or remove the key"}},
		{name: "number is text", yaml: "accounts:\n- concurrency: \"64\"\n",
			want: []string{"c.yaml:2: accounts[0].concurrency: must be a number; write it without quotes"}},
		{name: "number is a list", yaml: "accounts:\n- rate: [1]\n",
			want: []string{"c.yaml:2: accounts[0].rate: must be a number, not a list"}},
		{name: "fraction", yaml: "accounts:\n- concurrency: 1.5\n",
			want: []string{`c.yaml:2: accounts[0].concurrency: "1.5" is no whole number, for example 64`}},
		{name: "leading zero", yaml: "accounts:\n- concurrency: 064\n",
			want: []string{`c.yaml:2: accounts[0].concurrency: "064" is no whole number, for example 64`}},
		{name: "hexadecimal", yaml: "accounts:\n- concurrency: 0x40\n",
			want: []string{`c.yaml:2: accounts[0].concurrency: "0x40" is no whole number, for example 64`}},
		{name: "too large", yaml: "accounts:\n- concurrency: 99999999999999999999\n",
			want: []string{`c.yaml:2: accounts[0].concurrency: "99999999999999999999" is too large a number`}},
		{name: "infinity", yaml: "accounts:\n- rate: .inf\n",
			want: []string{`c.yaml:2: accounts[0].rate: ".inf" is no number, for example 0.5`}},
		{name: "duration without unit", yaml: "state:\n  reorder_window: 120\n",
			want: []string{`c.yaml:2: state.reorder_window: "120" is no duration; write a number and a unit (ms, s, m, h), for example 90s or 24h`}},
		{name: "duration in days", yaml: "store:\n  retention: 30d\n",
			want: []string{`c.yaml:2: store.retention: "30d" is no duration; write a number and a unit (ms, s, m, h), for example 90s or 24h`}},
		{name: "duration is true", yaml: "store:\n  retention: true\n",
			want: []string{"c.yaml:2: store.retention: must be a duration such as 90s, not true or false"}},
		{name: "size in MB", yaml: "server:\n  max_body: 1MB\n",
			want: []string{`c.yaml:2: server.max_body: "1MB" is no size; write bytes or a whole number of KiB, MiB or GiB, for example 1MiB`}},
		{name: "size beyond all", yaml: "server:\n  max_body: 9223372036854775807KiB\n",
			want: []string{`c.yaml:2: server.max_body: "9223372036854775807KiB" is no size; write bytes or a whole number of KiB, MiB or GiB, for example 1MiB`}},
		{name: "no CIDR", yaml: "server:\n  trusted_proxies: [10.0.0.1]\n",
			want: []string{`c.yaml:2: server.trusted_proxies[0]: "10.0.0.1" is no network in CIDR form, for example 10.0.0.0/8; for one address write /32, or /128 for IPv6`}},
		{name: "anchor", yaml: "accounts:\n- &sf\n  delivery_id: SF\n",
			want: []string{"c.yaml:2:3: is a YAML anchor, alias, tag or directive; write the value itself"}},
		{name: "tag", yaml: "log:\n  level: !!str info\n",
			want: []string{"c.yaml:2:10: is a YAML anchor, alias, tag or directive; write the value itself"}},
		{name: "broken YAML", yaml: "accounts:\n- secret: " + canary + "\n  appid: [wx\n",
			want: []string{"c.yaml:3:10: sequence end token ']' not found"}},
		{name: "key that is a list", yaml: "? [a]\n: b\n", want: []string{"c.yaml:2:1: found an invalid key for this map"}},
		{name: "key of two lines", yaml: "\"a\\nb\": 1\n",
			want: []string{"c.yaml:1:1: is no key: it holds a character that can't be printed"}},
		{name: "tab", yaml: "log:\n\tlevel: info\n",
			want: []string{"c.yaml:2:1: a tab can't stand here: indent with spaces"}},
		{name: "not UTF-8", yaml: "log:\n  # \xc8\xd5\xd6\xbe\n  level: info\n",
			want: []string{"c.yaml:2: is not UTF-8; save the file in that encoding"}},
		{name: "binary", yaml: "log:\x00", want: []string{"c.yaml: holds a NUL byte; it is no YAML text"}},
		{name: "nested", yaml: strings.Repeat("[", 100_000),
			want: []string{"c.yaml:1:33: is nested too deeply for a configuration"}},
		{name: "nested in blocks", yaml: strings.Repeat("- ", 100_000),
			want: []string{"c.yaml:1:65: is nested too deeply for a configuration"}},
		{name: "too many keys", yaml: strings.Repeat("k: v\n", 20_001),
			want: []string{"c.yaml:20001:2: has more keys than a configuration; is it the right file?"}},

		{name: "undefined variable", yaml: "accounts:\n- secret: ${SF_SECRET}\n",
			want: []string{"c.yaml:2: accounts[0].secret: the environment variable SF_SECRET is not set; set it, or write the value here"}},
		{name: "empty variable", yaml: "accounts:\n- secret: ${SF_SECRET}\n", env: []string{"SF_SECRET="},
			want: []string{"c.yaml:2: accounts[0].secret: the environment variable SF_SECRET is empty; set it"}},
		{name: "open variable", yaml: "accounts:\n- secret: " + canary + "${SF\n",
			want: []string{`c.yaml:2: accounts[0].secret: has a "${" that begins no ${NAME}; write $${ for the text itself`}},
		{name: "variable with default", yaml: "accounts:\n- secret: ${SF:-" + canary + "}\n",
			want: []string{`c.yaml:2: accounts[0].secret: has a "${" that begins no ${NAME}; write $${ for the text itself`}},
		{name: "variable of the wrong kind", yaml: "accounts:\n- timeout: ${SF}\n", env: []string{"SF=" + canary},
			want: []string{`c.yaml:2: accounts[0].timeout: "${SF}" is no duration; write a number and a unit (ms, s, m, h), for example 90s or 24h`}},
		{name: "secret with a line break", yaml: "accounts:\n- secret: |\n    " + canary + "\n    x\n",
			want: []string{"c.yaml:2: accounts[0].secret: has spaces around it or a line break in it; remove them"}},
		{name: "variable with a line break", yaml: "accounts:\n- secret: ${SF}\n", env: []string{"SF=" + canary + "\n"},
			want: []string{"c.yaml:2: accounts[0].secret: has spaces around it or a line break in it; remove them"}},

		{name: "secret and its file", yaml: "accounts:\n- secret: " + canary + "\n  secret_file: secret\n",
			want: []string{"c.yaml:3: accounts[0].secret_file: is given beside secret; keep one of them"}},
		{name: "file and its secret", yaml: "accounts:\n- secret_file: secret\n  secret: " + canary + "\n",
			want: []string{"c.yaml:3: accounts[0].secret: is given beside secret_file; keep one of them"}},
		{name: "no such secret file", yaml: "admin:\n  tokens:\n  - token_file: nowhere/x\n",
			want: []string{"c.yaml:3: admin.tokens[0].token_file: nowhere/x: there is no such file; check the path"}},
		{name: "empty secret file", yaml: "accounts:\n- secret_file: empty\n",
			want: []string{"c.yaml:2: accounts[0].secret_file: empty: is empty; write the secret into it"}},
		{name: "two lines in a secret file", yaml: "accounts:\n- callback:\n    encoding_aes_key_file: lines\n",
			want: []string{"c.yaml:3: accounts[0].callback.encoding_aes_key_file: lines: must hold the secret on one line and nothing else"}},
		{name: "large secret file", yaml: "accounts:\n- orders:\n    secret_file: large\n",
			want: []string{"c.yaml:3: accounts[0].orders.secret_file: large: is larger than 64 KiB, which no secret is; is it the right file?"}},
		{name: "folder as secret file", yaml: "accounts:\n- callback: {previous_encoding_aes_key_file: .}\n",
			want: []string{"c.yaml:2: accounts[0].callback.previous_encoding_aes_key_file: .: is a directory"}},
		{name: "secret file without a name", yaml: "sources:\n- signing_secret_file: \"\"\n",
			want: []string{"c.yaml:2: sources[0].signing_secret_file: is empty; name a file, or remove the key"}},
		{name: "secret file is a list", yaml: "sources:\n- api_key_file: [a]\n",
			want: []string{"c.yaml:2: sources[0].api_key_file: must be text, not a list"}},

		{name: "unknown environment variable", env: []string{"CARRIER_SERVER_LISTN=x"},
			want: []string{"CARRIER_SERVER_LISTN: stands for no key; did you mean CARRIER_SERVER_LISTEN?"}},
		{name: "environment variable of a list", env: []string{"CARRIER_ACCOUNT_0_SECRET=" + canary},
			want: []string{"CARRIER_ACCOUNT_0_SECRET: stands for no key; did you mean CARRIER_ACCOUNTS_0_SECRET?"}},
		{name: "environment variable of a section", env: []string{"CARRIER_SERVER=x", "CARRIER_ACCOUNTS_0=x", "CARRIER_ACCOUNTS_00_SECRET=x"},
			want: []string{
				"CARRIER_ACCOUNTS_0: stands for no key; did you mean CARRIER_ACCOUNTS_0_RATE?",
				"CARRIER_ACCOUNTS_00_SECRET: stands for no key; did you mean CARRIER_ACCOUNTS_0_SECRET?",
				"CARRIER_SERVER: stands for no key; did you mean CARRIER_SERVER_LISTEN?",
			}},
		{name: "environment skips an entry", env: []string{"CARRIER_ACCOUNTS_1_SECRET=" + canary},
			want: []string{"CARRIER_ACCOUNTS_1_SECRET: the list has 0 entries; the next one is number 0"}},
		{name: "environment is empty", env: []string{"CARRIER_ACCOUNTS_0_SECRET="},
			want: []string{"CARRIER_ACCOUNTS_0_SECRET: accounts[0].secret: is empty; give it a value, or unset the variable"}},
		{name: "environment of the wrong type", env: []string{"CARRIER_PUSH_TOKEN_RETRIES=three", "CARRIER_SERVER_MAX_BODY=1MB"},
			want: []string{
				`CARRIER_PUSH_TOKEN_RETRIES: push.token_retries: "three" is no whole number, for example 64`,
				`CARRIER_SERVER_MAX_BODY: server.max_body: "1MB" is no size; write bytes or a whole number of KiB, MiB or GiB, for example 1MiB`,
			}},
		{name: "secret and its file in the environment", env: []string{"CARRIER_ACCOUNTS_0_SECRET=" + canary, "CARRIER_ACCOUNTS_0_SECRET_FILE=secret"},
			want: []string{"CARRIER_ACCOUNTS_0_SECRET_FILE: accounts[0].secret_file: is given beside secret; keep one of them"}},
		{name: "environment over a file of the wrong shape", yaml: "accounts: 5\nlog: x\n", env: []string{"CARRIER_ACCOUNTS_0_RATE=1", "CARRIER_LOG_LEVEL=info"},
			want: []string{
				`c.yaml:1: accounts: must be a list, not a number; write [a, b], or one "- " line for each`,
				"c.yaml:2: log: must be a mapping (key: value), not text",
			}},
		{name: "all at once, in the order of the file", yaml: "push:\n  x: 1\nserver:\n  y: 1\n", env: []string{"CARRIER_Z=1"},
			want: []string{
				"c.yaml:2: push.x: is no key; the keys here are retry, token_retries, no_token_wait, unknown_waybills, quota_reserve, errcodes, breaker, guard",
				"c.yaml:4: server.y: is no key; the keys here are listen, admin_listen, max_body, trusted_proxies",
				"CARRIER_Z: stands for no key; did you mean CARRIER_NATS_URL?",
			}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inFolder(t, map[string]string{
				"c.yaml": tt.yaml, "secret": canary, "empty": "\n", "lines": canary + "\nx\n",
				"large": strings.Repeat(canary, 10_000),
			})
			c, err := Load("c.yaml", tt.env)
			if err == nil || c != nil {
				t.Fatalf("accepted: %+v", c)
			}
			compareLines(t, err, tt.want)
		})
	}
}

func TestLoadRefusesFiles(t *testing.T) {
	inFolder(t, map[string]string{"large.yaml": strings.Repeat("# much\n", 200_000)})
	for path, want := range map[string]string{
		"missing.yaml": "missing.yaml: can't be read: there is no such file; check the path",
		".":            ".: can't be read: is a directory",
		"large.yaml":   "large.yaml: is larger than 1 MiB, which no configuration is; is it the right file?",
	} {
		_, err := Load(path, nil)
		compareLines(t, err, []string{want})
	}
	if os.Geteuid() == 0 {
		return // Root may read everything.
	}
	if err := os.WriteFile("closed.yaml", nil, 0o000); err != nil {
		t.Fatal(err)
	}
	_, err := Load("closed.yaml", nil)
	compareLines(t, err, []string{"closed.yaml: can't be read: permission denied; let the service's user read it"})
}

// compareLines compares an error's lines, and looks for secrets in them.
func compareLines(t *testing.T, err error, want []string) {
	t.Helper()
	if got := errorText(err); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	if strings.Contains(errorText(err), "CANARY") {
		t.Errorf("a secret shows in:\n%v", err)
	}
}
