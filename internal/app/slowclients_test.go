package app_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// slow is how many clients of each kind TestSlowClients has; a release is tested with more.
var slow = flag.Int("slow", 50, "how many clients of each kind TestSlowClients has")

// TestSlowClients fills both listeners with clients that send next to nothing, or never end, while a good one goes on
// sending. They are all shown out by time-outs and limits, and nothing of them is left over. Run it with -slow 500 for a
// release.
func TestSlowClients(t *testing.T) {
	up := apptest.NewUpstream(t, sandbox.Options{Open: true})
	settings := apptest.NewSettings(t, sf(up))
	s := start(t, settings)
	before := openFiles(t)
	host := strings.TrimPrefix(s.Events, "http://")

	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	t.Cleanup(clients.Wait)
	t.Cleanup(cancel)
	head := "POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + settings.Key + "\r\nContent-Type: application/json\r\n"
	kinds := []struct {
		name, target, begin string
		drip                string // Sent again and again until the service has enough.
		every               time.Duration
		ends                []string // What it may say before it hangs up; "" is nothing.
	}{
		{"half a request line", host, "POST /v1/ev", "", 0, []string{"", "HTTP/1.1 408", "HTTP/1.1 400"}},
		{"headers by drops", host, "POST /v1/events HTTP/1.1\r\nHost: x\r\n", "X-A: b\r\n", 200 * time.Millisecond, []string{"", "HTTP/1.1 408", "HTTP/1.1 400"}},
		{"headers by drops, to the admin", strings.TrimPrefix(s.Admin, "http://"), "GET / HTTP/1.1\r\nHost: x\r\n", "X-A: b\r\n", 200 * time.Millisecond, []string{"", "HTTP/1.1 408", "HTTP/1.1 400"}},
		{"headers without end", host, "POST /v1/events HTTP/1.1\r\nHost: x\r\n", strings.Repeat("X-A: "+strings.Repeat("b", 1000)+"\r\n", 8), 0, []string{"", "HTTP/1.1 431"}},
		{"a body without end", host, head + "Transfer-Encoding: chunked\r\n\r\n",
			"4000\r\n" + strings.Repeat(" ", 0x4000) + "\r\n", 0, []string{"HTTP/1.1 413", ""}},
	}
	var shown [5]atomic.Int64
	for k, kind := range kinds {
		for range *slow {
			clients.Go(func() {
				got, err := dribble(ctx, kind.target, kind.begin, kind.drip, kind.every)
				if err != nil {
					return // The test is over.
				}
				for _, end := range kind.ends {
					if end == "" && got == "" || end != "" && strings.HasPrefix(got, end) {
						shown[k].Add(1)
						return
					}
				}
				t.Errorf("%s: the service says %.60q before it hangs up", kind.name, got)
			})
		}
	}
	idle := keepAlives(t, s, 4**slow)

	var sent []apptest.Event
	done := func() bool {
		for k := range kinds {
			if shown[k].Load() < int64(*slow) {
				return false
			}
		}
		return true
	}
	for n := 0; !done() || n < 50; n++ { // A good client goes on meanwhile.
		e := scan(fmt.Sprintf("GOOD%04d", n), 1, 100001)
		s.Accept(t, e)
		sent = append(sent, e)
	}
	s.Settled(t, soon)
	arrivedInOrder(t, up, sent)
	t.Logf("a good client sent %d events while %d bad ones were shown out", len(sent), len(kinds)**slow)
	for _, c := range idle {
		_ = c.Close()
	}
	s.HTTP.CloseIdleConnections()
	apptest.Eventually(t, soon, func() bool { return openFiles(t) <= before+150 }, func() string {
		return fmt.Sprintf("the open files, %d at first, are not many more in the end: %d", before, openFiles(t))
	})
}

// dribble sends begin and then drip after drip until the other side hangs up, and returns what it said before that. An
// error says that ctx ended first.
func dribble(ctx context.Context, host, begin, drip string, every time.Duration) (said string, err error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", host)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	heard := make(chan string, 1)
	go func() {
		answer, _ := io.ReadAll(io.LimitReader(conn, 64<<10))
		heard <- string(answer)
	}()
	_, failed := io.WriteString(conn, begin)
	for failed == nil && drip != "" {
		_, failed = io.WriteString(conn, drip)
		if every > 0 {
			select {
			case said = <-heard:
				return said, context.Cause(ctx)
			case <-time.After(every):
			}
		}
	}
	return <-heard, context.Cause(ctx)
}

// keepAlives opens connections, makes one request on each, and leaves them open.
func keepAlives(t *testing.T, s *service, n int) (conns []net.Conn) {
	t.Helper()
	for range n {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.Admin, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_, err = io.WriteString(conn, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
		resp, readErr := http.ReadResponse(bufio.NewReader(conn), nil)
		if err = errors.Join(err, readErr); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("a connection that is to stay open: %v, %v", resp, err)
		}
		_ = resp.Body.Close()
		conns = append(conns, conn)
	}
	return conns
}
