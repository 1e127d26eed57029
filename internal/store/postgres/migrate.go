package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// bringUp brings the database to the newest schema that this binary knows, under an advisory lock, so that nodes that
// start together don't meet. A schema that is newer still is refused: what it holds can't be kept in order by this
// binary.
func bringUp(ctx context.Context, config *pgx.ConnConfig) error {
	return withSchema(ctx, config, func(p *goose.Provider, current, newest int64) error {
		if _, err := p.Up(ctx); err != nil {
			return fmt.Errorf("bring the schema from version %d to %d: %w", current, newest, err)
		}
		return nil
	})
}

// checkSchema says why the database's schema is not the one that this binary knows; nil if it is.
func checkSchema(ctx context.Context, config *pgx.ConnConfig) error {
	return withSchema(ctx, config, func(_ *goose.Provider, current, newest int64) error {
		switch {
		case current == 0:
			return errors.New("there is no store in this database; the service makes it when it first starts")
		case current < newest:
			return fmt.Errorf("its schema is of an older carrier (version %d, not %d): start the service once, which brings it up",
				current, newest)
		}
		return nil
	})
}

// newestSchema is the version of the newest schema that this binary knows: the number that a file begins with, or that a
// migration in Go bears.
func newestSchema() (newest int64, err error) {
	files, err := fs.ReadDir(migrations, "migrations")
	for _, f := range files {
		version, err := goose.NumericComponent(f.Name())
		if err != nil {
			return 0, err
		}
		newest = max(newest, version)
	}
	for _, m := range migrationsInGo {
		newest = max(newest, m.Version)
	}
	return newest, err
}

// withSchema calls do with the version of the database's schema and the newest that this binary knows.
func withSchema(ctx context.Context, config *pgx.ConnConfig, do func(p *goose.Provider, current, newest int64) error) (err error) {
	db := stdlib.OpenDB(*config)
	defer func() { err = errors.Join(err, db.Close()) }()
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithSessionLocker(locker), goose.WithTableName("schema_version"), goose.WithLogger(goose.NopLogger()),
		goose.WithGoMigrations(migrationsInGo...))
	if err != nil {
		return err
	}
	current, newest, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	if current > newest {
		return fmt.Errorf("its schema is of a newer carrier (version %d; this one knows up to %d): run that version, "+
			"or use another database", current, newest)
	}
	return do(p, current, newest)
}
