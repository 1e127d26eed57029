package telemetry

import (
	"fmt"
	"strconv"
	"strings"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// linked is a sampler that decides about a trace that begins with a link as if it went on with the linked span: what is
// pushed of an event is recorded if the event was, and its trace is not told by halves.
type linked struct{ sdktrace.Sampler }

// ShouldSample implements sdktrace.Sampler.
func (l linked) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	if len(p.Links) > 0 && !trace.SpanContextFromContext(p.ParentContext).IsValid() {
		first := p.Links[0].SpanContext
		p.ParentContext = trace.ContextWithRemoteSpanContext(p.ParentContext, first)
		p.TraceID = first.TraceID()
	}
	return l.Sampler.ShouldSample(p)
}

// samplerOf is the sampler that OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG ask for. With an error it is the default:
// the sender of an event decides, and all is recorded that comes without a decision. The SDK reads these variables too, but
// only for a sampler that can't be put into linked.
func samplerOf(name, arg string) (sdktrace.Sampler, error) {
	fallback := sdktrace.ParentBased(sdktrace.AlwaysSample())
	kind, parentBased := strings.CutPrefix(strings.ToLower(strings.TrimSpace(name)), "parentbased_")
	var root sdktrace.Sampler
	switch kind {
	case "":
		return fallback, nil
	case "always_on":
		root = sdktrace.AlwaysSample()
	case "always_off":
		root = sdktrace.NeverSample()
	case "traceidratio":
		ratio, err := strconv.ParseFloat(strings.TrimSpace(arg), 64)
		if arg == "" {
			ratio, err = 1, nil
		}
		if err != nil || !(ratio >= 0 && ratio <= 1) {
			return fallback, fmt.Errorf("%s=%q: give a share from 0 to 1", envSamplerArg, arg)
		}
		root = sdktrace.TraceIDRatioBased(ratio)
	default:
		return fallback, fmt.Errorf("%s=%q: give always_on, always_off, traceidratio, or one of them after parentbased_", envSampler, name)
	}
	if parentBased {
		root = sdktrace.ParentBased(root)
	}
	return root, nil
}
