package pglocal

import (
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
)

// ErrMissing: there is no PostgreSQL to be started.
var ErrMissing = errors.New("initdb and postgres are neither on PATH nor under /usr/lib/postgresql: " +
	"install PostgreSQL 14 or later (Debian: apt-get install postgresql)")

// programs are the two that a server needs, from one folder, so that their versions agree.
type programs struct{ initdb, postgres string }

// findPrograms prefers PATH, then the newest version that Debian's packages have left.
func findPrograms() (programs, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		// Through links, to the folder that has both.
		if real, err := filepath.EvalSymlinks(path); err == nil {
			if p, ok := programsIn(filepath.Dir(real)); ok {
				return p, nil
			}
		}
	}
	folders, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.SortFunc(folders, func(a, b string) int { return version(b) - version(a) })
	for _, folder := range folders {
		if p, ok := programsIn(folder); ok {
			return p, nil
		}
	}
	return programs{}, ErrMissing
}

func programsIn(folder string) (programs, bool) {
	p := programs{initdb: filepath.Join(folder, "initdb"), postgres: filepath.Join(folder, "postgres")}
	_, err := exec.LookPath(p.initdb)
	_, err2 := exec.LookPath(p.postgres)
	return p, err == nil && err2 == nil
}

// version is the major version in a path like /usr/lib/postgresql/15/bin.
func version(folder string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(folder)))
	return n
}
