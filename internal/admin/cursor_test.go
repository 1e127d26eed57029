package admin

import (
	"math"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"carrier/internal/store"
)

// TestCursorIsReadBack: of its own list, and of no other.
func TestCursorIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.Uint64Range(1, math.MaxInt64-1).Draw(t, "number")
		text := cursor("pushes", number)
		var got uint64
		if !readCursor("pushes", &got, text) || got != number {
			t.Fatalf("%s of %d reads as %d", text, number, got)
		}
		if url.QueryEscape(text) != text {
			t.Fatalf("%s can't be put into an address as it is", text)
		}
		if readCursor("events", &got, text) {
			t.Fatalf("%s of pushes is taken for one of events", text)
		}
	})
}

// TestCursorMistyped: one wrong, missing or added character is noticed.
func TestCursorMistyped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := cursor("pushes", rapid.Uint64Range(1, 1<<40).Draw(t, "number"))
		i := rapid.IntRange(0, len(text)-1).Draw(t, "at")
		letter := rapid.SampledFrom([]string{"", "A", "b", "0", "_", "-", "é", " ", "="}).Draw(t, "letter")
		wrong := text[:i] + letter + text[i+1:]
		if wrong == text {
			return
		}
		var got uint64
		if readCursor("pushes", &got, wrong) {
			t.Fatalf("%q, mistyped as %q, reads as %d", text, wrong, got)
		}
	})
}

func TestCursorOfTheLastPage(t *testing.T) {
	if got := cursor("pushes", 0); got != "" {
		t.Errorf("it is %q", got)
	}
}

// FuzzCursor: whatever is taken is what was given out.
func FuzzCursor(f *testing.F) {
	f.Add(cursor("pushes", 1))
	f.Add(cursor("pushes", 1<<62))
	f.Add("zz")
	f.Add(strings.Repeat("A", 1000))
	f.Fuzz(func(t *testing.T, text string) {
		q, err := PushQuery(url.Values{"cursor": {text}}, queryNow)
		if err != nil {
			return
		}
		if got := cursor("pushes", q.Before); got != text || q.Before == 0 {
			t.Errorf("%q was taken as %d, which is given out as %q", text, q.Before, got)
		}
	})
}

func TestCursorOfALongWalk(t *testing.T) {
	seen := map[string]bool{}
	for number := uint64(1); number < 2000; number++ {
		text := cursor("audit", number)
		if seen[text] {
			t.Fatalf("%s is given out twice", text)
		}
		seen[text] = true
		q, err := AuditQuery(url.Values{"cursor": {text}, "limit": {"5"}}, queryNow)
		if want := (store.AuditQuery{Limit: 5, Before: number}); err != nil || q != want {
			t.Fatalf("got %+v, %v, want %+v", q, err, want)
		}
	}
}
