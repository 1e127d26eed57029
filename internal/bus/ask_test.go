package bus

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"carrier/internal/bus/natstest"
	"carrier/internal/orders"
)

const private = "13800138000 PASSWORD" // Of a question; no error may repeat it.

func question() orders.Question {
	return orders.Question{ID: "q-1", DeliveryID: "SF", Event: orders.AddWaybill, Body: map[string]string{"tel": private, "html": "<&>"}}
}

// answering runs a dispatch system until the test ends.
func answering(t *testing.T, nc *nats.Conn, answer func(*nats.Msg) *nats.Msg) {
	t.Helper()
	_, err := nc.Subscribe("carrier.orders.>", func(m *nats.Msg) {
		if a := answer(m); a != nil {
			if err := m.RespondMsg(a); err != nil {
				t.Errorf("answering: %v", err)
			}
		}
	})
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestAsk: the question as it is on the wire, and each kind of answer.
func TestAsk(t *testing.T) {
	tests := []struct {
		name   string
		answer *nats.Msg
		want   orders.Answer
		err    string
	}{
		{"a yes", &nats.Msg{Data: []byte(`{"result_code":0,"waybill_id":"W1","waybill_data":{"k":"v"},"quota":7}`)},
			orders.Answer{WaybillID: "W1", WaybillData: map[string]string{"k": "v"}, Quota: 7}, ""},
		{"a no", &nats.Msg{Data: []byte(`{"result_code":20001,"result_msg":"no"}`)}, orders.Answer{Code: 20001, Msg: "no"}, ""},
		{"empty", &nats.Msg{}, orders.Answer{}, "no JSON object"},
		{"no result_code", &nats.Msg{Data: []byte(`{}`)}, orders.Answer{}, "no result_code"},
		{"a micro error", &nats.Msg{Header: nats.Header{"Nats-Service-Error-Code": {"500"}, "Nats-Service-Error": {private}}, Data: []byte(`{"result_code":0}`)},
			orders.Answer{}, "the error 500"},
		{"a micro error in small letters", &nats.Msg{Header: nats.Header{"nats-service-error-code": {"503"}}, Data: []byte(`{"result_code":0}`)},
			orders.Answer{}, "the error 503"},
		{"a micro error that tells too much", &nats.Msg{Header: nats.Header{"Nats-Service-Error-Code": {private}}}, orders.Answer{}, "the error of no code"},
		{"a micro error without a code", &nats.Msg{Header: nats.Header{"Nats-Service-Error": {private}}}, orders.Answer{}, "the error of no code"},
		{"the question as its own answer", &nats.Msg{Data: []byte(`{"tel":"` + private + `"}`)}, orders.Answer{}, "no result_code"},
		{"a novel", &nats.Msg{Data: []byte(`{"result_code":0,"result_msg":"` + strings.Repeat("x", maxAnswer) + `"}`)}, orders.Answer{}, "more than 65536 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := natstest.Start(t, nil)
			got := make(chan *nats.Msg, 1)
			answering(t, server.Connect(), func(m *nats.Msg) *nats.Msg { got <- m; return tt.answer })
			answer, err := ask(within(t), server.Connect(), question())
			if !reflect.DeepEqual(answer, tt.want) || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("the answer is %+v, %v", answer, err)
			}
			if err != nil && (strings.Contains(err.Error(), "138") || errors.Is(err, orders.ErrNobody) || errors.Is(err, orders.ErrNotAsked)) {
				t.Errorf("the error is %q", err)
			}
			m := <-got
			if m.Subject != "carrier.orders.SF.add_waybill" || m.Header["Nats-Msg-Id"][0] != "q-1" || m.Header["content-type"][0] != "application/json" {
				t.Errorf("the question came on %s with %v", m.Subject, m.Header)
			}
			if want := `{"html":"<&>","tel":"` + private + `"}`; string(m.Data) != want || !json.Valid(m.Data) {
				t.Errorf("the question is %s", m.Data)
			}
		})
	}
}

// TestAskWithoutAnswer: nobody there is a case of its own, all others are errors that tell what is the matter.
func TestAskWithoutAnswer(t *testing.T) {
	server := natstest.Start(t, nil)
	nc := server.Connect()
	until(t, "it connects", nc.IsConnected)
	if _, err := ask(within(t), nc, question()); !errors.Is(err, orders.ErrNobody) {
		t.Errorf("nobody there: %v", err)
	}
	for _, id := range []string{"S F", "S.F", "*", ">", ""} {
		q := question()
		q.DeliveryID = id
		if _, err := ask(within(t), nc, q); err == nil || errors.Is(err, orders.ErrNobody) || !strings.Contains(err.Error(), "delivery_id") {
			t.Errorf("account %q: %v", id, err)
		}
	}
	q := question()
	q.Body = map[string]string{"tel": private, "remark": strings.Repeat("x", 2<<20)}
	if _, err := ask(within(t), nc, q); !errors.Is(err, orders.ErrNotAsked) || !strings.Contains(err.Error(), "max_payload") {
		t.Errorf("a question too large: %v", err)
	}
	q.Body = func() {}
	if _, err := ask(within(t), nc, q); err == nil || !strings.Contains(err.Error(), "not JSON") {
		t.Errorf("no question: %v", err)
	}

	answering(t, server.Connect(), func(*nats.Msg) *nats.Msg { return nil })
	cause := errors.New("4 s are over")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, cause)
	defer cancel()
	if _, err := ask(ctx, nc, question()); !errors.Is(err, cause) || errors.Is(err, orders.ErrNotAsked) || !strings.Contains(err.Error(), "carrier.orders.SF.add_waybill") {
		t.Errorf("no answer in time: %v", err)
	}

	server.Down()
	until(t, "the connection is lost", func() bool { return !nc.IsConnected() })
	before := time.Now()
	if _, err := ask(within(t), nc, question()); !errors.Is(err, errNotConnected) || !errors.Is(err, orders.ErrNotAsked) || time.Since(before) > time.Second {
		t.Errorf("server down: %v after %s", err, time.Since(before))
	}
	if answer, err := (orders.First{asker{nc}, hook{}}).Ask(within(t), question()); err != nil || answer.WaybillID != "of the hook" {
		t.Errorf("server down, and a hook: %+v, %v", answer, err)
	}
	server.Up()
	answering(t, server.Connect(), func(*nats.Msg) *nats.Msg { return &nats.Msg{Data: []byte(`{"result_code":0}`)} })
	until(t, "it connects again", nc.IsConnected)
	if _, err := ask(within(t), nc, question()); err != nil {
		t.Errorf("server up again: %v", err)
	}
}

// asker asks over one connection, as a Bus does.
type asker struct{ nc *nats.Conn }

func (a asker) Ask(ctx context.Context, q orders.Question) (orders.Answer, error) {
	return ask(ctx, a.nc, q)
}

// hook is another way to the dispatch system.
type hook struct{}

func (hook) Ask(context.Context, orders.Question) (orders.Answer, error) {
	return orders.Answer{WaybillID: "of the hook"}, nil
}

// TestBrokenConnectionMayHaveAsked: the question was sent, and then the connection breaks. Nobody else may be asked.
func TestBrokenConnectionMayHaveAsked(t *testing.T) {
	server := natstest.Start(t, nil)
	nc := server.Connect()
	until(t, "it connects", nc.IsConnected)
	answering(t, server.Connect(), func(*nats.Msg) *nats.Msg { nc.Close(); return nil })
	answer, err := orders.First{asker{nc}, hook{}}.Ask(within(t), question())
	if err == nil || errors.Is(err, orders.ErrNotAsked) || errors.Is(err, orders.ErrNobody) {
		t.Errorf("the answer is %+v, %v", answer, err)
	}
	for _, err := range []error{nats.ErrDisconnected, nats.ErrConnectionClosed, nats.ErrTimeout} {
		if got := noAnswer(t.Context(), "carrier.orders.SF.add_waybill", err); errors.Is(got, orders.ErrNotAsked) {
			t.Errorf("%v is told as %v", err, got)
		}
	}
	if got := noAnswer(t.Context(), "carrier.orders.SF.add_waybill", nats.ErrReconnectBufExceeded); !errors.Is(got, orders.ErrNotAsked) {
		t.Errorf("a question that was refused before it left is told as %v", got)
	}
}
