package ingest

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestTakeBatch(t *testing.T) {
	lines := headers{"content-type": {"application/x-ndjson"}}
	clouds := headers{"CONTENT-TYPE": {"application/cloudevents-batch+json"}}
	for _, tt := range []struct {
		name   string
		header headers
		body   string
		want   string // The verdicts, or the problem's code.
	}{
		{"array without a type", nil, "[" + good() + ",7]", "accepted invalid"},
		{"array", headers{"content-type": {"application/json"}}, "[" + good() + "]", "accepted"},
		{"empty array", nil, "[]", ""},
		{"lines", lines, good() + "\n\n{\n" + noID(), "accepted invalid invalid"},
		{"CloudEvents", clouds, "[" + envelopeOf() + "," + good() + "]", "accepted invalid"},
		{"one event", nil, good(), "invalid_event"},
		{"not JSON", nil, "[" + good(), "malformed_json"},
		{"too many", lines, strings.Repeat("0\n", MaxBatch+1), "batch_too_large"},
		{"one CloudEvent", headers{"content-type": {"application/cloudevents+json"}}, envelopeOf(), "unsupported_media_type"},
		{"compressed", headers{"content-encoding": {"gzip"}}, "[]", "unsupported_encoding"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			answer, p := b.hook.TakeBatch(t.Context(), message(tt.body, tt.header))
			if p != nil {
				if string(p.Code) != tt.want || answer != nil || b.observed["courier-app invalid"] != 1 {
					t.Errorf("got %v beside %s, observed %v; want %s", p, answer, b.observed, tt.want)
				}
				return
			}
			var doc struct {
				Results []struct{ Verdict string }
			}
			if err := json.Unmarshal(answer, &doc); err != nil {
				t.Fatalf("%v: %s", err, answer)
			}
			var got []string
			for _, r := range doc.Results {
				got = append(got, r.Verdict)
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestTakeBatchInChinese(t *testing.T) {
	answer, p := newBench(t).hook.TakeBatch(t.Context(), message("[7]", headers{"ACCEPT-language": {"zh-CN"}}))
	if p != nil || !strings.Contains(string(answer), "事件无效") {
		t.Errorf("got %s, %v", answer, p)
	}
}
