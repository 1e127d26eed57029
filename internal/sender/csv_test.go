package sender

import (
	"bufio"
	"encoding/csv"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// records reads all records of text, and the lines that they begin on.
func records(r io.Reader, longest int) (all [][]string, at []int, err error) {
	c := &csvReader{lines: &lines{r: bufio.NewReaderSize(r, 16), max: longest}}
	for {
		cells, err := c.read()
		if errors.Is(err, io.EOF) {
			return all, at, nil
		}
		if err != nil {
			return all, at, err
		}
		all, at = append(all, cells), append(at, c.first)
	}
}

func TestRecords(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       [][]string
		at         []int
	}{
		{"empty", "", nil, nil},
		{"blank lines only", "\n\r\n\n", nil, nil},
		{"one cell", "a", [][]string{{"a"}}, []int{1}},
		{"empty cells", ",,\n", [][]string{{"", "", ""}}, []int{1}},
		{"two lines, Windows", "a,b\r\nc,d\r\n", [][]string{{"a", "b"}, {"c", "d"}}, []int{1, 2}},
		{"blank line between", "a\n\n\nb", [][]string{{"a"}, {"b"}}, []int{1, 4}},
		{"quoted", `"a,b","c ""d"" e",""`, [][]string{{"a,b", `c "d" e`, ""}}, []int{1}},
		{"quoted line breaks", "\"a\r\n\r\nb\",c\nd,e", [][]string{{"a\n\nb", "c"}, {"d", "e"}}, []int{1, 4}},
		{"a quote that ends a line", "\"a\n\",b", [][]string{{"a\n", "b"}}, []int{1}},
		{"quotes inside an unquoted cell", `a"b"c,d`, [][]string{{`a"b"c`, "d"}}, []int{1}},
		{"text form", `="0012",="1,2",x`, [][]string{{`="0012"`, `="1,2"`, "x"}}, []int{1}},
		{"text form, itself quoted", `"=""0012""",x`, [][]string{{`="0012"`, "x"}}, []int{1}},
		{"a formula", "=A1,x", [][]string{{"=A1", "x"}}, []int{1}},
		{"Chinese", "丽影邓丽君【18666666666】正在派件,，", [][]string{{"丽影邓丽君【18666666666】正在派件", "，"}}, []int{1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(test.text), iotest.OneByteReader(strings.NewReader(test.text))} {
				got, at, err := records(r, 1000)
				if err != nil || !reflect.DeepEqual(got, test.want) || !reflect.DeepEqual(at, test.at) {
					t.Errorf("got %q on lines %v, %v; want %q on %v", got, at, err, test.want, test.at)
				}
			}
		})
	}
}

func TestRecordsThatCannotBeRead(t *testing.T) {
	for _, test := range []struct {
		name, text string
		read       int // Records before.
		want       string
	}{
		{"an open quote", "a\nb,\"c\nd\n", 1, "line 2: the file ends before the quote that opens here is closed"},
		{"an open quote at the end", `"`, 0, "line 1: the file ends before"},
		{"text after a quote", "a\n\"b\"c\n", 1, "line 2: a closing quote must be followed by a comma"},
		{"space after a quote", `"b" ,c`, 0, "line 1: a closing quote must be"},
		{"text after the text form", `="1"2`, 0, "line 1: a closing quote must be"},
		{"GBK", "a\n\xb5\xbd\xb4\xef\n", 1, "line 2 is not UTF-8; save the sheet as \"CSV UTF-8\""},
		{"GBK in quotes", "a\n\"x\n\xb5\xbd\xb4\xef\"\n", 1, "line 3 is not UTF-8"},
		{"a long line", "a\n" + strings.Repeat("b", 101), 1, "line 2 is longer than 100 bytes"},
		{"a long quoted text", "a\n\"" + strings.Repeat("b\n", 200), 1, "line 2: what the quote opens here is longer than 100 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, _, err := records(strings.NewReader(test.text), 100)
			if err == nil || !strings.HasPrefix(err.Error(), test.want) || len(got) != test.read {
				t.Errorf("%d records, then %v; want %d, then %q", len(got), err, test.read, test.want)
			}
		})
	}
}

func TestReadErrorsNameTheLine(t *testing.T) {
	broken := errors.New("disk on fire")
	_, _, err := records(io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(broken)), 100)
	if !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "reading line 2: ") {
		t.Errorf("the error is %v", err)
	}
}

// TestWrittenRecordsAreRead: whatever encoding/csv writes comes back.
func TestWrittenRecordsAreRead(t *testing.T) {
	cell := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.SampledFrom([]rune("\",\n=a 派"))))
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOf(rapid.SliceOfN(cell, 2, 5)).Draw(t, "records")
		var b strings.Builder
		w := csv.NewWriter(&b)
		w.UseCRLF = rapid.Bool().Draw(t, "crlf")
		if err := w.WriteAll(want); err != nil {
			t.Fatal(err)
		}
		got, _, err := records(strings.NewReader(b.String()), 1<<20)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%d records of %d, %v, from %q", len(got), len(want), err, b.String())
		}
		for i := range want {
			for j := range want[i] {
				if plain(got[i][j]) != plain(want[i][j]) {
					t.Fatalf("record %d, cell %d is %q, want %q, from %q", i, j, got[i][j], want[i][j], b.String())
				}
			}
		}
	})
}

// plain is text with line breaks of one kind, as they are inside quotes, and without what Windows' takes with it at
// the end of a line.
func plain(text string) string { return strings.ReplaceAll(text, "\r", "") }

// FuzzCSV holds the reader against encoding/csv: whatever that takes, this reads alike, except for ="…"; and nothing
// makes it panic, or give a record for what it must refuse.
func FuzzCSV(f *testing.F) {
	for _, text := range []string{
		"", "a,b\nc,d", "\"a\nb\",\"\"\"\"\r\n", "a\"b,c", "=\"12\",x", "\"=\"\"12\"\"\"", "\"open", "\xef\xbb\xbfid", "a,\xff", "\r\r\n", "\"a\"b",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, at, err := records(strings.NewReader(text), 1<<16)
		for i := range got {
			if len(got[i]) == 0 || at[i] < 1 || i > 0 && at[i] <= at[i-1] {
				t.Fatalf("record %d is %q on line %d", i, got[i], at[i])
			}
		}
		if err == nil && !utf8.ValidString(text) {
			t.Fatalf("%q was read, and is not UTF-8", text)
		}
		if !utf8.ValidString(text) || strings.Contains(text, `="`) || len(text) > 1<<16 {
			return
		}
		r := csv.NewReader(strings.NewReader(text))
		r.FieldsPerRecord = -1
		want, theirs := r.ReadAll()
		if theirs == nil && (err != nil || len(got) != len(want) || len(got) > 0 && !reflect.DeepEqual(got, want)) {
			t.Fatalf("%q is read as %q, %v; encoding/csv reads %q", text, got, err, want)
		}
	})
}

// FuzzReader: whatever the input is, events have ascending lines, account for the input's bytes, and are one line of
// JSON each where they come from CSV.
func FuzzReader(f *testing.F) {
	for _, text := range []string{
		"{\"id\":\"1\"}\n", "id,waybill_id,action_type,action_time,action_msg\n1,=\"2\",3,4,\"5\n6\"\n,,,,\n", "[", "{\n", "\xef\xbb\xbf\n\n{}",
		"id,waybill_id,action_type,action_time,action_msg\n1,2,3,2018-08-01T00:00:00+08:00,x,y\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := NewReader(t.Context(), strings.NewReader(text), "-", Auto)
		if err != nil {
			return
		}
		var line int
		var bytes int64
		for {
			item, err := r.Next()
			if err != nil {
				break
			}
			bytes += item.Bytes
			if item.Line < max(1, line) || item.Next <= item.Line || bytes > int64(len(text)) {
				t.Fatalf("after line %d: %+v, %d bytes of %d", line, item, bytes, len(text))
			}
			line = item.Next
			if (item.Refused == nil) != (len(item.Body) > 0) || strings.Contains(string(item.Body), "\n") {
				t.Fatalf("%+v", item)
			}
		}
	})
}
