package sender_test

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"carrier/internal/sender"
)

const header = "id,delivery_id,waybill_id,action_type,action_time,action_msg,token\n"

func TestRowsBecomeEvents(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"all fields", header + "scan-1,SF,W1,300002,1533052800,正在派件,TOKEN",
			`{"id":"scan-1","delivery_id":"SF","waybill_id":"W1","action_type":300002,"action_time":1533052800,"action_msg":"正在派件","token":"TOKEN"}`},
		{"any order", "action_msg,id,action_time,waybill_id,action_type\n正在派件,scan-1,1533052800,W1,300002",
			`{"id":"scan-1","waybill_id":"W1","action_type":300002,"action_time":1533052800,"action_msg":"正在派件"}`},
		{"empty cells are left out", header + "scan-1,,W1,300002,1533052800,正在派件,",
			`{"id":"scan-1","waybill_id":"W1","action_type":300002,"action_time":1533052800,"action_msg":"正在派件"}`},
		{"nothing but a message", header + ",,,,,正在派件,", `{"action_msg":"正在派件"}`},
		{"byte order mark and Windows", "\xef\xbb\xbf" + strings.ReplaceAll(header, "\n", "\r\n") + "scan-1,,W1,300002,1533052800,x,\r\n",
			`{"id":"scan-1","waybill_id":"W1","action_type":300002,"action_time":1533052800,"action_msg":"x"}`},
		{"leading zeros of texts stay, of numbers go", header + "007,,0012,0300002,01533052800,01,",
			`{"id":"007","waybill_id":"0012","action_type":300002,"action_time":1533052800,"action_msg":"01"}`},
		{"long numbers as text", header + `="007",,="12345678901234567890",="300002",="1533052800",="x",`,
			`{"id":"007","waybill_id":"12345678901234567890","action_type":300002,"action_time":1533052800,"action_msg":"=\"x\""}`},
		{"long numbers as text, quoted", header + `s,,"=""12345678901234567890""",300002,1533052800,x,`,
			`{"id":"s","waybill_id":"12345678901234567890","action_type":300002,"action_time":1533052800,"action_msg":"x"}`},
		{"spaces around", "id , waybill_id, action_type,action_time,action_msg\n scan-1 , W1,\t300002, 1533052800 , x ",
			`{"id":"scan-1","waybill_id":"W1","action_type":300002,"action_time":1533052800,"action_msg":" x "}`},
		{"RFC 3339", header + "s,,W1,300002,2018-08-01T00:00:00+08:00,x,",
			`{"id":"s","waybill_id":"W1","action_type":300002,"action_time":1533052800,"action_msg":"x"}`},
		{"RFC 3339 in UTC with a fraction", header + "s,,W1,300002,2018-07-31T16:00:00.999Z,x,",
			`{"id":"s","waybill_id":"W1","action_type":300002,"action_time":1533052800,"action_msg":"x"}`},
		{"milliseconds are the service's to refuse", header + "s,,W1,300002,1533052800000,x,",
			`{"id":"s","waybill_id":"W1","action_type":300002,"action_time":1533052800000,"action_msg":"x"}`},
		{"quotes, line breaks, < > &", header + "s,,W1,300002,1533052800,\"a \"\"b\"\"\nc <>&\\\",",
			`{"id":"s","waybill_id":"W1","action_type":300002,"action_time":1533052800,"action_msg":"a \"b\"\nc <>&\\"}`},
		{"an emptied row", header + ",,,,,,\ns,,W1,300002,1533052800,x,",
			`{"id":"s","waybill_id":"W1","action_type":300002,"action_time":1533052800,"action_msg":"x"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(test.text), iotest.OneByteReader(strings.NewReader(test.text))} {
				items, err := all(reading(t, r, "events.csv"))
				if err != nil || len(items) != 1 || items[0].Refused != nil {
					t.Fatalf("%+v, %v", items, err)
				}
				if got := string(items[0].Body); got != test.want {
					t.Errorf("got  %s\nwant %s", got, test.want)
				}
			}
		})
	}
}

func TestRowsThatAreRefused(t *testing.T) {
	for _, test := range []struct{ name, row, want string }{
		{"too few cells", "s,,W1", "the line has 3 cells and the header 7; put a text with commas or line breaks in quotes"},
		{"too many cells", "s,,W1,300002,1533052800,到达,深圳,", "the line has 8 cells and the header 7"},
		{"a word for a code", "s,,W1,派件,1533052800,x,", `action_type is "派件"; write one of the codes in digits`},
		{"a fraction for a code", "s,,W1,300002.0,1533052800,x,", `action_type is "300002.0"`},
		{"a time without its zone", "s,,W1,300002,2018-08-01 00:00:00,x,", `action_time is "2018-08-01 00:00:00"; write Unix seconds (1533052800), or date, time and zone`},
		{"a sheet's date", "s,,W1,300002,2018/8/1 0:00,x,", `action_time is "2018/8/1 0:00"`},
		{"a number out of range", "s,,W1,300002,99999999999999999999,x,", `action_time is "99999999999999999999"`},
		{"a long one is cut", "s,,W1,300002," + strings.Repeat("很", 100) + ",x,", `action_time is "` + strings.Repeat("很", 13) + `…"`},
		{"a rounded waybill", "s,,1.23457E+19,300002,1533052800,x,", "waybill_id is 1.23457E+19: the sheet has rounded a long number; format the column as text"},
		{"a round one", "s,,1E+19,300002,1533052800,x,", "waybill_id is 1E+19: the sheet"},
		{"a rounded id", "1.5E+15,,W1,300002,1533052800,x,", "id is 1.5E+15: the sheet"},
	} {
		t.Run(test.name, func(t *testing.T) {
			items, err := all(reading(t, strings.NewReader(header+test.row+"\nnext,,W2,300002,1533052800,x,\n"), "events.csv"))
			if err != nil || len(items) != 2 {
				t.Fatalf("%+v, %v", items, err)
			}
			r := items[0].Refused
			if r == nil || r.Line != 2 || r.Code != "invalid_event" || r.Verdict.String() != "invalid" || !strings.HasPrefix(r.Message, test.want) {
				t.Errorf("refused with %+v, want %q", r, test.want)
			}
			if items[1].Refused != nil || items[1].Line != 3 {
				t.Errorf("the next one is %+v", items[1])
			}
		})
	}
}

func TestHeadersThatAreRefused(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"misspelt", "id,waybil_id,action_type,action_time,action_msg\n", `line 1: there is no column "waybil_id"; did you mean waybill_id?`},
		{"another letter case", "ID,waybill_id,action_type,action_time,action_msg\n", `line 1: there is no column "ID"; did you mean id?`},
		{"another name", "id,waybill_id,action_type,action_time,message\n", `there is no column "message"; there are id, delivery_id,`},
		{"twice", "id,waybill_id,action_type,action_time,action_msg,id\n", "the column id is there twice"},
		{"without a name", "id,waybill_id,action_type,action_time,action_msg,\n", "column 6 has no name"},
		{"missing", "\n\nid,waybill_id,action_type\n", "line 3: the header does not name action_time, action_msg; every event needs that"},
		{"no header", "scan-1,SF,W1,300002,1533052800,x\n", "the first line must name the columns: id,delivery_id,waybill_id"},
		{"semicolons", "id;waybill_id;action_type\n", "the columns are not separated by commas"},
		{"tabs", "id\twaybill_id\taction_type\n", "the columns are not separated by commas"},
		{"a very long name", "id," + strings.Repeat("很", 1000) + "\n", "there is no column of the name that begins"},
		{"GBK further down", header + strings.Repeat("s,,W,300002,1,x,\n", 99) + "s,,W,300002,1,\xb5\xbd\xb4\xef,\n", "line 101 is not UTF-8"},
		{"UTF-16", "\xff\xfei\x00d\x00,\x00\n\x00", "line 1 is not UTF-8"},
		{"an open quote", `"id,waybill_id`, "line 1: the file ends before"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := sender.NewReader(t.Context(), strings.NewReader(test.text), "events.csv", sender.Auto)
			if err == nil || !strings.HasPrefix(err.Error(), "events.csv: ") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error is %v, want %q", err, test.want)
			}
		})
	}
}

func TestLinesArePassedOnByteForByte(t *testing.T) {
	text := "\xef\xbb\xbf{\"id\":\"1\",  \"waybill_id\":\"\\u0057\"}\r\n\n \t\n\t{\"waybill_id\":1}\nno JSON\n{\"id\":\"\xff\"}"
	items, err := all(reading(t, strings.NewReader(text), "events.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	want := []sender.Item{
		{Line: 1, Next: 2, Bytes: 39, ID: "1", Waybill: "W", Body: []byte(`{"id":"1",  "waybill_id":"\u0057"}`)},
		{Line: 4, Next: 5, Bytes: 22, Body: []byte("\t{\"waybill_id\":1}")},
		{Line: 5, Next: 6, Bytes: 8, Body: []byte("no JSON")},
		{Line: 6, Next: 7, Bytes: 10, ID: "\uFFFD", Body: []byte("{\"id\":\"\xff\"}")},
	}
	for i := range items {
		if i < len(want) && !reflect.DeepEqual(items[i], want[i]) {
			t.Errorf("item %d is\n%+v, want\n%+v", i, items[i], want[i])
		}
	}
	if len(items) != len(want) {
		t.Errorf("%d items", len(items))
	}
}

func TestALineThatIsTooLongIsRefusedAlone(t *testing.T) {
	long := `{"id":"` + strings.Repeat("x", 900<<10) + `"}`
	items, err := all(reading(t, strings.NewReader(line(1, "W")+"\n"+long+"\r\n"+line(3, "W")), "events.ndjson"))
	if err != nil || len(items) != 3 {
		t.Fatalf("%d items, %v", len(items), err)
	}
	if r := items[1].Refused; r == nil || r.Line != 2 || r.Code != "body_too_large" || items[1].Bytes != int64(len(long)+2) {
		t.Errorf("%+v", items[1])
	}
	if string(items[2].Body) != line(3, "W") || items[2].Line != 3 {
		t.Errorf("%+v", items[2])
	}

	escapes := header + "s,,W,1,1,\"" + strings.Repeat("\x01", 300<<10) + "\","
	items, err = all(reading(t, strings.NewReader(escapes), "events.csv"))
	if err != nil || len(items) != 1 || items[0].Refused == nil || items[0].Refused.Code != "body_too_large" {
		t.Errorf("%d items, %v", len(items), err)
	}
}

func TestOtherJSONIsExplained(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"an array", "\n [{\"id\":\"1\"}]", "line 2 begins an array; write one event a line: jq -c '.[]' FILE"},
		{"over several lines", "{\n  \"id\": \"1\"\n}\n", "line 1 holds only the beginning of an event; write each on one line: jq -c . FILE"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := all(reading(t, strings.NewReader(test.text), "-"))
			if err == nil || err.Error() != "-: "+test.want {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

func TestFormats(t *testing.T) {
	for _, test := range []struct {
		name, file string
		format     sender.Format
		text       string
		csv        bool
	}{
		{"by extension", "x.ndjson", sender.Auto, "id,", false},
		{"by extension, jsonl", "x.JSONL", sender.Auto, "id,", false},
		{"by extension, csv", "x.csv", sender.Auto, "{", true},
		{"by the flag", "x.csv", sender.NDJSON, header, false},
		{"by the flag, csv", "x.ndjson", sender.CSV, "{", true},
		{"by the beginning", "-", sender.Auto, "\n \xef\xbb\xbf", true},
		{"by the beginning, JSON", "-", sender.Auto, "\xef\xbb\xbf\r\n {", false},
		{"by the beginning, CSV", "x.txt", sender.Auto, "\xef\xbb\xbf\r\n id", true},
		{"nothing at all", "-", sender.Auto, "", false},
		{"spaces only", "-", sender.Auto, strings.Repeat("\n", 200_000), false},
		{"half a byte order mark", "-", sender.Auto, "\xef\xbb", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(test.text), iotest.OneByteReader(strings.NewReader(test.text))} {
				// What is no header is an error for CSV only.
				_, err := sender.NewReader(t.Context(), r, test.file, test.format)
				if (err != nil) != test.csv {
					t.Errorf("%v", err)
				}
			}
		})
	}
	if _, err := sender.NewReader(t.Context(), strings.NewReader("x"), "x", "xml"); err == nil || !strings.Contains(err.Error(), `there is no format "xml"`) {
		t.Errorf("the error is %v", err)
	}
	broken := errors.New("disk on fire")
	if _, err := sender.NewReader(t.Context(), iotest.ErrReader(broken), "-", sender.Auto); !errors.Is(err, broken) {
		t.Errorf("the error is %v", err)
	}
}

func TestFrom(t *testing.T) {
	text := header + "a,,W,1,1,x,\nb,,W,1,1,\"x\ny\",\nc,,W,1,1,x,\n"
	for from, want := range map[int]string{0: "abc", 1: "abc", 2: "abc", 3: "bc", 4: "c", 5: "c", 6: ""} {
		src := reading(t, strings.NewReader(text), "events.csv")
		src.From(from)
		items, err := all(src)
		got, size := "", int64(0)
		for _, i := range items {
			got += i.ID
			size += i.Bytes
		}
		if err != nil || got != want || got != "" && size != int64(len(text)) {
			t.Errorf("from line %d: %q, %d bytes of %d, %v; want %q", from, got, size, len(text), err, want)
		}
	}
}
