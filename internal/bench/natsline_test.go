package bench

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"carrier/internal/bus/natstest"
)

// TestNATSLoadRefused must not take refusals for events.
func TestNATSLoadRefused(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(*testing.T, *nats.Conn)
		dial    func(*nats.Conn) dialer
		want    string
	}{
		{"nobody answers requests", nil, overSubmit, "no responders"},
		{"a request is refused", refuseRequests, overSubmit, `error "403", {"code":"account_forbidden"}`},
		{"another verdict", answerIgnored, overSubmit, `error "", {"verdict":"ignored"}`},
		{"no stream", nil, overStream, "no response from stream"},
		{"a stream that is full", fullStream, overStream, "maximum messages exceeded"},
	}
	s := natstest.Start(t, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			nc := s.Connect()
			if tt.prepare != nil {
				tt.prepare(t, nc)
			}
			l := &load{dial: tt.dial(nc), roll: newRoll(1000), conns: 2, batch: 1}
			if err := l.run(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// refuseRequests answers as the service does to who may not send.
func refuseRequests(t *testing.T, nc *nats.Conn) {
	answer(t, nc, &nats.Msg{Header: nats.Header{micro.ErrorCodeHeader: {"403"}}, Data: []byte(`{"code":"account_forbidden"}`)})
}

func answerIgnored(t *testing.T, nc *nats.Conn) {
	answer(t, nc, &nats.Msg{Data: []byte(`{"verdict":"ignored"}`)})
}

// answer gives all requests of the test the same answer.
func answer(t *testing.T, nc *nats.Conn, with *nats.Msg) {
	t.Helper()
	sub, err := nc.Subscribe(submitSubject, func(m *nats.Msg) { _ = m.RespondMsg(with) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Unsubscribe() })
}

// fullStream takes ten events and no more.
func fullStream(t *testing.T, nc *nats.Conn) {
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "FULL", Subjects: []string{eventsSubject}, MaxMsgs: 10, Discard: jetstream.DiscardNew,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestNATSServerRefuses is a folder in which there can be no streams.
func TestNATSServerRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := newNATSServer(role{Folder: filepath.Join(file, "streams")})
	if n != nil || err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("got %v, %v", n, err)
	}
}

// TestNATSServerSyncs has the server as its role says.
func TestNATSServerSyncs(t *testing.T) {
	for _, always := range []bool{true, false} {
		n, err := newNATSServer(role{Folder: t.TempDir(), SyncAlways: always})
		if err != nil {
			t.Fatal(err)
		}
		v, err := n.Varz(&server.VarzOptions{})
		if err != nil || v.JetStream.Config.SyncAlways != always {
			t.Errorf("always %v: got %+v, %v", always, v.JetStream.Config, err)
		}
		n.end()
	}
}
