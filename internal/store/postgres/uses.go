package postgres

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"
)

// firstUse takes a use that is new, that is known with the same content, or whose time is over; else it gives no row. A
// use is remembered for as long as any that asked.
const firstUse = `INSERT INTO uses AS u (hash, digest, until) VALUES ($1, $2, $3)
	ON CONFLICT (hash) DO UPDATE SET digest = excluded.digest,
		until = CASE WHEN u.until < $4 THEN excluded.until ELSE greatest(u.until, excluded.until) END
	WHERE u.until < $4 OR u.digest = excluded.digest
	RETURNING true`

// FirstUse notes that a signed request was used, and tells whether it may be. Nodes that are asked about one at the same
// time answer one after the other.
func (s *Store) FirstUse(ctx context.Context, signature string, digest [32]byte, until time.Time) (allowed bool, err error) {
	hash := sha256.Sum256([]byte(signature))
	err = s.change(ctx, int16(hash[0]), func(x *tx) (err error) {
		now := timestamp(s.opts.Now().UnixMilli()) // As whoever sets until tells time: commits may be dated later.
		allowed = false
		_, err = x.ask(firstUse, []any{hash[:16], digest[:], timestamp(until.UnixMilli()), now}, &allowed)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("note a signed request: %w", err)
	}
	return allowed, nil
}

// forgetUses forgets uses whose time is over. Forgotten too early, one could be used again on another node.
func (s *Store) forgetUses(ctx context.Context) error {
	now, err := s.agreedTime(ctx)
	if err != nil {
		return err
	}
	return s.change(ctx, 0, func(x *tx) error {
		_, err := x.exec("DELETE FROM uses WHERE until < $1", timestamp(now.UnixMilli()))
		return err
	})
}
