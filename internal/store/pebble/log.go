package pebble

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	cdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// engineLog is the engine's logger. Its everyday reports are of no use to an operator; its fatal ones end the store. Of
// its errors only the text is logged: formatted in full, they are pages of stack traces.
type engineLog struct {
	log   *slog.Logger
	fatal func(error)
	disk  *patientFS // May be nil.
	full  chan error // Hears of a job that failed for want of space, if it has room; may be nil.

	mu     sync.Mutex
	failed string    // What a background job failed for last.
	said   time.Time // When that was logged.
}

// sayAgain is how often a background job that goes on failing for the same reason is logged.
const sayAgain = time.Minute

func (l *engineLog) Infof(string, ...any) {}

func (l *engineLog) Errorf(format string, args ...any) {
	l.log.Error("the storage engine reports an error", "err", fmt.Sprintf(format, args...))
}

// Fatalf hears of failed writes. It must not return where the engine goes on as if nothing had happened, so it panics
// if the store's Fatal does return (in tests).
func (l *engineLog) Fatalf(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	l.fatal(err)
	panic(err)
}

func (l *engineLog) background(err error) {
	if l.disk != nil {
		l.disk.note()
	}
	why := err.Error()
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		why = path.Err.Error() // Each try is of another file.
	}
	l.mu.Lock()
	tell := why != l.failed || time.Since(l.said) >= sayAgain
	if tell {
		l.failed, l.said = why, time.Now()
	}
	l.mu.Unlock()
	switch {
	case !tell:
	case vfs.IsNoSpaceError(err):
		select {
		case l.full <- err:
		default:
		}
		l.log.Error("the store's disk is full: free some space; it goes on by itself then", "err", err.Error())
	default:
		l.log.Error("the storage engine could not finish a background job; it will try again", "err", err.Error())
	}
}

// damage hears of a damaged file. Whoever read it gets an error too; the rest of the store goes on.
func (l *engineLog) damage(info cdb.DataCorruptionInfo) {
	l.log.Error("a file of the store is damaged: stop carrier, and restore a backup or run carrier store check to see "+
		"what is lost", "file", info.Path, "err", info.Details.Error())
}
