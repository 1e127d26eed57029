package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"carrier/internal/store"
)

// Secret reads a secret.
func (s *Store) Secret(ctx context.Context, name string) (value []byte, err error) {
	var row []byte
	err = s.view(ctx, func(t pgx.Tx) error {
		err := t.QueryRow(ctx, "SELECT value FROM secrets WHERE name = $1", text(name)).Scan(&row)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	if err = s.readError(err); err == nil && row != nil {
		value, err = s.keys.OpenSecret(secretPlace(name), row)
	}
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
	row := s.keys.SealSecret(secretPlace(name), value)
	err := s.change(ctx, 0, func(x *tx) error {
		_, err := x.exec("INSERT INTO secrets VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, row)
		return err
	})
	if err != nil {
		return fmt.Errorf("keep the secret %s: %w", name, err)
	}
	return nil
}

// secretPlace is what binds a secret to its name.
func secretPlace(name string) []byte { return []byte("secret\x00" + name) }
