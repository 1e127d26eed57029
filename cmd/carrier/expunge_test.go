package main

import (
	"context"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestConfirm(t *testing.T) {
	for _, test := range []struct {
		name, answer string
		want         bool
	}{
		{"y", "y\n", true},
		{"yes, loudly", " YES \r\n", true},
		{"in Chinese", "是\n", true},
		{"without a line feed", "y", true},
		{"no", "n\n", false},
		{"nothing", "\n", false},
		{"the end", "", false},
		{"another word", "yesterday\n", false},
		{"a yes too late", "what?\ny\n", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var asked strings.Builder
			w := &world{stdin: strings.NewReader(test.answer), stderr: &asked}
			err := (&session{screen: &screen{}, world: w}).confirm(t.Context(), "Forget \x1b it? ")
			if (err == nil) != test.want || asked.String() != `Forget \x1b it? ` {
				t.Errorf("%v; asked %q", err, &asked)
			}
		})
	}
}

// TestConfirmIsInterrupted: Ctrl-C is a no, also while the question is open.
func TestConfirmIsInterrupted(t *testing.T) {
	stdin, typed := io.Pipe()
	t.Cleanup(func() { _ = typed.Close() })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var asked strings.Builder
	err := (&session{screen: &screen{}, world: &world{stdin: stdin, stderr: &asked}}).confirm(ctx, "Forget it? ")
	if err == nil || asked.String() != "Forget it? \n" {
		t.Errorf("%v; asked %q", err, &asked)
	}
}

// TestOnlyTerminalsAreAsked: a file, a pipe and /dev/null, which is a character device too, give no answer.
func TestOnlyTerminalsAreAsked(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = null.Close() })
	for name, w := range map[string]*world{
		"no files": {stdin: strings.NewReader("y\n"), stderr: io.Discard},
		"null":     {stdin: null, stderr: null},
	} {
		if canAsk(w) {
			t.Errorf("%s: taken for a terminal", name)
		}
	}
	f := newFakeAdmin(t)
	status, _, _ := f.runWith(t.Context(), t, "y\n", nil, "waybill", "expunge", "SF/1", "--because", "asked")
	if asked := f.log(); status != exitUsage || !slices.Equal(asked, nil) {
		t.Errorf("status %d, asked %q", status, asked)
	}
}
