package pebble

import (
	"os"
	"runtime/metrics"
	"time"
)

// cpuTime is the processor time that the process used so far, by the runtime's own accounts: user code and its garbage
// collection, without the kernel's share.
func cpuTime() time.Duration {
	samples := []metrics.Sample{{Name: "/cpu/classes/user:cpu-seconds"}, {Name: "/cpu/classes/gc/total:cpu-seconds"}}
	metrics.Read(samples)
	seconds := 0.0
	for _, s := range samples {
		if s.Value.Kind() == metrics.KindFloat64 {
			seconds += s.Value.Float64()
		}
	}
	return time.Duration(seconds * float64(time.Second))
}

// procStatus is what Linux says of the process; empty elsewhere.
func procStatus() string {
	text, _ := os.ReadFile("/proc/self/status")
	return string(text)
}
