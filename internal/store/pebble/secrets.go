package pebble

import (
	"context"
	"errors"
	"fmt"
	"slices"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/store"
	"carrier/internal/store/seal"
)

// Versions of a row of y:
//
//	1  the secret as it is
//	2  the key's id (8 bytes), nonce (12 random bytes), AES-256-GCM of the secret; see seals
const (
	plainSecret  = 1
	sealedSecret = 2
)

func secretKey(name string) []byte { return append([]byte{tableSecrets}, name...) }

// Secret reads a secret.
func (s *Store) Secret(_ context.Context, name string) (value []byte, err error) {
	key := secretKey(name)
	err = s.view(func(db cdb.Reader) error {
		_, err := read(db, key, func(row []byte) (err error) {
			value, err = s.seals.openSecret(key, row)
			return err
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the secret %s: %w", name, err)
	}
	return value, nil
}

// PutSecret keeps one.
func (s *Store) PutSecret(ctx context.Context, name string, value []byte) error {
	if err := store.FitSecret(name, value); err != nil {
		return err
	}
	key := secretKey(name)
	op := &secretOp{key: key, row: s.seals.sealSecret(key, value)}
	if err := s.write(ctx, op, &op.waiter); err != nil {
		return fmt.Errorf("keep the secret %s: %w", name, err)
	}
	return nil
}

type secretOp struct {
	waiter
	key, row []byte
}

func (o *secretOp) rows() int { return 1 }
func (o *secretOp) run(x *tx) { x.set(o.key, o.row) }

// sealSecret makes a row of y, sealed if there is a key.
func (s seals) sealSecret(key, value []byte) []byte {
	if len(s) == 0 {
		return append([]byte{plainSecret}, value...)
	}
	id := seal.Keys(s).Newest()
	row := append([]byte{sealedSecret}, id[:]...)
	return seal.Keys(s).Seal(row, value, slices.Concat(key, row))
}

// openSecret reads a row of y. What it gives is never nil without an error.
func (s seals) openSecret(key, row []byte) ([]byte, error) {
	const header = 1 + len(seal.ID{})
	switch {
	case len(row) >= 1 && row[0] == plainSecret:
		return append([]byte{}, row[1:]...), nil
	case len(row) < header || row[0] != sealedSecret:
		return nil, errRecord
	}
	value, err := s.open(seal.ID(row[1:header]), row[header:], slices.Concat(key, row[:header]))
	if err == nil && value == nil {
		value = []byte{}
	}
	return value, err
}

// secrets checks that every row of y can be opened.
func (c *checker) secrets() {
	it, err := c.db.NewIter(&cdb.IterOptions{LowerBound: []byte{tableSecrets}, UpperBound: []byte{tableSecrets + 1}})
	if err != nil {
		c.problem("the secrets can't be read: %v", err)
		return
	}
	for ok := it.First(); ok; ok = it.Next() {
		row, err := it.ValueAndErr()
		if err == nil {
			_, err = c.seals.openSecret(it.Key(), row)
		}
		if err != nil {
			c.problem("the secret %s: %v", it.Key()[1:], err)
		}
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		c.problem("the secrets can't be read: %v", err)
	}
}
