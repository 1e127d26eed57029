package state_test

import (
	"testing"
	"time"

	. "carrier/internal/state"
)

// FuzzDecide reads a story out of any bytes, four an event: code, time, text and the pause before it. All that holds
// of every timeline (see world) must hold of it.
func FuzzDecide(f *testing.F) {
	f.Add([]byte{2, 1, 0, 0, 3, 2, 0, 0, 4, 3, 0, 0, 5, 4, 0, 0}, false)      // The plain way.
	f.Add([]byte{5, 9, 0, 0, 4, 8, 0, 9, 3, 7, 0, 9, 2, 6, 0, 9}, true)       // Backwards.
	f.Add([]byte{8, 1, 0, 0, 8, 5, 1, 0, 0, 9, 0, 0, 1, 3, 0, 0}, false)      // A repeat that comes to mean something.
	f.Add([]byte{5, 5, 0, 0, 7, 4, 0, 0, 5, 5, 0, 200, 9, 9, 9, 255}, true)   // Held, contradicted, repeated, unknown.
	f.Add([]byte{3, 30, 0, 0, 4, 40, 0, 255, 2, 20, 0, 1, 6, 35, 0, 1}, true) // Overdue.
	f.Fuzz(func(t *testing.T, data []byte, lazy bool) {
		if len(data) > 4*32 {
			return // Longer ones find nothing more, only later.
		}
		w := newWorld(t, window)
		w.lazy = lazy
		for ; len(data) >= 4; data = data[4:] {
			a := ActionType(data[0])
			if int(a) < len(codes) {
				a = codes[a]
			}
			w.wait(time.Duration(data[3]) * time.Second)
			w.send(a, int64(data[1]), uint64(data[2]))
		}
		w.drain()
	})
}
