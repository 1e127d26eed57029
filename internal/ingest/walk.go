package ingest

import "bytes"

// kind is the type of a JSON value.
type kind uint8

const (
	kindNull kind = iota
	kindBool
	kindNumber
	kindString
	kindArray
	kindObject
)

// kindOf tells a valid value's type from its first byte.
func kindOf(value []byte) kind {
	switch value[0] {
	case '"':
		return kindString
	case '{':
		return kindObject
	case '[':
		return kindArray
	case 't', 'f':
		return kindBool
	case 'n':
		return kindNull
	}
	return kindNumber
}

// walker goes through one JSON object or array without copying. Its text must have passed json.Valid: it checks
// nothing, and on other text it may panic.
type walker struct {
	text []byte
	pos  int
}

// walk begins behind the opening brace or bracket of value, whose first byte is that.
func walk(value []byte) walker { return walker{text: value, pos: 1} }

// member gives the next member of an object: its key with the quotes, as written, and its value.
func (w *walker) member() (key, value []byte, ok bool) {
	if !w.more('}') {
		return nil, nil, false
	}
	key = w.value()
	w.space()
	w.pos++ // The colon.
	w.space()
	return key, w.value(), true
}

// element gives the next element of an array.
func (w *walker) element() (value []byte, ok bool) {
	if !w.more(']') {
		return nil, false
	}
	return w.value(), true
}

// more moves to the next member or element; false at the end.
func (w *walker) more(end byte) bool {
	w.space()
	if w.text[w.pos] == ',' {
		w.pos++
		w.space()
	}
	return w.text[w.pos] != end
}

func (w *walker) space() {
	for isSpace(w.text[w.pos]) {
		w.pos++
	}
}

func isSpace(b byte) bool { return b == ' ' || b == '\n' || b == '\t' || b == '\r' }

// value slices the value that begins at pos and moves behind it.
func (w *walker) value() []byte {
	from := w.pos
	switch w.text[from] {
	case '"':
		w.pos = stringEnd(w.text, from)
	case '{', '[':
		w.skipNested()
	default:
		for w.pos < len(w.text) && !endsLiteral(w.text[w.pos]) {
			w.pos++
		}
	}
	return w.text[from:w.pos]
}

func endsLiteral(b byte) bool { return b == ',' || b == '}' || b == ']' || isSpace(b) }

func (w *walker) skipNested() {
	for depth := 0; ; {
		switch w.text[w.pos] {
		case '"':
			w.pos = stringEnd(w.text, w.pos)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		w.pos++
		if depth == 0 {
			return
		}
	}
}

// stringEnd is the index behind the string that begins at from.
func stringEnd(text []byte, from int) int {
	for i := from + 1; ; i++ {
		i += bytes.IndexByte(text[i:], '"')
		escapes := 0
		for text[i-1-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 { // An odd one escapes the quote.
			return i + 1
		}
	}
}
