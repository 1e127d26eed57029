package postgres

import (
	"context"
	"errors"
	"fmt"
)

// Backup is what PostgreSQL's own tools do, and better: the error says how.
func (s *Store) Backup(context.Context, string) error {
	return fmt.Errorf("%w: the store is in PostgreSQL at %s. Copy it with pg_dump --format=custom --file=FILE DATABASE "+
		"(pg_restore reads that back), or the whole server with pg_basebackup and an archive of its log", errors.ErrUnsupported, s.where)
}
