package doctor_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"carrier/internal/bus"
	"carrier/internal/bus/natstest"
	"carrier/internal/doctor"
)

// monitoredServer is a server with a monitoring endpoint.
func monitoredServer(t *testing.T, syncAlways bool) (s *natstest.Server, monitor string) {
	t.Helper()
	port := freePort(t)
	s = natstest.Start(t, func(o *server.Options) {
		o.SyncAlways = syncAlways
		o.HTTPHost, o.HTTPPort = "127.0.0.1", port
	})
	return s, fmt.Sprintf("http://127.0.0.1:%d", port)
}

// freePort is one that nobody listened on a moment ago.
func freePort(t *testing.T) int {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

func jetStream(t *testing.T, s *natstest.Server) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(s.Connect())
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func TestNATSSync(t *testing.T) {
	always, alwaysAt := monitoredServer(t, true)
	lazy, lazyAt := monitoredServer(t, false)
	junk := "http://" + listening(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) })
	untold := "warn nats.sync nats://...could not be told: ...sync_interval: always...--nats-monitor"
	for _, tt := range []struct {
		name     string
		server   *natstest.Server
		monitors []string
		want     []string
	}{
		{"always", always, []string{alwaysAt}, []string{"ok nats.sync " + alwaysAt + ": ...syncs what it acknowledges"}},
		{"with a slash", always, []string{alwaysAt + "/"}, []string{"ok nats.sync " + alwaysAt}},
		{"not always", lazy, []string{lazyAt}, []string{"warn nats.sync " + lazyAt + ": ...syncs every 2m0s only: a power failure loses ...set sync_interval: always"}},
		{"no monitor", always, nil, []string{untold}},
		{"another server's", lazy, []string{alwaysAt}, []string{"warn nats.sync " + alwaysAt + ": is the server ...give --nats-monitor the address of ", untold}},
		{"several", lazy, []string{alwaysAt, lazyAt}, []string{"warn nats.sync " + alwaysAt, "warn nats.sync " + lazyAt}},
		{"nobody there", always, []string{"http://127.0.0.1:1"}, []string{"warn nats.sync http://127.0.0.1:1: no NATS server's monitoring: dial tcp", untold}},
		{"something else", always, []string{junk}, []string{"warn nats.sync " + junk + ": no NATS server's monitoring: the answer is not", untold}},
		{"no address", always, []string{"127.0.0.1:8222"}, []string{"warn nats.sync 127.0.0.1:8222: no NATS server's monitoring: ", untold}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := configured(t, "nats: {url: \""+tt.server.URL()+"\"}\n")
			wantLines(t, examine(t, doctor.Options{Config: c, Monitors: tt.monitors}, "nats.sync"), tt.want)
		})
	}
}

// TestNATSEmbedded: the embedded server's settings are our own, so that nothing need be asked.
func TestNATSEmbedded(t *testing.T) {
	s := natstest.Start(t, nil)
	yaml := "nats: {url: embedded, embedded: {listen: \"" + strings.TrimPrefix(s.URL(), "nats://") + "\"}}\n"
	wantLines(t, examine(t, doctor.Options{Config: configured(t, yaml)}, "nats.sync"), []string{"ok nats.sync nats://...the embedded server always syncs"})
	s.Down()
	wantLines(t, examine(t, doctor.Options{Config: configured(t, yaml)}, "nats"), []string{"warn nats ...the embedded server does not answer...carrier serve"})
}

// TestNATSCluster: three servers that keep the stream make up for what one of them has not on disk.
func TestNATSCluster(t *testing.T) {
	cluster := natstest.StartCluster(t)
	c := configured(t, "nats: {url: \""+cluster.URLs()+"\", replicas: 3}\n")
	js, err := jetstream.New(cluster.Connect())
	if err != nil {
		t.Fatal(err)
	}
	cluster.CreateStream(js, jetstream.StreamConfig{Name: "CARRIER_EVENTS", Subjects: []string{"carrier.events.*"}, Replicas: 3})
	wantLines(t, examine(t, doctor.Options{Config: c}, "nats.sync"), []string{"ok nats.sync nats://...CARRIER_EVENTS is kept by 3 servers"})
}

func TestNATSStreams(t *testing.T) {
	s := natstest.Start(t, nil)
	js := jetStream(t, s)
	c := configured(t, "nats: {url: \""+s.URL()+"\"}\n")
	wantLines(t, examine(t, doctor.Options{Config: c}, "nats.streams"), []string{
		"warn nats.streams stream CARRIER_EVENTS: is missing; ...carrier nats apply",
		"warn nats.streams consumer carrier-ingest: is missing; ",
		"warn nats.streams stream CARRIER_OUTCOMES: is missing; ",
	})
	o := bus.Options{URL: s.URL()}
	if left, err := bus.Apply(t.Context(), js, o); err != nil || len(left) > 0 {
		t.Fatalf("%v, %v", left, err)
	}
	wantLines(t, examine(t, doctor.Options{Config: c}, "nats.streams"), []string{"ok nats.streams nats://...as wanted"})

	if err := js.DeleteConsumer(t.Context(), "CARRIER_EVENTS", "carrier-ingest"); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateConsumer(t.Context(), "CARRIER_EVENTS", jetstream.ConsumerConfig{
		Durable: "carrier-ingest", AckPolicy: jetstream.AckExplicitPolicy, HeadersOnly: true, MaxDeliver: 3, MaxAckPending: 4096, FilterSubject: "carrier.events.*",
	}); err != nil {
		t.Fatal(err)
	}
	wantLines(t, examine(t, doctor.Options{Config: c}, "nats.streams"), []string{
		"fail nats.streams consumer carrier-ingest: headers_only is true, wanted is false; carrier nats apply changes that",
		"warn nats.streams consumer carrier-ingest: max_deliver is 3, wanted is none; carrier nats apply changes that",
	})
}

func TestNATSServer(t *testing.T) {
	t.Run("connected", func(t *testing.T) {
		s := natstest.Start(t, func(o *server.Options) { o.Users = []*server.User{{Username: "u", Password: canary}} })
		c := configured(t, "nats: {url: \""+s.URL()+"\", user: u, password: "+canary+"}\n")
		got := examine(t, doctor.Options{Config: c}, "nats")
		wantLines(t, got[:2], []string{"ok nats " + s.URL() + ": connected, nats-server " + server.VERSION, "ok nats " + s.URL() + ": JetStream is enabled"})
	})
	t.Run("wrong password", func(t *testing.T) {
		s := natstest.Start(t, func(o *server.Options) { o.Users = []*server.User{{Username: "u", Password: "other"}} })
		c := configured(t, "nats: {url: \"nats://u:"+canary+"@"+strings.TrimPrefix(s.URL(), "nats://")+"\"}\n")
		wantLines(t, examine(t, doctor.Options{Config: c}, "nats"), []string{"fail nats nats://***@...Authorization Violation...check nats.url and the credentials"})
	})
	t.Run("down", func(t *testing.T) {
		c := configured(t, "nats: {url: \"nats://127.0.0.1:1\"}\n")
		wantLines(t, examine(t, doctor.Options{Config: c}, "nats"), []string{"fail nats nats://127.0.0.1:1: ...no servers available...check nats.url"})
	})
	t.Run("without JetStream", func(t *testing.T) {
		s := natstest.Start(t, func(o *server.Options) { o.JetStream = false })
		c := configured(t, "nats: {url: \""+s.URL()+"\"}\n")
		wantLines(t, examine(t, doctor.Options{Config: c}, "nats"), []string{"ok nats ", "fail nats ...JetStream is not enabled; add to the server's configuration: jetstream {"})
	})
	t.Run("without JetStream for the account", func(t *testing.T) {
		s := natstest.Start(t, func(o *server.Options) {
			account := server.NewAccount("plain")
			o.Accounts = []*server.Account{account}
			o.Users = []*server.User{{Username: "u", Password: canary, Account: account}}
		})
		c := configured(t, "nats: {url: \""+s.URL()+"\", user: u, password: "+canary+"}\n")
		wantLines(t, examine(t, doctor.Options{Config: c}, "nats"), []string{"ok nats ", "fail nats ...JetStream is not enabled for this account"})
	})
	t.Run("off", func(t *testing.T) {
		wantLines(t, examine(t, doctor.Options{Config: configured(t, "")}, "nats"), nil)
	})
}
