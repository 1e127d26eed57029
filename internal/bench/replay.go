package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/pebble"
)

const (
	// replayPrefix begins the numbers of waybills whose pushes failed; those of the load are digits.
	replayPrefix = "R"
	// replayPerSecond is about how many failed pushes are made for each second measured: more than a replay sends.
	replayPerSecond = 1000
	replayPerWay    = 5 // Failed pushes of a waybill.
)

// replay measures what a bulk replay does to live events: how long these take beside it, against without it.
func (b *bench) replay(ctx context.Context) error {
	f := &Figure{
		Name: "replay-p99", Unit: "ms", CeilingTitle: "without a replay", Aim: atMostRatio(2),
		Title: fmt.Sprintf("accepted to delivered beside a bulk replay, %d events/s, 99%% of them within", liveRate),
	}
	var sent []float64
	err := b.contest(ctx, f,
		func(ctx context.Context) (float64, error) {
			ms, replayed, err := b.besideReplay(ctx)
			sent = append(sent, replayed)
			return ms, err
		},
		func(ctx context.Context) (float64, error) {
			waited, err := b.latencyOnce(ctx)
			if err != nil {
				return 0, err
			}
			return p99(waited), nil
		})
	if err != nil {
		return err
	}
	f.note("%s replayed pushes/s meanwhile", number(median(sent)))
	return nil
}

// p99 is what 99 of 100 events take, in milliseconds, with the upstream's own time.
func p99(waited []time.Duration) float64 {
	d := waited[int(0.99*float64(len(waited)-1))] + pipeLatency
	return float64(d.Microseconds()) / 1000
}

// besideReplay measures live events while failed pushes are replayed, and how many of these are sent a second.
func (b *bench) besideReplay(ctx context.Context) (ms, replayed float64, err error) {
	folder, failed := b.newStore(), int((b.warmUp()+b.o.For+2*time.Second).Seconds()*replayPerSecond)
	if err := failPushes(ctx, folder, failed); err != nil {
		return 0, 0, fmt.Errorf("making failed pushes: %w", err)
	}
	run, err := b.startPipedOn(ctx, folder, func(book *book, body []byte) {
		if !bytes.Contains(body, []byte(`"waybill_id":"`+replayPrefix)) {
			book.arrive(body)
		}
	})
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, run.stop()) }()
	if err := b.post(ctx, run.part, "replays", `{"filter":{"status":"failed"},"reason":"carrier bench"}`); err != nil {
		return 0, 0, err
	}
	l := run.load(b, 16, 1)
	l.pace = rate.NewLimiter(liveRate, 1)
	before := run.up.Pushes()
	s, err := b.during(ctx, run.part, "replay", run.book.accepted.Load, l.run)
	if err != nil {
		return 0, 0, err
	}
	all, took := run.up.Pushes()-before, time.Since(s.began)+b.warmUp()
	if err := errors.Join(run.book.drain(ctx), run.book.audit().err()); err != nil {
		return 0, 0, err
	}
	waited := run.book.waited(s.began)
	if len(waited) == 0 {
		return 0, 0, errors.New("no event was accepted while it was measured; let it run longer")
	}
	return p99(waited), float64(all-run.book.arrived.Load()) / took.Seconds(), nil
}

// failPushes makes a store with n pushes that upstream refused.
func failPushes(ctx context.Context, folder string, n int) (err error) {
	s, err := pebble.Open(folder, pebble.Options{Logger: errorLog()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	settled := make(chan error, n)
	for w := 0; w*replayPerWay < n; w++ {
		events := failedWay(w)
		results, err := s.Apply(ctx, events)
		if err != nil {
			return err
		}
		for i, r := range results {
			at := store.Attempt{At: time.Now(), Errcode: new(47001), Scope: "event"}
			s.Settle(store.Outcome{
				Seq: r.Seq, Waybill: events[i].Waybill(), Attempt: &at, Status: store.Failed, Reason: store.ReasonRefused, Tries: 1,
			}, func(err error) { settled <- err })
		}
		for range results {
			if err := <-settled; err != nil {
				return err
			}
		}
	}
	return nil
}

// failedWay are the first events of a waybill, in order.
func failedWay(w int) []state.Event {
	events := make([]state.Event, replayPerWay)
	for i := range events {
		events[i] = state.Event{
			ID: fmt.Sprintf("%s%d-%d", replayPrefix, w, i), Source: sourceName, DeliveryID: deliveryID,
			WaybillID: fmt.Sprintf("%s%d", replayPrefix, w), Type: journey[i].action, Time: time.Now().Unix() - 3600 + int64(i),
			Msg: journey[i].msg, Token: strings.Repeat("T", 40),
		}
	}
	return events
}
