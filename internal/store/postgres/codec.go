package postgres

import (
	"encoding/binary"
	"errors"
)

// errRecord says that stored bytes are not what the engine writes.
var errRecord = errors.New("the record is damaged or of an unknown version")

func putString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// reader takes fields off bytes. After a field that is not there, all fields are zero and bad is set.
type reader struct {
	b   []byte
	bad bool
}

// open starts to read bytes of which the first must be version.
func open(b []byte, version byte) reader {
	r := reader{b: b}
	if r.byte() != version {
		r.fail()
	}
	return r
}

func (r *reader) fail() { r.b, r.bad = nil, true }

func (r *reader) byte() byte {
	if v := r.fixed(1); v != nil {
		return v[0]
	}
	return 0
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// fixed takes n bytes, without copying them.
func (r *reader) fixed(n int) []byte {
	if n < 0 || len(r.b) < n {
		r.fail()
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) string() string {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.fail()
		return ""
	}
	return string(r.fixed(int(n)))
}

// end tells whether all was read without a fault.
func (r *reader) end() error {
	if r.bad || len(r.b) != 0 {
		return errRecord
	}
	return nil
}
