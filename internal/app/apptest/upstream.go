package apptest

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"carrier/internal/sandbox"
)

// Upstream is the sandbox on a real port.
type Upstream struct {
	*sandbox.Sandbox
	URL string
}

// NewUpstream starts one and stops it at the end of the test. Requests that hang by a fault end then too.
func NewUpstream(t testing.TB, o sandbox.Options) *Upstream {
	t.Helper()
	u := &Upstream{Sandbox: sandbox.New(o)}
	u.URL = Serve(t, u.Sandbox)
	return u
}

// Serve serves h on a free port of this machine until the end of the test, and returns its URL.
func Serve(t testing.TB, h http.Handler) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listening for an upstream: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = srv.Serve(l) })
	t.Cleanup(func() {
		cancel()
		_ = srv.Close()
		serving.Wait()
	})
	return "http://" + l.Addr().String()
}

// Faulty sets faults, and ends the test if they can't be.
func (u *Upstream) Faulty(t testing.TB, f sandbox.Faults) {
	t.Helper()
	if err := u.SetFaults(f); err != nil {
		t.Fatalf("setting faults: %v", err)
	}
}

// All are all arrivals, in order.
func (u *Upstream) All() []sandbox.Arrival {
	var all []sandbox.Arrival
	for since := uint64(0); ; {
		page := u.Arrivals(since, 10_000)
		if len(page.Arrivals) == 0 {
			return all
		}
		all, since = append(all, page.Arrivals...), page.Next
	}
}
