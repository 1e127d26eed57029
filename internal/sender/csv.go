package sender

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// csvReader reads records as RFC 4180 has them, and as Excel writes them. encoding/csv does not do here: it takes a
// file whose last quote is missing into memory as one cell, and refuses ="123", by which a sheet keeps Excel from
// rounding a long number. Beyond the RFC, quotes inside a cell that does not begin with one stand for themselves.
type csvReader struct {
	lines *lines
	first int // The line on which the record given last begins.

	buf  []byte // The record's cells, one behind the other.
	ends []int  // Where each ends in buf.
}

// read gives the next record that is no blank line. Its errors end the reading: where a quote is amiss, nobody can tell
// where the next record begins.
func (c *csvReader) read() ([]string, error) {
	text, err := c.line()
	for err == nil && len(text) == 0 {
		text, err = c.line()
	}
	if err != nil {
		return nil, err
	}
	c.first = c.lines.line
	c.buf, c.ends = c.buf[:0], c.ends[:0]
	for more := true; more; {
		if text, more, err = c.cell(text); err != nil {
			return nil, err
		}
		c.ends = append(c.ends, len(c.buf))
	}
	return c.cells(), nil
}

// cells cuts buf up.
func (c *csvReader) cells() []string {
	all := string(c.buf) // One allocation for all of them.
	cells := make([]string, len(c.ends))
	from := 0
	for i, end := range c.ends {
		cells[i] = all[from:end]
		from = end
	}
	return cells
}

// line is the next line, which must be UTF-8.
func (c *csvReader) line() ([]byte, error) {
	text, err := c.lines.next()
	if errors.Is(err, errLongLine) {
		return nil, fmt.Errorf("line %d is longer than %d bytes, which no event is; is this a CSV file?", c.lines.line, c.lines.max)
	}
	if err == nil && !utf8.Valid(text) {
		return nil, notUTF8(c.lines.line)
	}
	return text, err
}

func notUTF8(line int) error {
	return fmt.Errorf("line %d is not UTF-8; save the sheet as \"CSV UTF-8\", or convert it: iconv -f GB18030 -t UTF-8 FILE", line)
}

// cell takes one cell off text into buf. more tells that a comma followed: there is another cell in rest.
func (c *csvReader) cell(text []byte) (rest []byte, more bool, err error) {
	if quoted, ok := bytes.CutPrefix(text, []byte(`"`)); ok {
		return c.quoted(quoted)
	}
	if quoted, ok := bytes.CutPrefix(text, []byte(`="`)); ok {
		c.buf = append(c.buf, `="`...)
		rest, more, err = c.quoted(quoted)
		c.buf = append(c.buf, '"')
		return rest, more, err
	}
	text, rest, more = bytes.Cut(text, []byte(","))
	c.buf = append(c.buf, text...)
	return rest, more, nil
}

// quoted takes the rest of a cell whose opening quote is behind us. It may go on over many lines.
func (c *csvReader) quoted(text []byte) (rest []byte, more bool, err error) {
	for opened := c.lines.line; ; {
		at := bytes.IndexByte(text, '"')
		switch {
		case at < 0:
			c.buf = append(append(c.buf, text...), '\n')
			if text, err = c.goOn(opened); err != nil {
				return nil, false, err
			}
		case at+1 < len(text) && text[at+1] == '"':
			c.buf = append(c.buf, text[:at+1]...)
			text = text[at+2:]
		default:
			c.buf = append(c.buf, text[:at]...)
			return c.closed(text[at+1:])
		}
	}
}

// goOn gives the line that a quoted cell continues on.
func (c *csvReader) goOn(opened int) ([]byte, error) {
	if len(c.buf) > c.lines.max {
		return nil, fmt.Errorf("line %d: what the quote opens here is longer than %d bytes; is its closing quote missing?", opened, c.lines.max)
	}
	text, err := c.line()
	if err == io.EOF {
		return nil, fmt.Errorf("line %d: the file ends before the quote that opens here is closed; add the closing quote", opened)
	}
	return text, err
}

// closed looks at what follows a closing quote.
func (c *csvReader) closed(text []byte) (rest []byte, more bool, err error) {
	if len(text) == 0 {
		return nil, false, nil
	}
	if text[0] != ',' {
		return nil, false, fmt.Errorf("line %d: a closing quote must be followed by a comma or the line's end; write a quote inside a quoted text twice", c.lines.line)
	}
	return text[1:], true, nil
}
