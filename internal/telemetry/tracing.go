package telemetry

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"carrier/internal/spans"
)

// OpenTelemetry's own environment variables, as far as this package looks at them itself. The exporter reads the rest:
// OTEL_EXPORTER_OTLP_HEADERS, ..._TIMEOUT, ..._COMPRESSION, ..._CERTIFICATE, OTEL_BSP_*, OTEL_RESOURCE_ATTRIBUTES, ...
// (OpenTelemetry specification, Environment Variable Specification and OTLP Exporter Configuration).
const (
	envDisabled       = "OTEL_SDK_DISABLED"
	envExporter       = "OTEL_TRACES_EXPORTER"
	envEndpoint       = "OTEL_EXPORTER_OTLP_ENDPOINT"
	envTracesEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	envProtocol       = "OTEL_EXPORTER_OTLP_PROTOCOL"
	envTracesProtocol = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
	envSampler        = "OTEL_TRACES_SAMPLER"
	envSamplerArg     = "OTEL_TRACES_SAMPLER_ARG"
)

// flushWithin is how long Close waits for the spans that are left to be sent: part of the 30 s that a stop may take.
const flushWithin = 2 * time.Second

// TracingOptions set tracing up.
type TracingOptions struct {
	Version string
	Log     *slog.Logger
	// Exporter takes the spans in place of the endpoint of the environment; for tests. nil: that endpoint.
	Exporter sdktrace.SpanExporter
}

// Tracing sends spans to an OpenTelemetry collector. nil does nothing.
type Tracing struct {
	provider *sdktrace.TracerProvider
	exporter *exporter
}

// NewTracing sets up what the standard environment variables ask for. Without an endpoint in them (or with
// OTEL_SDK_DISABLED=true, or OTEL_TRACES_EXPORTER=none) it is nil: nothing is made and nothing is recorded.
//
// Spans are sent by OTLP over HTTP alone: gRPC would make the binary larger, and every collector takes both. A value that
// can't be used is logged, and the default is used, as the specification wants it.
func NewTracing(ctx context.Context, o TracingOptions) (*Tracing, error) {
	if !tracingWanted(&o) {
		return nil, nil
	}
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	target := o.Exporter
	if target == nil {
		made, err := otlptracehttp.New(ctx)
		if err != nil {
			return nil, fmt.Errorf("traces can't be sent to the address in %s or %s: %w", envTracesEndpoint, envEndpoint, err) // Which may hold a password.
		}
		target = made
		otel.SetErrorHandler(newOnce(o.Log)) // Else the library writes to standard error in a form of its own.
	}
	sampler, err := samplerOf(os.Getenv(envSampler), os.Getenv(envSamplerArg))
	if err != nil {
		o.Log.Warn("traces are sampled by the default, parentbased_always_on", "err", err)
	}
	about, err := aboutUs(ctx, o.Version)
	if err != nil {
		o.Log.Warn("part of what traces say of this process is missing: look at OTEL_RESOURCE_ATTRIBUTES", "err", err)
	}
	t := &Tracing{exporter: newExporter(target, o.Log)}
	t.provider = sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(t.exporter), sdktrace.WithSampler(linked{sampler}), sdktrace.WithResource(about),
	)
	return t, nil
}

// tracingWanted tells whether the environment asks for traces.
func tracingWanted(o *TracingOptions) bool {
	if strings.EqualFold(strings.TrimSpace(os.Getenv(envDisabled)), "true") || os.Getenv(envExporter) == "none" {
		return false
	}
	if o.Exporter != nil {
		return true
	}
	if os.Getenv(envTracesEndpoint) == "" && os.Getenv(envEndpoint) == "" {
		return false
	}
	if p := cmp.Or(os.Getenv(envTracesProtocol), os.Getenv(envProtocol)); p != "" && p != "http/protobuf" && o.Log != nil {
		o.Log.Warn("traces are sent as http/protobuf, the only protocol that is spoken here; give the collector's HTTP port, 4318 as a rule", "asked_for", p)
	}
	return true
}

// aboutUs is what all spans say of this process; the environment counts for more than what is set here.
func aboutUs(ctx context.Context, version string) (*resource.Resource, error) {
	return resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "carrier"), attribute.String("service.version", version)),
		resource.WithHost(), resource.WithTelemetrySDK(), resource.WithFromEnv())
}

// Tracer makes spans; nil if there is nowhere to send them.
func (t *Tracing) Tracer() *spans.Tracer {
	if t == nil {
		return nil
	}
	return spans.New(t.provider)
}

// Counts is how many spans the collector took since the start, and how many were lost because it did not.
func (t *Tracing) Counts() (exported, lost int64) {
	return t.exporter.exported.Load(), t.exporter.lost.Load()
}

// Flush sends what is left, for at most two seconds; what a collector does not take by then is lost. Nothing is recorded
// after it.
func (t *Tracing) Flush() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), flushWithin, fmt.Errorf("not done within %s", flushWithin))
	defer cancel()
	_ = t.provider.Shutdown(ctx) // The exporter has told what there is to tell.
	t.exporter.cut()
}
