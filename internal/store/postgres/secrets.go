package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"carrier/internal/store"
	"carrier/internal/store/seal"
)

// The column value of a secret:
//
//	version 1, the secret
//	version 2, the key's id (8 bytes), nonce and AES-256-GCM of the secret
//
// What stands before the nonce, and the secret's name, are additional data.
const (
	plainSecret  = 1
	sealedSecret = 2
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
		value, err = s.openSecret(name, row)
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
	row := s.sealSecret(name, value)
	err := s.change(ctx, 0, func(x *tx) error {
		_, err := x.exec("INSERT INTO secrets VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, row)
		return err
	})
	if err != nil {
		return fmt.Errorf("keep the secret %s: %w", name, err)
	}
	return nil
}

// secretName is the additional data that bind a secret to its name.
func secretName(name string) []byte { return []byte("secret\x00" + name) }

// sealSecret makes the column, sealed if there is a key.
func (s *Store) sealSecret(name string, value []byte) []byte {
	if len(s.keys) == 0 {
		return append([]byte{plainSecret}, value...)
	}
	id := s.keys.Newest()
	b := append([]byte{sealedSecret}, id[:]...)
	return s.keys.Seal(b, value, slices.Concat(secretName(name), b))
}

// openSecret reads the column. What it gives is never nil without an error.
func (s *Store) openSecret(name string, row []byte) ([]byte, error) {
	const header = 1 + len(seal.ID{})
	switch {
	case len(row) >= 1 && row[0] == plainSecret:
		return append([]byte{}, row[1:]...), nil
	case len(row) < header || row[0] != sealedSecret:
		return nil, errRecord
	}
	value, err := s.keys.Open(seal.ID(row[1:header]), row[header:], slices.Concat(secretName(name), row[:header]))
	if err == nil && value == nil {
		value = []byte{}
	}
	return value, err
}
