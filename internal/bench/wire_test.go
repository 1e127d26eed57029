package bench

import (
	"bufio"
	"strings"
	"testing"
)

func TestWireRead(t *testing.T) {
	tests := []struct {
		name, text string
		status     int
		body       string
		wantErr    bool
	}{
		{"length", "HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\nDate: x\r\n\r\nhello", 202, "hello", false},
		{"no body", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", false},
		{"chunks", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", 200, "hello!", false},
		{"cut off", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", 200, "", true},
		{"cut off in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", 200, "", true},
		{"bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 200, "", true},
		{"bad length", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", 200, "", true},
		{"no HTTP", "SSH-2.0\r\n", 0, "", true},
		{"nothing", "", 0, "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := &wire{in: bufio.NewReader(strings.NewReader(tt.text))}
			status, body, err := w.read()
			if (err != nil) != tt.wantErr {
				t.Fatalf("got error %v, want one: %v", err, tt.wantErr)
			}
			if err == nil && (status != tt.status || string(body) != tt.body) {
				t.Errorf("got %d %q, want %d %q", status, body, tt.status, tt.body)
			}
		})
	}
}
