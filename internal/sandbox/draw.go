package sandbox

import (
	"sync"
	"sync/atomic"
	"time"
)

// hit is what befalls one request.
type hit struct {
	fault   fault
	code    int // of busy and errcodes
	latency time.Duration
	trace   fault // One of traceFaults; only without another fault.
}

// refusal is the errcode that h answers; nil if it answers none.
func (h hit) refusal() *refusal {
	if h.code == codeOK {
		return nil
	}
	return refuse(h.code, "")
}

// faults decides what befalls each request. Safe for concurrent use.
type faults struct {
	chance *chance
	// active is false while set is the zero value: a healthy upstream costs no lock.
	active atomic.Bool

	mu  sync.Mutex // Owns what follows.
	set Faults
}

func newFaults(c *chance) *faults { return &faults{chance: c} }

// replace makes f what goes wrong from now on.
func (fs *faults) replace(f Faults) error {
	if err := f.validate(); err != nil {
		return err
	}
	f = f.clone()
	f.ExpireNow = false
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.set = f
	fs.active.Store(true)
	return nil
}

func (fs *faults) current() Faults {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.set.clone()
}

func (fs *faults) outage() bool {
	if !fs.active.Load() {
		return false
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.set.Outage
}

// expires tells whether the next push's access_token dies with it.
func (fs *faults) expires() bool {
	if !fs.active.Load() {
		return false
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.set.ExpireTokens > 0 && fs.chance.float() < fs.set.ExpireTokens
}

// quotas are the limits of an appid's pushes per day and per minute; 0: none.
func (fs *faults) quotas() (perDay, perMinute int) {
	if !fs.active.Load() {
		return 0, 0
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.set.QuotaDay, fs.set.QuotaMinute
}

// drawPush decides what befalls a push of a waybill.
func (fs *faults) drawPush(waybill string) hit {
	if !fs.active.Load() {
		return hit{}
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if w, ok := fs.takeWaybill(waybill); ok {
		h := w.hit()
		h.latency = fs.delay(&fs.set.Trouble)
		return h
	}
	h := fs.draw(&fs.set.Trouble)
	if h.fault == none && fs.set.Trace != (TraceFaults{}) {
		h.trace = fs.pick(fs.set.Trace.shares()).fault
	}
	return h
}

// drawToken decides what befalls a request for an access_token.
func (fs *faults) drawToken() hit {
	if !fs.active.Load() {
		return hit{}
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.draw(&fs.set.Token)
}

// drawBusiness decides what befalls one of the merchants' calls that ask no carrier.
func (fs *faults) drawBusiness() hit {
	if !fs.active.Load() {
		return hit{}
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.draw(&fs.set.Business)
}

// takeWaybill uses up one of a waybill's own faults; false if there is none.
func (fs *faults) takeWaybill(id string) (WaybillFault, bool) {
	w, ok := fs.set.Waybills[id]
	switch {
	case !ok || w.Times == 0:
	case w.Times == 1:
		delete(fs.set.Waybills, id)
	default:
		left := w
		left.Times--
		fs.set.Waybills[id] = left
	}
	return w, ok
}

func (fs *faults) draw(t *Trouble) hit {
	h := hit{latency: fs.delay(t)}
	sh := fs.pick(t.shares())
	h.fault, h.code = sh.fault, sh.code
	return h
}

// pick draws one of shares that exclude each other; the zero share if it is none of them.
func (fs *faults) pick(shares []share) share {
	at := fs.chance.float()
	for _, sh := range shares {
		if at < sh.of {
			return sh
		}
		at -= sh.of
	}
	return share{}
}

func (fs *faults) delay(t *Trouble) time.Duration {
	return time.Duration(t.Latency) + time.Duration(fs.chance.below(int64(t.Jitter)))
}
