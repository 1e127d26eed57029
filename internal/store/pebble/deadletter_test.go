package pebble

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carrier/internal/store"
)

func mustPutLetter(t testing.TB, s *Store, size int) {
	t.Helper()
	d := store.DeadLetter{Source: "app", Code: "malformed_json", Body: bytes.Repeat([]byte{'x'}, size)}
	if err := s.PutDeadLetter(t.Context(), d); err != nil {
		t.Fatalf("PutDeadLetter: %v", err)
	}
}

// keptLetters reads all dead letters, oldest first, and sees that their numbers have no gap. bytes are those of their rows.
func keptLetters(t testing.TB, s *Store) (first, last uint64, bytes int) {
	t.Helper()
	mustCheck(t, s)
	err := newestFirst(s.db, tableLetters, 0, func(number uint64, value []byte) (bool, error) {
		if last == 0 {
			last = number
		} else if number != first-1 {
			t.Errorf("dead letter %d is followed by %d", number, first)
		}
		first, bytes = number, bytes+len(value)
		return true, nil
	})
	if err != nil {
		t.Fatalf("read the dead letters: %v", err)
	}
	return first, last, bytes
}

func mustTick(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Tick(t.Context()); err != nil {
		t.Fatalf("Tick: %v", err)
	}
}

// TestLettersBounds floods stores, and sees the oldest letters go.
func TestLettersBounds(t *testing.T) {
	for _, tt := range []struct {
		name         string
		count, bytes int
		sizes        []int
		first, last  uint64 // Of the letters that stay.
	}{
		{"as many as may be", 32, 1 << 20, make([]int, 32), 1, 32},
		{"one too many: a lot goes", 32, 1 << 20, make([]int, 33), 4, 33},
		{"until the lot is filled again", 32, 1 << 20, make([]int, 35), 4, 35},
		{"once more", 32, 1 << 20, make([]int, 36), 7, 36},
		{"too large together", 32, 8 << 10, []int{3000, 10, 3000, 10}, 2, 4},
		{"as large as may be", 32, 16 << 10, []int{3000, 10, 3000, 10}, 1, 4},
		{"the newest alone is too large", 32, 1 << 10, []int{10, 10, 3000}, 3, 3},
		{"and goes with the next", 32, 1 << 10, []int{3000, 10}, 2, 2},
		{"one may stay", 1, 1 << 20, make([]int, 3), 3, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options(t, vfs.NewMem())
			o.maxLetters, o.maxLetterBytes = tt.count, tt.bytes
			s := mustOpen(t, "data", o)
			mustTick(t, s)
			for _, size := range tt.sizes {
				mustPutLetter(t, s, size)
			}
			if first, last, _ := keptLetters(t, s); first != tt.first || last != tt.last {
				t.Errorf("letters %d to %d are kept, want %d to %d", first, last, tt.first, tt.last)
			}
		})
	}
}

// TestLettersBoundsAtTheStart opens stores that hold more than they may, also while new letters come.
func TestLettersBoundsAtTheStart(t *testing.T) {
	for _, tt := range []struct {
		name         string
		count, bytes int
		first        uint64
	}{
		{"within the bounds", 200, 1 << 20, 1},
		{"too many", 32, 1 << 20, 76}, // 30 of 105.
		{"too large", 1000, 10_000, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options(t, vfs.NewMem())
			s := mustOpen(t, "data", o)
			for range 100 {
				mustPutLetter(t, s, 300)
			}
			mustClose(t, s)
			o.maxLetters, o.maxLetterBytes = tt.count, tt.bytes
			s = mustOpen(t, "data", o)
			for range 5 {
				mustPutLetter(t, s, 300)
			}
			mustTick(t, s)
			first, last, size := keptLetters(t, s)
			if last != 105 || size > tt.bytes || first == 105 || tt.first != 0 && first != tt.first {
				t.Errorf("letters %d to %d with %d bytes are kept, want %d to 105 with at most %d", first, last, size, tt.first, tt.bytes)
			}
		})
	}
}

// TestLettersAtRandom puts letters of any size, lets time pass and restarts, in any order.
func TestLettersAtRandom(t *testing.T) {
	const count, size = 50, 20_000
	c, o := newClock(), options(t, vfs.NewMem())
	o.Now, o.Retention, o.maxLetters, o.maxLetterBytes = c.now, time.Hour, count, size
	s := mustOpen(t, "data", o)
	put := uint64(0)
	for range 2000 {
		switch n := rand.IntN(100); {
		case n < 90:
			mustPutLetter(t, s, rand.IntN(1000))
			put++
			continue
		case n < 94:
			c.advance(time.Duration(rand.IntN(40)) * time.Minute)
			mustTick(t, s)
		case n < 97:
			mustTick(t, s)
		default:
			mustClose(t, s)
			s = mustOpen(t, "data", o)
			mustTick(t, s)
		}
		first, last, bytes := keptLetters(t, s)
		if last != 0 && (last != put || last-first >= count || bytes > size) {
			t.Fatalf("letters %d to %d of %d with %d bytes are kept", first, last, put, bytes)
		}
		if l := &s.w.letters; l.bytes != bytes || uint64(l.last) != put {
			t.Fatalf("the writer counts %d bytes up to letter %d; they are %d up to %d", l.bytes, l.last, bytes, put)
		}
	}
}

// TestLettersLog sees that a flood is told at once, and then once a minute, and that the rest is told at the end.
func TestLettersLog(t *testing.T) {
	var log bytes.Buffer
	c, o := newClock(), options(t, vfs.NewMem())
	o.Now, o.maxLetters = c.now, 16
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	s := mustOpen(t, "data", o)
	mustTick(t, s)
	for range 3 * 60 {
		mustPutLetter(t, s, 10)
		mustTick(t, s)
		c.advance(time.Second)
	}
	first, _, _ := keptLetters(t, s)
	mustClose(t, s)
	dropped := uint64(0)
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	for _, line := range lines {
		_, text, _ := strings.Cut(line, "dropped=")
		n := uint64(0)
		if _, err := fmt.Sscan(text, &n); err != nil || !strings.Contains(line, "level=WARN") {
			t.Errorf("the log says %s", line)
		}
		dropped += n
	}
	if len(lines) != 4 || dropped != first-1 {
		t.Errorf("%d letters dropped in %d lines, want %d in 4:\n%s", dropped, len(lines), first-1, log.String())
	}
}
