package app_test

import (
	"strings"
	"testing"
	"time"

	"carrier/internal/bench"
)

// BenchmarkService measures the service end to end, as carrier bench does, but in one process with its load and its
// upstream, so that -cpuprofile and -memprofile show all of it. Each iteration is one measurement on a new store: run
// it with -benchtime 1x. The events of the pipe are compared with what arrived; one that is lost fails it.
func BenchmarkService(b *testing.B) {
	for _, name := range bench.Names() {
		b.Run(name, func(b *testing.B) {
			o := bench.Options{Dir: b.TempDir(), Only: []string{name}, Rounds: 1, For: time.Second, Pending: 100_000}
			var report *bench.Report
			for b.Loop() {
				var err error
				if report, err = bench.Run(b.Context(), o); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(0, "ns/op") // It is how long was measured, and says nothing.
			for _, f := range report.Figures {
				b.ReportMetric(f.Value, f.Name+"-"+strings.ReplaceAll(f.Unit, " ", "-"))
				if f.Ceiling > 0 {
					b.ReportMetric(f.Ratio, f.Name+"-of-ceiling")
				}
			}
		})
	}
}
