package bus

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// lookEvery is how often the streams and the consumer are looked at.
const lookEvery = 15 * time.Second

// watcher sees to the stream of outcomes, and notices what others change on the server.
type watcher struct {
	link     *link
	events   *streamStep
	consumer *consumerStep
	outcomes *streamStep
	intake   *intake
	trouble  trouble // Of the stream of outcomes.
	log      *slog.Logger
	observe  *Observer

	drift []Difference // What was logged. Owned by run.
}

func newWatcher(l *link, js jetstream.JetStream, o *Options, i *intake) *watcher {
	log := o.Logger.With("part", "nats")
	return &watcher{
		link: l, intake: i, log: log, observe: &o.Observe,
		events:   &streamStep{js: js, want: wantedEvents(o)},
		consumer: &consumerStep{js: js, want: wantedConsumer()},
		outcomes: &streamStep{js: js, want: wantedOutcomes(o)},
		trouble:  newTrouble(newCalm(log), "the stream of outcomes"),
	}
}

// run looks until ctx ends: now and then, and when the intake has found or made what it needs.
func (w *watcher) run(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for w.link.wait(ctx) == nil {
		w.look(ctx)
		select {
		case <-ticker.C:
		case <-w.intake.began:
		case <-ctx.Done():
		}
	}
}

func (w *watcher) look(ctx context.Context) {
	if err := ensure(ctx, w.outcomes, w.log); err == nil {
		w.trouble.over()
	} else if ctx.Err() == nil {
		w.trouble.set(w.link.secrets.text(err))
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	// Of the events, the intake tells what goes wrong and makes what is missing.
	found, err := w.events.compare(ctx)
	if err != nil {
		return
	}
	info, err := w.consumer.info(ctx)
	if err != nil {
		return
	}
	w.observe.Backlog(int64(info.NumPending), int64(info.NumAckPending))
	found = append(found, w.consumer.differences(info)...)
	if len(harmful(found)) > 0 {
		w.intake.recheck()
	}
	outcomes, err := w.outcomes.compare(ctx)
	if err != nil {
		return
	}
	w.tell(append(found, outcomes...))
}

// tell logs differences when they are news.
func (w *watcher) tell(found []Difference) {
	if slices.Equal(found, w.drift) {
		return
	}
	w.drift = found
	if len(found) == 0 {
		w.log.Info("streams and consumer on the NATS server are as wanted again")
		return
	}
	lines := make([]string, len(found))
	for i, d := range found {
		lines[i] = d.String()
	}
	w.log.Warn("streams or consumer on the NATS server differ from what carrier would make; they are left as they are. "+
		"carrier nats plan explains the differences, carrier nats apply removes them", "differences", lines)
}
