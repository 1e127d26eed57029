package pebble

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"time"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/store/codec"
	"carrier/internal/store/engine"
)

// use is a signed request that came before. What is remembered is in memory as well, as it is short-lived: a million
// uses take some 100 MB, and a window of ten minutes has them at 1,600 requests a second.
type use struct {
	digest [32]byte
	until  int64 // Unix ms
}

// useHash stands for a signature.
type useHash [16]byte

func hashUse(signature string) useHash {
	sum := sha256.Sum256([]byte(signature))
	return useHash(sum[:16])
}

// useKey is the key of a row of u.
func useKey(b []byte, until int64, h useHash) []byte {
	b = binary.BigEndian.AppendUint64(append(b, tableUses), uint64(max(until, 0)))
	return append(b, h[:]...)
}

// FirstUse notes that a signed request was used, and tells whether it may be.
func (s *Store) FirstUse(ctx context.Context, signature string, digest [32]byte, until time.Time) (allowed bool, err error) {
	op := &useOp{hash: hashUse(signature), use: use{digest, until.UnixMilli()}}
	if err := s.write(ctx, op, &op.Waiter); err != nil {
		return false, fmt.Errorf("note a signed request: %w", err)
	}
	return op.allowed, nil
}

type useOp struct {
	engine.Waiter
	hash    useHash
	use     use
	allowed bool
}

func (o *useOp) rows() int { return 1 }

// run tells time by the clock, as whoever sets until does: commits may be dated later, after the clock was put back.
func (o *useOp) run(x *tx) {
	known, found := x.w.uses[o.hash]
	if found = found && known.until >= x.s.opts.Now().UnixMilli(); found && known.digest != o.use.digest {
		return
	}
	o.allowed = true
	if found && known.until >= o.use.until {
		return
	}
	x.w.uses[o.hash] = o.use
	x.key = useKey(x.key[:0], o.use.until, o.hash)
	x.set(x.key, o.use.digest[:])
}

// loadUses reads what was remembered. Damage is passed over: what is lost would be forgotten within minutes anyway.
func (s *Store) loadUses() {
	s.w.uses = map[useHash]use{}
	err := scan(s.db, []byte{tableUses}, func(key, value []byte) (bool, error) {
		if len(key) != 9+len(useHash{}) || len(value) != len(use{}.digest) {
			s.reportDamage(damaged(key, codec.ErrRecord))
			return true, nil
		}
		u := use{[32]byte(value), int64(binary.BigEndian.Uint64(key[1:]))}
		s.w.uses[useHash(key[9:])] = u // The one that is remembered longest comes last.
		return true, nil
	})
	if err != nil {
		s.reportDamage(err)
	}
}

// forgetUses forgets uses whose time is over.
func (s *Store) forgetUses(ctx context.Context) error {
	now := s.opts.Now().UnixMilli()
	var some bool
	err := s.view(func(db cdb.Reader) error {
		some = hasRows(db, []byte{tableUses}, useKey(nil, now, useHash{}))
		return nil
	})
	if err != nil || !some {
		return err
	}
	op := &forgetUsesOp{before: now}
	return s.write(ctx, op, &op.Waiter)
}

type forgetUsesOp struct {
	engine.Waiter
	before int64
}

func (o *forgetUsesOp) rows() int { return 1 }

func (o *forgetUsesOp) run(x *tx) {
	x.must(x.b.DeleteRange([]byte{tableUses}, useKey(nil, o.before, useHash{}), nil))
	maps.DeleteFunc(x.w.uses, func(_ useHash, u use) bool { return u.until < o.before })
}
