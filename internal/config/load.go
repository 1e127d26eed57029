package config

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"
	"strings"
)

// loaded is what is remembered of Load for Check and Warnings.
type loaded struct {
	file  string
	at    map[string]origin // By key; of sections and list elements too.
	files []File            // Those that were read, or that the service reads.
}

// Load reads the file at path, or none if path is empty, and lays env over it (as os.Environ gives it). The error
// joins a [*Finding] for everything that can't be read. A configuration that could be read may still be one that
// can't work: call [Config.Check].
func Load(path string, env []string) (*Config, error) {
	variables := environment(env)
	d := &decoder{
		findings: findings{file: path},
		lookup:   func(name string) (string, bool) { v, ok := variables[name]; return v, ok },
		at:       map[string]origin{},
	}
	root := &node{kind: mapNode}
	if path != "" {
		d.dir = filepath.Dir(path)
		parsed, err := readFile(path)
		if err != nil {
			return nil, err
		}
		if parsed != nil {
			root = parsed
		}
	}
	if root.kind == mapNode {
		overlay(&d.findings, root, variables)
	}
	c := Default()
	d.mapping(root, "", reflect.ValueOf(c).Elem())
	if err := d.err(); err != nil {
		return nil, err
	}
	c.finish(d)
	if path != "" {
		d.files = append(d.files, File{Path: path, Secret: d.plainSecret})
	}
	c.loaded = &loaded{file: path, at: d.at, files: d.files}
	return c, nil
}

// readFile reads and parses a file. nil without an error is an empty one.
func readFile(path string) (*node, error) {
	data, err := readLimited(path, maxFileBytes+1)
	if err != nil {
		return nil, &Finding{File: path, Message: "can't be read: " + reason(err)}
	}
	return parseYAML(path, data)
}

// reason is an error of package os without the path, which the finding names already, and what to do about it.
func reason(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such file; check the path"
	case errors.Is(err, fs.ErrPermission):
		return "permission denied; let the service's user read it"
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

// finish settles what one key leaves to another.
func (c *Config) finish(d *decoder) {
	for _, file := range []struct {
		key    string
		path   *string
		secret bool
	}{
		{"store.key_file", &c.Store.KeyFile, true},
		{"nats.creds_file", &c.NATS.CredsFile, true},
		{"nats.nkey_file", &c.NATS.NKeyFile, true},
		{"nats.tls.ca_file", &c.NATS.TLS.CAFile, false},
		{"nats.tls.cert_file", &c.NATS.TLS.CertFile, false},
		{"nats.tls.key_file", &c.NATS.TLS.KeyFile, true},
	} {
		if *file.path = d.path(*file.path); *file.path != "" {
			d.files = append(d.files, File{Key: file.key, Path: *file.path, Secret: file.secret})
		}
	}
	for i := range c.Accounts {
		a := &c.Accounts[i]
		a.BaseURL = strings.TrimRight(a.BaseURL, "/")
		a.FallbackBaseURL = strings.TrimRight(a.FallbackBaseURL, "/")
		a.CloudTokenFile = d.path(a.CloudTokenFile)
		// Whoever points an account elsewhere (a sandbox, a proxy) must not reach WeChat by way of a default.
		if _, given := d.at[fmt.Sprintf("accounts[%d].fallback_base_url", i)]; !given && a.BaseURL != DefaultBaseURL {
			a.FallbackBaseURL = ""
		}
	}
	for i := range c.Merchants {
		m := &c.Merchants[i]
		m.BaseURL = strings.TrimRight(m.BaseURL, "/")
		m.CloudTokenFile = d.path(m.CloudTokenFile)
	}
	c.Platform.BaseURL = strings.TrimRight(c.Platform.BaseURL, "/")
}
