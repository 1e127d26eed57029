package config

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"unicode/utf8"
)

// maxSecretBytes bounds a secret's file: a larger one is some other file.
const maxSecretBytes = 64 << 10

// secretFile reads the secret of key from the file that its twin names.
func (d *decoder) secretFile(e entry, twin, key string, v reflect.Value) {
	d.at[twin], d.at[key] = e.at, e.at
	name, ok := d.text(e.value, e.at, twin, reflect.TypeFor[string]())
	if !ok {
		return
	}
	if name == "" {
		d.add(e.at, twin, "is empty; name a file, or remove the key")
		return
	}
	path := d.path(name)
	secret, err := readSecret(path)
	if err != nil {
		d.add(e.at, twin, "%s: %s", path, reason(err))
		return
	}
	d.files = append(d.files, File{Key: twin, Path: path, Secret: true})
	v.SetString(secret)
}

// path is where a path of the configuration leads: relative ones start at the configuration file's folder.
func (d *decoder) path(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(d.dir, name)
}

// readSecret reads a file that holds a secret and nothing else but line breaks at its end.
func readSecret(path string) (string, error) {
	data, err := readLimited(path, maxSecretBytes+1)
	if err != nil {
		return "", err
	}
	secret := strings.TrimRight(strings.TrimPrefix(string(data), "\ufeff"), "\r\n")
	switch {
	case len(data) > maxSecretBytes:
		return "", errors.New("is larger than 64 KiB, which no secret is; is it the right file?")
	case secret == "":
		return "", errors.New("is empty; write the secret into it")
	case !utf8.ValidString(secret) || strings.ContainsAny(secret, "\r\n\t\x00") || secret != strings.TrimSpace(secret):
		return "", errors.New("must hold the secret on one line and nothing else")
	}
	return secret, nil
}

// readLimited reads at most limit bytes of a file.
func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}
