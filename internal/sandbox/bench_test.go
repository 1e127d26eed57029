//go:build unix

package sandbox

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// BenchmarkServer measures pushes through net/http over 256 kept connections on loopback. The client is a bare
// one; what it and the kernel cost is about what BenchmarkRaw shows.
func BenchmarkServer(b *testing.B) {
	s := New(Options{Seed: 1, Open: true, CountOnly: true})
	server := httptest.NewServer(s)
	defer server.Close()
	benchPushes(b, server.Listener.Addr().String(), testToken(b, s, "wx1"))
}

// benchPushes sends b.N pushes over 256 connections and reports the rate and the CPU time of client and server.
func benchPushes(b *testing.B, addr, token string) {
	const conns = 256
	var left atomic.Int64
	left.Store(int64(b.N))
	before := cpuTime(b)
	start := time.Now()
	b.ResetTimer()
	var wg sync.WaitGroup
	for i := range conns {
		wg.Go(func() { pushUntil(b, addr, token, fmt.Sprintf("W%d", i), &left) })
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "pushes/s")
	b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/push")
}

// pushUntil writes prepared bytes and reads an answer, until left is used up.
func pushUntil(b *testing.B, addr, token, waybill string, left *atomic.Int64) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Error(err)
		return
	}
	defer conn.Close()
	body := fmt.Sprintf(`{"token":"T","waybill_id":%q,"action_time":1533052800,"action_type":300002,"action_msg":"快件已到达 深圳转运中心 operator 0001"}`, waybill)
	request := fmt.Appendf(nil, "POST %s?access_token=%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		"/cgi-bin/express/delivery/path/update", token, len(body), body)
	in := bufio.NewReader(conn)
	for left.Add(-1) >= 0 {
		if _, err := conn.Write(request); err != nil {
			b.Error(err)
			return
		}
		if err := readOK(in); err != nil {
			b.Error(err)
			return
		}
	}
}

// readOK reads one answer, which must be success.
func readOK(in *bufio.Reader) error {
	length := -1
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) == 2 {
			break
		}
		if v, ok := strings.CutPrefix(string(line), "Content-Length: "); ok {
			fmt.Sscan(v, &length)
		}
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(in, body); err != nil || string(body) != string(okBody) {
		return fmt.Errorf("answer %q: %w", body, err)
	}
	return nil
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkHandler measures the handler without a network.
func BenchmarkHandler(b *testing.B) {
	for _, countOnly := range []bool{true, false} {
		b.Run(fmt.Sprintf("countOnly=%v", countOnly), func(b *testing.B) {
			s := New(Options{Seed: 1, Open: true, CountOnly: countOnly})
			url := "/cgi-bin/express/delivery/path/update?access_token=" + testToken(b, s, "wx1")
			body := `{"token":"T","waybill_id":"W","action_time":1533052800,"action_type":300002,"action_msg":"快件已到达 深圳转运中心 operator 0001"}`
			b.ReportAllocs()
			for b.Loop() {
				s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, url, strings.NewReader(body)))
			}
		})
	}
}

// BenchmarkRaw is the same with Raw: what is left of its CPU time is mostly the client's and the kernel's.
func BenchmarkRaw(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	raw := NewRaw(0)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := raw.Serve(ctx, ln); err != nil {
			b.Error(err)
		}
	})
	benchPushes(b, ln.Addr().String(), "T")
	cancel()
	wg.Wait()
	if got := raw.Pushes(); got != uint64(b.N) {
		b.Errorf("Pushes() = %d, want %d", got, b.N)
	}
}
