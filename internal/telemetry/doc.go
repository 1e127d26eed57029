// Package telemetry is what the service tells about itself: log lines, metrics, and where its traces go.
//
// Log lines never hold a phone number, nor a character that could forge a line or drive a terminal: [NewLogger] sees
// to that for every value, whoever logs it. Metrics live in a registry of their own ([Metrics]); every one of them is
// described once, in catalogue.go, and [Reference] prints those descriptions. A scrape reads counters kept in memory
// and never the store. No label holds a waybill, an event's id or a text. Traces are made by package spans; [Tracing] sends
// them to a collector, as OpenTelemetry's environment variables say.
package telemetry
