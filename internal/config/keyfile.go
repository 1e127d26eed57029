package config

import (
	"bytes"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// tokenKeyBytes is the size of an AES-256 key.
const tokenKeyBytes = 32

const makeTokenKey = "make one with: openssl rand -base64 32"

// TokenKeys reads the keys that seal waybill Tokens at rest, the newest first, from store.key_file; none if it is not
// set. The file has a key a line, 32 bytes in base64 or hex. Empty lines, and what follows a #, mean nothing. Errors
// never hold any of it.
func (s Store) TokenKeys() ([][]byte, error) {
	if s.KeyFile == "" {
		return nil, nil
	}
	data, err := readLimited(s.KeyFile, maxSecretBytes+1)
	if err == nil {
		var keys [][]byte
		if keys, err = parseTokenKeys(data); err == nil {
			return keys, nil
		}
	}
	return nil, fmt.Errorf("%s: %s", s.KeyFile, reason(err))
}

func parseTokenKeys(data []byte) (keys [][]byte, err error) {
	if len(data) > maxSecretBytes {
		return nil, errors.New("is larger than 64 KiB, which no key file is; is it the right file?")
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	for i, line := range strings.Split(string(data), "\n") {
		text, _, _ := strings.Cut(line, "#")
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		key := decodeTokenKey(text)
		if len(key) != tokenKeyBytes {
			return nil, fmt.Errorf("line %d is no key of 32 bytes in base64 or hex; %s", i+1, makeTokenKey)
		}
		for _, other := range keys {
			if subtle.ConstantTimeCompare(key, other) == 1 {
				return nil, fmt.Errorf("line %d repeats a key from above; remove it", i+1)
			}
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("holds no key; " + makeTokenKey)
	}
	return keys, nil
}

// decodeTokenKey reads hex of the right length, or base64 with or without padding; nil if it is neither.
func decodeTokenKey(text string) []byte {
	decode := base64.RawStdEncoding.Strict().DecodeString
	if len(text) == hex.EncodedLen(tokenKeyBytes) {
		decode = hex.DecodeString
	}
	key, err := decode(strings.TrimRight(text, "="))
	if err != nil {
		return nil
	}
	return key
}
