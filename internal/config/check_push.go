package config

import (
	"fmt"
	"maps"
	"slices"
)

// state checks the rules for events against the listener's.
func (k *checker) state() {
	if s := k.c.State; s.MaxActionMsg >= k.c.Server.MaxBody {
		k.bad("state.max_action_msg", "%v is not below server.max_body (%v), so no such event could arrive; lower it", s.MaxActionMsg, k.c.Server.MaxBody)
	}
}

// push checks the backoff and the overrides of errcodes.
func (k *checker) push() {
	p := k.c.Push
	if p.Retry.Initial > p.Retry.Max {
		k.bad("push.retry.initial", "%v is longer than push.retry.max (%v); lower it", p.Retry.Initial, p.Retry.Max)
	}
	for _, code := range slices.Sorted(maps.Keys(p.Errcodes)) {
		key, scope := fmt.Sprintf("push.errcodes.%d", code), p.Errcodes[code]
		switch {
		case code == 0:
			k.bad(key, "0 is success and can't mean anything else; remove it")
		case !knownErrcode(code):
			k.bad(key, "%d is no error code of WeChat; correct it", code)
		}
		if !slices.Contains(errcodeScopes, scope) {
			k.bad(key, "must be %s, not %q", orList(errcodeScopes), scope)
		}
	}
}

// errcodeFamilies are the ranges in which WeChat numbers its errors (its list of global return codes, and the pages
// of 物流助手). Ranges and not single codes: an override is most needed for a code that is new.
var errcodeFamilies = [][2]int{
	{-2, -1},
	{40001, 40299}, // Parameters and credentials.
	{41001, 41099}, // What is missing.
	{42001, 42099}, // What has expired.
	{43001, 43199},
	{44001, 44099},
	{45001, 45199}, // Limits.
	{46001, 46099},
	{47001, 47099},
	{48001, 48099}, // Permissions.
	{49001, 49099},
	{50001, 50099},
	{61001, 61599}, // Third-party platforms.
	{63001, 63199},
	{65001, 65499},
	{76001, 76099},     // Quota.
	{85001, 89999},     // Mini programs; the list of allowed addresses.
	{930550, 930599},   // 物流助手's sandbox. Not below: 9300507 without a zero is a slip.
	{9300501, 9300599}, // 物流助手.
	{9909001, 9909099},
}

func knownErrcode(code int) bool {
	return slices.ContainsFunc(errcodeFamilies, func(f [2]int) bool { return f[0] <= code && code <= f[1] })
}

// admin checks the tokens of the admin API. A token opens more than a source's key, so they never are the same.
func (k *checker) admin() {
	names, secrets := unique{}, unique{}
	for i, s := range k.c.Sources {
		if s.APIKey != "" {
			secrets.claim(s.APIKey.Reveal(), index("sources", i)+".api_key")
		}
	}
	for i, t := range k.c.Admin.Tokens {
		at := index("admin.tokens", i)
		k.name(at+".name", t.Name, "whose token it is; the audit log says it")
		if names.claim(t.Name, at) != "" && t.Name != "" {
			k.bad(at+".name", "%q is used twice; the audit log couldn't tell them apart", t.Name)
		}
		if t.Token == "" {
			k.bad(at+".token", "is missing; give token or token_file")
			continue
		}
		k.bearer(at+".token", t.Token, minAdminToken, k.c.Server.AdminListen)
		if first := secrets.claim(t.Token.Reveal(), at+".token"); first != "" {
			k.bad(at+".token", "is the same as %s; make one of its own with: openssl rand -hex 32", first)
		}
	}
}
