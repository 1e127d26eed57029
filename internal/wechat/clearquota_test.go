package wechat

import (
	"slices"
	"testing"
)

func TestClearQuota(t *testing.T) {
	var calls []string
	answers := []string{}
	host := upstreamOf(t, func(path, query, body string) (int, string) {
		calls = append(calls, path+"?"+query+" "+body)
		answer := answers[0]
		answers = answers[1:]
		return 200, answer
	})
	const first, second = `/cgi-bin/clear_quota?access_token=A {"appid":"wx1"}`, `/cgi-bin/clear_quota?access_token=B {"appid":"wx1"}`
	tests := []struct {
		name    string
		answers []string
		calls   []string
		errcode int
		kind    string
	}{
		{name: "done", answers: []string{okText}, calls: []string{first}},
		{name: "the access_token was refused: nothing was done", answers: []string{`{"errcode":42001,"errmsg":"expired"}`, okText}, calls: []string{first, second}},
		{name: "used up", answers: []string{`{"errcode":48006,"errmsg":"limit"}`}, calls: []string{first}, errcode: 48006},
		{name: "busy: perhaps it was done", answers: []string{`{"errcode":-1,"errmsg":"busy"}`}, calls: []string{first}, errcode: -1},
		{name: "half an answer: perhaps it was done", answers: []string{`{"errco`}, calls: []string{first}, kind: KindNotJSON},
		{name: "no errcode", answers: []string{`{}`}, calls: []string{first}, kind: KindNoErrcode},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			calls, answers = nil, tt.answers
			err := NewCaller(&givenTokens{list: []string{"A", "B"}}, host, host).ClearQuota(t.Context(), "wx1")
			switch refused, _ := err.(*RefusedError); {
			case tt.kind != "":
				if e := wantCallError(t, err, "clearQuota"); e.Kind != tt.kind {
					t.Errorf("kind %s, want %s", e.Kind, tt.kind)
				}
			case tt.errcode != 0 && (refused == nil || refused.Errcode != tt.errcode), tt.errcode == 0 && err != nil:
				t.Errorf("%v, want errcode %d", err, tt.errcode)
			}
			if !slices.Equal(calls, tt.calls) {
				t.Errorf("called %q, want %q", calls, tt.calls)
			}
		})
	}
}

const okText = `{"errcode":0,"errmsg":"ok"}`
