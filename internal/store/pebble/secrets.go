package pebble

import (
	"context"
	"errors"
	"fmt"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/store"
	"carrier/internal/store/engine"
)

// secretKey is the key of a row of y, which a secret is bound to (seal.Keys, SealSecret).
func secretKey(name string) []byte { return append([]byte{tableSecrets}, name...) }

// Secret reads a secret.
func (s *Store) Secret(_ context.Context, name string) (value []byte, err error) {
	key := secretKey(name)
	err = s.view(func(db cdb.Reader) error {
		_, err := read(db, key, func(row []byte) (err error) {
			value, err = s.keys.OpenSecret(key, row)
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
	op := &secretOp{key: key, row: s.keys.SealSecret(key, value)}
	if err := s.write(ctx, op, &op.Waiter); err != nil {
		return fmt.Errorf("keep the secret %s: %w", name, err)
	}
	return nil
}

type secretOp struct {
	engine.Waiter
	key, row []byte
}

func (o *secretOp) rows() int { return 1 }
func (o *secretOp) run(x *tx) { x.set(o.key, o.row) }

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
			_, err = c.keys.OpenSecret(it.Key(), row)
		}
		if err != nil {
			c.problem("the secret %s: %v", it.Key()[1:], err)
		}
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		c.problem("the secrets can't be read: %v", err)
	}
}
