package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"pgregory.net/rapid"
)

func TestVisible(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"plain", "picked up", "picked up"},
		{"Chinese, with its wide space", "丽影\u3000邓丽君【已揽件】", "丽影\u3000邓丽君【已揽件】"},
		{"emoji and marks", "e\u0301 📦", "e\u0301 📦"},
		{"a colour", "\x1b[31mred\x1b[0m", `\x1b[31mred\x1b[0m`},
		{"a window title", "\x1b]0;owned\a", `\x1b]0;owned\a`},
		{"C1 control sequence introducer", "\u009b2J", `\u009b2J`},
		{"carriage return", "failed\rdelivered", `failed\rdelivered`},
		{"line feed and tab", "a\nb\tc", `a\nb\tc`},
		{"backspace, delete, NUL", "a\b\x7f\x00", `a\b\x7f\x00`},
		{"right to left override", "abc\u202edef", `abc\u202edef`},
		{"isolates", "\u2066a\u2069", `\u2066a\u2069`},
		{"no width", "1\u200b2\ufeff3", `1\u200b2\ufeff3`},
		{"separators of lines", "a\u2028b", `a\u2028b`},
		{"a filler that looks like a blank", "a\u3164b", `a\u3164b`},
		{"tags", "a\U000e0041", `a\U000e0041`},
		{"no UTF-8", "a\xffb\xe4\xbd", `a\xffb\xe4\xbd`},
		{"the replacement character itself", "a\ufffdb", "a\ufffdb"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := visible(test.text); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestVisibleLeavesNothingHidden(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")) + rapid.String().Draw(t, "text")
		got := visible(text)
		if strings.ContainsFunc(got, hidden) || !utf8.ValidString(got) {
			t.Errorf("visible(%q) is %q", text, got)
		}
		if again := visible(got); again != got {
			t.Errorf("visible(%q) is %q", got, again)
		}
	})
}

func TestEscapeJSONKeepsValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text") + rapid.SampledFrom([]string{"", "\u009b", "\u202e", "\U000e0041", "\u2028"}).Draw(t, "more")
		raw, err := json.Marshal(map[string]string{"text": text})
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := printJSON(&out, raw); err != nil {
			t.Fatal(err)
		}
		var got map[string]string
		if err := json.Unmarshal([]byte(out.String()), &got); err != nil || got["text"] != text {
			t.Errorf("%q became %q in %s, %v", text, got["text"], out.String(), err)
		}
		if strings.ContainsFunc(strings.ReplaceAll(out.String(), "\n", ""), hidden) {
			t.Errorf("%q is written as it is", out.String())
		}
	})
}

func TestCut(t *testing.T) {
	for _, test := range []struct {
		name, text string
		width      int
		want       string
	}{
		{"fits", "运单", 4, "运单"},
		{"half a character has no room", "运单号码", 7, "运单.."},
		{"just room", "运单号码", 6, "运单.."},
		{"a cluster stays whole", "ae\u0301iou", 4, "ae\u0301.."},
		{"narrow", "abcdef", 3, "a.."},
		{"too narrow for a character", "运单", 2, ".."},
		{"one", "abc", 1, "."},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := cut(test.text, test.width); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		text, width := visible(rapid.String().Draw(t, "text")), rapid.IntRange(1, 20).Draw(t, "width")
		if got := cut(text, width); uniseg.StringWidth(got) > width {
			t.Errorf("cut(%q, %d) is %q, %d wide", text, width, got, uniseg.StringWidth(got))
		}
	})
}

// goldenTable shows three rows at a width.
func goldenTable(t *testing.T, width int) string {
	t.Helper()
	var out strings.Builder
	s := &screen{w: &out, width: width, zone: time.UTC}
	tab := s.table(column{head: "SEQ", right: true}, column{head: "运单"}, column{head: "WHY", text: true}, column{head: "TEXT", text: true})
	tab.add("7", "SF/1234", "refused: 参数错误", "丽影邓丽君【18666666666】正在派件，请保持电话畅通")
	tab.add("1234", "顺丰/12", "", "parcel e\u0301 📦\x1b[2J")
	if err := tab.flush(); err != nil {
		t.Fatal(err)
	}
	tab.add("5", "SF/9", "x", "a later page")
	if err := tab.flush(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTable(t *testing.T) {
	for _, test := range []struct {
		name  string
		width int
		want  string
	}{
		{"no terminal", 0, `
 SEQ  运单     WHY                TEXT
   7  SF/1234  refused: 参数错误  丽影邓丽君【18666666666】正在派件，请保持电话畅通
1234  顺丰/12                     parcel é 📦\x1b[2J
   5  SF/9     x                  a later page
`},
		{"wide enough", 200, `
 SEQ  运单     WHY                TEXT
   7  SF/1234  refused: 参数错误  丽影邓丽君【18666666666】正在派件，请保持电话畅通
1234  顺丰/12                     parcel é 📦\x1b[2J
   5  SF/9     x                  a later page
`},
		{"60 columns", 60, `
 SEQ  运单     WHY                TEXT
   7  SF/1234  refused: 参数错误  丽影邓丽君【18666666666..
1234  顺丰/12                     parcel é 📦\x1b[2J
   5  SF/9     x                  a later page
`},
		{"44 columns", 44, `
 SEQ  运单     WHY            TEXT
   7  SF/1234  refused: 参..  丽影邓丽君【..
1234  顺丰/12                 parcel é 📦\..
   5  SF/9     x              a later page
`},
		{"too narrow: numbers stay whole", 10, `
 SEQ  运单     WHY           TEXT
   7  SF/1234  refused: ..   丽影邓丽君..
1234  顺丰/12                parcel é ..
   5  SF/9     x             a later page
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := "\n" + strings.ReplaceAll(goldenTable(t, test.width), "e\u0301", "é")
			if got != test.want {
				t.Errorf("got%s\nwant%s", got, test.want)
			}
			for line := range strings.Lines(got) {
				if w := uniseg.StringWidth(strings.TrimSuffix(line, "\n")); test.width >= 44 && w > test.width {
					t.Errorf("%q is %d columns wide, not %d", line, w, test.width)
				}
			}
		})
	}
}

// TestTableBelow: what says why is never cut. Where there is no room it goes below its row, and stays there.
func TestTableBelow(t *testing.T) {
	show := func(width int) string {
		var out strings.Builder
		s := &screen{w: &out, width: width, zh: true, zone: time.UTC}
		tab := s.table(column{head: "SEQ", right: true}, column{head: "运单"}, column{head: "扫描", text: true},
			column{head: "尝试", right: true, below: true}, column{head: "原因", text: true, below: true})
		for range 2 { // The second page is as the first.
			tab.add("1234", "SF/1234567890", "200001 更新运输轨迹", "3", "同一运单的推送 7 尚未完成：同一运单按序推送。")
			tab.add("1235", "SF/1234567890", "300003 签收成功", "", "-")
			if err := tab.flush(); err != nil {
				t.Fatal(err)
			}
		}
		return "\n" + out.String()
	}
	for _, test := range []struct {
		name  string
		width int
		page  string
		head  string
	}{
		{"room for all", 98, `
1234  SF/1234567890  200001 更新运输轨迹     3  同一运单的推送 7 尚未完成：同一运单按序推送。
1235  SF/1234567890  300003 签收成功            -
`, " SEQ  运单           扫描                 尝试  原因"},
		{"not for why", 60, `
1234  SF/1234567890  200001 更新运输轨迹     3
      原因 同一运单的推送 7 尚未完成：同一运单按序推送。
1235  SF/1234567890  300003 签收成功
`, " SEQ  运单           扫描                 尝试"},
		{"nor for numbers, and why in two lines", 40, `
1234  SF/1234567890  200001 更新运输轨迹
      尝试 3
      原因 同一运单的推送 7 尚未完成：同
      一运单按序推送。
1235  SF/1234567890  300003 签收成功
`, " SEQ  运单           扫描"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := show(test.width)
			if want := "\n" + test.head + test.page + strings.TrimPrefix(test.page, "\n"); got != want {
				t.Errorf("got%s\nwant%s", got, want)
			}
			for line := range strings.Lines(got) {
				if w := uniseg.StringWidth(strings.TrimSuffix(line, "\n")); w > test.width {
					t.Errorf("%q is %d columns wide, not %d", line, w, test.width)
				}
			}
		})
	}
}

func TestWrap(t *testing.T) {
	for _, test := range []struct {
		name, text string
		width      int
		want       []string
	}{
		{"nothing", "", 20, []string{""}},
		{"fits", "one line", 20, []string{"one line"}},
		{"between words", "the breaker is open since ten", 15, []string{"the breaker is", "open since ten"}},
		{"a word that is longer", "x 0123456789012345678 y", 12, []string{"x", "0123456789012345678", "y"}},
		{"between Chinese characters, not before a stop", "熔断器已打开。试探", 12, []string{"熔断器已打", "开。试探"}},
		{"no terminal", strings.Repeat("word ", 50) + "end", 0, []string{strings.Repeat("word ", 50) + "end"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := wrap(test.text, test.width); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestFacts(t *testing.T) {
	var out strings.Builder
	s := &screen{w: &out, zh: true, zone: time.FixedZone("", 8*3600)}
	when := time.Date(2026, 1, 2, 16, 4, 5, 0, time.UTC)
	var f facts
	f.add("运单", "SF/1")
	f.add("nothing", "")
	f.add("next", s.time(&when))
	f.add("文本", "a\rb")
	if err := f.print(s); err != nil {
		t.Fatal(err)
	}
	want := "运单  SF/1\nnext  2026-01-03 00:04:05\n文本  a\\rb\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestMinutes(t *testing.T) {
	for _, test := range []struct {
		minutes float64
		en, zh  string
	}{
		{0, "less than a second", "不到 1 秒"}, {0.1, "6 s", "6 秒"}, {0.99, "60 s", "60 秒"}, {1.2, "2 min", "2 分钟"}, {150, "2.5 h", "2.5 小时"},
	} {
		if got := (&screen{}).minutes(test.minutes); got != test.en {
			t.Errorf("%v minutes are %q, want %q", test.minutes, got, test.en)
		}
		if got := (&screen{zh: true}).minutes(test.minutes); got != test.zh {
			t.Errorf("%v minutes are %q, want %q", test.minutes, got, test.zh)
		}
	}
}

func TestScreenOfTheEnvironment(t *testing.T) {
	for _, test := range []struct {
		name string
		env  []string
		zh   bool
	}{
		{"nothing", nil, false},
		{"LANG", []string{"LANG=zh_CN.UTF-8"}, true},
		{"LC_MESSAGES before LANG", []string{"LANG=zh_CN.UTF-8", "LC_MESSAGES=en_US.UTF-8"}, false},
		{"LC_ALL before all", []string{"LC_ALL=zh_TW.UTF-8", "LC_MESSAGES=en_US.UTF-8", "LANG=C"}, true},
		{"another language", []string{"LANG=de_DE.UTF-8"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newScreen(&world{stdout: new(strings.Builder), env: append(test.env, "TZ=Asia/Shanghai")})
			if s.zh != test.zh || s.width != 0 || s.zone.String() != "Asia/Shanghai" {
				t.Errorf("got %+v", s)
			}
		})
	}
}
