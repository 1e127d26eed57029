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
)

// Backup writes a consistent copy of the store to w as a tar archive, while the service goes on. The copy is made
// beside the store (mostly by hard links) and removed afterwards.
func (s *Service) Backup(ctx context.Context, by Actor, w io.Writer) (err error) {
	dir := filepath.Join(s.BackupDir, "backup-"+rand.Text())
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
