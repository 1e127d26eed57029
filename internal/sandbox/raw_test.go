package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// serveRaw starts a Raw on loopback and returns it with its address.
func serveRaw(t *testing.T, latency time.Duration) (*Raw, string, context.CancelFunc) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	raw := NewRaw(latency)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := raw.Serve(ctx, ln); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return raw, ln.Addr().String(), cancel
}

func TestRaw(t *testing.T) {
	raw, addr, _ := serveRaw(t, time.Millisecond)
	transport := &http.Transport{MaxIdleConnsPerHost: 8}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for n := range 25 {
				body := bodyOf("W", strings.Repeat("T", n*1000), n)
				resp, err := client.Post("http://"+addr+updateURL+"?access_token=x", "application/json", strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != 200 || !bytes.Equal(got, okBody) {
					t.Errorf("answer %d %q, %v", resp.StatusCode, got, err)
				}
			}
		})
	}
	wg.Wait()
	if got := raw.Pushes(); got != 200 {
		t.Errorf("Pushes() = %d, want 200", got)
	}
	for _, path := range []string{"/cgi-bin/token?grant_type=client_credential", "/cgi-bin/stable_token"} {
		resp, err := client.Get("http://" + addr + path)
		if err != nil {
			t.Fatal(err)
		}
		var got reply
		err = json.NewDecoder(resp.Body).Decode(&got)
		resp.Body.Close()
		if err != nil || !wellFormed(got.AccessToken) || got.ExpiresIn != 7200 {
			t.Errorf("%s: %+v, %v", path, got, err)
		}
	}
	resp, err := client.Post("http://"+addr+"/cgi-bin/openapi/quota/get", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	var q quotaAnswer
	err = json.NewDecoder(resp.Body).Decode(&q)
	resp.Body.Close()
	if err != nil || q.Errcode != 0 || q.Quota.DailyLimit == 0 || q.Quota.Remain != q.Quota.DailyLimit {
		t.Errorf("the quota is %+v, %v", q, err)
	}
	if got := raw.Pushes(); got != 200 {
		t.Errorf("Pushes() = %d after other calls, want 200", got)
	}
}

func TestRawConnections(t *testing.T) {
	_, addr, _ := serveRaw(t, 0)
	tests := []struct {
		name, request string
		answers       int
	}{
		{"two in one packet", "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}POST / HTTP/1.1\r\ncontent-length:0\r\nConnection: close\r\n\r\n", 2},
		{"closed on request", "POST / HTTP/1.1\r\nConnection: close\r\n\r\nPOST / HTTP/1.1\r\n\r\n", 1},
		{"chunked", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0},
		{"an old protocol", "POST / HTTP/1.0\r\n\r\n", 0},
		{"no length", "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 0},
		{"a negative length", "POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", 0},
		{"a line without end", "POST /" + strings.Repeat("x", 16<<10) + " HTTP/1.1\r\n\r\n", 0},
		{"noise", "\x16\x03\x01\r\n\r\n", 0},
		{"cut off in the body", "POST / HTTP/1.1\r\nContent-Length: 20\r\n\r\n{}", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(conn, tt.request)
			_ = conn.(*net.TCPConn).CloseWrite() // It may have been closed already.
			got, _ := io.ReadAll(conn)           // It may be reset after what could not be read.
			if n := bytes.Count(got, okBody); n != tt.answers || n == 0 && len(got) != 0 {
				t.Errorf("%d answers in %q, want %d", n, got, tt.answers)
			}
		})
	}
}

func TestRawStops(t *testing.T) {
	_, addr, cancel := serveRaw(t, time.Hour)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
	cancel()
	if _, err := bufio.NewReader(conn).ReadByte(); err == nil {
		t.Error("an answer after the end")
	}
}

func TestRawListenerFails(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if err := NewRaw(0).Serve(t.Context(), ln); err == nil || !strings.Contains(err.Error(), ln.Addr().String()) {
		t.Errorf("Serve on a closed listener: %v, want an error that names it", err)
	}
}
