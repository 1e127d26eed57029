package sender

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"
)

// Check reads all that src gives and sends nothing: a dry run. It finds what is no UTF-8, no JSON object or no row of
// the header's; whether events keep the service's rules only the service knows. refused is as in Options, and may be
// nil. The error is the Reader's, or the cause of ctx's end.
func Check(ctx context.Context, src *Reader, o Options) (*Summary, error) {
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	if o.Refused == nil {
		o.Refused = func(Refused) error { return nil }
	}
	t := newTally(&o, src.from)
	err := check(ctx, src, t)
	return t.checked(), err
}

func check(ctx context.Context, src *Reader, t *tally) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	items := readAhead(ctx, src)
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case got := <-items:
			if errors.Is(got.err, io.EOF) {
				t.complete()
				return nil
			}
			if err := cmp.Or(got.err, t.check(&got.item)); err != nil {
				return err
			}
		}
	}
}

// checkJSON refuses what the service could not even read.
func (i *Item) checkJSON() {
	body := bytes.TrimSpace(i.Body)
	switch {
	case !utf8.Valid(body):
		i.refuse(codeNotUTF8, "the line is not UTF-8; convert the file: iconv -f GB18030 -t UTF-8 FILE")
	case !json.Valid(body):
		i.refuse(codeMalformed, "the line is not one JSON value; an event must be whole, and alone on its line")
	case body[0] != '{':
		i.refuse(codeInvalidEvent, "the line is no JSON object; write an event")
	}
}
