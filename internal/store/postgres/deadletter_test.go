package postgres

import (
	"testing"

	"carrier/internal/store"
)

// TestLettersAreBounded floods the store with messages that can't be read.
func TestLettersAreBounded(t *testing.T) {
	t.Parallel()
	for name, bounds := range map[string]Options{"by number": {maxLetters: 32}, "by bytes": {maxLetterBytes: 32 * 1000}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := testOptions(t)
			o.maxLetters, o.maxLetterBytes = bounds.maxLetters, bounds.maxLetterBytes
			s := openStore(t, o)
			for n := 1; n <= 80; n++ {
				if err := s.PutDeadLetter(t.Context(), store.DeadLetter{Source: "\xff\x00", Body: make([]byte, 990)}); err != nil {
					t.Fatalf("PutDeadLetter: %v", err)
				}
				page, err := s.DeadLetters(t.Context(), 0, 100)
				if err != nil || len(page.Items) > 32 || n > 32 && len(page.Items) < 30 {
					t.Fatalf("after %d there are %d, %v", n, len(page.Items), err)
				}
				if got := page.Items[0].Number; got != uint64(n) {
					t.Errorf("letter %d has number %d", n, got)
				}
			}
			if s.letters.dropped.Load() == 0 {
				t.Error("nobody is told of those that were dropped")
			}
			checkStore(t, s)
		})
	}
}
