package pebble

import "math/bits"

// filter tells names that were certainly never added from those that perhaps were: a blocked Bloom filter that
// grows by generations, each twice as large as the one before. About 13 bits and one cache line a name give about
// one wrong "maybe" in 200, which costs a read, never a wrong answer. It belongs to one goroutine.
type filter struct {
	// building says that names from before the start are still being read: all answers are "maybe".
	building    bool
	generations []*generation
}

const (
	blockWords    = 8  // 64 bytes: a cache line.
	namesPerBlock = 39 // 512 bits / 13.
	probes        = 6
	// firstGeneration is how many names the first generation takes (1.6 MiB).
	firstGeneration = 1 << 20
)

type generation struct {
	blocks [][blockWords]uint64
	room   int // Names until it is full.
}

func newGeneration(names int) *generation {
	return &generation{blocks: make([][blockWords]uint64, names/namesPerBlock+1), room: names}
}

// block picks the block of a hash; the low bits pick the bits in it.
func (g *generation) block(hash uint64) *[blockWords]uint64 {
	i, _ := bits.Mul64(hash, uint64(len(g.blocks)))
	return &g.blocks[i]
}

// bit is the place of a probe: 9 bits each of a remixed hash.
func bit(mixed uint64, probe int) (word int, mask uint64) {
	at := mixed >> (9 * probe)
	return int(at >> 6 & (blockWords - 1)), 1 << (at & 63)
}

// remix makes bits that are independent of those that picked the block.
func remix(hash uint64) uint64 { return hash * 0x9e3779b97f4a7c15 }

func (g *generation) has(hash uint64) bool {
	block, mixed := g.block(hash), remix(hash)
	for p := range probes {
		if word, mask := bit(mixed, p); block[word]&mask == 0 {
			return false
		}
	}
	return true
}

func (g *generation) add(hash uint64) {
	block, mixed := g.block(hash), remix(hash)
	for p := range probes {
		word, mask := bit(mixed, p)
		block[word] |= mask
	}
	g.room--
}

// maybe tells whether a name was perhaps added; false is certain.
func (f *filter) maybe(hash uint64) bool { return f.building || f.has(hash) }

func (f *filter) has(hash uint64) bool {
	for i := len(f.generations) - 1; i >= 0; i-- {
		if f.generations[i].has(hash) {
			return true
		}
	}
	return false
}

// add adds a name. One that seems to be there already takes no room.
func (f *filter) add(hash uint64) {
	if f.has(hash) {
		return
	}
	n := len(f.generations)
	if n == 0 || f.generations[n-1].room <= 0 {
		f.generations = append(f.generations, newGeneration(firstGeneration<<n))
		n++
	}
	f.generations[n-1].add(hash)
}

// join takes in what was added to another filter before the start of this one.
func (f *filter) join(before *filter) {
	f.generations = append(before.generations, f.generations...)
	f.building = false
}
