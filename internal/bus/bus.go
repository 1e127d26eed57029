package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"carrier/internal/orders"
)

// Bus is the service's side of NATS. Its methods are safe for concurrent use.
type Bus struct {
	opts     Options
	embedded *embedded // nil: the server is elsewhere.
	link     *link
	js       jetstream.JetStream
	intake   *intake
	watcher  *watcher
	teller   *teller
	wake     chan struct{} // There are new notices. It has room for one.

	closing sync.Once
}

// Open starts the embedded server, if asked for, and begins to connect. It does not wait for a server that is away; its
// errors are of the configuration: a file that can't be read, an address that is none, a port that is taken. Close it.
func Open(ctx context.Context, o Options) (*Bus, error) {
	o.setDefaults()
	b := &Bus{opts: o, wake: make(chan struct{}, 1)}
	if err := b.open(ctx); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

func (b *Bus) open(ctx context.Context) (err error) {
	var extra []nats.Option
	if b.opts.URL == EmbeddedURL {
		if b.embedded, err = startEmbedded(ctx, &b.opts); err != nil {
			return err
		}
		extra = append(extra, nats.InProcessServer(b.embedded.server))
	}
	if b.link, err = dial(&b.opts, extra...); err != nil {
		return fmt.Errorf("NATS: %w", err)
	}
	if b.js, err = jetstream.New(b.link.nc, jetstream.WithPublishAsyncTimeout(forgetAfter)); err != nil {
		return fmt.Errorf("JetStream: %w", err)
	}
	b.intake = newIntake(b.link, b.js, &b.opts)
	b.watcher = newWatcher(b.link, b.js, &b.opts, b.intake)
	b.teller = newTeller(b.js, &b.opts, b.wake)
	return nil
}

// ClientURL is where clients connect to.
func (b *Bus) ClientURL() string {
	if b.embedded != nil {
		return b.embedded.url()
	}
	return b.opts.String()
}

// Run fetches events and takes requests until ctx ends. Then it fetches no more, has the store take what was fetched
// (what it does not take within 5 s is given back) and answers the requests that came. It returns an error only for what
// no retry can cure.
func (b *Bus) Run(ctx context.Context) error {
	service := newService(b.link.nc, &b.opts)
	if err := service.start(); err != nil {
		return err
	}
	var parts sync.WaitGroup
	parts.Go(func() { b.intake.run(ctx) })
	parts.Go(func() { b.watcher.run(ctx) })
	<-ctx.Done()
	stopping, cancel := outlast(ctx, takeWithin)
	defer cancel()
	service.stop(stopping)
	parts.Wait()
	return nil
}

// RunOutcomes tells what became of events, until ctx ends.
func (b *Bus) RunOutcomes(ctx context.Context) error { return b.teller.run(ctx) }

// Notify says that there is something new to tell. It never blocks.
func (b *Bus) Notify() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// Ask puts a question to the dispatch system; see [orders.Dispatcher].
func (b *Bus) Ask(ctx context.Context, q orders.Question) (orders.Answer, error) {
	return ask(ctx, b.link.nc, q)
}

// Degraded says what does not work at present and what to do about it, a line each. No line: all is well. It asks
// nobody and holds no secret.
func (b *Bus) Degraded() []string {
	var lines []string
	for _, line := range []string{b.link.trouble(), b.intake.trouble.say(), b.watcher.trouble.say(), b.teller.trouble.say()} {
		if line != "" {
			lines = append(lines, "NATS: "+line)
		}
	}
	return lines
}

// Close ends the connection and stops the embedded server. Run must have returned. A second call does nothing.
func (b *Bus) Close() (err error) {
	b.closing.Do(func() {
		if b.link != nil {
			b.link.close()
		}
		if b.embedded != nil {
			err = b.embedded.close()
		}
	})
	return err
}
