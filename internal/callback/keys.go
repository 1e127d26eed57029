package callback

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Window is how far a push's timestamp may be from now, either way, unless [Settings] say otherwise. WeChat repeats a
// push within half a minute; the rest is for clocks.
const Window = 5 * time.Minute

// Settings are what WeChat's console shows under 消息推送配置, and what [NewKeys] wants.
type Settings struct {
	Token                  string        // 3 to 32 letters and digits. Not a waybill's Token.
	EncodingAESKey         string        // 43 characters; empty: pushes come plain.
	PreviousEncodingAESKey string        // The key before the last change, still taken; may be empty.
	AppID                  string        // The mini program's; wanted beside EncodingAESKey.
	Window                 time.Duration // How old or how far ahead a push may be; 0 is [Window].
	Random                 io.Reader     // Of the 16 bytes that begin an encrypted reply; nil is crypto/rand.
}

// Format masks all of them, for every verb.
func (Settings) Format(f fmt.State, verb rune) { printText(f, verb, masked) }

// LogValue masks all of them in logs.
func (Settings) LogValue() slog.Value { return slog.StringValue(masked) }

// Keys verify and decrypt the pushes of one account, and encrypt the replies. They are safe for concurrent use, and
// print as a mask.
type Keys struct {
	// secrets is a func because it is the one thing that no verb of fmt looks into, wherever the value is nested. Nil in
	// the zero value, which takes nothing.
	secrets func() *secrets
}

type secrets struct {
	token   string
	appID   string
	aesKeys []*aesKey // The current one first; none: pushes come plain.
	window  time.Duration
	random  io.Reader
}

// NewKeys checks the settings. Its errors name the setting that is wrong, and never repeat it.
func NewKeys(set Settings) (Keys, error) {
	s := &secrets{token: set.Token, appID: set.AppID, window: set.Window, random: set.Random}
	if s.window == 0 {
		s.window = Window
	}
	if s.random == nil {
		s.random = rand.Reader
	}
	switch {
	case !validToken(set.Token):
		return Keys{}, fmt.Errorf("callback Token: must be 3 to 32 letters and digits, as in WeChat's message push settings; this one has %d characters",
			len(set.Token))
	case set.EncodingAESKey == "" && set.PreviousEncodingAESKey != "":
		return Keys{}, errors.New("callback EncodingAESKey: is missing beside the previous one; give the new key too")
	case set.EncodingAESKey != "" && set.AppID == "":
		return Keys{}, errors.New("callback AppID: is missing beside EncodingAESKey; every encrypted push ends with it")
	case s.window < 0:
		return Keys{}, errors.New("callback Window: must not be negative")
	}
	for _, k := range []struct{ name, text string }{
		{"EncodingAESKey", set.EncodingAESKey}, {"previous EncodingAESKey", set.PreviousEncodingAESKey},
	} {
		if k.text == "" {
			continue
		}
		key, err := newAESKey(k.text)
		if err != nil {
			return Keys{}, fmt.Errorf("callback %s: %w", k.name, err)
		}
		s.aesKeys = append(s.aesKeys, key)
	}
	return Keys{func() *secrets { return s }}, nil
}

// validToken is the rule of WeChat's console. An empty Token above all must not pass: with it everybody could sign.
func validToken(token string) bool {
	return len(token) >= 3 && len(token) <= 32 && isAlphanumeric(token, "")
}

// encodingAESKeyChars is the length of an EncodingAESKey: the base64 of 32 bytes, without its "=".
const encodingAESKeyChars = 43

// decodeAESKey doesn't decode strictly: the last character holds two bits too many, and WeChat's keys, being random
// letters and digits, set them.
func decodeAESKey(text string) ([]byte, error) {
	if len(text) != encodingAESKeyChars {
		return nil, fmt.Errorf("must have %d characters, as in WeChat's message push settings; this one has %d", encodingAESKeyChars, len(text))
	}
	raw, err := base64.StdEncoding.DecodeString(text + "=")
	if err != nil || len(raw) != aesKeyBytes {
		return nil, errors.New("must be letters and digits only, as in WeChat's message push settings")
	}
	return raw, nil
}

// Encrypted says whether an AES key is set, so that only encrypted pushes are taken.
func (k Keys) Encrypted() bool { return k.secrets != nil && len(k.secrets().aesKeys) > 0 }

// String is the mask.
func (k Keys) String() string { return masked }

// Format masks the keys for every verb.
func (k Keys) Format(f fmt.State, verb rune) { printText(f, verb, masked) }

// LogValue masks the keys in logs.
func (k Keys) LogValue() slog.Value { return slog.StringValue(masked) }

// isAlphanumeric says whether text holds nothing but ASCII letters, digits and what else is given.
func isAlphanumeric(text, more string) bool {
	for i := range len(text) {
		c := text[i]
		if '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' {
			continue
		}
		known := false
		for j := range len(more) {
			known = known || c == more[j]
		}
		if !known {
			return false
		}
	}
	return true
}
