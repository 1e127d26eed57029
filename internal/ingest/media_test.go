package ingest

import (
	"strings"
	"testing"

	"carrier/internal/problem"
)

func TestMediaTypes(t *testing.T) {
	const one, many = "/v1/events", "/v1/events/batch"
	event := good()
	cloud := `{"specversion":"1.0","id":"scan-0001","source":"/s","type":"t","data":` + event + `}`
	for _, tt := range []struct {
		name, path, contentType, encoding, body string
		status                                  int
		code                                    problem.Code
	}{
		{"JSON", one, "application/json", "", event, 202, ""},
		{"with charset", one, "application/json; charset=utf-8", "", event, 202, ""},
		{"with charset in capitals", one, "Application/JSON;charset=\"UTF-8\"", "", event, 202, ""},
		{"with another parameter", one, "application/json; version=1", "", event, 202, ""},
		{"identity", one, "application/json", "identity", event, 202, ""},
		{"CloudEvent", one, "application/cloudevents+json; charset=utf-8", "", cloud, 202, ""},
		{"array", many, "application/json", "", "[" + event + "]", 200, ""},
		{"NDJSON", many, "application/x-ndjson", "", event, 200, ""},
		{"CloudEvents", many, "application/cloudevents-batch+json", "", "[" + cloud + "]", 200, ""},

		{"none", one, "-", "", event, 415, problem.UnsupportedMediaType},
		{"empty", one, "", "", event, 415, problem.UnsupportedMediaType},
		{"form", one, "application/x-www-form-urlencoded", "", "id=1", 415, problem.UnsupportedMediaType},
		{"text", one, "text/plain", "", event, 415, problem.UnsupportedMediaType},
		{"XML", one, "application/xml", "", "<a/>", 415, problem.UnsupportedMediaType},
		{"any", one, "*/*", "", event, 415, problem.UnsupportedMediaType},
		{"unreadable", one, "application/json; charset", "", event, 415, problem.UnsupportedMediaType},
		{"two in one", one, "application/json, text/plain", "", event, 415, problem.UnsupportedMediaType},
		{"NDJSON as one", one, "application/x-ndjson", "", event, 415, problem.UnsupportedMediaType},
		{"CloudEvents as one", one, "application/cloudevents-batch+json", "", event, 415, problem.UnsupportedMediaType},
		{"CloudEvent as many", many, "application/cloudevents+json", "", cloud, 415, problem.UnsupportedMediaType},
		{"CloudEvent in XML", one, "application/cloudevents+xml", "", event, 415, problem.UnsupportedMediaType},
		{"text as many", many, "text/plain", "", event, 415, problem.UnsupportedMediaType},
		{"GBK", one, "application/json; charset=gbk", "", event, 415, problem.UnsupportedCharset},
		{"UTF-16", many, "application/json; charset=utf-16", "", event, 415, problem.UnsupportedCharset},
		{"gzip", one, "application/json", "gzip", event, 415, problem.UnsupportedEncoding},
		{"gzip as many", many, "application/x-ndjson", "gzip", event, 415, problem.UnsupportedEncoding},
		{"two codings", one, "application/json", "identity, br", event, 415, problem.UnsupportedEncoding},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			headers := []header{{"Content-Type", tt.contentType}}
			if tt.encoding != "" {
				headers = append(headers, header{"Content-Encoding", tt.encoding})
			}
			a := b.post(tt.path, tt.body, headers...)
			if a.Code != tt.status || a.str("code") != string(tt.code) {
				t.Fatalf("got %d %s, want %d %s\n%s", a.Code, a.str("code"), tt.status, tt.code, a.text)
			}
			if tt.status != 415 {
				if len(b.store.all()) != 1 {
					t.Errorf("stored %v", b.store.all())
				}
				return
			}
			if len(b.store.applied) != 0 || a.str("verdict") != "invalid" {
				t.Errorf("%d calls of Apply; %s", len(b.store.applied), a.text)
			}
		})
	}
}

func TestRefusedMediaTypeSaysWhatToSend(t *testing.T) {
	for path, want := range map[string]string{"/v1/events": "application/cloudevents+json", "/v1/events/batch": "application/x-ndjson"} {
		for _, language := range []string{"en", "zh"} {
			a := newBench(t).post(path, "x", header{"Content-Type", "text/plain"}, header{"Accept-Language", language})
			if !strings.Contains(a.str("detail"), want) {
				t.Errorf("%s %s: %q lacks %q", path, language, a.str("detail"), want)
			}
		}
	}
}
