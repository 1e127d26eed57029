package main

import (
	"archive/tar"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// adminFlags say where the admin API is, and who asks. Secrets are never flags.
type adminFlags struct {
	AdminURL  string `group:"service" placeholder:"URL" help:"The admin API; default CARRIER_ADMIN_URL, else from the configuration."`
	TokenFile string `group:"service" placeholder:"FILE" help:"Holds the admin token; default CARRIER_ADMIN_TOKEN."`
}

// tokenGiven tells whether there is an admin token to read.
func (a *adminFlags) tokenGiven(w *world) bool {
	return a.TokenFile != "" || w.getenv("CARRIER_ADMIN_TOKEN") != ""
}

// url is the admin API's address, as far as the flag or the environment gives it.
func (a *adminFlags) url(w *world) string {
	return strings.TrimRight(cmp.Or(a.AdminURL, w.getenv("CARRIER_ADMIN_URL")), "/")
}

// getenv reads an environment variable.
func (w *world) getenv(name string) string {
	for _, v := range slices.Backward(w.env) {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// read reads a file, or standard input for "-": all of it, or one byte more than limit.
func (w *world) read(name string, limit int64) ([]byte, error) {
	in := w.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }() // It was only read.
		in = f
	}
	return io.ReadAll(io.LimitReader(in, limit+1))
}

// online fetches a copy of a running service's store. What comes is written to watch too.
func (s *storeBackup) online(ctx context.Context, w *world, watch io.Writer) error {
	ask := asking{adminFlags: s.adminFlags, Config: s.File}
	return ask.with(ctx, w, func(session *session) error {
		archive, err := session.Backup(ctx, s.Because)
		if err != nil {
			return err
		}
		defer func() { _ = archive.Close() }()
		if err := unpack(io.TeeReader(archive, watch), s.To); err != nil {
			return errors.Join(fmt.Errorf("receiving the copy: %w", err), os.RemoveAll(s.To))
		}
		return nil
	})
}

// unpack writes a tar archive of plain files below dir, which it makes.
func unpack(r io.Reader, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir) // what the archive names can't get out of it
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case h.Typeflag == tar.TypeDir:
			err = root.MkdirAll(filepath.Clean(h.Name), 0o700)
		case h.Typeflag == tar.TypeReg:
			err = unpackFile(root, filepath.Clean(h.Name), in)
		default:
			err = fmt.Errorf("%q is neither a file nor a folder", h.Name)
		}
		if err != nil {
			return err
		}
	}
}

func unpackFile(root *os.Root, name string, in io.Reader) error {
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, in)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
