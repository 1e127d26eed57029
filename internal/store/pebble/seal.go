package pebble

import (
	"encoding/binary"
	"errors"
	"slices"

	"carrier/internal/store/seal"
)

// seals are the keys under which Tokens are kept: the first one seals, all of them open. nil keeps them as they are.
//
// A sealed row of k is
//
//	version 2, when the newest Token came (varint, Unix ms), the key's id (8 bytes),
//	nonce (12 random bytes), AES-256-GCM of the row as it would be unsealed
//
// What stands before the nonce, and the row's key, are additional data: a row can't be moved to another waybill.
type seals seal.Keys

func newSeals(keys [][]byte) (seals, error) {
	s, err := seal.New(keys)
	return seals(s), err
}

// isSealed tells whether err says that a Token can't be opened for want of a key, and reports that once a key: one
// waybill that can't be sent must not keep others.
func (s *Store) isSealed(err error) bool {
	sealed, ok := errors.AsType[*seal.MissingKeyError](err)
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
	id := seal.Keys(s).Newest()
	b = append(b, id[:]...)
	return seal.Keys(s).Seal(b, encodeTokens(nil, tokens), slices.Concat(key, b[from:]))
}

// openTokens reads a row of k.
func (s seals) openTokens(key, value []byte) ([]token, error) {
	if len(value) == 0 || value[0] != sealedVersion {
		return decodeTokens(value)
	}
	r := open(value, sealedVersion)
	r.int()
	id := r.fixed(len(seal.ID{}))
	if r.bad {
		return nil, errRecord
	}
	plain, err := s.open(seal.ID(id), r.b, slices.Concat(key, value[:len(value)-len(r.b)]))
	if err != nil {
		return nil, err
	}
	return decodeTokens(plain)
}

// open opens what was sealed under the key with an id, with that additional data.
func (s seals) open(id seal.ID, sealed, additional []byte) ([]byte, error) {
	plain, err := seal.Keys(s).Open(id, sealed, additional)
	if errors.Is(err, seal.ErrDamaged) {
		err = errRecord
	}
	return plain, err
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
