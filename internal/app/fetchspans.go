package app

import (
	"context"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"carrier/internal/spans"
	"carrier/internal/wechat"
)

// fetchSpans makes a span of each time that a host is asked for an access_token; nil if there are none to be made. Of the
// answer it has the scope and the errcode: upstream's words may repeat what was sent, the AppSecret among it.
func fetchSpans(t *spans.Tracer, whose ...attribute.KeyValue) wechat.FetchObserver {
	if t == nil {
		return nil
	}
	return func(appID, host string, force bool) func(*wechat.TokenError) {
		attrs := slices.Concat(whose, []attribute.KeyValue{spans.AppID(appID), spans.Host(host)})
		if force {
			attrs = append(attrs, spans.Forced())
		}
		_, span := t.Root(context.Background(), "fetch access_token", trace.SpanKindClient, time.Time{}, attrs...)
		return func(err *wechat.TokenError) {
			defer span.End()
			if err == nil {
				span.Set(spans.Scope(string(wechat.ScopeOK)))
				return
			}
			span.Set(spans.Scope(string(err.Scope)))
			if err.Errcode != 0 {
				span.Set(spans.Errcode(err.Errcode))
			}
			span.Fail(string(err.Scope))
		}
	}
}
