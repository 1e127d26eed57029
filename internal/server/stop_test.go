package server

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// serving is a Server with both listeners up.
type serving struct {
	*Server
	stop          context.CancelFunc
	events, admin chan error // what the two Serve calls returned
}

func serveRig(t *testing.T, r *rig, grace time.Duration) *serving {
	t.Helper()
	s, err := Listen(t.Context(), r.o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	up := &serving{Server: s, stop: cancel, events: make(chan error, 1), admin: make(chan error, 1)}
	go func() { up.events <- s.ServeEvents(ctx, grace) }()
	go func() { up.admin <- s.ServeAdmin(ctx, grace) }()
	t.Cleanup(cancel)
	return up
}

// post sends an event, and its status when it is answered; 0 if it never was.
func post(url string) chan int {
	status := make(chan int, 1)
	go func() {
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Post(url, "application/json", strings.NewReader("{}"))
		if err != nil {
			status <- 0
			return
		}
		defer func() { _ = resp.Body.Close() }()
		if _, err := io.ReadAll(resp.Body); err != nil {
			status <- 0
			return
		}
		status <- resp.StatusCode
	}()
	return status
}

// TestStopWaitsForRequests: an event that has come in is answered, new ones are refused.
func TestStopWaitsForRequests(t *testing.T) {
	r := newRig(t)
	r.events.entered, r.events.blocks = make(chan struct{}), make(chan struct{})
	s := serveRig(t, r, time.Minute)
	status := post("http://" + s.Addr() + "/v1/events")
	<-r.events.entered
	s.stop()
	if err := <-s.admin; err != nil {
		t.Errorf("the admin listener, on which nothing is under way: %v", err)
	}
	refusesConnections(t, s.Addr())
	select {
	case err := <-s.events:
		t.Errorf("it ended (%v) with a request under way", err)
	default:
	}
	close(r.events.blocks)
	if err := <-s.events; err != nil {
		t.Error(err)
	}
	if got := <-status; got != http.StatusAccepted {
		t.Errorf("the request under way got %d", got)
	}
}

// refusesConnections waits until nobody listens any more.
func refusesConnections(t *testing.T, addr string) {
	t.Helper()
	for {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		_ = c.Close()
		if t.Context().Err() != nil {
			t.Fatal("it goes on listening")
		}
	}
}

// TestStopCutsOffWhatDoesNotEnd: neither a request that hangs nor a connection that says nothing makes a stop fail.
func TestStopCutsOffWhatDoesNotEnd(t *testing.T) {
	r := newRig(t)
	r.events.entered, r.events.blocks = make(chan struct{}), make(chan struct{})
	s := serveRig(t, r, 50*time.Millisecond)
	silent, err := net.Dial("tcp", s.AdminAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	status := post("http://" + s.Addr() + "/v1/events")
	<-r.events.entered
	s.stop()
	for name, ended := range map[string]chan error{"events": s.events, "admin": s.admin} {
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := <-status; got != 0 {
		t.Errorf("the request that hung got %d", got)
	}
	close(r.events.blocks)
}

func TestTakenPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for _, key := range []string{"server.listen", "server.admin_listen"} {
		r := newRig(t)
		if key == "server.listen" {
			r.o.Listen = l.Addr().String()
		} else {
			r.o.AdminListen = l.Addr().String()
		}
		if _, err := Listen(t.Context(), r.o); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: got %v", key, err)
		}
	}
}

// TestListenerThatFails ends the serving with an error that names it.
func TestListenerThatFails(t *testing.T) {
	s, err := Listen(t.Context(), newRig(t).o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.ServeEvents(t.Context(), time.Second); err == nil || !strings.Contains(err.Error(), s.Addr()) {
		t.Errorf("got %v", err)
	}
}
