package postgres

import (
	"encoding/binary"
	"errors"
	"slices"

	"carrier/internal/state"
	"carrier/internal/store/seal"
)

// The column tokens of a waybill:
//
//	version 1, how many (varint), and each: when it came (varint, Unix ms), the Token (with its length)
//	version 2, the key's id (8 bytes), nonce and AES-256-GCM of what version 1 would be
//
// What stands before the nonce, and the waybill's name, are additional data: Tokens can't be moved to another waybill.
const (
	plainTokens  = 1
	sealedTokens = 2

	// maxTokens is how many Tokens of a waybill are remembered: beyond the newest they only serve to explain.
	maxTokens = 8
)

// token is a Token and when it came.
type token struct {
	at    int64 // Unix ms
	value string
}

func encodeTokens(tokens []token) []byte {
	b := binary.AppendUvarint([]byte{plainTokens}, uint64(len(tokens)))
	for _, t := range tokens {
		b = binary.AppendVarint(b, t.at)
		b = putString(b, t.value)
	}
	return b
}

func decodeTokens(value []byte) ([]token, error) {
	r := open(value, plainTokens)
	n := r.uint()
	if n > maxTokens {
		return nil, errRecord
	}
	tokens := make([]token, n)
	for i := range tokens {
		tokens[i] = token{at: r.int(), value: r.string()}
	}
	return tokens, r.end()
}

// tokenName is the additional data that bind Tokens to their waybill.
func tokenName(w state.Waybill) []byte {
	return []byte("token\x00" + w.DeliveryID + "\x00" + w.WaybillID)
}

// sealTokens makes the column, sealed if there is a key.
func (s *Store) sealTokens(w state.Waybill, tokens []token) []byte {
	plain := encodeTokens(tokens)
	if len(s.keys) == 0 {
		return plain
	}
	id := s.keys.Newest()
	b := append([]byte{sealedTokens}, id[:]...)
	return s.keys.Seal(b, plain, slices.Concat(tokenName(w), b))
}

// openTokens reads the column.
func (s *Store) openTokens(w state.Waybill, value []byte) ([]token, error) {
	const header = 1 + len(seal.ID{})
	switch {
	case len(value) == 0:
		return nil, nil
	case value[0] != sealedTokens:
		return decodeTokens(value)
	case len(value) < header:
		return nil, errRecord
	}
	plain, err := s.keys.Open(seal.ID(value[1:header]), value[header:], slices.Concat(tokenName(w), value[:header]))
	if err != nil {
		return nil, err
	}
	return decodeTokens(plain)
}

// readTokens opens a waybill's Tokens. Those that no key opens block their waybill and nothing else, and are reported once
// a key.
func (s *Store) readTokens(w *waybill) error {
	tokens, err := s.openTokens(w.name, w.tokens)
	if missing, ok := errors.AsType[*seal.MissingKeyError](err); ok {
		s.reportOnce("waybills can't be pushed, as their Tokens can't be opened", missing)
		return nil
	}
	if err != nil || len(tokens) == 0 {
		return err
	}
	w.history, w.token = tokens, tokens[0].value
	return nil
}
