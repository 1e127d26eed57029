package pebble

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"
)

// errRecord says that stored bytes are no record of this format.
var errRecord = errors.New("the record is damaged or of an unknown version")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Records are a version byte and fields: unsigned and zigzag varints, and strings with their length before them.

func putString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// putTime appends Unix milliseconds; the zero time is 0.
func putTime(b []byte, t time.Time) []byte { return binary.AppendVarint(b, millis(t)) }

// millis is t in Unix milliseconds, and 0 for the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// fromMillis is the reverse of millis.
func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// addSum appends the checksum of b[from:].
func addSum(b []byte, from int) []byte {
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[from:], castagnoli))
}

// checkSum checks and takes off the checksum.
func checkSum(b []byte) ([]byte, bool) {
	n := len(b) - crc32.Size
	if n < 0 || binary.BigEndian.Uint32(b[n:]) != crc32.Checksum(b[:n], castagnoli) {
		return nil, false
	}
	return b[:n], true
}

// reader takes fields off a record. After a field that is not there, all fields are zero and bad is set.
type reader struct {
	b   []byte
	bad bool
}

// open starts to read a record whose first byte must be version.
func open(b []byte, version byte) reader {
	r := reader{b: b}
	if r.byte() != version {
		r.fail()
	}
	return r
}

func (r *reader) fail() { r.b, r.bad = nil, true }

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
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

func (r *reader) fixed64() uint64 {
	if v := r.fixed(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

func (r *reader) string() string {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.fail()
		return ""
	}
	return string(r.fixed(int(n)))
}

func (r *reader) time() time.Time { return fromMillis(r.int()) }

// end tells whether the record was read to its end without a fault.
func (r *reader) end() error {
	if r.bad || len(r.b) != 0 {
		return errRecord
	}
	return nil
}
