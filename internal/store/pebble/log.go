package pebble

import (
	"fmt"
	"log/slog"

	cdb "github.com/cockroachdb/pebble/v2"
)

// engineLog is the engine's logger. Its everyday reports are of no use to an operator; its fatal ones end the store.
type engineLog struct {
	log   *slog.Logger
	fatal func(error)
}

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
	l.log.Error("the storage engine could not finish a background job; it will try again", "err", err)
}

// damage hears of a damaged file. Whoever read it gets an error too; the rest of the store goes on.
func (l *engineLog) damage(info cdb.DataCorruptionInfo) {
	l.log.Error("a file of the store is damaged: stop carrier, and restore a backup or run carrier store check to see "+
		"what is lost", "file", info.Path, "err", info.Details)
}
