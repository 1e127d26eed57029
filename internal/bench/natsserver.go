package bench

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// natsUpWithin is how long an empty NATS server may take to start.
const natsUpWithin = 30 * time.Second

// natsServer is a NATS server with JetStream, as an operator would run it for one service.
type natsServer struct{ *server.Server }

func newNATSServer(r role) (*natsServer, error) {
	// The server itself would not say what is wrong with its folder, but never be ready.
	if err := os.MkdirAll(r.Folder, 0o700); err != nil {
		return nil, err
	}
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: r.Folder, SyncAlways: r.SyncAlways,
		NoSigs: true, NoLog: true,
	})
	if err != nil {
		return nil, err
	}
	s.Start()
	n := &natsServer{s}
	if !s.ReadyForConnections(natsUpWithin) || !s.JetStreamEnabled() {
		n.end()
		return nil, fmt.Errorf("the NATS server was not there with JetStream within %v", natsUpWithin)
	}
	return n, nil
}

func (n *natsServer) hello() hello { return hello{NATS: n.ClientURL()} }

func (n *natsServer) run(ctx context.Context) error {
	<-ctx.Done()
	n.end()
	return nil
}

func (n *natsServer) end() {
	n.Shutdown()
	n.WaitForShutdown()
}
