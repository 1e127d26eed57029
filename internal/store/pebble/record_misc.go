package pebble

import (
	"encoding/binary"
	"time"

	"carrier/internal/store"
)

const (
	tokensVersion  = 1
	sealedVersion  = 2 // Tokens of version 1 within (see seal.go).
	accountVersion = 1

	// maxTokens is how many Tokens of a waybill are remembered: beyond the newest they only serve to explain.
	maxTokens = 8
)

// Flags of a waybill.
const (
	flagParked byte = 1 << iota
	flagFrozen
)

// block is a row of p: why a waybill's pushes are kept.
type block struct {
	flags  byte
	parked int64 // Since when it is parked (Unix ms); 0 if it is not, or if that is not known.
	hold   store.Hold
}

// encodeBlock appends a row of p.
func encodeBlock(b []byte, k *block) []byte {
	b = append(b, k.flags)
	b = binary.AppendVarint(b, k.parked)
	b = putTime(b, k.hold.Since)
	b = putString(b, k.hold.By)
	return putString(b, k.hold.Reason)
}

// decodeBlock reads a row of p. The first stores had nothing there but the flags.
func decodeBlock(value []byte) (*block, error) {
	r := reader{b: value}
	k := &block{flags: r.byte()}
	if len(value) > 1 {
		k.parked = r.int()
		k.hold.Since, k.hold.By, k.hold.Reason = r.time(), r.string(), r.string()
	}
	return k, r.end()
}

// is tells whether a flag is set; k may be nil.
func (k *block) is(flag byte) bool { return k != nil && k.flags&flag != 0 }

// token is a Token and when it came.
type token struct {
	at    int64 // Unix ms
	value string
}

// encodeTokens appends a row of k.
func encodeTokens(b []byte, tokens []token) []byte {
	b = append(b, tokensVersion)
	b = binary.AppendUvarint(b, uint64(len(tokens)))
	for _, t := range tokens {
		b = binary.AppendVarint(b, t.at)
		b = putString(b, t.value)
	}
	return b
}

func decodeTokens(value []byte) ([]token, error) {
	r := open(value, tokensVersion)
	n := r.uint()
	if n > maxTokens {
		r.fail()
		n = 0
	}
	tokens := make([]token, n)
	for i := range tokens {
		tokens[i] = token{at: r.int(), value: r.string()}
	}
	return tokens, r.end()
}

// encodeAccount appends a row of x.
func encodeAccount(b []byte, a *store.Account) []byte {
	var flags byte
	if a.Paused {
		flags |= 1
	}
	if a.ByHand {
		flags |= 2
	}
	if a.Guarded {
		flags |= 4
	}
	if a.ReasonZh != "" {
		flags |= 8
	}
	b = append(b, accountVersion, flags)
	b = putString(b, a.Reason)
	if a.ReasonZh != "" {
		b = putString(b, a.ReasonZh)
	}
	b = putTime(b, a.Since)
	b = putTime(b, a.Until)
	b = binary.AppendVarint(b, int64(a.Errcode))
	b = binary.AppendUvarint(b, uint64(len(a.ForcedAt)))
	for _, t := range a.ForcedAt {
		b = putTime(b, t)
	}
	if a.Quota == (store.Quota{}) {
		return b
	}
	return encodeQuota(b, &a.Quota)
}

// encodeQuota appends the end of a row of x. Rows from before format 4 have none.
func encodeQuota(b []byte, q *store.Quota) []byte {
	var flags byte
	if q.Waived {
		flags |= 1
	}
	b = append(b, flags)
	b = putTime(b, q.Day)
	b = binary.AppendVarint(b, q.Used)
	b = binary.AppendVarint(b, q.Limit)
	return putTime(b, q.AskedAt)
}

func (r *reader) quota() store.Quota {
	flags := r.byte()
	return store.Quota{Waived: flags&1 != 0, Day: r.time(), Used: r.int(), Limit: r.int(), AskedAt: r.time()}
}

func decodeAccount(value []byte) (store.Account, error) {
	r := open(value, accountVersion)
	flags := r.byte()
	a := store.Account{Paused: flags&1 != 0, ByHand: flags&2 != 0, Guarded: flags&4 != 0, Reason: r.string()}
	if flags&8 != 0 {
		a.ReasonZh = r.string()
	}
	a.Since, a.Until, a.Errcode = r.time(), r.time(), int(r.int())
	n := r.uint()
	if n > uint64(len(r.b)) { // Each takes a byte at least.
		r.fail()
		n = 0
	}
	if n > 0 {
		a.ForcedAt = make([]time.Time, n)
	}
	for i := range a.ForcedAt {
		a.ForcedAt[i] = r.time()
	}
	if len(r.b) > 0 {
		a.Quota = r.quota()
	}
	return a, r.end()
}
