package sandbox

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// chance is the one source of everything random. Safe for concurrent use.
type chance struct {
	mu     sync.Mutex
	source *rand.ChaCha8
	rng    *rand.Rand
}

func newChance(seed uint64) *chance {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	source := rand.NewChaCha8(key)
	return &chance{source: source, rng: rand.New(source)}
}

// float is uniform in [0, 1).
func (c *chance) float() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rng.Float64()
}

// below is uniform in [0, n); 0 for n = 0.
func (c *chance) below(n int64) int64 {
	if n <= 0 {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rng.Int64N(n)
}

// text is n characters of the URL-safe base64 alphabet.
func (c *chance) text(n int) string {
	buf := make([]byte, (n*3+3)/4)
	c.mu.Lock()
	_, _ = c.source.Read(buf) // Never fails.
	c.mu.Unlock()
	return base64.RawURLEncoding.EncodeToString(buf)[:n]
}

// block is random bytes for the beginning of an encrypted message.
func (c *chance) block() (b [sealRandom]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = c.source.Read(b[:]) // Never fails.
	return b
}

// digits is n decimal digits, the first not 0.
func (c *chance) digits(n int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('0' + c.rng.IntN(10))
	}
	b[0] = byte('1' + c.rng.IntN(9))
	return string(b)
}

// rid is a request id in upstream's form: the time, then noise.
func (c *chance) rid(now time.Time) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprintf("%08x-%08x-%08x", uint32(now.Unix()), c.rng.Uint32(), c.rng.Uint32())
}
