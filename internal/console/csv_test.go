package console

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"hash/crc32"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"carrier/internal/admin"
	"carrier/internal/state"
	"carrier/internal/store"
)

func TestCSVWords(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"plain", "到达深圳", "到达深圳"},
		{"nothing", "", ""},
		{"equals", "=HYPERLINK(1)", "'=HYPERLINK(1)"},
		{"plus", "+1", "'+1"},
		{"minus", "-1", "'-1"},
		{"at", "@SUM(1)", "'@SUM(1)"},
		{"tab", "\t=1", "'\t=1"},
		{"carriage return", "\r=1", "'\r=1"},
		{"line feed", "\n=1", "'\n=1"},
		{"full width", "＝1", "'＝1"},
		{"inside", "a=1", "a=1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := csvWords(tt.text); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestCSVName(t *testing.T) {
	for name, want := range map[string]string{
		"12345678901234567890": `="12345678901234567890"`, "1E5": `="1E5"`, "3-4": `="3-4"`, "SF1": `="SF1"`, "0012": `="0012"`,
		`"&cmd|x`: `"&cmd|x`, "=1+1": "'=1+1", "运单1": "运单1", "": "",
	} {
		if got := csvName(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

// TestCSVIsNeverAFormula: whatever strangers write, a cell is a formula only if it is nothing but a plain name in quotes.
func TestCSVIsNeverAFormula(t *testing.T) {
	harmless := regexp.MustCompile(`^="[0-9A-Za-z_.-]+"$`)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.SampledFrom([]rune("=+-@\t\r\n＝＋－＠\"'1aE.")))).Draw(t, "text")
		for kind, cell := range map[string]string{"words": csvWords(text), "name": csvName(text)} {
			if strings.IndexAny(cell, "=+-@\t\r\n＝＋－＠") == 0 && !(kind == "name" && harmless.MatchString(cell)) {
				t.Errorf("%s of %q: %q", kind, text, cell)
			}
			if strings.Trim(cell, `'="`) != strings.Trim(text, `'="`) {
				t.Errorf("%s of %q: %q has another text", kind, text, cell)
			}
		}
	})
}

// rows reads an export as a spreadsheet does.
func rows(t *testing.T, body string) [][]string {
	t.Helper()
	text, marked := strings.CutPrefix(body, byteOrderMark)
	if !marked {
		t.Error("there is no byte order mark")
	}
	r := csv.NewReader(strings.NewReader(text))
	r.FieldsPerRecord = -1
	all, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestPushesCSV(t *testing.T) {
	r := newRoom(t)
	r.as(opsToken)
	r.end("12345678901234567890", r.scan("12345678901234567890", state.PickupDone, "=cmd|' /C calc'!A0", "T"), store.Failed, 47001)
	r.scan("=2+3", state.PickupDone, "a,\"b\"\r\nc 18666666666", "T")
	a := r.get("/pushes.csv?status=", Viewer, r.console.PushesCSV)
	if a.status != 200 || a.header.Get("Content-Type") != "text/csv; charset=utf-8" || !strings.HasPrefix(a.header.Get("Content-Disposition"), `attachment; filename="pushes-`) {
		t.Fatalf("%d, %v", a.status, a.header)
	}
	got := rows(t, a.body)
	if len(got) != 3 || len(got[0]) != len(csvColumns) || len(got[1]) != len(csvColumns) {
		t.Fatalf("%q", got)
	}
	newest, oldest := got[1], got[2]
	if newest[2] != "'=2+3" || newest[8] != "a,\"b\"\nc 18666666666" || newest[9] != "pending" {
		t.Errorf("%q", newest)
	}
	if oldest[2] != `="12345678901234567890"` || oldest[8] != "'=cmd|' /C calc'!A0" || oldest[9] != "failed" || oldest[12] != "47001" || oldest[15] != "refused for good" {
		t.Errorf("%q", oldest)
	}
	if got := rows(t, r.get("/pushes.csv?status=failed", Viewer, r.console.PushesCSV).body); len(got) != 2 {
		t.Errorf("of failed ones: %q", got)
	}
	r.get("/pushes.csv?status=lost", Viewer, r.console.PushesCSV).says(400)
	r.cookies[langCookie] = "zh-CN"
	if got := rows(t, r.get("/pushes.csv", Viewer, r.console.PushesCSV).body); got[0][2] != "运单号" || got[2][9] != "失败" {
		t.Errorf("in Chinese: %q", got)
	}
	r.as(deskToken)
	if body := r.get("/pushes.csv", Viewer, r.console.PushesCSV).body; strings.Contains(body, "18666666666") {
		t.Error("a viewer reads a phone number")
	}
}

// endless lists pushes without end, a thousand a page; one page fails.
type endless struct {
	Admin
	fails int // The number of the page that fails; 0: none.
	pages int
}

func (e *endless) Pushes(context.Context, admin.Actor, store.Query) (admin.List[admin.PushItem], error) {
	if e.pages++; e.pages == e.fails {
		return admin.List[admin.PushItem]{}, errors.New("the disk is gone")
	}
	return admin.List[admin.PushItem]{Items: make([]admin.PushItem, store.MaxLimit), NextCursor: anyCursor}, nil
}

// anyCursor is a cursor of the list of pushes, as package admin makes it for push 1.
var anyCursor = base64.RawURLEncoding.EncodeToString(append(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte("pushes:\x01"))), 1))

// TestCSVIsBounded: a file that was cut says so, and so does one that broke off.
func TestCSVIsBounded(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fails int
		rows  int
		note  string
	}{
		{"cut", 0, maxCSVRows, "Cut after 50000 rows"},
		{"broken off", 3, 2000, "Broken off after 2000 rows"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := open(t, &endless{fails: tt.fails}).as(opsToken)
			a := b.get("/pushes.csv", Viewer, b.console.PushesCSV)
			got := rows(t, a.body)
			last := got[len(got)-1]
			if len(got) != tt.rows+2 || len(last) != 1 || !strings.HasPrefix(last[0], tt.note) {
				t.Errorf("%d rows, the last %q", len(got), last)
			}
			if strings.Contains(a.body, "disk") {
				t.Error("the cause shows")
			}
		})
	}
}
