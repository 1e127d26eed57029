package pebble

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	cdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"carrier/internal/store"
	"carrier/internal/store/codec"
)

// home is a store's folder: the file INSTANCE and, beside it, the folder db with the database. Both hold the same
// random name, so that one without the other, or with another's, is noticed.
type home struct {
	fs       vfs.FS
	dir      string
	marker   string
	moved    string // The file that says where the store has gone, if it has.
	database string

	found  string // The name in INSTANCE; empty: there is no such file.
	exists bool   // There is a database.
}

func newHome(fs vfs.FS, dir string) *home {
	return &home{fs: fs, dir: dir, marker: fs.PathJoin(dir, "INSTANCE"), moved: fs.PathJoin(dir, "MOVED"), database: fs.PathJoin(dir, "db")}
}

// inspect looks at what is there, and refuses a store that was lost.
func (h *home) inspect() (err error) {
	if h.found, err = h.readFile(h.marker); err != nil {
		return err
	}
	to, err := h.readFile(h.moved)
	if err != nil {
		return err
	}
	if to != "" {
		return fmt.Errorf("it was moved to %s: set store.url to that. To go back to how it was before, delete %s; what was "+
			"taken since is not in it, and WeChat would be told everything again that was sent since", to, h.moved)
	}
	desc, err := cdb.Peek(h.database, h.fs)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return fmt.Errorf("look at the database: %w", err)
	default:
		h.exists = desc.Exists
	}
	if h.found != "" && !h.exists {
		return fmt.Errorf("INSTANCE says that a store (%s) belongs here, but its database (%s) is gone. "+
			"Mount or restore it; to start empty on purpose, delete INSTANCE", h.found, h.database)
	}
	return nil
}

// readFile reads a file of one line; "" if there is none.
func (h *home) readFile(name string) (string, error) {
	f, err := h.fs.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("open %s: %w", name, err)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxLine))
	if err = errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	line := strings.TrimSpace(string(text))
	if line == "" {
		return "", fmt.Errorf("%s is empty: the folder was damaged. Restore a backup", name)
	}
	return line, nil
}

// maxLine bounds what is read of such a file, in bytes.
const maxLine = 4096

// takeLock makes the folder and keeps other processes out of it.
func (h *home) takeLock() (*cdb.Lock, error) {
	if err := h.fs.MkdirAll(h.database, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder: %w", err)
	}
	lock, err := cdb.LockDirectory(h.database, h.fs)
	if err != nil {
		return nil, fmt.Errorf("%w: another carrier process has it open; stop that one, or use another store.url: %w", store.ErrInUse, err)
	}
	return lock, nil
}

// identify compares the names in the database and in INSTANCE, and names a new store.
func (h *home) identify(db *cdb.DB) (string, error) {
	version, name, err := readIdentity(db)
	switch {
	case err != nil:
		return "", err
	case version > format:
		return "", fmt.Errorf("it was written by a newer carrier (format %d; this one reads up to %d): "+
			"run that version, or restore an older backup", version, format)
	case version == 0 && h.exists && !isEmpty(db):
		return "", fmt.Errorf("%s holds a database that is not carrier's: use another store.url", h.database)
	case version == 0 && h.found != "":
		return "", fmt.Errorf("INSTANCE says that a store (%s) belongs here, but the database is empty: it was damaged. "+
			"Move the folder aside and restore a backup", h.found)
	case version == 0:
		return h.create(db)
	case h.found == "" && fresh(db):
		// The process ended between making the database and writing INSTANCE.
		return name, h.writeMarker(name)
	case h.found == "":
		return "", fmt.Errorf("the database is here, but INSTANCE is missing: this may be half a restore. "+
			"If it is the right database, write %q into %s", name, h.marker)
	case h.found != name:
		return "", fmt.Errorf("INSTANCE says %s, but the database is %s: they are parts of two stores. "+
			"Restore both from one backup", h.found, name)
	}
	return name, nil
}

// readIdentity reads the format and the name; 0 and "" if there are none.
func readIdentity(db cdb.Reader) (version byte, name string, err error) {
	_, err = read(db, metaFormat, func(v []byte) error {
		if len(v) != 1 || v[0] == 0 {
			return codec.ErrRecord
		}
		version = v[0]
		return nil
	})
	if err != nil {
		return 0, "", err
	}
	_, err = read(db, metaInstance, func(v []byte) error {
		name = string(v)
		return nil
	})
	return version, name, err
}

// create names a new store, in the database first: that way round, a crash in between is told from a loss.
func (h *home) create(db *cdb.DB) (name string, err error) {
	name = newName()
	b := db.NewBatch()
	err = errors.Join(
		b.Set(metaFormat, []byte{format}, nil),
		b.Set(metaInstance, []byte(name), nil),
		b.Commit(cdb.Sync),
	)
	if err != nil {
		return "", fmt.Errorf("write the new store's name: %w", err)
	}
	return name, h.writeMarker(name)
}

func (h *home) writeMarker(name string) error {
	if err := h.writeFile(h.marker, name+"\n"); err != nil {
		return fmt.Errorf("write INSTANCE: %w", err)
	}
	return nil
}

// writeFile writes a file so that it is whole or not there after a crash.
func (h *home) writeFile(name, text string) error {
	temporary := name + ".tmp"
	f, err := h.fs.Create(temporary, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(text))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return errors.Join(h.fs.Rename(temporary, name), syncDir(h.fs, h.dir), syncDir(h.fs, h.fs.PathDir(h.dir)))
}

// syncDir makes the names in a folder durable.
func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// isEmpty tells whether a database has no row at all.
func isEmpty(db cdb.Reader) bool { return !hasRows(db, []byte{0}, []byte{0xff}) }

// fresh tells whether a store has never taken an event, a Token or an account.
func fresh(db cdb.Reader) bool {
	return !hasRows(db, []byte{0}, metaKey("")) && !hasRows(db, metaNext, after(metaNext))
}

func hasRows(db cdb.Reader, lower, upper []byte) bool {
	some := false
	err := scanRange(db, lower, upper, func(_, _ []byte) (bool, error) {
		some = true
		return false, nil
	})
	return some || err != nil
}

// newName makes a random UUID (RFC 9562, version 4).
func newName() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // It never fails.
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}
