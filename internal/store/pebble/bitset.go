package pebble

import "math/bits"

// bitset marks rows of one span by their place in it.
type bitset []uint64

// newBitset makes an empty one for a span of so many rows, a multiple of 64.
func newBitset(rows uint64) bitset { return make(bitset, rows/64) }

func (b bitset) add(i uint64) { b[i/64] |= 1 << (i % 64) }

// fill marks the places from the one to before the other, and no others.
func (b bitset) fill(from, to uint64) {
	clear(b)
	for i := from; i < to; {
		if i%64 == 0 && to-i >= 64 {
			b[i/64] = ^uint64(0)
			i += 64
			continue
		}
		b.add(i)
		i++
	}
}

func (b bitset) and(other bitset) {
	for i := range b {
		b[i] &= other[i]
	}
}

func (b bitset) andNot(other bitset) {
	for i := range b {
		b[i] &^= other[i]
	}
}

func (b bitset) or(other bitset) {
	for i := range b {
		b[i] |= other[i]
	}
}

func (b bitset) empty() bool {
	for _, word := range b {
		if word != 0 {
			return false
		}
	}
	return true
}

// each calls use with the places that are marked, from the last or the first one on, until it returns false.
func (b bitset) each(back bool, use func(i uint64) bool) {
	for n := range b {
		if back {
			n = len(b) - 1 - n
		}
		for word := b[n]; word != 0; {
			i := bits.TrailingZeros64(word)
			if back {
				i = 63 - bits.LeadingZeros64(word)
			}
			word &^= 1 << i
			if !use(uint64(n)*64 + uint64(i)) {
				return
			}
		}
	}
}
