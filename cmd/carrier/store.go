package main

import (
	"context"
	"fmt"
	"os"

	"carrier/internal/store"
	"carrier/internal/store/pebble"
)

type storeCommand struct {
	Check  storeCheck  `cmd:"" help:"Verify a store that no service uses: checksums, indexes, counters. 校验存储"`
	Backup storeBackup `cmd:"" help:"Copy a store that no service uses. 备份存储"`
}

// folder is the store's folder, as the configuration names it.
func (f *configFlag) folder(w *world) (string, error) {
	c, err := f.load(w)
	if err != nil {
		return "", err
	}
	folder, ok := c.Store.Folder()
	if !ok {
		return "", usageError{fmt.Errorf("store.url: %s names no folder; this command is for file:FOLDER", c.Store.URL)}
	}
	if _, err := os.Stat(folder); err != nil {
		return "", usageError{fmt.Errorf("there is no store at %s: %w; give the service's own configuration with -c", folder, err)}
	}
	return folder, nil
}

type storeCheck struct {
	configFlag
}

func (s *storeCheck) Run(ctx context.Context, w *world) error {
	folder, err := s.folder(w)
	if err != nil {
		return err
	}
	report, err := pebble.CheckDir(ctx, folder)
	if err != nil {
		return err
	}
	fmt.Fprintf(w.stdout, "%s: %d events", folder, report.Events)
	for _, status := range store.Statuses() {
		fmt.Fprintf(w.stdout, ", %d pushes %s", report.Pushes[status], status)
	}
	fmt.Fprintln(w.stdout)
	for _, p := range report.Problems {
		fmt.Fprintln(w.stdout, "problem:", p)
	}
	if n := len(report.Problems); n > 0 {
		return fmt.Errorf("%d things do not fit together; keep the folder as it is and restore a backup beside it", n)
	}
	fmt.Fprintln(w.stdout, "everything fits together")
	return nil
}

type storeBackup struct {
	configFlag
	To string `required:"" placeholder:"FOLDER" help:"Where the copy goes; must not exist."`
}

func (s *storeBackup) Run(ctx context.Context, w *world) error {
	folder, err := s.folder(w)
	if err != nil {
		return err
	}
	if err := pebble.BackupDir(ctx, folder, s.To); err != nil {
		return err
	}
	fmt.Fprintf(w.stdout, "%s is copied to %s; it opens as a store: store.url: file:%s\n", folder, s.To, s.To)
	return nil
}
