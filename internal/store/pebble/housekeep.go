package pebble

import (
	"errors"
	"time"
)

// errStopped ends background work when the store closes.
var errStopped = errors.New("the store is closing")

// housekeep looks at the disk every second, and at the low-water mark and the oldest pushes as well.
func (s *Store) housekeep() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
			s.disk.look()
		}
	}
}
