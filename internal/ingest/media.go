package ingest

import (
	"mime"
	"net/http"
	"strings"

	"carrier/internal/problem"
)

// format is how events are written in a body.
type format uint8

const (
	formatJSON            format = iota // One event, or an array of them.
	formatNDJSON                        // One event a line.
	formatCloudEvent                    // A CloudEvent in structured mode.
	formatCloudEventBatch               // An array of them.
	formatBinary                        // A CloudEvent in binary mode: the attributes are headers.
)

// media are the media types that a route takes.
type media struct {
	formats map[string]format
	binary  bool         // Whether ce- headers mean something.
	want    problem.Text // What to send instead.
}

var singleMedia = media{
	formats: map[string]format{
		"application/json":             formatJSON,
		"application/cloudevents+json": formatCloudEvent,
	},
	binary: true,
	want: problem.Text{
		En: "Send one event as application/json or application/cloudevents+json; for several at once use the batch address.",
		Zh: "单个事件请使用 application/json 或 application/cloudevents+json；多个事件请使用批量接口。",
	},
}

var batchMedia = media{
	formats: map[string]format{
		"application/json":                   formatJSON,
		"application/x-ndjson":               formatNDJSON,
		"application/cloudevents-batch+json": formatCloudEventBatch,
	},
	want: problem.Text{
		En: "Send an array of events as application/json, one event a line as application/x-ndjson, or CloudEvents as application/cloudevents-batch+json.",
		Zh: "请以 application/json 发送事件数组，或以 application/x-ndjson 每行一个事件，或以 application/cloudevents-batch+json 发送 CloudEvents。",
	},
}

// of tells in what format a request's body is.
func (m *media) of(h http.Header) (format, *problem.Problem) {
	if !identity(h) {
		return 0, problem.New(problem.UnsupportedEncoding).With("verdict", "invalid")
	}
	value, _ := single(h, "Content-Type")
	f, ok := m.formats[value] // The usual way of writing it needs no parsing.
	if !ok {
		var p *problem.Problem
		if f, p = m.parse(value); p != nil {
			return 0, p.With("verdict", "invalid")
		}
	}
	if f == formatJSON && m.binary && hasAttributes(h) {
		return formatBinary, nil
	}
	return f, nil
}

func (m *media) parse(value string) (format, *problem.Problem) {
	name, params, err := mime.ParseMediaType(value)
	f, ok := m.formats[name]
	if err != nil || !ok {
		return 0, problem.New(problem.UnsupportedMediaType).Say(m.want.En, m.want.Zh)
	}
	if charset, ok := params["charset"]; ok && !isUTF8(charset) {
		return 0, problem.New(problem.UnsupportedCharset)
	}
	return f, nil
}

func isUTF8(charset string) bool {
	return strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "utf8")
}

// identity tells whether the body is as it is, neither compressed nor otherwise encoded.
func identity(h http.Header) bool {
	for _, v := range h["Content-Encoding"] {
		if v != "" && !strings.EqualFold(v, "identity") {
			return false
		}
	}
	return true
}

// isJSONMedia tells whether a CloudEvent's datacontenttype is JSON.
func isJSONMedia(value string) bool {
	name, params, err := mime.ParseMediaType(value)
	if err != nil || name != "application/json" && !strings.HasSuffix(name, "+json") {
		return false
	}
	charset, ok := params["charset"]
	return !ok || isUTF8(charset)
}
