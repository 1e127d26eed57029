package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// dispatch is the courier's dispatch system. It speaks NATS: the service asks it about orders, it sends scans, and it
// hears what became of them. It agrees to all orders. Where a courier is at the shop already, the parcel is scanned
// before the answer: a scan that is faster than its Token. It is safe for concurrent use.
type dispatch struct {
	conn      *nats.Conn
	js        jetstream.JetStream
	questions *nats.Subscription
	deaf      chan struct{}  // Closed: no more questions come.
	asked     sync.WaitGroup // Answers under way.

	mu      sync.Mutex
	errands map[string]*errand         // By order; of those that were not asked about yet. Owned by mu.
	told    map[string]map[uint64]bool // By status, the pushes and events that were told of. Owned by mu.
}

// errand is a scan to be made as soon as an order is known.
type errand struct {
	scan func(ctx context.Context, waybill string)
	done chan struct{}
}

const (
	// scanFirst is how long an answer waits for such a scan. The service waits 3.5 s for the answer.
	scanFirst = time.Second
	// dispatchName is the source that the dispatch system sends as.
	dispatchName = "dispatch"
)

func newDispatch() *dispatch {
	return &dispatch{deaf: make(chan struct{}), errands: map[string]*errand{}, told: map[string]map[uint64]bool{}}
}

// connect connects to the service's NATS server.
func (d *dispatch) connect(url string) (err error) {
	if d.conn, err = nats.Connect(url, nats.Name("demo dispatch system"), nats.MaxReconnects(-1)); err != nil {
		return fmt.Errorf("connecting the dispatch system: %w", err)
	}
	if d.js, err = jetstream.New(d.conn); err != nil {
		return err
	}
	d.questions, err = d.conn.Subscribe("carrier.orders."+DeliveryID+".*", func(m *nats.Msg) { d.asked.Go(func() { d.answer(m) }) })
	if err != nil {
		return err
	}
	d.questions.SetClosedHandler(func(string) { close(d.deaf) })
	if _, err = d.conn.Subscribe("carrier.outcomes."+DeliveryID+".*", d.hear); err != nil {
		return err
	}
	return d.conn.FlushTimeout(clientTimeout) // From here on the server knows of both.
}

// close ends the connection, after the answers under way. No question is taken any more; a connection that is closed
// already takes none either.
func (d *dispatch) close() {
	if d.questions != nil {
		_ = d.questions.Unsubscribe()
		<-d.deaf
		d.asked.Wait()
	}
	if d.conn != nil {
		d.conn.Close()
	}
}

// sendCourier has a waybill scanned when the service asks about its order. The scan's ctx ends when the answer is
// given, before which the service has no Token; done tells that scan has returned.
func (d *dispatch) sendCourier(orderID string, scan func(ctx context.Context, waybill string)) (done <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := &errand{scan: scan, done: make(chan struct{})}
	d.errands[orderID] = e
	return e.done
}

// answer answers the service.
func (d *dispatch) answer(m *nats.Msg) {
	var question struct {
		Event     string `json:"event"`
		OrderID   string `json:"order_id"`
		WaybillID string `json:"waybill_id"`
	}
	if json.Unmarshal(m.Data, &question) != nil {
		return // The service takes silence for a no.
	}
	if question.Event == "add_waybill" {
		d.run(question.OrderID, question.WaybillID)
	}
	_ = m.Respond([]byte(`{"result_code":0,"result_msg":"ok"}`)) // The connection is gone; nobody is left to be told.
}

// run makes the scan that waits for an order, if there is one. A scan that takes long goes on after the answer; who
// sent the courier waits for it.
func (d *dispatch) run(orderID, waybill string) {
	d.mu.Lock()
	e := d.errands[orderID]
	delete(d.errands, orderID)
	d.mu.Unlock()
	if e == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), scanFirst)
	defer cancel()
	go func() {
		defer close(e.done)
		e.scan(ctx, waybill)
	}()
	select {
	case <-e.done:
	case <-ctx.Done():
	}
}

// submit sends a scan as a request, which is answered with its verdict.
func (d *dispatch) submit(ctx context.Context, e *event) (r result, err error) {
	body, err := json.Marshal(e)
	if err != nil {
		return r, err
	}
	ctx, cancel := context.WithTimeout(ctx, clientTimeout)
	defer cancel()
	reply, err := d.conn.RequestWithContext(ctx, "carrier.submit."+dispatchName, body)
	if err != nil {
		return r, fmt.Errorf("carrier.submit.%s: %w", dispatchName, err)
	}
	if err := json.Unmarshal(reply.Data, &r); err != nil || r.Verdict == "" {
		return r, fmt.Errorf("carrier.submit.%s: %.500s", dispatchName, reply.Data)
	}
	return r, nil
}

// publish puts a scan into the stream, from which the service takes it.
func (d *dispatch) publish(ctx context.Context, e *event) error {
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, clientTimeout)
	defer cancel()
	if _, err := d.js.Publish(ctx, "carrier.events."+dispatchName, body, jetstream.WithMsgID(e.ID)); err != nil {
		return fmt.Errorf("publishing event %s: %w", e.ID, err)
	}
	return nil
}

// untaken is how many published scans the service has not taken yet.
func (d *dispatch) untaken(ctx context.Context) (uint64, error) {
	c, err := d.js.Consumer(ctx, "CARRIER_EVENTS", "carrier-ingest")
	if err != nil {
		return 0, err
	}
	info := c.CachedInfo()
	return info.NumPending + uint64(info.NumAckPending), nil
}

// hear notes what became of a push, or that an event was rejected.
func (d *dispatch) hear(m *nats.Msg) {
	var outcome struct {
		Seq    uint64 `json:"seq"`
		Status string `json:"status"`
	}
	if json.Unmarshal(m.Data, &outcome) != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.told[outcome.Status] == nil {
		d.told[outcome.Status] = map[uint64]bool{}
	}
	d.told[outcome.Status][outcome.Seq] = true
}

// heard is how many pushes, or events, it was told of with a status.
func (d *dispatch) heard(status string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.told[status])
}
