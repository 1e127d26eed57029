package pebble

import (
	"encoding/binary"
	"errors"

	"carrier/internal/store"
	"carrier/internal/store/codec"
	"carrier/internal/store/seal"
)

// sealedTokens begins a sealed row of k:
//
//	version 2, when the newest Token came (varint, Unix ms), the key's id (8 bytes),
//	nonce (12 random bytes), AES-256-GCM of the row as it would be unsealed (codec.AppendTokens)
//
// It is bound to the row's key.
const sealedTokens = 2

// isSealed tells whether err says that a Token can't be opened for want of a key, and reports that once a key: one
// waybill that can't be sent must not keep others.
func (s *Store) isSealed(err error) bool {
	sealed, ok := errors.AsType[*seal.MissingKeyError](err)
	if ok {
		s.reports.Once("waybills can't be pushed, as their Tokens can't be opened", sealed)
	}
	return ok
}

// sealTokens makes a row of k, sealed if there is a key. room is where it is made.
func sealTokens(keys seal.Keys, room, key []byte, tokens []store.TokenRecord) []byte {
	room = room[:0]
	if len(keys) == 0 {
		return codec.AppendTokens(room, tokens)
	}
	room = binary.AppendVarint(append(room, sealedTokens), tokens[0].At)
	return keys.Seal(room, key, codec.AppendTokens(nil, tokens))
}

// openTokens reads a row of k.
func openTokens(keys seal.Keys, key, value []byte) ([]store.TokenRecord, error) {
	if len(value) == 0 || value[0] != sealedTokens {
		return codec.Tokens(value)
	}
	r := codec.Open(value, sealedTokens)
	r.Int()
	if err := r.Err(); err != nil {
		return nil, err
	}
	plain, err := keys.Open(value, len(value)-len(r.Rest), key)
	if err != nil {
		return nil, err
	}
	return codec.Tokens(plain)
}

// tokensAt is when the newest Token of a row of k came (Unix ms), which is not sealed.
func tokensAt(value []byte) (int64, error) {
	if len(value) > 0 && value[0] == sealedTokens {
		r := codec.Open(value, sealedTokens)
		return r.Int(), r.Err()
	}
	tokens, err := codec.Tokens(value)
	if err != nil || len(tokens) == 0 {
		return 0, err
	}
	return tokens[0].At, nil
}
