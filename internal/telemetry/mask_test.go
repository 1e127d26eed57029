package telemetry

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
	"unsafe"

	"pgregory.net/rapid"
)

func TestMaskPhones(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"the document's sample", "丽影邓丽君【18666666666】正在派件", "丽影邓丽君【186****6666】正在派件"},
		{"alone", "13800138000", "138****8000"},
		{"several", "13800138000,19912345678 15000000001", "138****8000,199****5678 150****0001"},
		{"dashes", "电话186-6666-6666。", "电话186-****-6666。"},
		{"spaces", "186 6666 6666", "186 ****" + " 6666"},
		{"dots", "186.6666.6666", "186.****.6666"},
		{"only the first separator", "186-66666666", "186-****6666"},
		{"only the second separator", "1866666-6666", "186****-6666"},
		{"full-width", "１８６６６６６６６６６", "１８６****６６６６"},
		{"half full-width", "１86６666６666", "１86****６666"},
		{"full-width separators", "１８６－６６６６－６６６６", "１８６－****－６６６６"},
		{"ideographic spaces", "186\u30006666\u30006666", "186\u3000****\u30006666"},
		{"no-break spaces", "186\u00a06666\u00a06666", "186\u00a0****\u00a06666"},
		{"en dashes", "186–6666–6666", "186–****–6666"},
		{"+86", "+8618666666666", "+86186****6666"},
		{"+86 and a space", "+86 186 6666 6666", "+86 186 **** 6666"},
		{"+86 and a dash", "+86-18666666666", "+86-186****6666"},
		{"(+86)", "(+86)18666666666", "(+86)186****6666"},
		{"full-width +86", "＋８６１８６６６６６６６６６", "＋８６１８６****６６６６"},
		{"0086", "008618666666666", "0086186****6666"},
		{"letters around", "tel18666666666x", "tel186****6666x"},
		{"in JSON", `{"phone":"18666666666"}`, `{"phone":"186****6666"}`},
		{"at both ends", "18666666666 x 18777777777", "186****6666 x 187****7777"},
		{"after a broken byte", "\xff18666666666\xff", "\xff186****6666\xff"},

		{"empty", "", ""},
		{"ten digits", "1866666666", "1866666666"},
		{"twelve digits", "186666666666", "186666666666"},
		{"a waybill", "12345678901234567890", "12345678901234567890"},
		{"a waybill that holds a number", "SF00018666666666123", "SF00018666666666123"},
		{"a digit before", "918666666666", "918666666666"},
		{"a full-width digit before", "９18666666666", "９18666666666"},
		{"a full-width digit after", "18666666666９", "18666666666９"},
		{"86 without a plus may be any number", "8618666666666", "8618666666666"},
		{"10086 is no country code", "1008618666666666", "1008618666666666"},
		{"no mobile prefix", "12666666666 10000000000", "12666666666 10000000000"},
		{"no 1 first", "28666666666", "28666666666"},
		{"a time in seconds", "1533052800 1", "1533052800 1"},
		{"a time in milliseconds", "1533052800000", "1533052800000"},
		{"other groups", "1866 6666 666 18 666666666", "1866 6666 666 18 666666666"},
		{"two separators", "186--6666--6666", "186--6666--6666"},
		{"masked already", "186****6666", "186****6666"},
		{"cut off", "1866666666\xef\xbc", "1866666666\xef\xbc"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := MaskPhones(tt.in)
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if again := MaskPhones(got); again != got {
				t.Errorf("masked again it is %q", again)
			}
		})
	}
}

func TestMaskPhonesOfEveryPrefix(t *testing.T) {
	for p := range 100 {
		in := fmt.Sprintf("%02d912345678", p)
		want := in
		if p >= 13 && p <= 19 {
			want = in[:3] + "****" + in[7:]
		}
		if got := MaskPhones(in); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestMaskPhonesReturnsTheSameStringWhereNothingIsHidden(t *testing.T) {
	for _, s := range []string{"已到达深圳集散中心", "11111111111111111111", strings.Repeat("１", 50)} {
		if got := MaskPhones(s); unsafe.StringData(got) != unsafe.StringData(s) {
			t.Errorf("%q was copied", s)
		}
		if n := testing.AllocsPerRun(10, func() { MaskPhones(s) }); n != 0 {
			t.Errorf("%q costs %v allocations", s, n)
		}
	}
}

// plainPhone is the rule for what is written in one piece, as a pattern: the neighbours that it takes in stand for
// the look-around that Go's patterns don't have.
var plainPhone = regexp.MustCompile(`(^|[^0-9])1[3-9][0-9]{9}($|[^0-9])`)

func TestMaskPhonesAgreesWithThePattern(t *testing.T) {
	text := rapid.StringOfN(rapid.SampledFrom([]rune("13581359x,运")), 0, 60, -1)
	rapid.Check(t, func(t *rapid.T) {
		in := text.Draw(t, "text")
		if rapid.Bool().Draw(t, "with a number") {
			in += rapid.StringMatching(`1[3-9][0-9]{9}`).Draw(t, "number") + text.Draw(t, "rest")
		}
		got := MaskPhones(in)
		if masked := got != in; masked != plainPhone.MatchString(in) {
			t.Fatalf("%q became %q", in, got)
		}
		if plainPhone.MatchString(got) {
			t.Fatalf("%q became %q, which still holds a number", in, got)
		}
	})
}

func FuzzMaskPhones(f *testing.F) {
	for _, s := range []string{
		"丽影邓丽君【18666666666】正在派件", "+86 186-6666-6666", "１８６６６６６６６６６", "008618666666666", "186****6666",
		"138-15666666 6666", "1386666138666613866661386666", "\xef\xbc\x91\xef", "+86+86+8613800138000",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got := MaskPhones(in)
		if again := MaskPhones(got); again != got {
			t.Errorf("%q became %q and then %q", in, got, again)
		}
		if plainPhone.MatchString(got) {
			t.Errorf("%q became %q, which still holds a number", in, got)
		}
		if utf8.ValidString(in) && !utf8.ValidString(got) {
			t.Errorf("%q became %q", in, got)
		}
		// Every digit that is gone is a star now.
		if stars := strings.Count(got, "*") - strings.Count(in, "*"); stars != digitsOf(in)-digitsOf(got) {
			t.Errorf("%q became %q", in, got)
		}
	})
}

func digitsOf(s string) (n int) {
	for i := range len(s) {
		if _, size := digitAt(s, i); size != 0 {
			n++
		}
	}
	return n
}

func BenchmarkMaskPhones(b *testing.B) {
	for name, s := range map[string]string{
		"nothing": strings.Repeat("已到达【深圳集散中心】，下一站 carrier waybill 2024-11-21 ", 4),
		"one":     "丽影邓丽君【18666666666】正在派件",
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(s)))
			for b.Loop() {
				MaskPhones(s)
			}
		})
	}
}
