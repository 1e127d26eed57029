package bus

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"carrier/internal/bus/natstest"
)

// BenchmarkIntake takes what is in the stream, into a store that does nothing.
func BenchmarkIntake(b *testing.B) {
	s := natstest.Start(b, nil)
	nc := s.Connect()
	js := streams(b, nc)
	if left, err := Apply(b.Context(), js, Options{}); err != nil || len(left) > 0 {
		b.Fatal(left, err)
	}
	body := []byte(`{"id":"scan-0001","waybill_id":"12345678901234567890","action_type":300002,"action_time":1533052800,"action_msg":"out for delivery"}`)
	for i := range b.N {
		if _, err := js.PublishAsync(eventsPrefix+"app", fmt.Appendf(nil, "%d %s", i, body)); err != nil {
			b.Fatal(err)
		}
		if i%1000 == 999 {
			<-js.PublishAsyncComplete()
		}
	}
	<-js.PublishAsyncComplete()
	d := newDesk(b)
	bus, err := Open(b.Context(), Options{URL: s.URL(), Events: d, Store: d, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	b.ResetTimer()
	go func() { ended <- bus.Run(ctx) }()
	until(b, "all is taken", func() bool { return d.total() == b.N })
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	cancel()
	if err := <-ended; err != nil {
		b.Error(err)
	}
	if err := bus.Close(); err != nil {
		b.Error(err)
	}
}
