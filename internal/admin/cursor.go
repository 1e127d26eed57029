package admin

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"math"
)

// A cursor says after which row of a list its next page begins. It is opaque to callers:
//
//	base64url of: checksum of what follows and the list's name (4 bytes), the row's number (1 to 8 bytes, no zeros before
//	it), or what the store calls the place
//
// The checksum is for mistakes, not against anybody: a cursor that was cut, mistyped or taken from another list would
// otherwise show a page from somewhere. There is nothing in it that must not be known or made up.

// checkBytes is the size of a cursor's checksum.
const checkBytes = 4

// cursor is what a list answers for the page before number; empty for 0, after the last page.
func cursor(list string, number uint64) string {
	if number == 0 {
		return ""
	}
	var be [8]byte
	binary.BigEndian.PutUint64(be[:], number)
	digits := be[:]
	for digits[0] == 0 {
		digits = digits[1:]
	}
	return placeCursor(list, string(digits))
}

// readCursor reads what cursor wrote for the same list, and nothing else.
func readCursor(list string, before *uint64, value string) bool {
	var digits string
	if !readPlace(list, &digits, value) || len(digits) > 8 {
		return false
	}
	var number uint64
	for _, c := range []byte(digits) {
		number = number<<8 | uint64(c)
	}
	*before = number
	return number < math.MaxInt64 && cursor(list, number) == value
}

// placeCursor is what a list answers whose pages the store tells apart by more than a number; empty after the last page.
func placeCursor(list, place string) string {
	if place == "" {
		return ""
	}
	b := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(list+":"+place)))
	return base64.RawURLEncoding.EncodeToString(append(b, place...))
}

// readPlace reads what placeCursor wrote for the same list, and nothing else.
func readPlace(list string, place *string, value string) bool {
	b, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || len(b) <= checkBytes {
		return false
	}
	*place = string(b[checkBytes:])
	return placeCursor(list, *place) == value
}
