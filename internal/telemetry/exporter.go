package telemetry

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// exporter passes spans on, with phone numbers masked. What the collector refuses is lost: spans wait for nobody. That is
// told when it begins and when it ends.
type exporter struct {
	to  sdktrace.SpanExporter
	log *slog.Logger

	exported, lost atomic.Int64 // Spans.

	life context.Context // Ended: what is under way is broken off.
	cut  context.CancelFunc

	mu      sync.Mutex
	failing bool
}

func newExporter(to sdktrace.SpanExporter, log *slog.Logger) *exporter {
	e := &exporter{to: to, log: log}
	e.life, e.cut = context.WithCancel(context.Background())
	return e
}

// ExportSpans implements sdktrace.SpanExporter. It has no error: whoever calls it could only log that once more.
func (e *exporter) ExportSpans(ctx context.Context, all []sdktrace.ReadOnlySpan) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.life, cancel)()
	safe := make([]sdktrace.ReadOnlySpan, len(all))
	for i, s := range all {
		safe[i] = safeSpan{s}
	}
	err := e.to.ExportSpans(ctx, safe)
	if err != nil {
		e.lost.Add(int64(len(all)))
	} else {
		e.exported.Add(int64(len(all)))
	}
	e.tell(err)
	return nil
}

// tell logs when spans begin to be lost, and when they are taken again.
func (e *exporter) tell(err error) {
	e.mu.Lock()
	news := e.failing != (err != nil)
	e.failing = err != nil
	e.mu.Unlock()
	switch {
	case !news:
	case err != nil:
		e.log.Warn("spans can't be sent to the collector and are lost; nothing else waits for it (OTEL_EXPORTER_OTLP_ENDPOINT)", "err", short(err.Error()))
	default:
		e.log.Info("the collector takes spans again")
	}
}

// short is the beginning of a text from outside: a collector's answer may be a whole page.
func short(text string) string {
	const most = 300
	if len(text) > most {
		return text[:most] + "..."
	}
	return text
}

// Shutdown implements sdktrace.SpanExporter.
func (e *exporter) Shutdown(ctx context.Context) error { return e.to.Shutdown(ctx) }

// safeSpan is a span as it may leave the process: ids are chosen by senders, and may hide a phone number or what drives a
// terminal.
type safeSpan struct{ sdktrace.ReadOnlySpan }

// Attributes gives the attributes, made safe.
func (s safeSpan) Attributes() []attribute.KeyValue {
	all := s.ReadOnlySpan.Attributes()
	kept := make([]attribute.KeyValue, len(all))
	for i, a := range all {
		if a.Value.Type() == attribute.STRING {
			a.Value = attribute.StringValue(safe(a.Value.AsString()))
		}
		kept[i] = a
	}
	return kept
}

// once is the handler of errors that OpenTelemetry has nobody else to tell of: each is told when it is another than the
// one before.
type once struct {
	log  *slog.Logger
	mu   sync.Mutex
	last string
}

func newOnce(log *slog.Logger) *once { return &once{log: log} }

// Handle implements otel.ErrorHandler.
func (o *once) Handle(err error) {
	text := short(err.Error())
	o.mu.Lock()
	news := o.last != text
	o.last = text
	o.mu.Unlock()
	if news {
		o.log.Warn("OpenTelemetry reports an error", "err", text)
	}
}
