package pebble

import (
	"errors"
	"log/slog"

	cdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Found is what there is of a store in a folder.
type Found struct {
	Instance string // Its name; "": there is no store.
	Running  bool   // A process has it open, so nothing else is known.
	Format   int    // Of its layout; 0 if it is not known.
	Current  int    // The layout that this program writes, and brings older ones to.
}

// Inspect looks at the store in a folder, which a running service may have open. It writes nothing. An error is of a store
// that is damaged, was moved away, or is of a newer program.
func Inspect(dir string) (Found, error) {
	found := Found{Current: format}
	h := newHome(vfs.Default, dir)
	if err := h.inspect(); err != nil {
		return found, err
	}
	if found.Instance = h.found; !h.exists {
		return found, nil
	}
	lock, err := cdb.LockDirectory(h.database, h.fs)
	if err != nil {
		found.Running = true
		return found, nil
	}
	if err := lock.Close(); err != nil {
		return found, err
	}
	version, err := peek(dir)
	found.Format = int(version)
	return found, err
}

// peek opens a store for reading, sees that its parts belong together, and tells its format.
func peek(dir string) (version byte, err error) {
	s := newStore(dir, Options{Logger: slog.New(slog.DiscardHandler)}.withDefaults())
	s.readOnly = true
	if err := s.prepare(); err != nil {
		return 0, err
	}
	version, _, err = readIdentity(s.db)
	return version, errors.Join(err, s.release())
}
