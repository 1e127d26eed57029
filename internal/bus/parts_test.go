package bus

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"carrier/internal/bus/natstest"
	"carrier/internal/store"
)

// TestPartsOfTheBus: requests are answered, outcomes told once woken, questions asked, and trouble shows, all through
// the Bus, which made the stream of outcomes itself.
func TestPartsOfTheBus(t *testing.T) {
	server := natstest.Start(t, nil)
	kept := &fakeStore{t: t, notices: noticesOf(10)[:0]}
	o := options(t, &fakeEvents{}, kept)
	o.URL = server.URL()
	b, err := Open(t.Context(), *o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{b.Run, b.RunOutcomes} {
		running.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	defer func() {
		cancel()
		running.Wait()
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	nc := server.Connect()
	until(t, "it answers", func() bool {
		reply, err := nc.RequestWithContext(within(t), "carrier.submit.s", []byte(`{"id":"a"}`))
		return err == nil && strings.Contains(string(reply.Data), "accepted")
	})

	kept.mu.Lock()
	kept.notices = kept.notices[:10]
	kept.mu.Unlock()
	for range 3 { // More than there is room for.
		b.Notify()
	}
	until(t, func() string { return fmt.Sprint(kept.toldUpTo(), b.Degraded()) }, func() bool { return kept.toldUpTo() == 10 })
	wantInOrder(t, stored(t, jetStream(t, server)), kept.notices)

	answering(t, server.Connect(), func(*nats.Msg) *nats.Msg { return &nats.Msg{Data: []byte(`{"result_code":0}`)} })
	if _, err := b.Ask(within(t), question()); err != nil {
		t.Error(err)
	}

	kept.mu.Lock()
	kept.notices = noticesOf(11)
	kept.toldErr = store.ErrDiskLow
	kept.mu.Unlock()
	b.Notify()
	until(t, func() string { return fmt.Sprint(b.Degraded()) }, func() bool { return strings.Contains(fmt.Sprint(b.Degraded()), "the telling of outcomes since") })
	kept.mu.Lock()
	kept.toldErr = nil
	kept.mu.Unlock()
}
