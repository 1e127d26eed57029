//go:build race

package pebble

// underRace: the engine below checks itself so thoroughly then that each store opened costs a hundred times as much.
const underRace = true
