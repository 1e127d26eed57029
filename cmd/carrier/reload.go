package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"carrier/internal/app"
)

// reloads are the requests to read the configuration again: SIGHUP, as kill -HUP and systemctl reload send it. One that
// comes before the service is up waits until it is. Windows has no such signal, so none ever comes there.
func reloads() (requests chan os.Signal, stop func()) {
	requests = make(chan os.Signal, 1) // One that waits stands for all that come meanwhile.
	signal.Notify(requests, syscall.SIGHUP)
	return requests, func() { signal.Stop(requests) }
}

// reloadOn has a service reload whenever that is asked for, until ctx ends. wait waits for the end of it. What comes of a
// reload is in the service's own log.
func reloadOn(ctx context.Context, requests <-chan os.Signal, a *app.App) (wait func()) {
	var work sync.WaitGroup
	work.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-requests:
				_ = a.Reload(ctx)
			}
		}
	})
	return work.Wait
}
