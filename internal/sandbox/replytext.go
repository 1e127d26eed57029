package sandbox

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// replyText is a carrier's answer before it is checked: one level of names and values, each once.
type replyText map[string]scalar

// scalar is a value. In XML all are texts; in JSON a number and a text are not the same.
type scalar struct {
	text   string
	number bool // A JSON number.
}

// readReply reads an answer in the format of the push. It takes no more than the documents show: what a lenient
// reader forgives here, WeChat's own need not.
func readReply(format string, body []byte) (replyText, error) {
	if !utf8.Valid(body) {
		return nil, errors.New("the answer is not UTF-8")
	}
	if format == formatJSON {
		return readJSONReply(body)
	}
	return readXMLReply(body)
}

func (t replyText) add(name string, v scalar) error {
	if _, ok := t[name]; ok {
		return fmt.Errorf("%.64q is there twice", name)
	}
	t[name] = v
	return nil
}

func readJSONReply(body []byte) (replyText, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if tok, err := d.Token(); err != nil || tok != json.Delim('{') {
		return nil, errors.New("the answer is no JSON object")
	}
	out := replyText{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, errors.New("the answer is no JSON that can be read")
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, errors.New("the answer is no JSON that can be read")
		}
		v, err := readScalar(raw)
		if err == nil {
			err = out.add(name.(string), v)
		}
		if err != nil {
			return nil, fmt.Errorf("%.64q: %w", name, err)
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, errors.New("the answer ends early")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the answer's JSON")
	}
	return out, nil
}

func readScalar(raw json.RawMessage) (scalar, error) {
	switch raw[0] {
	case '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return scalar{text: s}, err
	case '{', '[', 't', 'f', 'n':
		return scalar{}, errors.New("a text or a number is wanted")
	}
	return scalar{text: string(raw), number: true}, nil
}

// readXMLReply takes <xml> with elements that hold texts.
func readXMLReply(body []byte) (replyText, error) {
	d := xml.NewDecoder(bytes.NewReader(body))
	d.Strict = true
	d.CharsetReader = nil
	root, err := nextElement(d, true)
	if err != nil {
		return nil, err
	}
	if root == nil || root.Name.Local != "xml" || root.Name.Space != "" {
		return nil, errors.New("the answer is not in <xml>")
	}
	out := replyText{}
	for {
		e, err := nextElement(d, false)
		if err != nil {
			return nil, err
		}
		if e == nil {
			break
		}
		text, err := elementText(d, e)
		if err == nil {
			err = out.add(e.Name.Local, scalar{text: text})
		}
		if err != nil {
			return nil, err
		}
	}
	if extra, err := nextElement(d, true); err != nil || extra != nil {
		return nil, errors.New("something follows </xml>")
	}
	return out, nil
}

// nextElement is the next element's start; nil at the end of its parent, or, at the top, of the text.
func nextElement(d *xml.Decoder, top bool) (*xml.StartElement, error) {
	for {
		tok, err := d.Token()
		if top && errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, errors.New("the answer is no XML that can be read")
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			return new(tok), nil
		case xml.EndElement:
			return nil, nil
		case xml.CharData:
			if len(bytes.TrimSpace(tok)) > 0 {
				return nil, errors.New("the answer has text between its elements")
			}
		case xml.Directive:
			return nil, errors.New("the answer has a <!...> declaration")
		}
	}
}

// elementText is the text of an element that has been begun, to its end.
func elementText(d *xml.Decoder, e *xml.StartElement) (string, error) {
	var b strings.Builder
	for {
		tok, err := d.Token()
		if err != nil {
			return "", errors.New("the answer is no XML that can be read")
		}
		switch tok := tok.(type) {
		case xml.CharData:
			b.Write(tok)
		case xml.EndElement:
			return b.String(), nil
		case xml.StartElement:
			return "", fmt.Errorf("<%.64s> holds <%.64s>, a text is wanted", e.Name.Local, tok.Name.Local)
		}
	}
}

// integer is a value that the documents call a number.
func (t replyText) integer(format, name string) (int64, error) {
	v, ok := t[name]
	if !ok {
		return 0, fmt.Errorf("%s is missing", name)
	}
	if format == formatJSON && !v.number {
		return 0, fmt.Errorf("%s is a text, a JSON number is wanted", name)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(v.text), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s is %.64q, a whole number is wanted", name, v.text)
	}
	return n, nil
}

// str is a value that the documents call a string.
func (t replyText) str(name string) (string, error) {
	v, ok := t[name]
	switch {
	case !ok:
		return "", fmt.Errorf("%s is missing", name)
	case v.number:
		return "", fmt.Errorf("%s is a number, a JSON string is wanted", name)
	}
	return v.text, nil
}
