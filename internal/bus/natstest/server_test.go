package natstest_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"carrier/internal/bus/natstest"
)

// TestRestartKeeps fails if a server that comes back is another one.
func TestRestartKeeps(t *testing.T) {
	s := natstest.Start(t, nil)
	url := s.URL()
	js, err := jetstream.New(s.Connect())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "s.1", []byte("one")); err != nil {
		t.Fatal(err)
	}
	s.Restart()
	if s.URL() != url {
		t.Errorf("it came back at %s, and was at %s", s.URL(), url)
	}
	js, err = jetstream.New(s.Connect())
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "S")
	if err != nil {
		t.Fatal(err)
	}
	if got := stream.CachedInfo().State.Msgs; got != 1 {
		t.Errorf("%d messages were kept, want 1", got)
	}
}

// TestClusterElects fails if a cluster does not go on without the leader of a stream.
func TestClusterElects(t *testing.T) {
	c := natstest.StartCluster(t)
	js, err := jetstream.New(c.Connect())
	if err != nil {
		t.Fatal(err)
	}
	c.CreateStream(js, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, Replicas: 3})
	first := c.StreamLeader("S")
	first.Down()
	if next := c.StreamLeader("S"); next == first {
		t.Error("the member that is down still leads")
	}
	if _, err := js.Publish(t.Context(), "s.1", nil, jetstream.WithRetryAttempts(100), jetstream.WithRetryWait(50*time.Millisecond)); err != nil {
		t.Error(err)
	}
}
