package pebble

import (
	"context"
	"fmt"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/store"
	"carrier/internal/store/engine"
)

func accountKey(delivery string) []byte { return append([]byte{tableAccounts}, delivery...) }

// Account reads what outlives a restart of an account.
func (s *Store) Account(_ context.Context, deliveryID string) (a store.Account, err error) {
	err = s.view(func(db cdb.Reader) error {
		_, err := read(db, accountKey(deliveryID), func(v []byte) (err error) {
			a, err = decodeAccount(v)
			return err
		})
		return err
	})
	return a, err
}

// PutAccount keeps it.
func (s *Store) PutAccount(ctx context.Context, deliveryID string, a store.Account) error {
	op := &accountOp{key: accountKey(deliveryID), value: encodeAccount(nil, &a)}
	if err := s.write(ctx, op, &op.Waiter); err != nil {
		return fmt.Errorf("keep the state of account %s: %w", deliveryID, err)
	}
	return nil
}

type accountOp struct {
	engine.Waiter
	key, value []byte
}

func (o *accountOp) rows() int { return 1 }
func (o *accountOp) run(x *tx) { x.set(o.key, o.value) }
