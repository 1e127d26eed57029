package config

import (
	"os"
	"runtime"
	"slices"
)

// File is a file that the configuration consists of, or names.
type File struct {
	Key    string // That names it; "" for the configuration's own file.
	Path   string
	Secret bool // It holds a secret.
}

// Files lists the configuration's own file, and those that its keys name: secrets, keys and certificates. It is empty for
// a configuration that is not from Load.
func (c *Config) Files() []File {
	if c.loaded == nil {
		return nil
	}
	return slices.Clone(c.loaded.files)
}

// Mode tells who may read and write a file; false where that is not known, as on Windows, which keeps it elsewhere.
func (f File) Mode() (mode os.FileMode, ok bool) {
	info, err := os.Stat(f.Path)
	if err != nil || runtime.GOOS == "windows" {
		return 0, false
	}
	return info.Mode().Perm(), true
}

// fileWarnings tells which secrets every user of the machine may read.
func (c *Config) fileWarnings() (lines []string) {
	for _, f := range c.Files() {
		mode, _ := f.Mode()
		switch {
		case !f.Secret || mode&0o004 == 0:
		case f.Key == "":
			lines = append(lines, f.Path+": is readable by everyone and holds a secret; chmod 640 it, or use ${NAME} or a ..._file key")
		default:
			lines = append(lines, f.Key+": "+f.Path+": is readable by everyone; chmod 640 it")
		}
	}
	return lines
}
