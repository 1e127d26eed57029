package problem

import "testing"

func TestSprintf(t *testing.T) {
	tests := []struct {
		name, format string
		args         []any
		want         string
	}{
		{"one", "%d {1:push has|pushes have} failed", []any{1}, "1 push has failed"},
		{"none", "%d {1:push has|pushes have} failed", []any{0}, "0 pushes have failed"},
		{"many", "%d {1:push has|pushes have} failed", []any{int64(21)}, "21 pushes have failed"},
		{"written out", "%s {1:push|pushes}", []any{"1"}, "1 push"},
		{"written out, many", "%s {1:push|pushes}", []any{"1,001"}, "1,001 pushes"},
		{"of the second value", "%s: %d {2:push waits|pushes wait}", []any{"SF", uint64(1)}, "SF: 1 push waits"},
		{"two of them", "%d {1:event|events}, %d {2:order|orders}", []any{2, 1}, "2 events, 1 order"},
		{"by index", "of %[2]d {2:push|pushes}: %[1]s", []any{"x", 1}, "of 1 push: x"},
		{"a form may be empty", "%d row{1:|s}", []any{1}, "1 row"},
		{"no such value: many", "{3:push|pushes}", nil, "pushes"},
		{"braces that are none of this", `{"force":true} {1} {a|b} %d`, []any{1}, `{"force":true} {1} {a|b} 1`},
		{"values are not read", "%s", []any{"{1:a|b}"}, "{1:a|b}"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Sprintf(tt.format, tt.args...); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestTextfCountsInEnglish(t *testing.T) {
	want := Text{"1 push waits", "1 个推送等待"}
	if got := Textf("%d {1:push waits|pushes wait}", "%d 个推送等待", 1); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
