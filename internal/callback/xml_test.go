package callback

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
)

// standardXML reads a document into the same tree with encoding/xml, which takes more than readXML does: what both
// take has to read the same.
func standardXML(text string) (*node, error) {
	dec := xml.NewDecoder(strings.NewReader(text))
	var open []*node
	var root *node
	for {
		token, err := dec.Token()
		if err == io.EOF && root != nil && len(open) == 0 {
			return root, nil
		}
		if err != nil {
			return nil, err
		}
		switch v := token.(type) {
		case xml.StartElement:
			n := &node{name: v.Name.Local}
			if len(open) > 0 {
				parent := open[len(open)-1]
				parent.kind, parent.kids, parent.text = kindGroup, append(parent.kids, n), ""
			} else if root != nil {
				return nil, errors.New("two roots")
			} else {
				root = n
			}
			open = append(open, n)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 && open[len(open)-1].kind != kindGroup {
				open[len(open)-1].text += string(v)
			}
		}
	}
}

func TestXMLIsReadAsTheStandardLibraryReadsIt(t *testing.T) {
	for _, tt := range []struct{ name, text string }{
		{"text and CDATA", "<xml><A>x</A><B><![CDATA[y]]></B></xml>"},
		{"text beside CDATA", "<xml><A>x <![CDATA[<y>]]> z</A></xml>"},
		{"CDATA with the end of CDATA", "<xml><A><![CDATA[a]]]]><![CDATA[>b]]></A></xml>"},
		{"empty elements", "<xml><A/><B></B><C ></C ><D /><E><![CDATA[]]></E></xml>"},
		{"references", "<xml><A>&lt;&gt;&amp;&quot;&apos;&#60;&#x3C;&#x4e2d;&amp;lt;</A></xml>"},
		{"references in CDATA stay", "<xml><A><![CDATA[&lt;&nope;]]></A></xml>"},
		{"declaration", "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<xml>\n  <A>1</A>\r\n</xml>\n"},
		{"line ends", "<xml><A>a\r\nb\rc\nd</A><B><![CDATA[a\r\nb\r]]></B></xml>"},
		{"siblings and groups", "<xml><L><N>1</N></L><A>2</A><L><N>3</N></L></xml>"},
		{"Chinese and beyond the first plane", "<xml><A>丽影邓丽君🚚</A></xml>"},
		{"space kept", "<xml><A>  x  </A></xml>"},
		{"as deep as may be", strings.Repeat("<xml>", maxDepth) + strings.Repeat("</xml>", maxDepth)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readXML(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			want, err := standardXML(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %s, want %s", dump(got), dump(want))
			}
		})
	}
}

// dump shows a tree.
func dump(n *node) string {
	if n == nil {
		return "nothing"
	}
	text := fmt.Sprintf("%s %d %q", n.name, n.kind, n.text)
	for _, kid := range n.kids {
		text += " (" + dump(kid) + ")"
	}
	return text
}

// billionLaughs is the classic of entities that expand.
const billionLaughs = `<?xml version="1.0"?><!DOCTYPE xml [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><xml><A>&c;</A></xml>`

func TestHostileXMLIsRefused(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"billion laughs", billionLaughs, "DOCTYPE"},
		{"external entity", `<!DOCTYPE xml [<!ENTITY x SYSTEM "file:///etc/passwd">]><xml><A>&x;</A></xml>`, "DOCTYPE"},
		{"empty DOCTYPE", "<!DOCTYPE xml><xml></xml>", "DOCTYPE"},
		{"DOCTYPE within", "<xml><!DOCTYPE a><A>1</A></xml>", "DOCTYPE"},
		{"own entity", "<xml><A>&c;</A></xml>", "entity"},
		{"entity without end", "<xml><A>&lt</A></xml>", "entity"},
		{"lone ampersand", "<xml><A>a & b</A></xml>", "entity"},
		{"reference to NUL", "<xml><A>&#0;</A></xml>", "entity"},
		{"reference to a surrogate", "<xml><A>&#xD800;</A></xml>", "entity"},
		{"reference with a sign", "<xml><A>&#+60;</A></xml>", "entity"},
		{"reference too big", "<xml><A>&#x110000;</A></xml>", "entity"},
		{"processing instruction", "<xml><?php x?><A>1</A></xml>", "processing instructions"},
		{"processing instruction before", "<?php x?><xml></xml>", "processing instructions"},
		{"second declaration", `<?xml version="1.0"?><?xml version="1.0"?><xml></xml>`, "processing instructions"},
		{"other encoding", `<?xml version="1.0" encoding="gbk"?><xml></xml>`, "processing instructions"},
		{"other version", `<?xml version="1.1"?><xml></xml>`, "processing instructions"},
		{"comment", "<xml><A>ab<!-- x -->cd</A></xml>", "comments"},
		{"comment behind", "<xml></xml><!-- x -->", "follows"},
		{"attribute", `<xml><A x="1">1</A></xml>`, "attributes"},
		{"huge attribute", `<xml a="` + strings.Repeat("x", 900_000) + `"></xml>`, "attributes"},
		{"many attributes", "<xml " + strings.Repeat(`a="1" `, 100_000) + "></xml>", "attributes"},
		{"default namespace", `<xml xmlns="urn:x"><A>1</A></xml>`, "attributes"},
		{"prefix", "<x:xml><A>1</A></x:xml>", "namespace"},
		{"prefix within", "<xml><y:Encrypt>1</y:Encrypt></xml>", "namespace"},
		{"mixed content", "<xml>text<A>1</A></xml>", "mixes"},
		{"mixed content behind", "<xml><A>1</A>text</xml>", "mixes"},
		{"mixed with CDATA of space", "<xml><![CDATA[ ]]><A>1</A></xml>", "mixes"},
		{"too deep", strings.Repeat("<xml>", maxDepth+1) + strings.Repeat("</xml>", maxDepth+1), "deeper"},
		{"200,000 deep", strings.Repeat("<xml>", 200_000), "deeper"},
		{"too many elements", "<xml>" + strings.Repeat("<A/>", maxNodes) + "</xml>", "more than"},
		{"second document", "<xml></xml><xml></xml>", "follows"},
		{"text behind", "<xml></xml>x", "follows"},
		{"other root", "<html></html>", "root"},
		{"root in another case", "<XML></XML>", "root"},
		{"wrong end", "<xml><A>1</B></xml>", "doesn't end"},
		{"end in another case", "<xml><A>1</a></xml>", "doesn't end"},
		{"no end", "<xml><A>1</A>", "ends within"},
		{"end without an element", "</xml>", "neither"},
		{"open CDATA", "<xml><A><![CDATA[x</A></xml>", "within CDATA"},
		{"end of CDATA outside", "<xml><A>x]]>y</A></xml>", "]]>"},
		{"lower-case CDATA", "<xml><A><![cdata[x]]></A></xml>", "neither"},
		{"half a tag", "<xml><A", "attributes"},
		{"only a bracket", "<", "neither"},
		{"name with a digit first", "<xml><1>x</1></xml>", "neither"},
		{"control character", "<xml><A>\x00</A></xml>", "U+0000"},
		{"non-character", "<xml><A>\uffff</A></xml>", "U+FFFF"},
		{"nothing", "", "no XML"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readXML(tt.text)
			if err == nil {
				t.Fatalf("taken: %s", dump(got))
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q, want one with %q", err, tt.want)
			}
			if len(err.Error()) > 300 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		})
	}
}

func TestRepeatedEncryptIsRefused(t *testing.T) {
	for _, format := range []Format{XML, JSON} {
		r := safeRequest(t, format, testKey, quotaMessage(format))
		if format == XML {
			r.body = strings.Replace(r.body, "<Encrypt>", "<Encrypt>x</Encrypt><Encrypt>", 1)
		} else {
			r.body = strings.Replace(r.body, `"Encrypt":`, `"Encrypt":"x","Encrypt":`, 1)
		}
		if m, err := r.open(encryptedKeys(t)); !errors.Is(err, ErrMalformed) || m != nil {
			t.Errorf("%v: %v, %v, want ErrMalformed", format, m, err)
		}
	}
}
