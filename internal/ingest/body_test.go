package ingest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"carrier/internal/problem"
)

// unreadableBody fails the test when it is read.
type unreadableBody struct{ t testing.TB }

func (u unreadableBody) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

func (u unreadableBody) Close() error { return nil }

func TestBodySize(t *testing.T) {
	const limit = 4096
	small := func(o *Options) { o.MaxBody = limit }
	padded := func(n int) string { return goodEvent + strings.Repeat(" ", n-len(goodEvent)) }
	for _, tt := range []struct {
		name    string
		size    int
		chunked bool
		status  int
	}{
		{"at the limit", limit, false, 202},
		{"at the limit, length unknown", limit, true, 202},
		{"one over", limit + 1, false, 413},
		{"one over, length unknown", limit + 1, true, 413},
		{"far over, length unknown", 50 * limit, true, 413},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newPost("/v1/events", padded(tt.size))
			if tt.chunked {
				r.ContentLength = -1
			}
			a := newBench(t, small).do(r)
			if a.Code != tt.status {
				t.Fatalf("got %d: %s", a.Code, a.text)
			}
			if tt.status == 413 {
				a.is(413, problem.BodyTooLarge)
				if a.num("max_bytes") != limit || a.str("verdict") != "invalid" || !strings.Contains(a.str("detail"), "4096") {
					t.Errorf("got %s", a.text)
				}
			}
		})
	}
}

func TestTooLargeByItsLengthIsNotRead(t *testing.T) {
	r := newPost("/v1/events", "")
	r.ContentLength, r.Body = 2<<20, unreadableBody{t}
	newBench(t).do(r).is(413, problem.BodyTooLarge)
}

func TestBodyInSmallPieces(t *testing.T) {
	for _, body := range []string{goodEvent, goodEvent + strings.Repeat("\n", 10000)} {
		r := newPost("/v1/events", "")
		r.ContentLength = -1
		r.Body = io.NopCloser(iotest.OneByteReader(strings.NewReader(body)))
		if a := newBench(t).do(r); a.Code != http.StatusAccepted {
			t.Errorf("got %d: %s", a.Code, a.text)
		}
	}
}

func TestBodyThatBreaksOff(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		code problem.Code
	}{
		{"connection lost", io.ErrUnexpectedEOF, problem.UnreadableBody},
		{"reset", errors.New("read: connection reset"), problem.UnreadableBody},
		{"too slow", fmt.Errorf("read tcp: %w", os.ErrDeadlineExceeded), problem.BodyTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			r := newPost("/v1/events", "")
			r.ContentLength = int64(len(goodEvent))
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader(goodEvent[:20]), iotest.ErrReader(tt.err)))
			a := b.do(r)
			e, _ := problem.Look(tt.code)
			a.is(e.Status, tt.code)
			if b.observed["courier-app invalid"] != 1 {
				t.Errorf("observed %v", b.observed)
			}
		})
	}
}

func TestReadableTellsWhere(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		code       problem.Code
		offset     int
		detail     string
	}{
		{"empty", "", problem.MalformedJSON, 0, "empty"},
		{"white", " \n\t", problem.MalformedJSON, 0, "empty"},
		{"cut off", `{"id":"a`, problem.MalformedJSON, 8, "too early"},
		{"no bracket", `{"id":"a"`, problem.MalformedJSON, 9, "too early"},
		{"bad at the end", `{"id":"a"]`, problem.MalformedJSON, 9, "byte 9"},
		{"bad in the middle", `{"id":'a'}`, problem.MalformedJSON, 6, "byte 6"},
		{"second value", `{} {}`, problem.MalformedJSON, 2, "byte 2"},
		{"trailing bracket", `{}}`, problem.MalformedJSON, 2, "byte 2"},
		{"byte order mark", "\ufeff{}", problem.MalformedJSON, 0, "byte order mark"},
		{"not UTF-8", "{\"id\":\"a\xff\"}", problem.NotUTF8, 8, "byte 8"},
		{"half a character", "{\"id\":\"\xe4\xbd", problem.NotUTF8, 7, "byte 7"},
		{"UTF-16", "\xff\xfe{\x00}\x00", problem.NotUTF8, 0, "byte 0"},
		{"surrogate in UTF-8", "\"\xed\xa0\x80\"", problem.NotUTF8, 1, "byte 1"},
		{"too deep", strings.Repeat("[", 100_000), problem.MalformedJSON, 10000, "byte 10000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := readable([]byte(tt.text))
			if p == nil {
				t.Fatal("found readable")
			}
			if p.Code != tt.code || !strings.Contains(p.Detail.En, tt.detail) {
				t.Errorf("got %v, want %s with %q", p, tt.code, tt.detail)
			}
			if got := p.Members[1]; got != (problem.Member{Name: "offset", Value: tt.offset}) {
				t.Errorf("offset %v, want %d", got, tt.offset)
			}
		})
	}
}
