package sandbox

import (
	"bytes"
	"cmp"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
)

// Carrier is a delivery company whose mini program receives WeChat's own pushes: what it saved in the console under
// 消息推送配置. It holds secrets, and prints none of them.
type Carrier struct {
	DeliveryID string `json:"delivery_id"`
	AppID      string `json:"appid"`
	// UserName is the mini program's 原始 ID (gh_...). Empty: one made of the appid.
	UserName string `json:"user_name,omitempty"`
	// URL is where its callback is, http or https.
	URL string `json:"url"`
	// Token signs the pushes. It is neither an access_token nor a waybill's Token.
	Token string `json:"token"`
	// EncodingAESKey is the 43 characters of the console; wanted by the modes compat and safe.
	EncodingAESKey string `json:"encoding_aes_key,omitempty"`
	// PreviousEncodingAESKey encrypts the share previous_key of the pushes ([CallbackFaults]), as after a rotation.
	PreviousEncodingAESKey string `json:"previous_encoding_aes_key,omitempty"`
	// Format is xml or json. Empty: xml, as in the console.
	Format string `json:"format,omitempty"`
	// Mode is plain (明文模式), compat (兼容模式) or safe (安全模式). Empty: safe with an EncodingAESKey, else plain.
	Mode string `json:"mode,omitempty"`
	// OwnWaybillIDs says that the company makes its waybill numbers: orders come with WayBillID "0".
	OwnWaybillIDs bool `json:"own_waybill_ids,omitempty"`
	// ExpressPath says that it hears what merchants' own mini programs hear: add_express_path, after each node of a
	// waybill that was ordered with order/add.
	ExpressPath bool `json:"express_path,omitempty"`
	// Bindings are the merchants' accounts with the company: BizPwd by BizID. Empty: any BizID is bound.
	Bindings map[string]string `json:"bindings,omitempty"`
}

// String names the company only.
func (c Carrier) String() string { return "carrier " + c.DeliveryID }

// GoString names the company only, for %#v.
func (c Carrier) GoString() string { return c.String() }

// The formats and modes of the console.
const (
	formatXML  = "xml"
	formatJSON = "json"
	modePlain  = "plain"
	modeCompat = "compat"
	modeSafe   = "safe"
)

// anyBizPwd is the password of a BizID where the company lists no bindings.
const anyBizPwd = "sandbox-biz-password"

// signingToken is what the console takes for a Token.
var signingToken = regexp.MustCompile(`^[A-Za-z0-9]{3,32}$`)

// ReadCarriers reads a JSON array of carriers. An error names the carrier and the field, and no secret.
func ReadCarriers(r io.Reader) ([]Carrier, error) {
	body, err := io.ReadAll(io.LimitReader(r, 1<<20))
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	var list []Carrier
	if err := d.Decode(&list); err != nil {
		return nil, fmt.Errorf("a JSON array of carriers is wanted: %w", explain(err, fieldsOf(&Carrier{})))
	}
	return list, ValidateCarriers(list)
}

// ValidateCarriers tells everything that is wrong with a list of carriers, without a secret.
func ValidateCarriers(list []Carrier) error {
	var errs []error
	seen := map[string]bool{}
	for i, c := range list {
		if _, err := newCarrier(c); err != nil {
			errs = append(errs, fmt.Errorf("carrier %s: %w", cmp.Or(c.DeliveryID, fmt.Sprint(i)), err))
		}
		if seen[c.DeliveryID] {
			errs = append(errs, fmt.Errorf("carrier %s: it is there twice", c.DeliveryID))
		}
		seen[c.DeliveryID] = true
	}
	return errors.Join(errs...)
}

// carrier is a Carrier that is complete and checked.
type carrier struct {
	Carrier
	key, previous []byte // 32 bytes each; nil if there is none
}

func newCarrier(c Carrier) (*carrier, error) {
	out := &carrier{Carrier: c}
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, f := range []struct{ name, value string }{{"delivery_id", c.DeliveryID}, {"appid", c.AppID}, {"token", c.Token}} {
		if f.value == "" {
			fail("%s is missing", f.name)
		}
	}
	if c.Token != "" && !signingToken.MatchString(c.Token) {
		fail("token: the console takes 3 to 32 letters and digits; this one has %d characters", len(c.Token))
	}
	if u, err := url.Parse(c.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
		fail("url: give the callback's address, like http://127.0.0.1:8080/wechat/SF/callback")
	}
	var err error
	if out.key, err = aesKey(c.EncodingAESKey); err != nil {
		fail("encoding_aes_key: %w", err)
	}
	if out.previous, err = aesKey(c.PreviousEncodingAESKey); err != nil {
		fail("previous_encoding_aes_key: %w", err)
	}
	out.Format = cmp.Or(c.Format, formatXML)
	if !slices.Contains([]string{formatXML, formatJSON}, out.Format) {
		fail("format is %q: give xml or json", c.Format)
	}
	if out.Mode = c.Mode; out.Mode == "" {
		out.Mode = modePlain
		if c.EncodingAESKey != "" {
			out.Mode = modeSafe
		}
	}
	switch {
	case !slices.Contains([]string{modePlain, modeCompat, modeSafe}, out.Mode):
		fail("mode is %q: give plain, compat or safe", c.Mode)
	case out.encrypts() && c.EncodingAESKey == "":
		fail("mode %s wants an encoding_aes_key", out.Mode)
	}
	if out.UserName == "" {
		sum := sha1.Sum([]byte(c.AppID))
		out.UserName = "gh_" + hex.EncodeToString(sum[:6])
	}
	return out, errors.Join(errs...)
}

// encrypts tells whether the pushes have an encrypted part.
func (c *carrier) encrypts() bool { return c.Mode == modeCompat || c.Mode == modeSafe }

// bizPwd is the password of a merchant's account with the company; false if it has none.
func (c *carrier) bizPwd(bizID string) (string, bool) {
	if len(c.Bindings) == 0 {
		return anyBizPwd, true
	}
	pwd, ok := c.Bindings[bizID]
	return pwd, ok
}

// aesKey decodes an EncodingAESKey; nil for none. 43 characters hold 258 bits: the last two are not looked at, as
// upstream does not either.
func aesKey(encoded string) ([]byte, error) {
	if encoded == "" {
		return nil, nil
	}
	if len(encoded) != 43 {
		return nil, fmt.Errorf("it has %d characters, 43 are wanted", len(encoded))
	}
	key, err := base64.StdEncoding.DecodeString(encoded + "=")
	if err != nil {
		return nil, errors.New("it holds a character other than letters, digits, + and /")
	}
	return key, nil
}

// String hides the keys, which %+v would show.
func (c *carrier) String() string { return c.Carrier.String() }

// carriersByID is the lookup of carriers that ValidateCarriers has found right.
func carriersByID(list []Carrier) map[string]*carrier {
	if err := ValidateCarriers(list); err != nil {
		panic(fmt.Sprintf("sandbox: %v", err))
	}
	out := map[string]*carrier{}
	for _, c := range list {
		out[c.DeliveryID], _ = newCarrier(c)
	}
	return out
}
