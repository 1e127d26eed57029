package pebble

import (
	"encoding/binary"
	"time"

	"carrier/internal/store"
	"carrier/internal/store/codec"
)

const accountVersion = 1

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
	b = codec.AppendTime(b, k.hold.Since)
	b = codec.AppendString(b, k.hold.By)
	return codec.AppendString(b, k.hold.Reason)
}

// decodeBlock reads a row of p. The first stores had nothing there but the flags.
func decodeBlock(value []byte) (*block, error) {
	r := codec.Reader{Rest: value}
	k := &block{flags: r.Byte()}
	if len(value) > 1 {
		k.parked = r.Int()
		k.hold.Since, k.hold.By, k.hold.Reason = r.Time(), r.Text(), r.Text()
	}
	return k, r.End()
}

// is tells whether a flag is set; k may be nil.
func (k *block) is(flag byte) bool { return k != nil && k.flags&flag != 0 }

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
	b = codec.AppendString(b, a.Reason)
	if a.ReasonZh != "" {
		b = codec.AppendString(b, a.ReasonZh)
	}
	b = codec.AppendTime(b, a.Since)
	b = codec.AppendTime(b, a.Until)
	b = binary.AppendVarint(b, int64(a.Errcode))
	b = binary.AppendUvarint(b, uint64(len(a.ForcedAt)))
	for _, t := range a.ForcedAt {
		b = codec.AppendTime(b, t)
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
	b = codec.AppendTime(b, q.Day)
	b = binary.AppendVarint(b, q.Used)
	b = binary.AppendVarint(b, q.Limit)
	return codec.AppendTime(b, q.AskedAt)
}

func readQuota(r *codec.Reader) store.Quota {
	flags := r.Byte()
	return store.Quota{Waived: flags&1 != 0, Day: r.Time(), Used: r.Int(), Limit: r.Int(), AskedAt: r.Time()}
}

func decodeAccount(value []byte) (store.Account, error) {
	r := codec.Open(value, accountVersion)
	flags := r.Byte()
	a := store.Account{Paused: flags&1 != 0, ByHand: flags&2 != 0, Guarded: flags&4 != 0, Reason: r.Text()}
	if flags&8 != 0 {
		a.ReasonZh = r.Text()
	}
	a.Since, a.Until, a.Errcode = r.Time(), r.Time(), int(r.Int())
	if n := r.Count(len(r.Rest)); n > 0 { // Each takes a byte at least.
		a.ForcedAt = make([]time.Time, n)
	}
	for i := range a.ForcedAt {
		a.ForcedAt[i] = r.Time()
	}
	if len(r.Rest) > 0 {
		a.Quota = readQuota(&r)
	}
	return a, r.End()
}
