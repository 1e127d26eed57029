package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"carrier/internal/store"
)

// Bounds of waiting. The server's come first, so that most often it says what took so long.
const (
	lockTimeout        = 5 * time.Second
	statementTimeout   = 10 * time.Second
	transactionTimeout = 25 * time.Second
	lookUpPause        = 100 * time.Millisecond
	connectTimeout     = 5 * time.Second
	leaveTimeout       = 2 * time.Second // Longer than that, and the others take over by themselves.
)

var errTimeout = errors.New("PostgreSQL did not answer in time")

// lostError is an error of the connection, not of the database, and it is certain that nothing was kept.
type lostError struct{ err error }

func (e *lostError) Error() string { return e.err.Error() }
func (e *lostError) Unwrap() error { return e.err }

// unknownError says that it is not known whether a transaction was kept.
type unknownError struct {
	err error
	id  [16]byte // That the transaction writes.
}

func (e *unknownError) Error() string { return e.err.Error() }
func (e *unknownError) Unwrap() error { return e.err }

// lost marks the error of a connection that is gone.
func (x *tx) lost(err error) error {
	if err != nil && x.conn.IsClosed() {
		if cause := context.Cause(x.ctx); cause != nil {
			err = cause // Else it would say "context deadline exceeded".
		}
		return &lostError{err}
	}
	return err
}

// oneLineError says in one line what the driver says in several, one for each try to connect.
type oneLineError struct{ err error }

func (e *oneLineError) Error() string {
	lines := strings.Split(e.err.Error(), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(slices.Compact(lines), " ")
}

func (e *oneLineError) Unwrap() error { return e.err }

// SQLSTATE codes; the first two characters are a class (PostgreSQL documentation, appendix A).
const (
	classData       = "22"
	classConstraint = "23"
	uniqueViolation = "23505"
	serialization   = "40001"
	deadlock        = "40P01"
	lockNotFree     = "55P03"
	checkViolation  = "23514"
)

func code(err error) string {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code
	}
	return ""
}

// isLost tells whether the connection broke; another may do.
func isLost(err error) bool {
	_, ok := errors.AsType[*lostError](err)
	return ok
}

// isConflict tells whether a transaction lost against another one, so that the same again may do. A row that two make is
// one of these: the second finds it the next time.
func isConflict(err error) bool {
	switch code(err) {
	case serialization, deadlock, lockNotFree, uniqueViolation:
		return true
	}
	return lacksPartition(err)
}

// lacksPartition tells whether events found no partition: the database is another one than it was, such as a standby that
// lacked the latest changes when it took over.
func lacksPartition(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == checkViolation && pg.ConstraintName == ""
}

// isRefusedData tells whether the database can't ever keep what it was given.
func isRefusedData(err error) bool {
	switch c := code(err); {
	case isShut(err):
		return false
	case c == "":
		return err != nil && !isLost(err) && !isUnknown(err)
	default:
		return !isConflict(err) && (c[:2] == classData || c[:2] == classConstraint)
	}
}

// isUnknown tells whether it is not known if a transaction was kept.
func isUnknown(err error) bool {
	_, unknown := errors.AsType[*unknownError](err)
	return unknown
}

// refused is the error of a transaction as callers get it: ErrUnavailable, unless the outcome is unknown, or the same
// would be refused again.
func (s *Store) refused(err error) error {
	if err == nil {
		return nil
	}
	if isUnknown(err) {
		return err
	}
	if isRefusedData(err) {
		return fmt.Errorf("PostgreSQL at %s refuses the data: %w", s.where, err)
	}
	if isShut(err) {
		err = errShut
	}
	return fmt.Errorf("%w: PostgreSQL at %s: %w", store.ErrUnavailable, s.where, err)
}

// noteTrouble keeps why writes fail, for Ready, and logs when that begins and ends.
func (s *Store) noteTrouble(err error) {
	switch {
	case err == nil:
		if s.trouble.Swap(nil) != nil {
			s.opts.Logger.Info("PostgreSQL takes writes again", "at", s.where)
		}
		return
	case isConflict(err), isRefusedData(err):
		return
	}
	if isShut(err) {
		err = errShut
	}
	err = fmt.Errorf("%w: PostgreSQL at %s does not answer, or takes no writes; see that it runs, can be reached and is no "+
		"standby: %w", store.ErrUnavailable, s.where, err)
	if s.trouble.Swap(&err) == nil {
		s.opts.Logger.Error("writes fail", "err", err)
	}
}
