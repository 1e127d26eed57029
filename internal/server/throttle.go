package server

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// What an address may try of wrong tokens. A token has 32 random bytes, so this is not what keeps it from being guessed;
// it keeps a weak one from it, and the log and the CPU from a flood.
const (
	maxWrong    = 10
	wrongWindow = time.Minute
	// maxWatched bounds the addresses that are remembered: about 2 MB. Beyond it the one is forgotten whose last wrong
	// token is the longest ago.
	maxWatched = 10_000
)

// throttle counts wrong tokens by address: the tenth within a minute of the first has the address refused for a minute.
// IPv6 counts by /64, which one machine can have to itself. The zero value is ready; it is safe for concurrent use.
type throttle struct {
	mu      sync.Mutex
	watched map[netip.Prefix]*list.Element // of *suspect
	byAge   list.List                      // the one whose last wrong token is the longest ago first
	known   map[acquaintance]struct{}
}

// acquaintance is a token that was right when it came from an address.
type acquaintance struct {
	address netip.Prefix
	name    string
}

// maxKnown bounds the acquaintances. Only right tokens make any, so no stranger can fill it.
const maxKnown = 10_000

// right takes note of a right token.
func (t *throttle) right(from, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known == nil || len(t.known) >= maxKnown {
		t.known = map[acquaintance]struct{}{}
	}
	t.known[acquaintance{network(from), name}] = struct{}{}
}

// knows tells whether a token was right before from an address.
func (t *throttle) knows(from, name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.known[acquaintance{network(from), name}]
	return ok
}

// suspect is an address that sent a wrong token.
type suspect struct {
	address netip.Prefix
	wrong   int
	ends    time.Time // When its count, or its being refused, is over.
}

// blocked says for how long an address is refused yet; 0: it is not.
func (t *throttle) blocked(from string, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.watched[network(from)]
	if e == nil {
		return 0
	}
	if s := e.Value.(*suspect); s.wrong >= maxWrong && now.Before(s.ends) {
		return s.ends.Sub(now)
	}
	return 0
}

// count takes note of a wrong token; first tells that it has the address refused from now on.
func (t *throttle) count(from string, now time.Time) (first bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.suspect(network(from))
	if !now.Before(s.ends) {
		s.wrong, s.ends = 0, now.Add(wrongWindow)
	}
	if s.wrong++; s.wrong != maxWrong {
		return false // One that was let in just before the tenth was counted changes nothing.
	}
	s.ends = now.Add(wrongWindow)
	return true
}

// suspect finds an address's count, or begins one.
func (t *throttle) suspect(address netip.Prefix) *suspect {
	if e := t.watched[address]; e != nil {
		t.byAge.MoveToBack(e)
		return e.Value.(*suspect)
	}
	if t.watched == nil {
		t.watched = map[netip.Prefix]*list.Element{}
	}
	if len(t.watched) >= maxWatched {
		oldest := t.byAge.Remove(t.byAge.Front()).(*suspect)
		delete(t.watched, oldest.address)
	}
	s := &suspect{address: address}
	t.watched[address] = t.byAge.PushBack(s)
	return s
}

// network is what an address counts as. What is no address, as a proxy may write it, counts as one and the same.
func network(from string) netip.Prefix {
	a, err := netip.ParseAddr(from)
	if err != nil {
		return netip.Prefix{}
	}
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // The number of bits is right.
	return p
}
