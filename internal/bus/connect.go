package bus

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
)

// Of a connection.
const (
	dialWithin = 2 * time.Second // Each server, each time.
	// A connection whose other end is gone without a word is given up after two pings.
	pingEvery = 10 * time.Second
	lostPings = 2
	// A server that no longer reads is given up, too. While the client library waits for it to do so, it lets nobody
	// else at the connection, not even to ask whether there is one.
	writeWithin = 2 * time.Second
	// Between two rounds over all servers.
	firstRedial = 100 * time.Millisecond
	maxRedial   = 5 * time.Second
)

// Connect connects for the command line: to the servers of o.URL, or to the embedded server of the service that runs
// with the same configuration. Unlike [Open] it fails if none can be reached. A connection that is lost later comes
// back.
func Connect(ctx context.Context, o Options) (*nats.Conn, error) {
	o.setDefaults()
	options, err := o.connectOptions()
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	nc, err := nats.Connect(o.serverList(), options...)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS at %s: %w", o, explain(o.secrets().clean(err)))
	}
	return nc, nil
}

// serverList is what nats.go is given.
func (o *Options) serverList() string {
	if o.URL == EmbeddedURL {
		return "nats://" + o.Embedded.Listen
	}
	return o.URL
}

// connectOptions are those that every connection has. It reads the files, so that a wrong one is noticed at once.
func (o *Options) connectOptions() ([]nats.Option, error) {
	if o.URL != EmbeddedURL {
		if _, err := addresses(o.URL); err != nil {
			return nil, err
		}
	}
	options := []nats.Option{
		nats.Name("carrier " + o.Version),
		nats.Timeout(dialWithin),
		nats.PingInterval(pingEvery), nats.MaxPingsOutstanding(lostPings),
		nats.FlusherTimeout(writeWithin), nats.ReconnectOnFlusherError(),
		nats.MaxReconnects(-1), nats.CustomReconnectDelay(redialDelay), nats.IgnoreAuthErrorAbort(),
		// What is published while there is no connection fails at once: buffered, it would be lost if the process ended.
		nats.ReconnectBufSize(-1),
	}
	options = append(options, o.tlsOptions()...)
	login, err := o.loginOptions()
	return append(options, login...), err
}

func (o *Options) loginOptions() ([]nats.Option, error) {
	var options []nats.Option
	if o.CredsFile != "" {
		options = append(options, nats.UserCredentials(o.CredsFile))
	}
	if o.NKeyFile != "" {
		nkey, err := nats.NkeyOptionFromSeed(o.NKeyFile)
		if err != nil {
			return nil, fmt.Errorf("nats.nkey_file: %w", err)
		}
		options = append(options, nkey)
	}
	if o.User != "" {
		options = append(options, nats.UserInfo(o.User, o.Password))
	}
	return options, nil
}

func (o *Options) tlsOptions() []nats.Option {
	var options []nats.Option
	if o.TLS.CAFile != "" {
		options = append(options, nats.RootCAs(o.TLS.CAFile))
	}
	if o.TLS.CertFile != "" || o.TLS.KeyFile != "" {
		options = append(options, nats.ClientCert(o.TLS.CertFile, o.TLS.KeyFile))
	}
	return options
}

// redialDelay is how long to wait before round number n (from 1) over all servers. Its jitter keeps nodes that lost the
// same server from coming back together.
func redialDelay(n int) time.Duration { return jittered(n-1, firstRedial, maxRedial) }

// jittered is a delay before retry number n (0 is the first) that doubles up to a maximum, less up to half of it.
func jittered(n int, first, most time.Duration) time.Duration {
	top := most
	if n < 30 {
		top = min(most, first<<n)
	}
	return top/2 + rand.N(top/2)
}
