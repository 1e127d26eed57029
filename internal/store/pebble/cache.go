package pebble

import "carrier/internal/state"

// waybill is what the writer must know of a waybill to decide its next event without a read.
// It belongs to the writer goroutine.
type waybill struct {
	name state.Waybill
	head state.Head
	// timeline is kept only while an event can change the verdict of another (head.Plain is false).
	timeline state.Timeline
	token    string // The newest; empty: none is known.
	tokenAt  int64  // When it came (Unix ms).
	sealed   bool   // It has Tokens, and none of the keys opens them; token is empty then.
	block    *block // Parked or frozen; nil while neither.
	open     int    // Its pushes that are pending, wherever they are listed.
	newest   uint64 // Of those, the one accepted last; it may have ended since. 0: not known.
	front    front  // Where it stands, as the index of silent waybills has it or is about to.
	named    bool   // It has a row in N.
}

// lacksToken tells whether the waybill has no Token at all. One that can't be opened is one.
func (w *waybill) lacksToken() bool { return w.token == "" && !w.sealed }

// blocked tells whether nothing of the waybill can be sent, whatever its account does.
func (w *waybill) blocked() bool { return w.token == "" || w.block != nil }

// cache remembers the waybills used last: the young generation in full, and the one before it.
// A waybill that is asked for moves to the young one. It belongs to the writer goroutine.
type cache struct {
	size       int // Waybills a generation.
	young, old map[state.Waybill]*waybill
}

func newCache(size int) *cache {
	return &cache{size: size, young: map[state.Waybill]*waybill{}, old: map[state.Waybill]*waybill{}}
}

func (c *cache) get(name state.Waybill) *waybill {
	if w := c.young[name]; w != nil {
		return w
	}
	w := c.old[name]
	if w != nil {
		delete(c.old, name)
		c.young[name] = w
	}
	return w
}

func (c *cache) put(w *waybill) { c.young[w.name] = w }

func (c *cache) drop(name state.Waybill) {
	delete(c.young, name)
	delete(c.old, name)
}

// age forgets the older generation once the young one is full. The writer calls it between batches only: what a
// batch has touched is not readable from disk before it is applied.
func (c *cache) age() {
	if len(c.young) < c.size {
		return
	}
	c.old, c.young = c.young, make(map[state.Waybill]*waybill, c.size/4)
}
