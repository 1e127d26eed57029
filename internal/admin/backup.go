package admin

import (
	"archive/tar"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"carrier/internal/store"
)

// copyPrefix begins the name of a copy that is being sent out. Nobody else names a folder like that.
const copyPrefix = ".backup-being-sent-"

// RemoveLeftovers removes copies that a process was sending out when it was killed; their links keep files of the store
// from being freed.
func RemoveLeftovers(backupDir string) error {
	left, err := filepath.Glob(filepath.Join(backupDir, copyPrefix+"*"))
	for _, dir := range left {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

// Backup writes a consistent copy of the store to w as a tar archive, while the service goes on. The copy is made
// beside the store (mostly by hard links) and removed afterwards.
func (s *Service) Backup(ctx context.Context, by Actor, reason string, w io.Writer) (err error) {
	if err := checkReason(reason, false); err != nil {
		return err
	}
	if err := s.record(ctx, store.AuditEntry{Act: by.act(store.ActBackup, reason)}); err != nil {
		return err
	}
	dir := filepath.Join(s.BackupDir, copyPrefix+rand.Text())
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := s.Store.Backup(ctx, dir); err != nil {
		return storeProblem(fmt.Errorf("copying the store: %w", err))
	}
	s.acted(by, "store backed up")
	out := tar.NewWriter(w)
	if err := out.AddFS(os.DirFS(dir)); err != nil {
		return fmt.Errorf("writing the copy out: %w", err)
	}
	return out.Close()
}
