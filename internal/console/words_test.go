package console

import (
	"testing"

	"carrier/internal/problem"
)

func TestInBeijing(t *testing.T) {
	for text, want := range map[string]string{
		"At 2026-11-22T05:49:20Z it is taken as it is.":     "At 2026-11-22 13:49:20 it is taken as it is.",
		"到 2026-11-22T16:00:00Z 仍未到达，2026-11-22T16:00:01Z。": "到 2026-11-23 00:00:00 仍未到达，2026-11-23 00:00:01。",
		"2026-13-45T99:00:00Z":      "2026-13-45T99:00:00Z",
		"2026-11-22T05:49:20+08:00": "2026-11-22T05:49:20+08:00",
		"":                          "",
	} {
		if got := inBeijing(text); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestNames(t *testing.T) {
	f := formatter{problem.Chinese}
	for _, tt := range []struct{ kind, word, want string }{
		{"push.", "failed", "失败"}, {"why.", "refused", "上游永久拒绝"}, {"why.", "重复下单", "重复下单"}, {"scope.", "", ""},
	} {
		if got := f.name(tt.kind, tt.word); got != tt.want {
			t.Errorf("%s%s: got %q, want %q", tt.kind, tt.word, got, tt.want)
		}
	}
	if got := f.node(300001); got != "300001（微信自有）" {
		t.Errorf("got %q", got)
	}
	if got := f.node(300003); got != "300003 签收成功" {
		t.Errorf("got %q", got)
	}
}
