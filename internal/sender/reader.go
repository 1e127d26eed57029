package sender

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// Format is how events are written in a file.
type Format string

const (
	Auto   Format = "auto"   // By the name's extension, else by what the input begins with.
	NDJSON Format = "ndjson" // One event a line.
	CSV    Format = "csv"    // A row each; the first names the columns.
)

// maxLineBytes bounds a line, and a row of CSV. It is a batch's bound, too: what is longer fits into none.
const maxLineBytes = maxBodyBytes - 1

// bufferBytes is how much of the input is looked at before anything is sent.
const bufferBytes = 64 << 10

var byteOrderMark = []byte("\xef\xbb\xbf")

// Item is one event of the input.
type Item struct {
	Line    int    // The line that it begins on, from 1.
	Next    int    // The line after its last one.
	Bytes   int64  // What it took of the input, with blank lines before it.
	ID      string // As far as it is known here; may be empty.
	Waybill string // The waybill_id; empty if it can't be read.
	Body    []byte // The event as JSON, on one line without its end. The item's own.
	// Refused says why it can't be sent at all; Body is empty then.
	Refused *Refused
}

// Reader reads events. It is for one goroutine.
type Reader struct {
	name  string
	lines *lines
	from  int // Items that begin before this line are skipped.
	told  int64
	next  func() (Item, error)
}

// NewReader makes a Reader of r. The name is for messages, and its extension tells the format where f is Auto; what has
// none is told by what it begins with. NewReader reads as far as it must for that, and for CSV the header. When ctx ends
// before that is there, it returns the cause.
func NewReader(ctx context.Context, r io.Reader, name string, f Format) (*Reader, error) {
	reader := &Reader{name: name, lines: &lines{r: bufio.NewReaderSize(r, bufferBytes), max: maxLineBytes}}
	begun := make(chan error, 1)
	go func() { begun <- reader.begin(f) }() // Nothing can wake a blocked read: it ends with the input.
	select {
	case err := <-begun:
		return reader, reader.named(err)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// begin decides on the format and reads what comes before the first event.
func (r *Reader) begin(f Format) (err error) {
	start, err := opening(r.lines.r)
	if err != nil {
		return err
	}
	if bytes.HasPrefix(start, byteOrderMark) {
		n, _ := r.lines.r.Discard(len(byteOrderMark)) // It is buffered.
		r.lines.read = int64(n)
	}
	switch detect(f, r.name, start) {
	case NDJSON:
		r.next = (&ndjsonReader{lines: r.lines}).next
	case CSV:
		r.next, err = newRows(r.lines)
	default:
		err = fmt.Errorf("there is no format %q; there are %s and %s", f, NDJSON, CSV)
	}
	return err
}

// named says of an error where it is from.
func (r *Reader) named(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return fmt.Errorf("%s: %w", r.name, err)
}

// opening is what the input begins with: at least one character that is no space, unless there are more spaces than
// anybody has there, and all that came with it. It waits for no more than that, so that a pipe's first event is not held
// back by its second.
func opening(r *bufio.Reader) ([]byte, error) {
	const most = 4 << 10
	for {
		_, err := r.Peek(r.Buffered() + 1)
		start, _ := r.Peek(r.Buffered())
		text := bytes.TrimSpace(bytes.TrimPrefix(start, byteOrderMark))
		switch {
		case errors.Is(err, io.EOF) || len(start) >= most:
			return start, nil
		case err != nil:
			return nil, fmt.Errorf("reading the first line: %w", err)
		case len(text) > 0 && !bytes.HasPrefix(byteOrderMark, text):
			return start, nil
		}
	}
}

// detect decides on a format.
func detect(f Format, name string, start []byte) Format {
	if f != Auto {
		return f
	}
	switch strings.ToLower(filepath.Ext(name)) {
	case ".ndjson", ".jsonl":
		return NDJSON
	case ".csv":
		return CSV
	}
	text := bytes.TrimSpace(bytes.TrimPrefix(start, byteOrderMark))
	if len(text) == 0 || text[0] == '{' || text[0] == '[' { // An array is no NDJSON, but ndjsonReader says what to do.
		return NDJSON
	}
	return CSV
}

// From lets the Reader skip what begins before a line: where an earlier sending was interrupted.
func (r *Reader) From(line int) { r.from = line }

// Next gives the next event. After the last one: io.EOF. Any other error ends the reading and names the line.
func (r *Reader) Next() (Item, error) {
	for {
		item, err := r.next()
		if err != nil {
			return Item{}, r.named(err)
		}
		if item.Line < r.from {
			continue // Its bytes count for the item after it.
		}
		item.Next = r.lines.line + 1
		item.Bytes, r.told = r.lines.read-r.told, r.lines.read
		return item, nil
	}
}

// rows makes items of a CSV file's records.
type rows struct {
	csv   *csvReader
	names []string
}

// newRows reads the header.
func newRows(l *lines) (func() (Item, error), error) {
	if err := checkOpening(l.r); err != nil {
		return nil, err
	}
	r := &rows{csv: &csvReader{lines: l}}
	cells, err := r.csv.read()
	if errors.Is(err, io.EOF) {
		return func() (Item, error) { return Item{}, io.EOF }, nil
	}
	if err == nil {
		if r.names, err = readHeader(cells); err != nil {
			err = fmt.Errorf("line %d: %w", r.csv.first, err)
		}
	}
	return r.next, err
}

// checkOpening finds a file in another encoding by what is buffered of it, before half of it is sent: the header is
// ASCII in all of them.
func checkOpening(r *bufio.Reader) error {
	start, err := r.Peek(r.Buffered())
	if err != nil {
		return err
	}
	start = start[:bytes.LastIndexByte(start, '\n')+1] // The last line may end within a character.
	if utf8.Valid(start) {
		return nil
	}
	line := 0
	for text := range bytes.Lines(start) {
		if line++; !utf8.Valid(text) {
			break
		}
	}
	return notUTF8(line)
}

func (r *rows) next() (Item, error) {
	cells, err := r.csv.read()
	for err == nil && strings.Join(cells, "") == "" { // A row that was emptied leaves its commas behind.
		cells, err = r.csv.read()
	}
	if err != nil {
		return Item{}, err
	}
	e, bad := readRow(r.names, cells)
	item := Item{Line: r.csv.first, ID: e.ID, Waybill: e.WaybillID}
	if bad != nil {
		item.refuse(codeInvalidEvent, bad.Error())
		return item, nil
	}
	if item.Body, err = e.JSON(); err != nil {
		return Item{}, fmt.Errorf("line %d: %w", item.Line, err)
	}
	if len(item.Body) > maxLineBytes { // JSON's escapes made it longer.
		item.refuseLong(len(item.Body))
	}
	return item, nil
}
