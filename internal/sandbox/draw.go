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

	mu   sync.Mutex // Owns what follows.
	set  Faults
	used map[string]*usage // by appid, since set was
}

// usage is what one appid has used of the quotas.
type usage struct{ day, minute window }

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
	fs.set, fs.used = f, map[string]*usage{}
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

// takeQuota counts one push of an appid against the quotas.
func (fs *faults) takeQuota(appID string, now time.Time) *refusal {
	if !fs.active.Load() {
		return nil
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.set.QuotaDay == 0 && fs.set.QuotaMinute == 0 {
		return nil
	}
	u := fs.used[appID]
	if u == nil {
		u = new(usage)
		fs.used[appID] = u
	}
	if fs.set.QuotaMinute > 0 && !u.minute.take(minute(now), fs.set.QuotaMinute) {
		return refuse(codeMinuteQuota, "")
	}
	if fs.set.QuotaDay > 0 && !u.day.take(day(now), fs.set.QuotaDay) {
		return refuse(codeDayQuota, "")
	}
	return nil
}

// drawPush decides what befalls a push of a waybill.
func (fs *faults) drawPush(waybill string) hit {
	if !fs.active.Load() {
		return hit{}
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if code := fs.takeWaybill(waybill); code != codeOK {
		return hit{fault: errcodes, code: code, latency: fs.delay(&fs.set.Trouble)}
	}
	return fs.draw(&fs.set.Trouble)
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

// takeWaybill uses up one of a waybill's own faults; codeOK if there is none.
func (fs *faults) takeWaybill(id string) int {
	w, ok := fs.set.Waybills[id]
	if !ok {
		return codeOK
	}
	switch w.Times {
	case 0:
	case 1:
		delete(fs.set.Waybills, id)
	default:
		fs.set.Waybills[id] = WaybillFault{w.Errcode, w.Times - 1}
	}
	return w.Errcode
}

func (fs *faults) draw(t *Trouble) hit {
	h := hit{latency: fs.delay(t)}
	at := fs.chance.float()
	for _, sh := range t.shares() {
		if at < sh.of {
			h.fault, h.code = sh.fault, sh.code
			return h
		}
		at -= sh.of
	}
	return h
}

func (fs *faults) delay(t *Trouble) time.Duration {
	return time.Duration(t.Latency) + time.Duration(fs.chance.below(int64(t.Jitter)))
}
