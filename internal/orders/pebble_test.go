package orders

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"carrier/internal/logtest"
	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/pebble"
)

// kept is a rig over a real store, which can be closed and opened again.
type kept struct {
	*weixin
	dir      string
	engine   *pebble.Store
	dispatch *dispatch
	log      *logtest.Buffer
	gates    sync.Map // Of a waybill: a channel that is closed when its cancellation is about to be decided.
}

// starter is the engine, and lets a pickup start that waits for a cancellation.
type starter struct {
	*pebble.Store
	gates *sync.Map
}

func (s *starter) CancelOrder(ctx context.Context, key store.OrderKey, e state.Event) (store.Cancellation, error) {
	if gate, ok := s.gates.Load(e.WaybillID); ok {
		close(gate.(chan struct{}))
	}
	return s.Store.CancelOrder(ctx, key, e)
}

func newKept(t *testing.T, d *dispatch) *kept {
	t.Helper()
	k := &kept{weixin: &weixin{t: t, account: "SF", token: pushToken, key: aesKey, appID: appID}, dir: filepath.Join(t.TempDir(), "store"), dispatch: d, log: &logtest.Buffer{}}
	k.open()
	t.Cleanup(k.close)
	return k
}

func (k *kept) open() {
	k.t.Helper()
	engine, err := pebble.Open(k.dir, pebble.Options{
		Machine: state.Machine{ReorderWindow: 2 * time.Minute}, Logger: slog.New(slog.NewTextHandler(k.log, nil)),
	})
	if err != nil {
		k.t.Fatal(err)
	}
	o := Options{
		Store: &starter{engine, &k.gates}, Logger: slog.New(slog.NewTextHandler(k.log, nil)),
		Accounts: []Account{{DeliveryID: "SF", Keys: keysFor(k.t, aesKey), Window: 10 * time.Minute}, {DeliveryID: "PLAIN", Keys: keysFor(k.t, ""), Window: 10 * time.Minute}},
	}
	if k.dispatch != nil {
		k.dispatch.t, o.Accounts[0].Dispatcher = k.t, k.dispatch
	}
	k.engine, k.weixin.service = engine, New(o)
}

func (k *kept) close() {
	k.t.Helper()
	if k.engine == nil {
		return
	}
	k.service.Close()
	if err := k.engine.Close(); err != nil {
		k.t.Errorf("closing the store: %v", err)
	}
	k.engine = nil
}

func (k *kept) restart() {
	k.t.Helper()
	k.close()
	k.open()
}

func (k *kept) want(a answer, code, waybillID string) {
	k.t.Helper()
	if a.status != 200 || a.ResultCode != code || a.WayBillID != waybillID {
		k.t.Errorf("WeChat is answered %d with ResultCode %q, WayBillID %q; want %s, %s: %s", a.status, a.ResultCode, a.WayBillID, code, waybillID, a.text)
	}
}

// TestKeptOverRestarts: what was answered once is answered again after a restart, and a signature that was used stays
// used.
func TestKeptOverRestarts(t *testing.T) {
	n := 0
	k := newKept(t, &dispatch{answer: func(context.Context, Question) (Answer, error) {
		n++
		return Answer{WaybillID: fmt.Sprintf("OWN%d", n), WaybillData: map[string]string{"mark": "888"}}, nil
	}})
	order := k.seal(k.add("order-1", "0", "Token-1"), time.Now())
	first := k.send(order)
	k.want(first, "0", "OWN1")
	k.restart()
	if again := k.send(order); again != first {
		t.Errorf("after a restart it is answered\n%+v, at first\n%+v", again, first)
	}
	cancel := k.seal(k.cancel("order-1", "OWN1"), time.Now())
	first = k.send(cancel)
	k.want(first, "0", "OWN1")
	k.restart()
	if again := k.send(cancel); again != first {
		t.Errorf("after a restart it is answered\n%+v, at first\n%+v", again, first)
	}
	k.weixin.account, k.weixin.key = "PLAIN", ""
	plain := k.seal(k.add("order-1", "W1", "Token-1"), time.Now())
	k.want(k.send(plain), "0", "W1")
	k.restart()
	k.want(k.send(plain), "0", "W1")
	plain.body = bytes.ReplaceAll(plain.body, []byte("Token-1"), []byte("Token-2"))
	if a := k.send(plain); a.status != 401 {
		t.Errorf("another body under the same signature is answered %+v", a)
	}
	if n != 2 {
		t.Errorf("the dispatch system was asked %d times", n)
	}
	lane, err := k.engine.Lane(t.Context(), state.Waybill{DeliveryID: "PLAIN", WaybillID: "W1"})
	if err != nil || lane.Token != "Token-1" {
		t.Errorf("the Token is %q, %v", lane.Token, err)
	}
}

// TestScansBeforeTheOrder wait for the Token that comes with it.
func TestScansBeforeTheOrder(t *testing.T) {
	k := newKept(t, nil)
	scan := state.Event{ID: "1", Source: "app", DeliveryID: "SF", WaybillID: "W1", Type: state.PickupAssigned, Time: time.Now().Unix(), Msg: "x"}
	if _, err := k.engine.Apply(t.Context(), []state.Event{scan}); err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"", "Token-1", "Token-2"} {
		if token != "" {
			k.want(k.push(k.add("order-1", "W1", token)), "0", "W1")
		}
		lane, err := k.engine.Lane(t.Context(), scan.Waybill())
		if err != nil || len(lane.Pushes) != 1 || lane.Token != token || lane.Blocked() != (token == "") {
			t.Errorf("with the Token %q the lane is %+v, %v", token, lane, err)
		}
	}
}

// TestCancelAgainstPickup lets WeChat cancel and the courier pick up at the same moment, a thousand times: exactly one of
// both happens, and WeChat hears which.
func TestCancelAgainstPickup(t *testing.T) {
	rounds := 1000
	if testing.Short() {
		rounds = 100
	}
	k := newKept(t, nil)
	var all sync.WaitGroup
	work := make(chan int)
	outcomes := make([]string, rounds)
	for range 16 {
		all.Go(func() {
			for i := range work {
				outcomes[i] = k.race(i)
			}
		})
	}
	for i := range rounds {
		work <- i
	}
	close(work)
	all.Wait()
	counts := map[string]int{}
	for _, o := range outcomes {
		counts[o]++
	}
	t.Log(counts)
	if counts["cancelled"]+counts["picked up"] != rounds || counts["cancelled"] == 0 || counts["picked up"] == 0 {
		t.Errorf("the outcomes are %v", counts)
	}
}

// race is one round: it returns what happened.
func (k *kept) race(i int) string {
	id := fmt.Sprintf("W%d", i)
	k.want(k.push(k.add(id, id, "Token")), "0", id)
	cancel := k.seal(k.cancel(id, id), time.Now())
	scan := state.Event{ID: id, Source: "app", DeliveryID: "SF", WaybillID: id, Type: state.PickupDone, Time: time.Now().Unix(), Msg: "x"}
	var results []store.Result
	var err error
	var pickup sync.WaitGroup
	started := make(chan struct{})
	if i%2 == 0 {
		k.gates.Store(id, started)
	} else {
		close(started) // It has a head start: signatures are noted first.
	}
	pickup.Go(func() {
		<-started
		results, err = k.engine.Apply(context.Background(), []state.Event{scan})
	})
	a := k.send(cancel)
	pickup.Wait()
	if err != nil {
		return err.Error()
	}
	w, err := k.engine.Waybill(context.Background(), scan.Waybill())
	if err != nil {
		return err.Error()
	}
	switch {
	case a.ResultCode == "0" && results[0].Verdict == state.Rejected && w.Stage == state.Void:
		return "cancelled"
	case a.ResultCode == "30002" && results[0].Verdict == state.Accepted && w.Stage == state.PickedUp:
		return "picked up"
	}
	return fmt.Sprintf("WeChat hears %s, the scan is %s, the waybill %s", a.ResultCode, results[0].Verdict, w.Stage)
}

// TestSecretsAreNotKept looks for what must not be kept in every file of the store, and in the log.
func TestSecretsAreNotKept(t *testing.T) {
	k := newKept(t, &dispatch{answer: func(_ context.Context, q Question) (Answer, error) {
		body, _ := encode(q.Body)
		return Answer{Msg: string(body), WaybillData: map[string]string{"kept-label": "kept-label"}}, nil
	}})
	for i := range 10 {
		id := fmt.Sprintf("W%d", i)
		k.want(k.push(k.add(id, id, "kept-Token")), "0", id)
		if i%2 == 0 {
			k.want(k.push(k.cancel(id, id)), "0", id)
		}
		k.push(k.event(CheckBiz, "BizID", "biz", "BizPwd", canaryPwd, "SenderAddress", canaryAddress, "ShopTelphone", canaryPhone))
	}
	k.close()
	found := map[string]bool{}
	err := filepath.WalkDir(k.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		for _, what := range []string{canaryPwd, canaryPhone, canaryAddress, canaryName, "kept-Token", "kept-label"} {
			found[what] = found[what] || bytes.Contains(text, []byte(what))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for what, is := range found {
		if is != (what == "kept-Token" || what == "kept-label") {
			t.Errorf("%s is in the store: %t", what, is)
		}
		if bytes.Contains([]byte(k.log.String()), []byte(what)) {
			t.Errorf("%s is in the log", what)
		}
	}
}
