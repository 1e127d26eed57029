package postgres

import (
	"errors"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
	"carrier/internal/store/seal"
)

// sealedTokens begins the column tokens of a waybill where that is sealed:
//
//	version 2, the key's id (8 bytes), nonce and AES-256-GCM of what it would be unsealed (codec.AppendTokens)
//
// It is bound to the waybill's name.
const sealedTokens = 2

// tokenPlace is what binds Tokens to their waybill.
func tokenPlace(w state.Waybill) []byte {
	return []byte("token\x00" + w.DeliveryID + "\x00" + w.WaybillID)
}

// sealTokens makes the column, sealed if there is a key.
func (s *Store) sealTokens(w state.Waybill, tokens []store.TokenRecord) []byte {
	plain := codec.AppendTokens(nil, tokens)
	if len(s.keys) == 0 {
		return plain
	}
	return s.keys.Seal([]byte{sealedTokens}, tokenPlace(w), plain)
}

// openTokens reads the column.
func (s *Store) openTokens(w state.Waybill, value []byte) ([]store.TokenRecord, error) {
	switch {
	case len(value) == 0:
		return nil, nil
	case value[0] != sealedTokens:
		return codec.Tokens(value)
	}
	plain, err := s.keys.Open(value, 1, tokenPlace(w))
	if err != nil {
		return nil, err
	}
	return codec.Tokens(plain)
}

// readTokens opens a waybill's Tokens. Those that no key opens block their waybill and nothing else, and are reported once
// a key.
func (s *Store) readTokens(w *waybill) error {
	tokens, err := s.openTokens(w.name, w.tokens)
	if missing, ok := errors.AsType[*seal.MissingKeyError](err); ok {
		s.reports.Once("waybills can't be pushed, as their Tokens can't be opened", missing)
		return nil
	}
	if err != nil || len(tokens) == 0 {
		return err
	}
	w.history, w.token = tokens, tokens[0].Value
	return nil
}
