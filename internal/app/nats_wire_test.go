package app_test

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// wire is a TCP proxy in front of a server, that can go dead: nothing passes, and nothing is closed.
type wire struct {
	addr string

	mu    sync.Mutex
	alive chan struct{} // Closed while bytes pass.
}

// newWire starts one; it ends with the test.
func newWire(t *testing.T, to string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{addr: l.Addr().String(), alive: make(chan struct{})}
	close(w.alive)
	var accepting, passing sync.WaitGroup
	var open []net.Conn // The accepting goroutine's, and the clean-up's after it.
	accepting.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			open = append(open, near, far)
			passing.Go(func() { w.pass(near, far) })
			passing.Go(func() { w.pass(far, near) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		accepting.Wait()
		w.heal()
		for _, c := range open {
			_ = c.Close()
		}
		passing.Wait()
	})
	return w
}

func (w *wire) pass(from, to net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		w.mu.Lock()
		alive := w.alive
		w.mu.Unlock()
		<-alive
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	_ = from.Close()
	_ = to.Close()
}

func (w *wire) die() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.alive = make(chan struct{})
}

func (w *wire) heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.alive:
	default:
		close(w.alive)
	}
}

// TestNATSWireDead cuts the service off without closing anything, as a firewall does: it notices, goes on without, and
// is back soon after the wire is.
func TestNATSWireDead(t *testing.T) {
	r := prepareNATS(t, withCallback, nil)
	w := newWire(t, strings.TrimPrefix(r.srv.URL(), "nats://"))
	r.settings.NATS = fmt.Sprintf("{url: %q}", "nats://"+w.addr)
	r.start()
	first := fleet("FIRST", 20, 100001, 200001)
	r.publishEvents("sorter-7", first...)
	r.drained()

	w.die()
	began := time.Now()
	during := fleet("DURING", 20, 100001, 200001)
	sendAll(t, r.s, during)
	missed := fleet("MISSED", 20, 100001, 200001)
	r.publishEvents("sorter-7", missed...)
	pushOrder(t, r.s, "SF", orderMessage("add_waybill", "1", "W1", "T"), -1)
	r.eventually(func() bool { return len(r.up.Nodes(during[len(during)-1].WaybillID).Nodes) == 2 }, "pushes go on")
	r.degraded("nats")
	t.Logf("/readyz told of the dead wire after %v", time.Since(began))
	if status, body := get(t, r.s.Admin+"/readyz"); status != http.StatusOK {
		t.Errorf("/readyz says %d %s", status, body)
	}

	w.heal()
	began = time.Now()
	r.eventually(func() bool { return len(r.up.Nodes(missed[len(missed)-1].WaybillID).Nodes) == 2 }, "intake goes on")
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("intake went on after %v, want 30 s at most", took)
	}
	r.ready()
	r.drained()
	r.s.Settled(t, later)
	all := slices.Concat(first, during, missed)
	arrivedInOrder(t, r.up, all)
	r.outcomes(len(all))
}
