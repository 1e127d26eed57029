package pebble

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/store"
)

// Backup writes a copy of the store as it is now into dir, which must not exist. Files are linked where the file system
// allows it, so that it takes a moment. INSTANCE comes last: a copy without it is not whole and is refused.
func (s *Store) Backup(_ context.Context, dir string) error {
	s.files.RLock()
	defer s.files.RUnlock()
	if s.released || s.failed.Load() != nil {
		return fmt.Errorf("%w: it is closed", store.ErrUnavailable)
	}
	if err := s.backup(dir); err != nil {
		return fmt.Errorf("back up store %s to %s: %w", s.dir, dir, err)
	}
	return nil
}

func (s *Store) backup(dir string) error {
	files := s.opts.FS
	switch _, err := files.Stat(dir); {
	case err == nil:
		return errors.New("the folder exists already; name one that does not")
	case !errors.Is(err, os.ErrNotExist):
		return err
	}
	if err := files.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	home := newHome(files, dir)
	if err := s.db.Checkpoint(home.database, cdb.WithFlushedWAL()); err != nil {
		return err
	}
	return home.writeMarker(s.instance)
}

// BackupDir copies a store that no process has open into the folder to, which must not exist. It writes nothing to dir.
func BackupDir(dir, to string) (err error) {
	s := newStore(dir, Options{}.withDefaults())
	s.readOnly = true
	if err := s.openFiles(); err != nil {
		return fmt.Errorf("store %s: %w", dir, err)
	}
	defer func() { err = errors.Join(err, s.release()) }()
	if err := os.Mkdir(to, 0o700); err != nil {
		return fmt.Errorf("back up store %s: %w", dir, err)
	}
	home := newHome(s.opts.FS, to)
	err = os.CopyFS(home.database, os.DirFS(newHome(s.opts.FS, dir).database))
	if err == nil {
		err = syncFiles(home.database)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("back up store %s to %s: %w", dir, to, err), os.RemoveAll(to))
	}
	return home.writeMarker(s.instance)
}

// syncFiles makes all files below dir durable, so that INSTANCE, which comes last, never vouches for half a copy.
func syncFiles(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
}
