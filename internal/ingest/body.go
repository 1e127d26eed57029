package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"unicode/utf8"

	"carrier/internal/problem"
)

// maxFirstBuffer bounds what is allocated for a body before anything of it has come, in bytes.
const maxFirstBuffer = 64 << 10

// readBody reads the body of r behind buf[:0] and returns it, or a larger one, also with a problem.
func readBody(buf []byte, w http.ResponseWriter, r *http.Request, limit int64) ([]byte, *problem.Problem) {
	if r.ContentLength > limit {
		return buf, tooLarge(limit)
	}
	body := http.MaxBytesReader(w, r.Body, limit)
	// One byte more than announced, so that the end is seen without growing; but not at once all that a stranger
	// announces, who may then send nothing.
	if want := min(max(r.ContentLength+1, bytes.MinRead), maxFirstBuffer); int64(cap(buf)) < want {
		buf = make([]byte, 0, want)
	}
	buf = buf[:0]
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := body.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case err == io.EOF:
			return buf, nil
		case err != nil:
			return buf, unread(err, limit)
		}
	}
}

func unread(err error, limit int64) *problem.Problem {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge(limit)
	}
	code := problem.UnreadableBody
	if errors.Is(err, os.ErrDeadlineExceeded) {
		code = problem.BodyTimeout
	}
	return problem.New(code).With("verdict", "invalid").Because(err)
}

func tooLarge(limit int64) *problem.Problem {
	return problem.New(problem.BodyTooLarge).Sayf(
		"The body is larger than the %d bytes that this service takes. Send fewer events at a time.",
		"请求体超过本服务的上限 %d 字节。请减少每次发送的事件数量。", limit).
		With("verdict", "invalid").With("max_bytes", limit)
}

var byteOrderMark = []byte("\xef\xbb\xbf")

// readable checks that text is one JSON value in UTF-8 (RFC 8259, sections 2 and 8.1).
func readable(text []byte) *problem.Problem {
	switch {
	case !utf8.Valid(text):
		return notUTF8(text)
	case bytes.HasPrefix(text, byteOrderMark):
		return malformed(0,
			"The text begins with a byte order mark (EF BB BF), which JSON must not have. Save it as UTF-8 without BOM.",
			"文本以字节顺序标记（EF BB BF）开头，JSON 不允许。请保存为不带 BOM 的 UTF-8。")
	case json.Valid(text):
		return nil
	}
	return notJSON(text)
}

func notUTF8(text []byte) *problem.Problem {
	at := 0
	for {
		r, n := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && n <= 1 {
			break
		}
		at += n
	}
	return problem.New(problem.NotUTF8).Sayf(
		"The text is not valid UTF-8 at byte %d. Encode it as UTF-8 and send it again.",
		"文本在第 %d 字节处不是合法的 UTF-8。请以 UTF-8 编码后重新发送。", at).
		With("verdict", "invalid").With("offset", at)
}

// notJSON finds out where text stops being JSON. encoding/json's own words are not repeated: they are English, and
// quote the text.
func notJSON(text []byte) *problem.Problem {
	if len(bytes.TrimSpace(text)) == 0 {
		return malformed(0, "The body is empty. Send the event as a JSON object.", "请求体为空。请以 JSON 对象发送事件。")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	var first json.RawMessage
	err := d.Decode(&first)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return malformed(len(text), "The JSON ends too early: it was cut off, or a bracket or quote is missing.",
			"JSON 提前结束：内容被截断，或缺少括号、引号。")
	}
	at := int(d.InputOffset()) // Without an error the first value is well, and more follows.
	if err, ok := errors.AsType[*json.SyntaxError](err); ok {
		at = int(err.Offset) - 1 // It counts the offending byte too.
	}
	p := malformed(at, "", "")
	return p.Sayf("The text stops being one JSON value at byte %d (counted from 0). Look at what stands there and before it.",
		"文本在第 %d 字节处（从 0 计）不再是一个合法的 JSON 值。请检查该处及其之前的内容。", at)
}

func malformed(at int, en, zh string) *problem.Problem {
	return problem.New(problem.MalformedJSON).Say(en, zh).With("verdict", "invalid").With("offset", at)
}
