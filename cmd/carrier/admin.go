package main

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"carrier/internal/config"
)

// adminFlags say where the admin API is, and who asks. Secrets are never flags.
type adminFlags struct {
	AdminURL  string `placeholder:"URL" help:"The admin API; default CARRIER_ADMIN_URL, else from the configuration."`
	TokenFile string `placeholder:"FILE" help:"Holds the admin token; default CARRIER_ADMIN_TOKEN."`
}

// token is the admin token, empty if none is given.
func (a *adminFlags) token(w *world) (string, error) {
	if a.TokenFile == "" {
		return w.getenv("CARRIER_ADMIN_TOKEN"), nil
	}
	text, err := os.ReadFile(a.TokenFile)
	if err != nil {
		return "", usageError{fmt.Errorf("--token-file: %w", err)}
	}
	return strings.TrimSpace(string(text)), nil
}

// url is the admin API's address.
func (a *adminFlags) url(w *world, c *config.Config) string {
	switch {
	case a.AdminURL != "":
		return strings.TrimRight(a.AdminURL, "/")
	case w.getenv("CARRIER_ADMIN_URL") != "":
		return strings.TrimRight(w.getenv("CARRIER_ADMIN_URL"), "/")
	}
	return "http://" + c.Server.AdminListen
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

// online fetches a copy of a running service's store.
func (s *storeBackup) online(ctx context.Context, w *world, token string) error {
	c, err := s.load(w)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url(w, c)+"/admin/v1/store/backup", nil)
	if err != nil {
		return usageError{fmt.Errorf("--admin-url: %w", err)}
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("asking the running service: %w; is it up, and is the address right?", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		return fmt.Errorf("the service answered %s: %s", resp.Status, text)
	}
	if err := unpack(resp.Body, s.To); err != nil {
		return errors.Join(fmt.Errorf("receiving the copy: %w", err), os.RemoveAll(s.To))
	}
	return nil
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
			err = fmt.Errorf("%s is neither a file nor a folder", h.Name)
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
