package ingest

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func TestUnquote(t *testing.T) {
	for _, tt := range []struct{ literal, want string }{
		{`""`, ""},
		{`"plain"`, "plain"},
		{`"\"\\\/\b\f\n\r\t"`, "\"\\/\b\f\n\r\t"},
		{`"a\u0041\u00e9\u4e2d\uD83D\uDE00z"`, "aAé中😀z"},
		{`"\u0000"`, "\x00"},
		{`"\uFFFD"`, "\ufffd"},
	} {
		if got, ok := unquote([]byte(tt.literal)); !ok || string(got) != tt.want {
			t.Errorf("unquote(%s) = %q, %v, want %q", tt.literal, got, ok, tt.want)
		}
	}
}

// TestTextsGoThereAndBack writes any text as we do and reads it as encoding/json does, and the other way round.
func TestTextsGoThereAndBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := strings.ToValidUTF8(rapid.String().Draw(t, "text"), "")
		var got string
		if err := json.Unmarshal(appendText(nil, want), &got); err != nil || got != want {
			t.Fatalf("written as %s: %q, %v", appendText(nil, want), got, err)
		}
		literal, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if text, ok := unquote(literal); !ok || string(text) != want {
			t.Fatalf("read from %s: %q, %v", literal, text, ok)
		}
	})
}

func TestListed(t *testing.T) {
	var names []string
	for i := range 30 {
		names = append(names, fmt.Sprint("A", i))
	}
	if got := listed(names); strings.Count(got, ", ") != 20 || !strings.HasSuffix(got, "A19, …") {
		t.Errorf("got %s", got)
	}
	if got := listed(names[:2]); got != "A0, A1" {
		t.Errorf("got %s", got)
	}
}

// TestManyAtOnce sends events from many goroutines, for the race detector and for buffers that are handed around.
func TestManyAtOnce(t *testing.T) {
	b := newBench(t)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 50 {
				id := fmt.Sprintf("g%d-%d", g, i)
				if a := b.post("/v1/events", with("id", quoted(id))); a.str("id") != id {
					t.Errorf("sent %s, answered %s", id, a.text)
				}
			}
		})
	}
	wg.Wait()
	seen := make(map[string]bool)
	for _, e := range b.store.all() {
		seen[e.ID] = true
	}
	if len(seen) != 400 {
		t.Errorf("%d events stored, want 400", len(seen))
	}
}
