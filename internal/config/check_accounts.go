package config

import (
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Names become parts of NATS subjects, URLs and metric labels.
var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// accounts checks the delivery companies.
func (k *checker) accounts() {
	ids := unique{}
	for i, a := range k.c.Accounts {
		at := index("accounts", i)
		k.name(at+".delivery_id", a.DeliveryID, "WeChat's id of the company, for example SF")
		if ids.claim(a.DeliveryID, at) != "" && a.DeliveryID != "" {
			k.bad(at+".delivery_id", "%q is used twice; give each account its own", a.DeliveryID)
		}
		k.credentials(at, a.AppID, a.Secret, a.TokenMode)
		carried := k.cloud(at, a.CloudTokenFile, a.TokenMode)
		k.baseURL(at+".base_url", a.BaseURL, carried)
		k.fallback(at, a, carried)
		k.callback(at+".callback", a.Callback)
		if a.Callback.EncodingAESKey != "" && a.AppID == "" && a.TokenMode == TokenNone { // Else it was said already.
			k.bad(at+".appid", "is missing beside callback.encoding_aes_key; what WeChat encrypts ends with it")
		}
		k.orders(at+".orders", a.Orders)
		if time.Duration(a.Timeout) > maxTimeout {
			k.bad(at+".timeout", "%v is longer than %v, but a stop waits for requests in flight and takes 30s at most; shorten it", a.Timeout, Duration(maxTimeout))
		}
	}
}

// name checks a name that other systems see. what says what belongs there.
func (k *checker) name(key, value, what string) {
	switch {
	case value == "":
		k.bad(key, "is missing; write %s", what)
	case !plainName.MatchString(value):
		k.bad(key, "%q must be 1 to 64 letters, digits, - and _, beginning with a letter or digit", value)
	}
}

// credentials checks that an access_token can be fetched, unless none is sent.
func (k *checker) credentials(at, appid string, secret Secret, mode string) {
	if mode != TokenNone && appid == "" {
		k.bad(at+".appid", "is missing; write the mini program's AppID, or set token_mode: none in WeChat's cloud")
	}
	if mode != TokenNone && secret == "" {
		k.bad(at+".secret", "is missing; give secret or secret_file, or set token_mode: none in WeChat's cloud")
	}
	k.appID(at+".appid", appid)
}

// appID checks an AppID that was copied from somewhere.
func (k *checker) appID(key, appid string) {
	if strings.ContainsFunc(appid, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		k.bad(key, "%q is no AppID; copy it from the mini program's settings", appid)
	}
}

// fallback checks that the way around a broken host leads elsewhere, and never from a sandbox to WeChat.
func (k *checker) fallback(at string, a Account, tokenMode string) {
	key := at + ".fallback_base_url"
	if a.FallbackBaseURL == "" {
		return
	}
	k.baseURL(key, a.FallbackBaseURL, tokenMode)
	switch {
	case sameURL(a.FallbackBaseURL, a.BaseURL):
		k.bad(key, "is the same as base_url, so it can't help when that one fails; remove it")
	case isWeChat(a.FallbackBaseURL) && !isWeChat(a.BaseURL):
		k.bad(key, "leads to WeChat's own host while base_url doesn't, so traffic meant for a sandbox or proxy would reach WeChat; remove it")
	}
}

// callback checks what WeChat's message push settings allow.
func (k *checker) callback(at string, c Callback) {
	if t := c.Token.Reveal(); t != "" && !callbackToken.MatchString(t) {
		k.bad(at+".token", "must be 3 to 32 letters and digits, as in WeChat's message push settings")
	}
	k.aesKey(at+".encoding_aes_key", c.EncodingAESKey)
	k.aesKey(at+".previous_encoding_aes_key", c.PreviousEncodingAESKey)
	if c.EncodingAESKey != "" && c.Token == "" {
		k.bad(at+".token", "is missing beside encoding_aes_key; copy both from WeChat's message push settings")
	}
	if c.PreviousEncodingAESKey != "" && c.EncodingAESKey == "" {
		k.bad(at+".encoding_aes_key", "is missing beside previous_encoding_aes_key; write the new key here")
	}
}

var callbackToken = regexp.MustCompile(`^[A-Za-z0-9]{3,32}$`)

// aesKey checks an EncodingAESKey: 43 letters and digits, the base64 of 32 bytes without its padding. WeChat's keys
// may have bits set beyond the 32 bytes, so it isn't decoded strictly.
func (k *checker) aesKey(key string, value Secret) {
	if value == "" {
		return
	}
	raw, err := base64.StdEncoding.DecodeString(value.Reveal() + "=")
	if len(value) != 43 || err != nil || len(raw) != 32 {
		k.bad(key, "must be the 43 characters of an EncodingAESKey, as in WeChat's message push settings")
	}
}

// orders checks the HTTP hook for order events.
func (k *checker) orders(at string, o Orders) {
	if o.URL != "" {
		k.baseURL(at+".url", o.URL, TokenStable)
		if o.Secret == "" {
			k.bad(at+".secret", "is missing beside url; write a whsec_ secret that both sides know")
		}
	}
	if o.Secret != "" {
		k.signingSecret(at+".secret", o.Secret)
	}
}

// reservedSource is the source of events that the service itself makes of WeChat's pushes: no sender may choose their ids.
const reservedSource = "wechat"

// sources checks who may send events.
func (k *checker) sources() {
	names, apiKeys := unique{}, unique{}
	for i, s := range k.c.Sources {
		at := index("sources", i)
		k.name(at+".name", s.Name, "a name of your own")
		if names.claim(s.Name, at) != "" && s.Name != "" {
			k.bad(at+".name", "%q is used twice; event ids are unique within a source, so give each its own name", s.Name)
		}
		if s.Name == reservedSource {
			k.bad(at+".name", "%q is the source of WeChat's own cancellations; choose another name", s.Name)
		}
		k.sourceSecrets(at, s, apiKeys)
		for j, id := range s.DeliveryIDs {
			if !slices.ContainsFunc(k.c.Accounts, func(a Account) bool { return a.DeliveryID == id }) {
				k.bad(index(at+".delivery_ids", j), "%q is no account's delivery_id; add the account, or correct it", id)
			}
		}
	}
}

func (k *checker) sourceSecrets(at string, s Source, apiKeys unique) {
	if s.APIKey == "" && s.SigningSecret == "" {
		k.bad(at, "has neither api_key nor signing_secret, so anybody could send in its name; give it one (or the ..._file twin)")
	}
	if s.APIKey != "" {
		k.bearer(at+".api_key", s.APIKey, minAPIKey, k.c.Server.Listen)
		if first := apiKeys.claim(s.APIKey.Reveal(), at+".api_key"); first != "" {
			k.bad(at+".api_key", "is the same as %s; give each source its own", first)
		}
	}
	if s.SigningSecret != "" {
		k.signingSecret(at+".signing_secret", s.SigningSecret)
	}
}

// bearer checks a secret that travels in an Authorization header to a listener. A short one is refused where other
// machines can try it; on loopback, where one tries things out, it is only warned of.
func (k *checker) bearer(key string, value Secret, shortest int, listener string) {
	if len(value) < shortest && reachable(listener) {
		k.bad(key, "is shorter than %d characters and could be guessed; make one with: openssl rand -hex 32", shortest)
	}
	if strings.ContainsFunc(value.Reveal(), func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		k.bad(key, "holds a space or a character outside ASCII, which no HTTP header can carry; make one with: openssl rand -hex 32")
	}
}

// signingSecret checks a secret of Standard Webhooks.
func (k *checker) signingSecret(key string, value Secret) {
	encoded, ok := strings.CutPrefix(value.Reveal(), "whsec_")
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(raw) < minSigning {
		k.bad(key, `must be whsec_ and the base64 of at least %d bytes; make one with: echo "whsec_$(openssl rand -base64 32)"`, minSigning)
	}
}
