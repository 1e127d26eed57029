package pebble

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// seals are the keys under which Tokens are kept: the first one seals, all of them open. nil keeps them as they are.
//
// A sealed row of k is
//
//	version 2, when the newest Token came (varint, Unix ms), the key's id (8 bytes),
//	nonce (12 random bytes), AES-256-GCM of the row as it would be unsealed
//
// What stands before the nonce, and the row's key, are additional data: a row can't be moved to another waybill. With
// random nonces a key is good for 2^32 rows (NIST SP 800-38D, 8.3); keys are to be changed long before that.
type seals []tokenSeal

type tokenSeal struct {
	id   sealID
	aead cipher.AEAD
}

// sealID tells keys apart without telling anything of them: it begins their SHA-256.
type sealID [8]byte

func newSeals(keys [][]byte) (s seals, err error) {
	for i, key := range keys {
		if len(key) != 32 {
			return nil, fmt.Errorf("key %d for Tokens has %d bytes; AES-256 takes 32", i+1, len(key))
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(append([]byte("carrier Token key\x00"), key...))
		s = append(s, tokenSeal{sealID(sum[:8]), aead})
	}
	return s, nil
}

// sealedError says that a row is sealed under a key that is not given.
type sealedError struct{ id sealID }

func (e *sealedError) Error() string {
	return fmt.Sprintf("it is sealed under a key (%x) that store.key_file does not hold; "+
		"put that key back, below the newest, and restart", e.id)
}

// isSealed tells whether err says that a Token can't be opened for want of a key, and reports that once a key: one
// waybill that can't be sent must not keep others.
func (s *Store) isSealed(err error) bool {
	sealed, ok := errors.AsType[*sealedError](err)
	if !ok {
		return false
	}
	s.reportedMu.Lock()
	defer s.reportedMu.Unlock()
	if text := sealed.Error(); !s.reported[text] {
		s.reported[text] = true
		s.opts.Logger.Error("waybills can't be pushed, as their Tokens can't be opened", "err", text)
	}
	return true
}

// sealTokens appends a row of k, sealed if there is a key.
func (s seals) sealTokens(b, key []byte, tokens []token) []byte {
	if len(s) == 0 {
		return encodeTokens(b, tokens)
	}
	from := len(b)
	b = append(b, sealedVersion)
	b = binary.AppendVarint(b, tokens[0].at)
	b = append(b, s[0].id[:]...)
	return s[0].aead.Seal(b, nil, encodeTokens(nil, tokens), slices.Concat(key, b[from:]))
}

// openTokens reads a row of k.
func (s seals) openTokens(key, value []byte) ([]token, error) {
	if len(value) == 0 || value[0] != sealedVersion {
		return decodeTokens(value)
	}
	r := open(value, sealedVersion)
	r.int()
	id := r.fixed(len(sealID{}))
	if r.bad {
		return nil, errRecord
	}
	plain, err := s.open(sealID(id), r.b, slices.Concat(key, value[:len(value)-len(r.b)]))
	if err != nil {
		return nil, err
	}
	return decodeTokens(plain)
}

// open opens what was sealed under the key with an id, with that additional data.
func (s seals) open(id sealID, sealed, additional []byte) ([]byte, error) {
	i := slices.IndexFunc(s, func(k tokenSeal) bool { return k.id == id })
	if i < 0 {
		return nil, &sealedError{id}
	}
	plain, err := s[i].aead.Open(nil, nil, sealed, additional)
	if err != nil {
		return nil, errRecord
	}
	return plain, nil
}

// tokensAt is when the newest Token of a row of k came (Unix ms), which is not sealed.
func tokensAt(value []byte) (int64, error) {
	if len(value) > 0 && value[0] == sealedVersion {
		r := open(value, sealedVersion)
		at := r.int()
		if r.bad {
			return 0, errRecord
		}
		return at, nil
	}
	tokens, err := decodeTokens(value)
	if err != nil || len(tokens) == 0 {
		return 0, err
	}
	return tokens[0].at, nil
}
