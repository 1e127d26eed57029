package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// loadFrom loads a configuration of a text.
func loadFrom(t *testing.T, text string) *Config {
	t.Helper()
	inFolder(t, map[string]string{"c.yaml": text})
	c, err := Load("c.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestChanges(t *testing.T) {
	const key = "api_key: " + canary
	for _, tt := range []struct {
		name, from, to string
		want           []string // A change that needs a restart ends in !.
	}{
		{"nothing", "log: {level: warn}", "log: {level: warn}", nil},
		{"a default is written out", "", "log: {level: info}\nstate: {max_age: 0}", nil},
		{"values", "push: {token_retries: 5}", "push: {token_retries: 6, retry: {max: 10m}, unknown_waybills: discard}",
			[]string{"push.retry.max: 5m → 10m", "push.token_retries: 5 → 6", "push.unknown_waybills: wait → discard"}},
		{"of a restart", "server: {listen: ':1'}", "server: {listen: ':2', max_body: 2MiB}\nlog: {format: json}\nnats: {replicas: 3}",
			[]string{"server.listen: :1 → :2!", "server.max_body: 1MiB → 2MiB!", "nats.replicas: 1 → 3!", "log.format: auto → json!"}},
		{"a secret", "sources: [{name: a, " + key + "}]", "sources: [{name: a, " + key + "2}]", []string{"sources[a].api_key: changed"}},
		{"a secret goes", "sources: [{name: a, " + key + "}]", "sources: [{name: a, signing_secret: " + canary + "}]",
			[]string{"sources[a].api_key: changed", "sources[a].signing_secret: changed"}},
		{"elements go by name", "sources: [{name: a, rate: 1}, {name: b, rate: 2}]", "sources: [{name: c, rate: 3}, {name: b, rate: 4}]",
			[]string{"sources[c]: added", "sources[a]: removed", "sources[b].rate: 2 → 4"}},
		{"another order", "accounts: [{delivery_id: SF}, {delivery_id: YTO}]", "accounts: [{delivery_id: YTO}, {delivery_id: SF}]", nil},
		{"an account", "", "accounts: [{delivery_id: SF, secret: " + canary + ", appid: wx1}]", []string{"accounts[SF]: added"}},
		{"the last one", "merchants: [{name: m, secret: " + canary + "}]", "", []string{"merchants[m]: removed"}},
		{"within an account", "accounts: [{delivery_id: SF}]", "accounts: [{delivery_id: SF, callback: {token: " + canary + "}, orders: {url: 'https://a.example/?k=" + canary + "'}, rate: 50}]",
			[]string{"accounts[SF].callback.token: changed", `accounts[SF].orders.url: "" → https://a.example/?***`, "accounts[SF].rate: 0 → 50"}},
		{"within what is masked", "accounts: [{delivery_id: SF, orders: {url: 'https://a.example/?k=1'}}]", "accounts: [{delivery_id: SF, orders: {url: 'https://a.example/?k=2'}}]",
			[]string{"accounts[SF].orders.url: changed"}},
		{"lists of texts", "sources: [{name: a, delivery_ids: [SF]}]", "sources: [{name: a, delivery_ids: [SF, YTO]}]",
			[]string{"sources[a].delivery_ids: [SF] → [SF, YTO]"}},
		{"errcodes", "push: {errcodes: {40199: event, 1: rate}}", "push: {errcodes: {40199: account, 2: rate}}",
			[]string{"push.errcodes.40199: event → account", "push.errcodes.2: added", "push.errcodes.1: removed"}},
		{"roles", "admin: {tokens: [{name: ops, role: viewer}]}", "admin: {tokens: [{name: ops, role: operator}]}",
			[]string{"admin.tokens[ops].role: viewer → operator"}},
		{"the store's address", "store: {url: 'postgres://u:" + canary + "@h/c'}", "store: {url: 'postgres://u:" + canary + "2@h/c'}",
			[]string{"store.url: changed!"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, c := range loadFrom(t, tt.from).Changes(loadFrom(t, tt.to)) {
				line := c.String()
				if c.Restart {
					line += "!"
				}
				got = append(got, line)
			}
			slices.Sort(got)
			want := slices.Sorted(slices.Values(tt.want))
			if !slices.Equal(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
			if strings.Contains(strings.Join(got, ""), canary) {
				t.Errorf("a secret shows in %q", got)
			}
		})
	}
}

// TestRestartKeys: what is said to need a restart are keys, or sections of them, that there are.
func TestRestartKeys(t *testing.T) {
	for _, key := range restart {
		_, section := sections[key]
		if _, ok := keys[key]; !ok && !section {
			t.Errorf("%s is no key", key)
		}
	}
}

// TestEveryChangeIsFound changes each key of a full configuration, one at a time.
func TestEveryChangeIsFound(t *testing.T) {
	full := func() *Config {
		c := Default()
		c.Sources, c.Accounts = []Source{{Name: "a"}}, []Account{DefaultAccount()}
		c.Merchants, c.Admin.Tokens = []Merchant{{Name: "m"}}, []AdminToken{{Name: "t"}}
		c.Accounts[0].DeliveryID = "SF"
		return c
	}
	walk(full(), func(v visited) {
		if isListOfStructs(v.value.Type()) {
			return
		}
		changed := full()
		walk(changed, func(other visited) {
			if other.key == v.key {
				alter(t, other.value)
			}
		})
		got := full().Changes(changed)
		if name := nameKey(v.pattern); name {
			if len(got) != 2 { // One element went and another came.
				t.Errorf("%s: %v", v.key, got)
			}
			return
		}
		if len(got) != 1 || got[0].Restart != needsRestart(v.pattern) || !strings.HasSuffix(got[0].Key, v.key[strings.LastIndexByte(v.key, '.'):]) &&
			!strings.Contains(got[0].Key, v.key) {
			t.Errorf("%s: %v", v.key, got)
		}
	})
}

// nameKey tells whether a key is what its list element goes by.
func nameKey(pattern string) bool {
	return slices.Contains([]string{"sources[].name", "accounts[].delivery_id", "merchants[].name", "admin.tokens[].name"}, pattern)
}

// alter gives a value another one of its type.
func alter(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Float64:
		v.SetFloat(v.Float() + 1)
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Slice:
		v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
	case reflect.Map:
		v.Set(reflect.ValueOf(map[int]string{40199: "event"}))
	default:
		t.Fatalf("no other value of %s is known", v.Type())
	}
}
