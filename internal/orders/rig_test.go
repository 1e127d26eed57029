package orders

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"carrier/internal/logtest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bubble runs a test in a time of its own, which begins in the year 2000. WeChat's timestamps have as many digits as they
// have had since 2001.
func bubble(t *testing.T, f func(*testing.T)) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(26 * 365 * 24 * time.Hour)
		f(t)
	})
}

// rig is a Service with fakes around it.
type rig struct {
	*weixin
	store    *memory
	dispatch *dispatch // Of SF; nil if it has none.
	log      *logtest.Buffer

	mu   sync.Mutex
	seen map[string]int // What was observed: "account event result".
}

// newRig is a Service with SF, encrypted, and YTO, which has the same settings and no dispatch system.
func newRig(t testing.TB, d *dispatch) *rig {
	t.Helper()
	r := &rig{store: newMemory(t), dispatch: d, log: &logtest.Buffer{}, seen: map[string]int{}}
	o := Options{
		Store: r.store,
		Accounts: []Account{
			{DeliveryID: "SF", Keys: keysFor(t, aesKey)}, {DeliveryID: "YTO", Keys: keysFor(t, aesKey)}, {DeliveryID: "PLAIN", Keys: keysFor(t, "")},
		},
		Logger: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Observe: func(deliveryID, event, result string) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.seen[fmt.Sprintf("%s %s %s", deliveryID, event, result)]++
		},
	}
	if d != nil {
		d.t = t
		o.Accounts[0].Dispatcher = d
	}
	r.weixin = &weixin{t: t, service: New(o), account: "SF", token: pushToken, key: aesKey, appID: appID}
	t.Cleanup(r.service.Close)
	return r
}

// plain makes WeChat push to the account without a key.
func (r *rig) plain() *rig {
	r.weixin.account, r.weixin.key = "PLAIN", ""
	return r
}

func (r *rig) observed(what string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen[what]
}

// want checks an answer's result code and the waybill.
func (r *rig) want(a answer, code, waybillID string) {
	r.t.Helper()
	if a.status != 200 || a.ResultCode != code || a.WayBillID != waybillID || a.ResultMsg == "" {
		r.t.Errorf("WeChat is answered %d with ResultCode %q, WayBillID %q, ResultMsg %q; want ResultCode %s, WayBillID %s: %s",
			a.status, a.ResultCode, a.WayBillID, a.ResultMsg, code, waybillID, a.text)
	}
}

// dispatch is a dispatch system.
type dispatch struct {
	t      testing.TB
	answer func(ctx context.Context, q Question) (Answer, error)

	mu    sync.Mutex
	asked []Question
}

func (d *dispatch) Ask(ctx context.Context, q Question) (Answer, error) {
	d.mu.Lock()
	d.asked = append(d.asked, q)
	d.mu.Unlock()
	return d.answer(ctx, q)
}

func (d *dispatch) questions() []Question {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]Question(nil), d.asked...)
}

// saying is a dispatch system that always says the same.
func saying(a Answer, err error) *dispatch {
	return &dispatch{answer: func(context.Context, Question) (Answer, error) { return a, err }}
}
