package postgres

import (
	"math"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// cutPage takes what does not fit off a page that was read with one row more, and gives Page.Next of a list whose newest
// come first.
func cutPage[T any](items *[]T, limit int, number func(*T) uint64) (next uint64) {
	if len(*items) <= limit {
		return 0
	}
	*items = (*items)[:limit]
	return number(&(*items)[limit-1])
}

// below is the bound of a list that begins below a number, or with the newest (0).
func below(before uint64) int64 {
	if before == 0 || before > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(before)
}

// ceilStamp is the first moment of the database's that is not before t: rows have whole milliseconds. Null for the zero
// time.
func ceilStamp(t time.Time) pgtype.Timestamptz {
	if t.IsZero() {
		return pgtype.Timestamptz{}
	}
	ms := t.UnixMilli()
	if t.After(time.UnixMilli(ms)) {
		ms++
	}
	return pgtype.Timestamptz{Time: time.UnixMilli(ms), Valid: true}
}
