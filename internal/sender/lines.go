package sender

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// errLongLine is what lines.next says of a line that it skipped.
var errLongLine = errors.New("the line is too long")

// lines cuts input into lines of bounded length.
type lines struct {
	r    *bufio.Reader
	max  int   // Bytes that a line may have.
	line int   // The number of the line given last, from 1; 0 before the first.
	read int64 // Bytes taken from the input so far.
	buf  []byte
}

// next gives the next line without its end (LF or CRLF). It is valid until the next call. A line longer than max is
// skipped: errLongLine. After the last line: io.EOF.
func (l *lines) next() ([]byte, error) {
	l.buf = l.buf[:0]
	size := 0
	for {
		part, err := l.r.ReadSlice('\n')
		l.read += int64(len(part))
		if size += len(part); size <= l.max+len("\r\n") {
			l.buf = append(l.buf, part...)
		}
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF && size == 0:
			return nil, io.EOF
		case err != nil && err != io.EOF:
			return nil, fmt.Errorf("reading line %d: %w", l.line+1, err)
		}
		l.line++
		return l.checked(size)
	}
}

// checked is the line in buf, of which size bytes were read.
func (l *lines) checked(size int) ([]byte, error) {
	text := bytes.TrimSuffix(bytes.TrimSuffix(l.buf, []byte("\n")), []byte("\r"))
	if size > len(l.buf) || len(text) > l.max {
		return nil, errLongLine
	}
	return text, nil
}
