package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"carrier/internal/store"
	"carrier/internal/store/pebble"
	"carrier/internal/store/postgres"
)

type storeCommand struct {
	Check   storeCheck   `cmd:"" help:"Verify a store: checksums, indexes, counters. A folder only while no service uses it. 校验存储"`
	Backup  storeBackup  `cmd:"" help:"Copy a store: of a running service with its admin token, else of the folder itself. 备份存储"`
	Migrate storeMigrate `cmd:"" help:"Move a store to another engine: a folder to PostgreSQL, or back. While the service runs, a copy; once it is stopped, the move. 迁移存储"`
}

// folder is the store's folder, as the configuration names it.
func (f *configFlag) folder(w *world) (string, error) {
	c, err := f.load(w)
	if err != nil {
		return "", err
	}
	folder, ok := c.Store.Folder()
	if !ok {
		return "", usageError{fmt.Errorf("store.url: %s names no folder; of a database, make copies with pg_dump or pg_basebackup", c.Store.URL)}
	}
	if _, err := os.Stat(folder); err != nil {
		return "", usageError{fmt.Errorf("there is no store at %s: %w; give the service's own configuration with -c", folder, err)}
	}
	return folder, nil
}

// reading is what it takes to read the store: the keys of its Tokens.
func (f *configFlag) reading(w *world) (o pebble.Options, err error) {
	c, err := f.load(w)
	if err != nil {
		return o, err
	}
	if o.TokenKeys, err = c.Store.TokenKeys(); err != nil {
		return o, usageError{fmt.Errorf("store.key_file: %w", err)}
	}
	return o, nil
}

type storeCheck struct {
	configFlag
}

func (s *storeCheck) Run(ctx context.Context, w *world) error {
	o, err := s.reading(w)
	if err != nil {
		return err
	}
	c, err := s.load(w)
	if err != nil {
		return err
	}
	if address, ok := c.Store.Postgres(); ok {
		report, err := postgres.CheckDatabase(ctx, address, postgres.Options{TokenKeys: o.TokenKeys})
		if err != nil {
			return err
		}
		return tellReport(w, c.Store.URL.String(), &report, "the database")
	}
	folder, err := s.folder(w)
	if err != nil {
		return err
	}
	return checkFolder(ctx, w, folder, o)
}

// checkFolder verifies a folder and says what it holds.
func checkFolder(ctx context.Context, w *world, folder string, o pebble.Options) error {
	report, err := pebble.CheckDir(ctx, folder, o)
	if err != nil {
		return err
	}
	return tellReport(w, folder, &report, "the folder")
}

// tellReport says what a store holds and what does not fit together; kind is what is to be kept then.
func tellReport(w *world, where string, report *store.Report, kind string) error {
	fmt.Fprintf(w.stdout, "%s: %d events", where, report.Events)
	for _, status := range store.Statuses() {
		fmt.Fprintf(w.stdout, ", %d pushes %s", report.Pushes[status], status)
	}
	fmt.Fprintln(w.stdout)
	for _, p := range report.Problems {
		fmt.Fprintln(w.stdout, "problem:", p)
	}
	if n := len(report.Problems); n > 0 {
		return fmt.Errorf("%d things do not fit together; keep %s as it is and restore a backup beside it", n, kind)
	}
	fmt.Fprintln(w.stdout, "everything fits together")
	return nil
}

type storeBackup struct {
	configFlag
	adminFlags
	To      string `required:"" placeholder:"FOLDER" help:"Where the copy goes; must not exist."`
	Because string `placeholder:"TEXT" help:"Why you do it, for the audit log of a running service."`
}

func (s *storeBackup) Run(ctx context.Context, w *world) error {
	if _, err := os.Lstat(s.To); err == nil {
		return usageError{fmt.Errorf("--to: %s exists; name a folder that does not", s.To)}
	}
	o, err := s.reading(w)
	if err != nil {
		return err
	}
	if s.tokenGiven(w) {
		err = s.online(ctx, w, io.Discard)
	} else {
		err = s.offline(w)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(w.stdout, "the copy is in %s and opens as a store: store.url: file:%s\n", s.To, s.To)
	return checkFolder(ctx, w, s.To, o)
}

// offline copies a folder that no service uses.
func (s *storeBackup) offline(w *world) error {
	folder, err := s.folder(w)
	if err != nil {
		return err
	}
	if err := pebble.BackupDir(folder, s.To); err != nil {
		return fmt.Errorf("%w; for a running service, give its admin token (CARRIER_ADMIN_TOKEN or --token-file)", err)
	}
	return nil
}
