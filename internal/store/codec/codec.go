// Package codec writes and reads the records that engines keep as bytes, so that all of them mean the same by a field.
//
// A record is a version byte and fields: unsigned and zigzag varints, single bytes, numbers of eight bytes with the highest
// first, and strings with their length before them. What is appended here is on disks: it never changes; a field that
// comes to mean something else gets another version.
package codec

import (
	"encoding/binary"
	"errors"
	"time"
)

// ErrRecord says that bytes are no record of the version that was expected.
var ErrRecord = errors.New("the record is damaged or of an unknown version")

// AppendString appends a string with its length before it.
func AppendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// AppendTime appends a moment in Unix milliseconds; the zero time is 0.
func AppendTime(b []byte, t time.Time) []byte { return binary.AppendVarint(b, Millis(t)) }

// Millis is t in Unix milliseconds, and 0 for the zero time.
func Millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// FromMillis is the reverse of Millis.
func FromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// Reader takes fields off a record, each by the method of its kind. After one that is not there, all are zero and End
// fails. The zero value with Rest set reads bytes without a version.
type Reader struct {
	Rest []byte // What was not read yet.
	bad  bool
}

// Open starts to read a record whose first byte must be version.
func Open(b []byte, version byte) Reader {
	r := Reader{Rest: b}
	if r.Byte() != version {
		r.Fail()
	}
	return r
}

// Fail says that what was read can't be so: the record is damaged.
func (r *Reader) Fail() { r.Rest, r.bad = nil, true }

// Err is ErrRecord if a field was not there.
func (r *Reader) Err() error {
	if r.bad {
		return ErrRecord
	}
	return nil
}

// End is Err, and ErrRecord too if anything is left.
func (r *Reader) End() error {
	if len(r.Rest) != 0 {
		return ErrRecord
	}
	return r.Err()
}

// Byte takes a byte.
func (r *Reader) Byte() byte {
	if len(r.Rest) == 0 {
		r.Fail()
		return 0
	}
	v := r.Rest[0]
	r.Rest = r.Rest[1:]
	return v
}

// Uint takes an unsigned varint.
func (r *Reader) Uint() uint64 {
	v, n := binary.Uvarint(r.Rest)
	if n <= 0 {
		r.Fail()
		return 0
	}
	r.Rest = r.Rest[n:]
	return v
}

// Int takes a zigzag varint.
func (r *Reader) Int() int64 {
	v, n := binary.Varint(r.Rest)
	if n <= 0 {
		r.Fail()
		return 0
	}
	r.Rest = r.Rest[n:]
	return v
}

// Count takes how many of something follow, of which there can be most: a damaged record must not ask for room without
// end.
func (r *Reader) Count(most int) int {
	n := r.Uint()
	if n > uint64(most) {
		r.Fail()
		return 0
	}
	return int(n)
}

// Fixed takes n bytes, without copying them; nil if there are fewer.
func (r *Reader) Fixed(n int) []byte {
	if n < 0 || len(r.Rest) < n {
		r.Fail()
		return nil
	}
	v := r.Rest[:n:n]
	r.Rest = r.Rest[n:]
	return v
}

// Fixed64 takes a number of eight bytes.
func (r *Reader) Fixed64() uint64 {
	if v := r.Fixed(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

// Text takes a string.
func (r *Reader) Text() string { return string(r.Fixed(r.Count(len(r.Rest)))) }

// Time takes a moment.
func (r *Reader) Time() time.Time { return FromMillis(r.Int()) }
