package callback

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// readXML reads one document of the little XML that WeChat sends: elements without attributes, that hold either text
// (plain or CDATA) or other elements. Whatever else XML has is refused: DOCTYPE and other directives, processing
// instructions, comments, attributes, namespaces, a second document. So there are no entities to expand, and nothing
// that two readers could understand differently; a test holds it against encoding/xml, which takes all of these.
func readXML(text string) (*node, error) {
	if strings.Contains(text, "\r") {
		text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n") // XML 1.0, 2.11.
	}
	for _, c := range text {
		if !isXMLChar(c) {
			return nil, fmt.Errorf("it has the character %U, which XML has not", c)
		}
	}
	r := xmlReader{text: text[len(xmlDeclaration.FindString(text)):], left: maxNodes}
	r.space()
	root, err := r.element(1)
	if err != nil {
		return nil, err
	}
	if r.space(); r.text != "" {
		return nil, errors.New("something follows the XML document")
	}
	if root.name != "xml" {
		return nil, fmt.Errorf("its root is the element %.64q, not xml", root.name)
	}
	return root, nil
}

var xmlDeclaration = regexp.MustCompile(`^<\?xml[ \t\n]+version=["']1\.0["']([ \t\n]+encoding=["'](?i:utf-8)["'])?([ \t\n]+standalone=["'](yes|no)["'])?[ \t\n]*\?>`)

// isXMLChar is XML 1.0, 2.2.
func isXMLChar(c rune) bool {
	return c == '\t' || c == '\n' || c == '\r' || c >= 0x20 && c <= 0xd7ff || c >= 0xe000 && c <= 0xfffd || c >= 0x10000 && c <= 0x10ffff
}

// xmlReader eats its text from the front.
type xmlReader struct {
	text string
	left int // Elements that may still come.
}

func (r *xmlReader) space() { r.text = strings.TrimLeft(r.text, " \t\n") }

// cut eats a prefix if it is there.
func (r *xmlReader) cut(prefix string) (ok bool) {
	r.text, ok = strings.CutPrefix(r.text, prefix)
	return ok
}

// element eats one element, from its "<".
func (r *xmlReader) element(depth int) (*node, error) {
	if r.left--; r.left < 0 {
		return nil, fmt.Errorf("it has more than %d elements", maxNodes)
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("it is nested deeper than %d", maxDepth)
	}
	if !r.cut("<") {
		return nil, errors.New("it is no XML document")
	}
	n := &node{name: r.name()}
	r.space()
	switch {
	case n.name == "":
		return nil, errors.New("it has what is neither an element nor text: DOCTYPE, comments and processing instructions are not taken")
	case r.cut("/>"):
		return n, nil
	case !r.cut(">"):
		return nil, fmt.Errorf("its element %.64q has attributes or a namespace", n.name)
	}
	return n, r.content(n, depth)
}

// content eats what an element holds, and its end.
func (r *xmlReader) content(n *node, depth int) error {
	var text strings.Builder
	cdata := false
	for {
		plain, err := r.plain()
		if err != nil {
			return err
		}
		text.WriteString(plain)
		switch {
		case r.cut("<![CDATA["):
			data, rest, ok := strings.Cut(r.text, "]]>")
			if !ok {
				return errors.New("it ends within CDATA")
			}
			text.WriteString(data)
			r.text, cdata = rest, true
		case r.cut("</"):
			return r.end(n, text.String(), cdata)
		default:
			kid, err := r.element(depth + 1)
			if err != nil {
				return err
			}
			n.kind, n.kids = kindGroup, append(n.kids, kid)
		}
	}
}

// end eats the rest of an end tag and settles what the element held.
func (r *xmlReader) end(n *node, text string, cdata bool) error {
	name := r.name()
	if r.space(); !r.cut(">") || name != n.name {
		return fmt.Errorf("its element %.64q doesn't end where it should", n.name)
	}
	if n.kind != kindGroup {
		n.text = text
		return nil
	}
	if cdata || strings.TrimLeft(text, " \t\n") != "" {
		return fmt.Errorf("its element %.64q mixes text with elements", n.name)
	}
	return nil
}

// name eats a name; without a colon, since that would be a namespace. It is empty if there is none.
func (r *xmlReader) name() string {
	end := 0
	for end < len(r.text) && isNameByte(r.text[end], end == 0) {
		end++
	}
	name := r.text[:end]
	r.text = r.text[end:]
	return name
}

func isNameByte(c byte, first bool) bool {
	return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || c == '_' || !first && ('0' <= c && c <= '9' || c == '-' || c == '.')
}

// plain eats the text before the next "<" and resolves what is escaped in it.
func (r *xmlReader) plain() (string, error) {
	end := strings.IndexByte(r.text, '<')
	if end < 0 {
		return "", errors.New("it ends within an element")
	}
	raw := r.text[:end]
	r.text = r.text[end:]
	if strings.Contains(raw, "]]>") { // XML 1.0, 2.4.
		return "", errors.New("it has ]]> outside CDATA")
	}
	if strings.IndexByte(raw, '&') < 0 {
		return raw, nil
	}
	return unescape(raw)
}

// unescape resolves the references that need no DOCTYPE.
func unescape(raw string) (string, error) {
	var text strings.Builder
	for {
		before, rest, found := strings.Cut(raw, "&")
		text.WriteString(before)
		if !found {
			return text.String(), nil
		}
		reference, after, ok := strings.Cut(rest, ";")
		c, known := resolve(reference)
		if !ok || !known {
			return "", errors.New("it has an entity that XML doesn't know by itself, or a lone &")
		}
		text.WriteRune(c)
		raw = after
	}
}

// entities are those that XML has by itself.
var entities = map[string]rune{"lt": '<', "gt": '>', "amp": '&', "quot": '"', "apos": '\''}

// resolve gives the character of "lt" or "#60" or "#x3c".
func resolve(reference string) (rune, bool) {
	if c, ok := entities[reference]; ok {
		return c, true
	}
	digits, ok := strings.CutPrefix(reference, "#")
	base := 10
	if hex, isHex := strings.CutPrefix(digits, "x"); isHex {
		digits, base = hex, 16
	}
	if !ok || !isAlphanumeric(digits, "") { // ParseUint takes a sign.
		return 0, false
	}
	c, err := strconv.ParseUint(digits, base, 32)
	if err != nil || c > 0x10ffff || !isXMLChar(rune(c)) {
		return 0, false
	}
	return rune(c), true
}
