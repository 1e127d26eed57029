package ingest

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// unquote is what a valid JSON string means. Without escapes the result is part of literal, else it is new.
// ok is false if the string holds half a surrogate pair, which no UTF-8 text can; encoding/json would put U+FFFD there
// and so make different events equal.
func unquote(literal []byte) (text []byte, ok bool) {
	text = literal[1 : len(literal)-1]
	first := bytes.IndexByte(text, '\\')
	if first < 0 {
		return text, true
	}
	out := append(make([]byte, 0, len(text)), text[:first]...)
	for rest := text[first:]; len(rest) > 0; {
		if rest[0] != '\\' {
			n := bytes.IndexByte(rest, '\\')
			if n < 0 {
				n = len(rest)
			}
			out, rest = append(out, rest[:n]...), rest[n:]
			continue
		}
		r, n := escaped(rest)
		if utf16.IsSurrogate(r) {
			return nil, false
		}
		out, rest = utf8.AppendRune(out, r), rest[n:]
	}
	return out, true
}

// escaped reads the escape sequence that s begins with, and its second half if that makes a pair of surrogates.
func escaped(s []byte) (r rune, size int) {
	if s[1] != 'u' {
		return simpleEscape(s[1]), 2
	}
	r = hex4(s[2:])
	if utf16.IsSurrogate(r) && len(s) >= 12 && s[6] == '\\' && s[7] == 'u' {
		if both := utf16.DecodeRune(r, hex4(s[8:])); both != utf8.RuneError {
			return both, 12
		}
	}
	return r, 6
}

func simpleEscape(b byte) rune {
	switch b {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return rune(b) // Quote, backslash, slash.
}

// hex4 reads four hexadecimal digits.
func hex4(s []byte) rune {
	var r rune
	for _, b := range s[:4] {
		r = r<<4 | hexDigit(b)
	}
	return r
}

// hexDigit is the value of a hexadecimal digit.
func hexDigit(b byte) rune {
	switch {
	case b <= '9':
		return rune(b - '0')
	case b <= 'F':
		return rune(b-'A') + 10
	}
	return rune(b-'a') + 10
}
