package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// requestTimeout ends a request that the service does not answer; the measurement fails then.
const requestTimeout = 30 * time.Second

// wire is one keep-alive connection on which requests are written and answers read as plain bytes.
type wire struct {
	conn   net.Conn
	in     *bufio.Reader
	head   []byte // Of every request, up to its Content-Length.
	out    []byte
	answer []byte
}

// dial connects, for POSTs of one kind of body to one path.
func dial(ctx context.Context, addr, path, contentType, key string) (*wire, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: ",
		path, addr, key, contentType)
	return &wire{conn: conn, in: bufio.NewReaderSize(conn, 16<<10), head: []byte(head)}, nil
}

func (w *wire) close() { _ = w.conn.Close() }

// post sends a body and reads the answer, whose body is valid until the next call.
func (w *wire) post(body []byte) (status int, answer []byte, err error) {
	w.out = append(w.out[:0], w.head...)
	w.out = strconv.AppendInt(w.out, int64(len(body)), 10)
	w.out = append(append(w.out, "\r\n\r\n"...), body...)
	if err := w.conn.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return 0, nil, err
	}
	if _, err := w.conn.Write(w.out); err != nil {
		return 0, nil, err
	}
	return w.read()
}

// read reads an answer with a Content-Length, or in chunks.
func (w *wire) read() (status int, answer []byte, err error) {
	line, err := w.in.ReadSlice('\n')
	if err != nil || len(line) < len("HTTP/1.1 200") {
		return 0, nil, fmt.Errorf("no HTTP answer: %q, %w", line, err)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, nil, err
	}
	length, chunked, err := w.headers()
	if err != nil {
		return 0, nil, err
	}
	w.answer = w.answer[:0]
	if !chunked {
		return status, w.answer, w.more(length)
	}
	for {
		size, err := w.in.ReadSlice('\n')
		if err != nil {
			return 0, nil, err
		}
		n, err := strconv.ParseInt(string(bytes.TrimRight(size, "\r\n")), 16, 32)
		if err != nil {
			return 0, nil, err
		}
		if err := w.more(int(n)); err != nil {
			return 0, nil, err
		}
		if _, err := w.in.Discard(len("\r\n")); err != nil || n == 0 {
			return status, w.answer, err
		}
	}
}

// more reads n bytes behind those of the answer that are there.
func (w *wire) more(n int) error {
	from := len(w.answer)
	w.answer = append(w.answer, make([]byte, n)...)
	_, err := io.ReadFull(w.in, w.answer[from:])
	return err
}

// headers reads the answer's header to its end.
func (w *wire) headers() (length int, chunked bool, err error) {
	for {
		line, err := w.in.ReadSlice('\n')
		if err != nil {
			return 0, false, err
		}
		name, value, _ := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(": "))
		switch {
		case len(name) == 0:
			return length, chunked, nil
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil || length < 0 || length > 1<<24 {
				return 0, false, fmt.Errorf("Content-Length: %q", value)
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = true
		}
	}
}
