package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"
)

func TestClean(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain", "carrier 正在派件 é 😀", "carrier 正在派件 é 😀"},
		{"line feeds and tabs stay", "a\tb\nc", "a\tb\nc"},
		{"other controls", "a\x00b\rc\bd\x7fe", "abcde"},
		{"C1", "a\u0085b\u008dc", "abc"},
		{"colour", "\x1b[1;31mred\x1b[0m", "red"},
		{"C1 colour", "\u009b31mred", "red"},
		{"clear screen", "\x1b[2Jx\x1b[?25l", "x"},
		{"title", "\x1b]0;pwned\ax\x1b]2;pwned\x1b\\y", "xy"},
		{"C1 title", "\u009d0;pwned\u009cx", "x"},
		{"device control", "\x1bPq#0\x1b\\x", "x"},
		{"charset and reset", "\x1b(Bx\x1bcy", "xy"},
		{"a title without end hides nothing", "\x1b]0;all of this stays", "0;all of this stays"},
		{"cut off", "x\x1b", "x"},
		{"cut off in parameters", "x\x1b[31;", "x"},
		{"bidi", "abc\u202egnp.exe\u202c\u2066x\u2069\u200f\u061c", "abcgnp.exex"},
		{"without width", "186\u200b6666\ufeff6666", "18666666666"},
		{"line separators", "a\u2028b\u2029c", "abc"},
		{"no UTF-8", "a\x9bb", "a\ufffdb"},
		{"halves are not joined", "\xc2\x00\x9b31m", "\ufffd\ufffd31m"},
		{"nested", "\x1b[\x1b[31m31m", "31m"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := clean(tt.in); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func FuzzClean(f *testing.F) {
	f.Add("\x1b[31mred\x1b[0m\u202e\x1b]0;x\a\xc2\x00\x9b")
	f.Add("\x1b\x1b\x1b[[[;;;\u009b\u009d\u009c")
	f.Fuzz(func(t *testing.T, in string) {
		got := clean(in)
		for _, r := range got {
			if harmful(r) {
				t.Fatalf("%q became %q, which holds %U", in, got, r)
			}
		}
		if again := clean(got); again != got {
			t.Errorf("%q became %q and then %q", in, got, again)
		}
	})
}

type phoneBook struct {
	Name  string
	Phone string
}

type named struct{ phone string }

func (n named) String() string { return "courier " + n.phone }

type texted struct{ phone string }

func (x texted) MarshalText() ([]byte, error) { return []byte("text " + x.phone), nil }

type panics struct{}

func (panics) String() string { panic("no string today") }

type valued struct{ phone string }

func (v valued) LogValue() slog.Value { return slog.StringValue("value " + v.phone) }

const phone = "18666666666"

// TestNoPhoneReachesTheLog logs a number in every way that a value can come.
func TestNoPhoneReachesTheLog(t *testing.T) {
	values := map[string]any{
		"string":   "tel " + phone,
		"error":    fmt.Errorf("push: %w", errors.New("refused: "+phone)),
		"stringer": named{phone},
		"text":     texted{phone},
		"valuer":   valued{phone},
		"struct":   phoneBook{"邓", phone},
		"pointer":  &phoneBook{"邓", phone},
		"slice":    []string{"a", phone},
		"map":      map[string]string{"k": phone},
		"bytes":    []byte(phone),
		"group":    slog.GroupValue(slog.String("inner", phone)),
		"hidden":   "186\u200b66666666",
		"raw":      json.RawMessage(`{"phone":"` + phone + `"}`),
	}
	for _, format := range []string{FormatText, FormatJSON} {
		for name, v := range values {
			t.Run(format+" "+name, func(t *testing.T) {
				var out bytes.Buffer
				log := NewLogger(&out, "info", format)
				log.Info("about "+phone, "v", v)
				log.With("v", v).WithGroup("g").Warn("again", "v", v)
				checkLines(t, out.String(), format, 2)
				if strings.Contains(out.String(), phone) {
					t.Errorf("the number is in %s", out.String())
				}
				if want := "about 186****6666"; !strings.Contains(out.String(), want) {
					t.Errorf("%q is not in %s", want, out.String())
				}
			})
		}
	}
}

// checkLines checks that out is n lines of the format without a character that should not be there.
func checkLines(t *testing.T, out, format string, n int) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if len(lines) != n {
		t.Errorf("%d lines, want %d: %q", len(lines), n, out)
	}
	for _, line := range lines {
		if i := strings.IndexFunc(line, func(r rune) bool { return unicode.IsControl(r) || harmful(r) }); i >= 0 {
			t.Errorf("%q holds %q", line, line[i:])
		}
		if format == FormatJSON && !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
}

func TestNothingForgesALine(t *testing.T) {
	attack := "x\n2024-11-21 level=ERROR msg=forged\r\x1b[2J\u202e\u009b31m\x00"
	for _, format := range []string{FormatText, FormatJSON} {
		t.Run(format, func(t *testing.T) {
			var out bytes.Buffer
			log := NewLogger(&out, "info", format)
			log.Info(attack, "s", attack, "err", errors.New(attack), "list", []string{attack}, "o", phoneBook{Name: attack})
			checkLines(t, out.String(), format, 1)
		})
	}
}

func TestOrdinaryLinesAreAsSlogWritesThem(t *testing.T) {
	for _, format := range []string{FormatText, FormatJSON} {
		t.Run(format, func(t *testing.T) {
			var got, want bytes.Buffer
			plain := slog.New(slog.NewTextHandler(&want, nil))
			if format == FormatJSON {
				plain = slog.New(slog.NewJSONHandler(&want, nil))
			}
			for _, log := range []*slog.Logger{NewLogger(&got, "info", format), plain} {
				log.Info("已送达", "n", 18666666666, "err", error(nil), "list", []int{1, 2}, "o", phoneBook{"邓", "-"},
					"b", true, "level", slog.LevelWarn, slog.Group("g", "k", "v w"))
			}
			_, got1, _ := strings.Cut(got.String(), "INFO")
			_, want1, _ := strings.Cut(want.String(), "INFO")
			if got1 != want1 || got1 == "" {
				t.Errorf("got  %s\nwant %s", got.String(), want.String())
			}
		})
	}
}

func TestValueThatPanicsCostsOnlyItself(t *testing.T) {
	for _, format := range []string{FormatText, FormatJSON} {
		var out bytes.Buffer
		log := NewLogger(&out, "info", format)
		log.Info("still here", "v", panics{}, "nil", (*named)(nil), "after", "x")
		if !strings.Contains(out.String(), "still here") || !strings.Contains(out.String(), "after") {
			t.Errorf("the line is %q", out.String())
		}
	}
}

func TestLevels(t *testing.T) {
	var out bytes.Buffer
	log := NewLogger(&out, "warn", FormatText)
	child := log.With("part", "store").WithGroup("g")
	child.Info("too low")
	if out.Len() != 0 {
		t.Errorf("wrote %s", out.String())
	}
	if err := SetLevel(log, "DEBUG"); err != nil {
		t.Fatal(err)
	}
	child.Debug("shown now", "k", 1)
	if !strings.Contains(out.String(), "part=store g.k=1") {
		t.Errorf("wrote %q", out.String())
	}
	out.Reset()
	if err := SetLevel(child, "error"); err != nil {
		t.Fatal(err)
	}
	log.Warn("too low")
	if out.Len() != 0 {
		t.Errorf("wrote %s", out.String())
	}
	if err := SetLevel(log, "loud"); err == nil || !strings.Contains(err.Error(), "debug, info, warn or error") {
		t.Errorf("got %v, want an error that names the levels", err)
	}
	if err := SetLevel(slog.New(slog.DiscardHandler), "info"); err == nil {
		t.Error("a logger of somebody else has no level to set")
	}
}

func TestUnknownLevelAndFormatAreToldAndSurvived(t *testing.T) {
	var out bytes.Buffer
	log := NewLogger(&out, "loud", "xml")
	checkLines(t, out.String(), FormatText, 2)
	out.Reset()
	log.Debug("no")
	log.Info("yes")
	if !strings.Contains(out.String(), "level=INFO msg=yes") || strings.Contains(out.String(), "msg=no") {
		t.Errorf("wrote %q", out.String())
	}
	out.Reset()
	NewLogger(&out, "", "")
	if out.Len() != 0 {
		t.Errorf("the defaults are not worth %q", out.String())
	}
}

// TestAutoIsJSONOffATerminal: what is no terminal is read by machines.
func TestAutoIsJSONOffATerminal(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/log")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var buffer bytes.Buffer
	for name, w := range map[string]io.Writer{"a file": file, "a buffer": &buffer} {
		NewLogger(w, "info", FormatAuto).Info("here", "seq", 1)
		text := buffer.Bytes()
		if w == file {
			text, _ = os.ReadFile(file.Name())
		}
		var line struct {
			Msg string
			Seq int
		}
		if err := json.Unmarshal(text, &line); err != nil || line.Msg != "here" || line.Seq != 1 {
			t.Errorf("%s has %q, %v", name, text, err)
		}
	}
}

// TestDurationsHaveTheirUnit: a number of nanoseconds says nothing to who reads a line, or alarms on one.
func TestDurationsHaveTheirUnit(t *testing.T) {
	for format, want := range map[string]string{FormatText: " after=1.068s retry.in=250ms\n", FormatJSON: `"after":"1.068s","retry":{"in":"250ms"}}`} {
		var out bytes.Buffer
		NewLogger(&out, "info", format).Info("x", "after", 1068*time.Millisecond, slog.Group("retry", "in", 250*time.Millisecond))
		if !strings.Contains(out.String(), want) {
			t.Errorf("as %s it is %s, want %s", format, out.String(), want)
		}
	}
}
