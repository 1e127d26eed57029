package demo

import (
	"context"
	"sync"
	"testing"

	"carrier/internal/bus/natstest"
)

// TestDispatch has an order scanned once, before its answer, and only if the service asks.
func TestDispatch(t *testing.T) {
	srv := natstest.Start(t, nil)
	d := newDispatch()
	if err := d.connect(srv.URL()); err != nil {
		t.Fatal(err)
	}
	defer d.close()
	scanned := ""
	done := d.sendCourier("order-1", func(_ context.Context, waybill string) { scanned += waybill })
	service := srv.Connect()
	ask := func(event string) string {
		t.Helper()
		reply, err := service.RequestWithContext(t.Context(), "carrier.orders.SF."+event,
			[]byte(`{"event":"`+event+`","order_id":"order-1","waybill_id":"W1"}`))
		if err != nil {
			t.Fatal(err)
		}
		return string(reply.Data)
	}
	const yes = `{"result_code":0,"result_msg":"ok"}`
	for range 2 {
		if got := ask("add_waybill"); got != yes {
			t.Errorf("the service is answered %s", got)
		}
	}
	if <-done; scanned != "W1" {
		t.Errorf("scanned %q, want W1 once", scanned)
	}
	if got := ask("cancel_waybill"); got != yes || scanned != "W1" {
		t.Errorf("a cancellation is answered %s, and %q was scanned", got, scanned)
	}
}

// TestDispatchHears counts outcomes once each.
func TestDispatchHears(t *testing.T) {
	srv := natstest.Start(t, nil)
	d := newDispatch()
	if err := d.connect(srv.URL()); err != nil {
		t.Fatal(err)
	}
	defer d.close()
	service := srv.Connect()
	for _, body := range []string{`{"seq":1,"status":"delivered"}`, `{"seq":1,"status":"delivered"}`, `no JSON`, `{"seq":2,"status":"failed"}`,
		`{"seq":2,"status":"delivered"}`, `{"seq":3,"status":"rejected"}`} {
		if err := service.Publish("carrier.outcomes.SF.x", []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := service.Flush(); err != nil {
		t.Fatal(err)
	}
	for d.heard("rejected") == 0 && t.Context().Err() == nil {
		if err := d.conn.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if delivered, failed := d.heard("delivered"), d.heard("failed"); delivered != 2 || failed != 1 {
		t.Errorf("heard of %d delivered and %d failed pushes, want 2 and 1", delivered, failed)
	}
}

// TestCloseWhileAsked: questions come while it closes; each that was taken is answered before the connection ends.
func TestCloseWhileAsked(t *testing.T) {
	server := natstest.Start(t, nil)
	d := newDispatch()
	if err := d.connect(server.URL()); err != nil {
		t.Fatal(err)
	}
	asker := server.Connect()
	ctx, cancel := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	answered := make(chan struct{}, 1)
	asking.Go(func() {
		for ctx.Err() == nil {
			if _, err := asker.RequestWithContext(ctx, "carrier.orders."+DeliveryID+".add_waybill", []byte(`{}`)); err == nil {
				select {
				case answered <- struct{}{}:
				default:
				}
			}
		}
	})
	<-answered
	d.close()
	if !d.conn.IsClosed() {
		t.Error("the connection is still there")
	}
	cancel()
	asking.Wait()
}

// TestCloseWithoutServer: the service's own server is gone by then.
func TestCloseWithoutServer(t *testing.T) {
	server := natstest.Start(t, nil)
	d := newDispatch()
	if err := d.connect(server.URL()); err != nil {
		t.Fatal(err)
	}
	server.Down()
	d.close()
	newDispatch().close() // It never connected.
}
