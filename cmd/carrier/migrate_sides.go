package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"carrier/internal/config"
	"carrier/internal/store"
	"carrier/internal/store/pebble"
	"carrier/internal/store/postgres"
)

// openedSource is what is copied from.
type openedSource struct {
	store.Source
	serving string // Who serves from the store; empty: nobody, and it can be moved.
	remove  func() error
}

// close also removes a copy that was made to be read.
func (o *openedSource) close() error {
	err := o.Close()
	if o.remove != nil {
		err = errors.Join(err, o.remove())
	}
	return err
}

// openSource opens the configured store: itself if no service uses it, or if it is a database; else an online backup.
func (m *migration) openSource(ctx context.Context) (*openedSource, error) {
	if address, ok := m.from.Postgres(); ok {
		source, err := postgres.OpenExporter(ctx, address, m.databaseOptions(m.from))
		if err != nil {
			return nil, err
		}
		names, err := source.Serving(ctx)
		if err != nil {
			return nil, errors.Join(err, source.Close())
		}
		return &openedSource{Source: source, serving: strings.Join(names, ", ")}, nil
	}
	folder, _ := m.from.Folder()
	source, err := pebble.OpenExporter(folder, m.folderOptions(m.from))
	switch {
	case err == nil:
		return &openedSource{Source: source}, nil
	case !errors.Is(err, store.ErrInUse):
		return nil, fmt.Errorf("%w; is this the service's own configuration (-c)?", err)
	case !m.tokenGiven(m.world):
		return nil, fmt.Errorf("%w. For a copy while the service goes on, give its admin token (CARRIER_ADMIN_TOKEN or --token-file)", err)
	}
	return m.openBackup(ctx, folder)
}

// openBackup has the running service make a copy of its store, beside that, and opens it.
func (m *migration) openBackup(ctx context.Context, folder string) (_ *openedSource, err error) {
	copied := filepath.Clean(folder) + ".migrating"
	remove := func() error { return os.RemoveAll(copied) }
	defer func() {
		if err != nil {
			err = errors.Join(err, remove())
		}
	}()
	if err := remove(); err != nil { // What an interrupted run left.
		return nil, err
	}
	if err := m.seeRoomForBackup(folder); err != nil {
		return nil, err
	}
	backup := storeBackup{configFlag: m.configFlag, adminFlags: m.adminFlags, To: copied, Because: m.Because}
	if err := backup.online(ctx, m.world, m.progress.received(m.say("fetching a copy from the service", "从服务获取副本"))); err != nil {
		return nil, err
	}
	source, err := pebble.OpenExporter(copied, m.folderOptions(m.from))
	if err != nil {
		return nil, err
	}
	return &openedSource{Source: source, serving: "the service", remove: remove}, nil
}

// openTarget opens what is filled, and sees that there is room.
func (m *migration) openTarget(ctx context.Context) (store.Importer, error) {
	target, err := m.importer(ctx)
	if err != nil {
		return nil, err
	}
	if folder, ok := target.(*pebble.Importer); ok {
		if err := m.seeRoom(ctx, folder); err != nil {
			return nil, errors.Join(err, target.Close())
		}
	}
	return target, nil
}

func (m *migration) importer(ctx context.Context) (store.Importer, error) {
	if address, ok := m.to.Postgres(); ok {
		target, err := postgres.OpenImporter(ctx, address, m.source.Instance(), m.databaseOptions(m.to))
		if err != nil {
			return nil, fmt.Errorf("--to: %w", err)
		}
		return target, nil
	}
	folder, _ := m.to.Folder()
	target, err := pebble.OpenImporter(folder, m.source.Instance(), m.folderOptions(m.to))
	if err != nil {
		return nil, fmt.Errorf("--to: %w", err)
	}
	return target, nil
}

// seeRoom refuses a disk on which the source does not fit, beside what store.min_free keeps.
func (m *migration) seeRoom(ctx context.Context, target *pebble.Importer) error {
	size, err := m.source.Size(ctx)
	if err != nil {
		return err
	}
	held, err := target.Size(ctx)
	if err != nil {
		return err
	}
	folder, _ := m.to.Folder()
	if err := room(folder, size-min(size, held), uint64(m.to.MinFree)); err != nil {
		return fmt.Errorf("--to: %w, or name another disk", err)
	}
	return nil
}

// seeRoomForBackup refuses a copy that could close the running service's intake.
func (m *migration) seeRoomForBackup(folder string) error {
	var size uint64
	err := filepath.WalkDir(folder, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // The service deletes files as it goes on.
		}
		if err != nil || d.IsDir() {
			return err
		}
		if info, err := d.Info(); err == nil {
			size += uint64(info.Size())
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := room(filepath.Dir(filepath.Clean(folder)), size, uint64(m.from.MinFree)); err != nil {
		return fmt.Errorf("to copy the store while the service runs: %w, or stop the service: then no copy is made", err)
	}
	return nil
}

// room says what to do if a folder's disk has no room for so many bytes, beside those that are to stay free.
func room(folder string, need, least uint64) error {
	free, err := pebble.Free(folder)
	if err != nil {
		return err
	}
	if free < need+least {
		return fmt.Errorf("%d MiB are free on the disk of %s, and %d MiB are needed beside the %d MiB of store.min_free; free some space",
			free>>20, folder, need>>20, least>>20)
	}
	return nil
}

// The engines log nothing here: what goes wrong is the command's error.
func (m *migration) databaseOptions(s config.Store) postgres.Options {
	return postgres.Options{TokenKeys: m.keys(s), Logger: slog.New(slog.DiscardHandler)}
}

func (m *migration) folderOptions(s config.Store) pebble.Options {
	return pebble.Options{TokenKeys: m.keys(s), MinFreeBytes: uint64(s.MinFree), Logger: slog.New(slog.DiscardHandler)}
}

// keys are those that the configuration names. That they can be read was checked with it.
func (m *migration) keys(s config.Store) [][]byte {
	keys, _ := s.TokenKeys()
	return keys
}
