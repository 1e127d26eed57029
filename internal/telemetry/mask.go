package telemetry

import "unicode/utf8"

// A mainland mobile number is 1[3-9] and nine more digits, written in one piece or 3-4-4:
//
//	18666666666   186-6666-6666   186 6666 6666   +8618666666666   １８６６６６６６６６６
const (
	phoneDigits = 11
	maskFrom    = 3 // The first digit hidden, and
	maskTo      = 7 // the first one after those shown again; separators stand before these two.
	mask        = "****"
)

// MaskPhones hides the middle of every mainland mobile number in s: 18666666666 becomes 186****6666.
// Full-width digits and separators between the groups of 3-4-4 are seen through and kept. A run of digits that is
// longer than a number (a waybill's, say) is left alone, unless what precedes the number is +86 or 0086.
// It is idempotent, and returns s itself where there is nothing to hide.
func MaskPhones(s string) string {
	var out []byte
	kept := 0 // How much of s is in out.
	for i := 0; i < len(s); {
		if c := s[i]; c != '1' && c != fullWidthLead {
			i++
			continue
		}
		from, to, end := phoneAt(s, i)
		if end == 0 {
			i++
			continue
		}
		out = append(append(out, s[kept:from]...), mask...)
		kept, i = to, end
	}
	if out == nil {
		return s
	}
	return string(append(out, s[kept:]...))
}

// phoneAt reads a number that begins at i: s[from:to] is to be hidden, end is where it ends; 0 if there is none.
func phoneAt(s string, i int) (from, to, end int) {
	if first, _ := digitAt(s, i); first != 1 || digitBefore(s, i) && !afterCountryCode(s, i) {
		return 0, 0, 0
	}
	for n := range phoneDigits {
		if n == maskTo {
			to = i
		}
		if n == maskFrom || n == maskTo {
			i += separatorAt(s, i)
		}
		if n == maskFrom {
			from = i
		}
		d, size := digitAt(s, i)
		if size == 0 || n == 1 && d < 3 {
			return 0, 0, 0
		}
		i += size
	}
	if _, size := digitAt(s, i); size != 0 {
		return 0, 0, 0
	}
	return from, to, i
}

// Full-width digits are U+FF10 to U+FF19: EF BC 90 to EF BC 99.
const (
	fullWidthLead  = 0xEF
	fullWidthNext  = 0xBC
	fullWidthZero  = 0x90
	fullWidthBytes = 3
)

// digitAt is the digit at s[i:] and its size in bytes; the size is 0 if there is none.
func digitAt(s string, i int) (digit, size int) {
	if i >= len(s) {
		return 0, 0
	}
	if c := s[i]; '0' <= c && c <= '9' {
		return int(c - '0'), 1
	}
	if len(s)-i >= fullWidthBytes && s[i] == fullWidthLead && s[i+1] == fullWidthNext {
		if c := s[i+2]; fullWidthZero <= c && c <= fullWidthZero+9 {
			return int(c - fullWidthZero), fullWidthBytes
		}
	}
	return 0, 0
}

// stepBack is where the digit that ends at i begins; ok is false if there is no digit.
func stepBack(s string, i int) (digit, start int, ok bool) {
	for _, size := range [...]int{1, fullWidthBytes} {
		if i >= size {
			if d, n := digitAt(s, i-size); n == size {
				return d, i - size, true
			}
		}
	}
	return 0, i, false
}

func digitBefore(s string, i int) bool {
	_, _, ok := stepBack(s, i)
	return ok
}

// afterCountryCode tells whether +86 or 0086 ends at i.
func afterCountryCode(s string, i int) bool {
	for _, want := range [...]int{6, 8} {
		d, start, ok := stepBack(s, i)
		if !ok || d != want {
			return false
		}
		i = start
	}
	if r, _ := utf8.DecodeLastRuneInString(s[:i]); r == '+' || r == '＋' {
		return true
	}
	for range 2 {
		d, start, ok := stepBack(s, i)
		if !ok || d != 0 {
			return false
		}
		i = start
	}
	return !digitBefore(s, i)
}

// separatorAt is the size in bytes of a separator at s[i:]; 0 if there is none.
func separatorAt(s string, i int) int {
	r, size := utf8.DecodeRuneInString(s[i:])
	switch r {
	case ' ', '-', '.', '\u00a0', '\u3000', '－', '‐', '‑', '‒', '–', '—', '−':
		return size
	}
	return 0
}
