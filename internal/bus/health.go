package bus

import (
	"sync"
	"time"
)

// trouble is what does not work at present of one part, for /readyz and the log.
type trouble struct {
	calm *calm
	part string // What does not work, as a sentence begins.

	mu    sync.Mutex
	text  string // Empty: all is well.
	since time.Time
}

// notBegun is what a part says until it has begun: only then /readyz is without it.
const notBegun = "it has not begun yet"

func newTrouble(c *calm, part string) trouble {
	return trouble{calm: c, part: part, text: notBegun, since: time.Now()}
}

// begun says that the part has begun. Trouble that it had before is over only once it works.
func (t *trouble) begun() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.text == notBegun {
		t.text = ""
	}
}

// set says what is wrong. It is logged when it is news, and not too often.
func (t *trouble) set(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text == t.text {
		return
	}
	if t.text == "" || t.text == notBegun {
		t.since = time.Now()
	}
	t.text = text
	t.calm.warn(t.part+" is in trouble; it is tried again and again", "err", text)
}

// over says that all is well.
func (t *trouble) over() {
	t.begun()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.text == "" {
		return
	}
	t.calm.info(t.part+" works again", "after", time.Since(t.since).Round(time.Millisecond), "was", t.text)
	t.text = ""
}

// say is one line for /readyz, empty if all is well.
func (t *trouble) say() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.text == "" {
		return ""
	}
	return t.part + " since " + t.since.UTC().Format(time.RFC3339) + ": " + t.text
}
