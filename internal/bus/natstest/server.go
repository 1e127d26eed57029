// Package natstest runs real NATS servers inside tests: one that can be stopped and come back with what it kept, and
// clusters of three.
package natstest

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// startWithin is how long a server may take to answer: machines of tests are slow at times.
const startWithin = 30 * time.Second

// Server is one NATS server with JetStream, on a port of its own that it keeps when it comes back. Its methods end the
// test when they fail; they may be called by one goroutine at a time.
type Server struct {
	t    testing.TB
	opts server.Options

	mu  sync.Mutex
	now *server.Server // nil while it is down.
}

// Start starts a server that syncs every write to disk, and stops it at the end of the test. edit may change its
// options; nil changes none.
func Start(t testing.TB, edit func(*server.Options)) *Server {
	t.Helper()
	s := &Server{t: t, opts: server.Options{
		Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), SyncAlways: true, NoSigs: true, NoLog: true,
	}}
	if edit != nil {
		edit(&s.opts)
	}
	s.Up()
	t.Cleanup(s.Down)
	return s
}

// URL is where clients connect to.
func (s *Server) URL() string {
	return "nats://" + net.JoinHostPort(s.opts.Host, strconv.Itoa(s.opts.Port))
}

// Up starts the server if it is down, with what it kept.
func (s *Server) Up() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now != nil {
		return
	}
	opts := s.opts
	now, err := server.NewServer(&opts)
	if err != nil {
		s.t.Fatalf("natstest: %v", err)
	}
	now.Start()
	if !now.ReadyForConnections(startWithin) {
		s.t.Fatalf("natstest: the server takes no connections within %s", startWithin)
	}
	s.now = now
	s.opts.Port = now.Addr().(*net.TCPAddr).Port
}

// Down stops the server: its connections break, what it kept stays.
func (s *Server) Down() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil {
		return
	}
	s.now.Shutdown()
	s.now.WaitForShutdown()
	s.now = nil
}

// Restart is Down and Up.
func (s *Server) Restart() {
	s.t.Helper()
	s.Down()
	s.Up()
}

// Connect connects a client, which is closed at the end of the test. It waits for a server that is down.
func (s *Server) Connect(options ...nats.Option) *nats.Conn {
	s.t.Helper()
	return connect(s.t, s.URL(), options)
}

func connect(t testing.TB, urls string, options []nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(urls, append([]nats.Option{
		nats.MaxReconnects(-1), nats.ReconnectWait(50 * time.Millisecond), nats.RetryOnFailedConnect(true),
	}, options...)...)
	if err != nil {
		t.Fatalf("natstest: %v", err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// Cluster is three servers that keep each stream together.
type Cluster struct {
	t       testing.TB
	Members []*Server
}

// StartCluster starts a cluster and waits until its leader can place streams on all three.
func StartCluster(t testing.TB) *Cluster {
	t.Helper()
	const size = 3
	ports := freePorts(t, size)
	var routes []*url.URL
	for _, port := range ports {
		routes = append(routes, &url.URL{Scheme: "nats", Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))})
	}
	c := &Cluster{t: t}
	for i := range size {
		s := &Server{t: t, opts: server.Options{
			Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
			ServerName: fmt.Sprintf("n%d", i+1), Routes: routes,
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: ports[i]},
		}}
		c.Members = append(c.Members, s)
	}
	var up sync.WaitGroup
	for _, s := range c.Members {
		up.Go(s.Up)
		t.Cleanup(s.Down)
	}
	up.Wait()
	c.wait("a leader that knows all servers", func() bool {
		return c.member(func(s *server.Server) bool { return s.JetStreamIsLeader() && len(s.JetStreamClusterPeers()) == size }) != nil
	})
	return c
}

// URLs are where clients connect to, as one string.
func (c *Cluster) URLs() string {
	var urls string
	for i, s := range c.Members {
		if i > 0 {
			urls += ","
		}
		urls += s.URL()
	}
	return urls
}

// Connect connects a client, which is closed at the end of the test.
func (c *Cluster) Connect(options ...nats.Option) *nats.Conn {
	c.t.Helper()
	return connect(c.t, c.URLs(), options)
}

// CreateStream makes a stream, and waits for its leader. A cluster refuses to place one, or does not answer in time, for as
// long as its members have not told each other how much room they have; so it is asked again until it does.
func (c *Cluster) CreateStream(js jetstream.JetStream, config jetstream.StreamConfig) {
	c.t.Helper()
	var err error
	for deadline := time.Now().Add(startWithin); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if _, err = js.CreateStream(c.t.Context(), config); err == nil {
			c.StreamLeader(config.Name)
			return
		}
	}
	c.t.Fatalf("natstest: the cluster has not made stream %s within %s: %v", config.Name, startWithin, err)
}

// StreamLeader is the member that leads a stream of the default account.
func (c *Cluster) StreamLeader(stream string) *Server {
	c.t.Helper()
	var leader *Server
	c.wait("a leader of "+stream, func() bool {
		leader = c.member(func(s *server.Server) bool { return s.JetStreamIsStreamLeader(server.DEFAULT_GLOBAL_ACCOUNT, stream) })
		return leader != nil
	})
	return leader
}

func (c *Cluster) member(is func(*server.Server) bool) *Server {
	for _, s := range c.Members {
		s.mu.Lock()
		now := s.now
		s.mu.Unlock()
		if now != nil && is(now) {
			return s
		}
	}
	return nil
}

func (c *Cluster) wait(what string, done func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(startWithin); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("natstest: the cluster has not got %s within %s", what, startWithin)
		}
	}
}

// freePorts are ports that nobody listened on a moment ago.
func freePorts(t testing.TB, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		var lc net.ListenConfig
		l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatalf("natstest: %v", err)
		}
		defer func() { _ = l.Close() }()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}
