package postgres

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"carrier/internal/store"
	"carrier/internal/store/codec"
)

// The bounds of the dead letters that are kept. Whoever may publish on NATS can make as many as they like, and a disk
// that they fill takes the database with it.
const (
	maxLetters     = 100_000
	maxLetterBytes = 256 << 20 // Of their bodies and texts.
	// letterLot is the part of a bound that is dropped at a time: one deletion for each letter of a flood would cost more
	// than the letters.
	letterLot = 16
	// lettersSay is how often the log tells of a flood.
	lettersSay = time.Minute
	// letterBytes is what a letter takes, as letter_totals counts it.
	letterBytes = `octet_length(body) + octet_length(source) + octet_length(subject) + octet_length(code) +
		octet_length(reason) + octet_length(reason_zh)`
)

const (
	// countLetter gives the next number, and holds the row until the commit: numbers are in the order of time.
	countLetter = `UPDATE letter_totals SET last = last + 1, count = count + 1, bytes = bytes + $1 RETURNING last, count, bytes`
	keepLetter  = `INSERT INTO dead_letters (number, received_at, source, subject, code, reason, body, reason_zh)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`
	// excessLetters finds the newest of the oldest that must go so that no more than $1 letters of $2 bytes are left; the
	// newest stays in any case.
	excessLetters = `SELECT coalesce(max(number), 0) FROM (
		SELECT number, count(*) OVER newer AS count, sum(` + letterBytes + `) OVER newer AS bytes FROM dead_letters
		WINDOW newer AS (ORDER BY number DESC)
	) l WHERE count > 1 AND (count > $1 OR bytes > $2)`
	dropLetters = `WITH gone AS (DELETE FROM dead_letters WHERE number <= $1 RETURNING ` + letterBytes + ` AS bytes),
			sums AS (SELECT count(*) AS count, coalesce(sum(bytes), 0) AS bytes FROM gone)
		UPDATE letter_totals t SET count = t.count - sums.count, bytes = t.bytes - sums.bytes FROM sums RETURNING sums.count`
	oldLetters   = `SELECT coalesce(max(number), 0) FROM dead_letters WHERE received_at < $1`
	letterFields = `number, received_at, source, subject, code, reason, body, reason_zh` // What scanLetter takes.
	listLetters  = `SELECT ` + letterFields + ` FROM dead_letters
		WHERE number < $1 ORDER BY number DESC LIMIT $2`
)

// PutDeadLetter keeps a message that can't be read.
func (s *Store) PutDeadLetter(ctx context.Context, d store.DeadLetter) error {
	for _, field := range []*string{&d.Source, &d.Subject, &d.Code, &d.Reason, &d.ReasonZh} {
		*field = text(*field)
	}
	if d.Body == nil {
		d.Body = []byte{}
	}
	var dropped int64
	err := s.change(ctx, 0, func(x *tx) (err error) {
		dropped, err = x.putLetter(&d)
		return err
	})
	if err != nil {
		return fmt.Errorf("dead letter: %w", err)
	}
	s.letters.dropped.Add(dropped)
	return nil
}

// putLetter keeps a letter, and drops the oldest if there are too many.
func (x *tx) putLetter(d *store.DeadLetter) (dropped int64, err error) {
	size := len(d.Body) + len(d.Source) + len(d.Subject) + len(d.Code) + len(d.Reason) + len(d.ReasonZh)
	var number, count, bytes int64
	if _, err := x.ask(countLetter, []any{size}, &number, &count, &bytes); err != nil {
		return 0, err
	}
	if _, err := x.exec(keepLetter, number, timestamp(x.now), d.Source, d.Subject, d.Code, d.Reason, d.Body, d.ReasonZh); err != nil {
		return 0, err
	}
	most, mostBytes := x.s.opts.maxLetters, x.s.opts.maxLetterBytes
	if count <= most && bytes <= mostBytes {
		return 0, nil
	}
	var last int64
	if _, err := x.find(excessLetters, []any{most - most/letterLot, mostBytes - mostBytes/letterLot}, &last); err != nil {
		return 0, err
	}
	return x.dropLetters(last)
}

// dropLetters drops all letters up to and including a number.
func (x *tx) dropLetters(number int64) (dropped int64, err error) {
	if number == 0 {
		return 0, nil
	}
	_, err = x.ask(dropLetters, []any{number}, &dropped)
	return dropped, err
}

// pruneLetters drops dead letters from before the horizon (Unix ms).
func (s *Store) pruneLetters(ctx context.Context, horizon int64) error {
	var dropped int64
	err := s.change(ctx, 0, func(x *tx) error {
		var last int64
		if _, err := x.find(oldLetters, []any{timestamp(horizon)}, &last); err != nil {
			return err
		}
		var err error
		dropped, err = x.dropLetters(last)
		return err
	})
	if err == nil && dropped > 0 {
		s.opts.Logger.Info("dead letters that are older than the retention were dropped", "dropped", dropped)
	}
	return err
}

// DeadLetters lists them, newest first.
func (s *Store) DeadLetters(ctx context.Context, before uint64, limit int) (page store.Page[store.DeadLetter], err error) {
	limit = min(max(limit, 1), store.MaxLimit)
	err = s.view(ctx, func(t pgx.Tx) error {
		rows, err := t.Query(ctx, listLetters, below(before), limit+1)
		if err != nil {
			return err
		}
		page.Items, err = pgx.CollectRows(rows, scanLetter)
		page.Next = cutPage(&page.Items, limit, func(d *store.DeadLetter) uint64 { return d.Number })
		return err
	})
	if err != nil {
		return page, fmt.Errorf("dead letters: %w", s.readError(err))
	}
	return page, nil
}

func scanLetter(row pgx.CollectableRow) (d store.DeadLetter, err error) {
	var at int64
	err = row.Scan((*numberDest)(&d.Number), (*stampDest)(&at), &d.Source, &d.Subject, &d.Code, &d.Reason, &d.Body, &d.ReasonZh)
	d.ReceivedAt = codec.FromMillis(at)
	return d, err
}

// letterLog tells what the bounds cost.
type letterLog struct {
	dropped atomic.Int64
	said    time.Time // When it last told; of the background.
}

// noteExcess tells how many letters this node dropped to make room: at once when it begins, and then every lettersSay. It
// never fails.
func (s *Store) noteExcess(context.Context) error {
	now := s.opts.Now()
	if s.letters.dropped.Load() > 0 && now.Sub(s.letters.said) >= lettersSay {
		s.letters.said = now
		s.logExcess()
	}
	return nil
}

// logExcess tells it now.
func (s *Store) logExcess() {
	if n := s.letters.dropped.Swap(0); n > 0 {
		s.opts.Logger.Warn("too many messages come that can't be read; the oldest dead letters were dropped to make room",
			"dropped", n, "kept_at_most", s.opts.maxLetters, "bytes_at_most", s.opts.maxLetterBytes)
	}
}
