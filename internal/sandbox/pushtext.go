package sandbox

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// field is one element of a push, in the order of the document, for either format.
type field struct {
	name  string
	value any // string, number, fields, or list
}

type (
	// fields is an object: elements in XML, members in JSON.
	fields []field
	// list is siblings of one name in XML, an array in JSON.
	list []fields
	// number is written as it is: 1.2, 1533042556.
	number string
)

func integer(n int64) number { return number(strconv.FormatInt(n, 10)) }

// render writes a push in a carrier's format.
func (fs fields) render(format string) []byte {
	var b bytes.Buffer
	if format == formatJSON {
		fs.writeJSON(&b)
		return b.Bytes()
	}
	b.WriteString("<xml>")
	fs.writeXML(&b)
	b.WriteString("</xml>")
	return b.Bytes()
}

// with is a copy of fs in which the fields of these names have other values.
func (fs fields) with(values map[string]string) fields {
	out := make(fields, len(fs))
	for i, f := range fs {
		if v, ok := values[f.name]; ok {
			f.value = v
		}
		out[i] = f
	}
	return out
}

func (fs fields) writeXML(b *bytes.Buffer) {
	for _, f := range fs {
		switch v := f.value.(type) {
		case list:
			for _, item := range v {
				element(b, f.name, func() { item.writeXML(b) })
			}
		case fields:
			element(b, f.name, func() { v.writeXML(b) })
		case number:
			element(b, f.name, func() { b.WriteString(string(v)) })
		case string:
			element(b, f.name, func() { cdata(b, v) })
		}
	}
}

func element(b *bytes.Buffer, name string, content func()) {
	b.WriteString("<" + name + ">")
	content()
	b.WriteString("</" + name + ">")
}

// cdata writes a text as the document's examples do. What XML can't hold becomes U+FFFD.
func cdata(b *bytes.Buffer, s string) {
	s = strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r != 0xFFFE && r != 0xFFFF {
			return r
		}
		return utf8.RuneError
	}, strings.ToValidUTF8(s, "\uFFFD"))
	b.WriteString("<![CDATA[" + strings.ReplaceAll(s, "]]>", "]]]]><![CDATA[>") + "]]>")
}

func (fs fields) writeJSON(b *bytes.Buffer) {
	for i, f := range fs {
		b.WriteByte("{,"[min(i, 1)])
		b.WriteString(strconv.Quote(f.name) + ":") // Names are ASCII letters and _.
		switch v := f.value.(type) {
		case list:
			b.WriteByte('[')
			for j, item := range v {
				if j > 0 {
					b.WriteByte(',')
				}
				item.writeJSON(b)
			}
			b.WriteByte(']')
		case fields:
			v.writeJSON(b)
		case number:
			b.WriteString(string(v))
		case string:
			b.Write(rawJSON(v))
		}
	}
	if len(fs) == 0 {
		b.WriteByte('{')
	}
	b.WriteByte('}')
}

// rawJSON is a JSON string with < > & as they are.
func rawJSON(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // A string and a buffer never fail.
	return bytes.TrimRight(b.Bytes(), "\n")
}
