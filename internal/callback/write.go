package callback

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// field is one value of a reply.
type field struct {
	name   string
	text   string
	number bool // Written without quotes or CDATA.
}

func asText(name, text string) field { return field{name: name, text: text} }

func asNumber(name string, value int64) field {
	return field{name: name, text: strconv.FormatInt(value, 10), number: true}
}

func (f Format) contentType() string {
	if f == JSON {
		return "application/json; charset=utf-8"
	}
	return "text/xml; charset=utf-8"
}

func (f Format) write(fs []field) []byte {
	if f == JSON {
		return writeJSON(fs)
	}
	return writeXML(fs)
}

// writeXML writes texts as CDATA, as the documents do. "]]>" is split over two; what XML can't hold becomes U+FFFD.
func writeXML(fs []field) []byte {
	var b bytes.Buffer
	b.WriteString("<xml>")
	for _, f := range fs {
		b.WriteString("<" + f.name + ">")
		if f.number {
			b.WriteString(f.text)
		} else {
			b.WriteString("<![CDATA[" + strings.ReplaceAll(xmlText(f.text), "]]>", "]]]]><![CDATA[>") + "]]>")
		}
		b.WriteString("</" + f.name + ">")
	}
	b.WriteString("</xml>")
	return b.Bytes()
}

func xmlText(text string) string {
	return strings.Map(func(c rune) rune {
		if !isXMLChar(c) {
			return '\uFFFD'
		}
		return c
	}, text)
}

// writeJSON writes < > & as they are: encoding/json would escape them, and upstream takes escapes for errors (40033).
func writeJSON(fs []field) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for i, f := range fs {
		b.WriteByte("{,"[min(i, 1)])
		b.WriteString(`"` + f.name + `":`)
		if f.number {
			b.WriteString(f.text)
			continue
		}
		_ = enc.Encode(f.text)  // A string into a buffer can't fail.
		b.Truncate(b.Len() - 1) // Encode ends with a line feed.
	}
	b.WriteByte('}')
	return b.Bytes()
}
