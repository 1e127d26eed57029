package console

import (
	"testing"
	"time"

	"carrier/internal/store"
)

// BenchmarkMeter is what an event costs that comes in and goes out, with all cores at it.
func BenchmarkMeter(b *testing.B) {
	m := NewMeter()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			m.Events("app", "accepted", 1)
			m.Scanned("app", time.Second)
			m.Ended(store.Delivered)
		}
	})
}
