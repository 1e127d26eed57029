package console

import (
	"html/template"
	"testing"
	"time"

	"carrier/internal/problem"
)

func TestSpan(t *testing.T) {
	tests := []struct {
		seconds float64
		en, zh  string
	}{
		{-5, "0 s", "0 秒"}, {0.4, "0 s", "0 秒"}, {59.4, "59 s", "59 秒"}, {59.6, "1 min", "1 分"}, {3599, "59 min", "59 分"},
		{3600, "1 h", "1 小时"}, {3660, "1 h 1 min", "1 小时 1 分"}, {86399, "23 h 59 min", "23 小时 59 分"}, {86400, "1 d", "1 天"}, {90000, "1 d 1 h", "1 天 1 小时"},
		{10 * 86400, "10 d", "10 天"},
	}
	for _, tt := range tests {
		if got := (formatter{problem.English}).span(tt.seconds); got != tt.en {
			t.Errorf("%v s is %q, want %q", tt.seconds, got, tt.en)
		}
		if got := (formatter{problem.Chinese}).span(tt.seconds); got != tt.zh {
			t.Errorf("%v s is %q, want %q", tt.seconds, got, tt.zh)
		}
	}
}

func TestCount(t *testing.T) {
	tests := []struct {
		n    any
		want string
	}{
		{0, "0"}, {999, "999"}, {1000, "1,000"}, {int64(-1234567), "-1,234,567"}, {uint64(100000), "100,000"}, {(*int64)(nil), "–"}, {new(int64(12345)), "12,345"}, {"7", "7"},
	}
	for _, tt := range tests {
		if got := (formatter{}).count(tt.n); got != tt.want {
			t.Errorf("%v is %q, want %q", tt.n, got, tt.want)
		}
	}
}

func TestRate(t *testing.T) {
	for n, want := range map[float64]string{0: "0.0", 0.26: "0.3", 9.94: "9.9", 9.96: "10", 1234.5: "1,235"} {
		if got := (formatter{}).rate(n); got != want {
			t.Errorf("%v is %q, want %q", n, got, want)
		}
	}
}

// TestTime: the element is in Beijing time, and holds the instant itself for scripts.
func TestTime(t *testing.T) {
	at := time.Date(2026, 1, 2, 20, 4, 5, 6e6, time.UTC)
	f := formatter{}
	tests := []struct {
		got  any
		want string
	}{
		{f.time(at), `<time datetime="2026-01-02T20:04:05.006Z">2026-01-03 04:04:05</time>`},
		{f.clock(&at), `<time datetime="2026-01-02T20:04:05.006Z">04:04:05</time>`},
		{f.time(at.Unix()), `<time datetime="2026-01-02T20:04:05Z">2026-01-03 04:04:05</time>`},
		{f.time((*time.Time)(nil)), "–"}, {f.time(time.Time{}), "–"}, {f.time("?"), "–"}, {f.ago((*time.Time)(nil)), "–"},
	}
	for _, tt := range tests {
		if got := stringOf(tt.got); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}

func TestErrcode(t *testing.T) {
	if got := (formatter{problem.Chinese}).errcode(new(40199)); len(got) <= len("40199 ") || got[:6] != "40199 " {
		t.Errorf("40199 is %q: it has no meaning", got)
	}
	if got := (formatter{}).errcode(new(-98765)); got != "-98765" {
		t.Errorf("an unknown one is %q", got)
	}
	if got := (formatter{}).errcode(nil); got != "–" {
		t.Errorf("none is %q", got)
	}
}

func stringOf(v any) string {
	switch s := v.(type) {
	case string:
		return s
	case template.HTML:
		return string(s)
	}
	return ""
}

func TestChart(t *testing.T) {
	values := make([]int64, meterMinutes)
	values[0], values[meterMinutes-1] = 1, 1000
	more := make([]int64, meterMinutes)
	more[meterMinutes-1] = 1000
	c := newChart("in", column{name: "a", values: values}, column{name: "b", values: more})
	if c.Peak != 2000 || c.Series[0].Total != 1001 || c.Series[1].Total != 1000 {
		t.Errorf("the peak is %d, the totals %d and %d", c.Peak, c.Series[0].Total, c.Series[1].Total)
	}
	if got, want := c.Series[0].Path, "M0 63.0h8V64.0h-8zM590 32.0h8V64.0h-8z"; got != want {
		t.Errorf("the first path is %s, want %s", got, want)
	}
	if got, want := c.Series[1].Path, "M590 0.0h8V32.0h-8z"; got != want {
		t.Errorf("the second path is %s, want %s", got, want)
	}
	if empty := newChart("in", column{values: make([]int64, meterMinutes), level: true}); empty.Peak != 1 || empty.Series[0].Path != "" || !empty.Level {
		t.Errorf("an empty chart is %+v", empty)
	}
}
