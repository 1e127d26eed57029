package wechat

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// document reads a request or an answer of the documents, as they print it.
func document(t testing.TB, call, part, form string) []byte {
	t.Helper()
	return must(os.ReadFile(filepath.Join("testdata", "documents", call+"."+part+"."+form+".json")))
}

// sameJSON compares by meaning: order of members, spaces and escapes don't count; numbers and presence do.
func sameJSON(t testing.TB, what string, got, want []byte) {
	t.Helper()
	var a, b any
	for _, side := range []struct {
		text []byte
		to   *any
	}{{got, &a}, {want, &b}} {
		dec := json.NewDecoder(bytes.NewReader(side.text))
		dec.UseNumber() // Any number, and none is rounded.
		if err := dec.Decode(side.to); err != nil {
			t.Fatalf("%s is no JSON: %v in %s", what, err, side.text)
		}
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}

// documented are the four calls: what their requests and answers are read into, and how a request is written.
var documented = []struct {
	call     string
	request  func() any
	answer   func() any
	onWire   func(any) []byte
	isAnswer string // A field of the answer, as a spot check.
}{
	{"getPath", func() any { return new(PathQuery) }, func() any { return new(Path) },
		func(q any) []byte { return q.(*PathQuery).appendJSON(nil) }, "path_item_list"},
	{"updatePath", func() any { return new(PathUpdate) }, func() any { return new(Answer) },
		func(q any) []byte { return q.(*PathUpdate).appendJSON(nil) }, "errcode"},
	{"getOrder", func() any { return new(OrderQuery) }, func() any { return new(Order) },
		func(q any) []byte { return q.(*OrderQuery).appendJSON(nil) }, "print_html"},
	{"batchGetOrder", func() any { return new(OrderListQuery) }, func() any { return new(OrderList) },
		func(q any) []byte { return q.(*OrderListQuery).appendJSON(nil) }, "order_list"},
}

// Every request and answer of the documents is read and written again without a loss.
func TestDocumentsGoThroughTheTypes(t *testing.T) {
	for _, d := range documented {
		t.Run(d.call, func(t *testing.T) {
			request, answer := document(t, d.call, "request", "https"), document(t, d.call, "answer", "https")
			q, a := d.request(), d.answer()
			if err := json.Unmarshal(request, q); err != nil {
				t.Fatal(err)
			}
			sameJSON(t, "the request, written for people", must(json.Marshal(q)), request)
			sameJSON(t, "the request, written for upstream", d.onWire(q), request)
			if err := json.Unmarshal(answer, a); err != nil {
				t.Fatal(err)
			}
			written := must(json.Marshal(a))
			sameJSON(t, "the answer", written, answer)
			var fields map[string]json.RawMessage
			if err := json.Unmarshal(written, &fields); err != nil || fields[d.isAnswer] == nil {
				t.Errorf("the answer lacks %s: %s", d.isAnswer, written)
			}
		})
	}
}

// HTTPS and 云调用 are two forms of the same.
func TestDocumentsGoThroughTheCloudForm(t *testing.T) {
	for _, d := range documented {
		t.Run(d.call, func(t *testing.T) {
			for part, to := range map[string]struct {
				cloud, https func([]byte) ([]byte, error)
			}{
				"request": {CloudRequest, HTTPSRequest},
				"answer": {
					func(b []byte) ([]byte, error) { return CloudAnswer(d.call, b) },
					func(b []byte) ([]byte, error) { return HTTPSAnswer(d.call, b) },
				},
			} {
				https, cloud := document(t, d.call, part, "https"), document(t, d.call, part, "cloud")
				sameJSON(t, part+" to 云调用", must(to.cloud(https)), cloud)
				sameJSON(t, part+" to HTTPS", must(to.https(cloud)), https)
			}
			// From a cloud function into the types, and back.
			a := d.answer()
			if err := json.Unmarshal(must(HTTPSAnswer(d.call, document(t, d.call, "answer", "cloud"))), a); err != nil {
				t.Fatal(err)
			}
			sameJSON(t, "the answer, through the type", must(CloudAnswer(d.call, must(json.Marshal(a)))), document(t, d.call, "answer", "cloud"))
		})
	}
}
