package bench

import (
	"context"
	"fmt"
	"net"
	"time"

	"carrier/internal/sandbox"
)

// upstream is what is pushed to.
type upstream struct {
	*sandbox.Raw
	addr string
	end  context.CancelFunc
	done chan error
}

// startUpstream listens on addr. watch is shown each push as it arrives; it may be nil.
func startUpstream(ctx context.Context, addr string, latency time.Duration, watch func(body []byte)) (*upstream, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listening as the upstream: %w", err)
	}
	ctx, end := context.WithCancel(ctx)
	u := &upstream{Raw: sandbox.NewRaw(latency), addr: ln.Addr().String(), end: end, done: make(chan error, 1)}
	u.Watch = watch
	go func() { u.done <- u.Serve(ctx, ln) }()
	return u, nil
}

func (u *upstream) url() string { return "http://" + u.addr }

// stop closes it and all its connections.
func (u *upstream) stop() error {
	u.end()
	return <-u.done
}
