package bus

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"carrier/internal/bus/natstest"
	"carrier/internal/logtest"
	"carrier/internal/orders"
	"carrier/internal/store"
)

// TestNoSecretsLeave: of all that crosses the server, only what senders send and the question to the dispatch system
// hold a Token or an event's text; the log holds none.
func TestNoSecretsLeave(t *testing.T) {
	server := natstest.Start(t, nil)
	js := jetStream(t, server)
	makeStream(t, js, nil)
	spy := server.Connect()
	heard, err := spy.SubscribeSync(">")
	if err != nil {
		t.Fatal(err)
	}
	if err := spy.Flush(); err != nil {
		t.Fatal(err)
	}
	var log logtest.Buffer
	n := fullNotice()
	n.Number = 1
	unfit := fullNotice()
	unfit.Number, unfit.Event.DeliveryID = 2, "S F"
	kept := &fakeStore{t: t, notices: []store.Notice{n, unfit}}
	o := options(t, &fakeEvents{}, kept)
	o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	serve(t, server, o)
	startTeller(t, js, o)

	nc := server.Connect()
	secrets := `"action_msg":"` + secretText + `","token":"` + secretToken + `"`
	for _, id := range []string{"a", "bad", "no", "later"} {
		asked(t, nc, "carrier.submit.s", nil, `{"id":"`+id+`",`+secrets+`}`)
	}
	asked(t, nc, "carrier.submit.s", nil, `{"id":"`+secretToken)
	for _, body := range []string{`{"waybill_id":"W1","token":"%s"}`, `{"waybill_id":"W 1","token":"%s"}`, `{"waybill_id":"W1","token":"T","x":"%s"}`, `{"%s":1}`, `"%s`} {
		asked(t, nc, "carrier.token.SF", nil, fmt.Sprintf(body, secretToken))
	}
	answering(t, server.Connect(), func(*nats.Msg) *nats.Msg { return &nats.Msg{Data: []byte(`{"result_code":0}`)} })
	if _, err := ask(within(t), nc, orders.Question{ID: "q", DeliveryID: "SF", Event: orders.AddWaybill, Body: secretToken + secretText}); err != nil {
		t.Error(err)
	}
	until(t, "all is told", func() bool { return kept.toldUpTo() == 2 })

	const end = "the.end"
	if err := nc.Publish(end, nil); err != nil {
		t.Fatal(err)
	}
	messages := 0
	for m, err := heard.NextMsgWithContext(within(t)); m == nil || m.Subject != end; m, err = heard.NextMsgWithContext(within(t)) {
		if err != nil {
			t.Fatal(err)
		}
		if isAddressed(m.Subject) {
			continue
		}
		messages++
		if text := fmt.Sprint(m.Subject, m.Header, string(m.Data)); strings.Contains(text, "CANARY") {
			t.Errorf("on NATS is %s", text)
		}
	}
	if messages < 12 {
		t.Errorf("only %d messages were heard", messages)
	}
	if text := log.String(); strings.Contains(text, "CANARY") || !strings.Contains(text, "passed over") {
		t.Errorf("the log is\n%s", text)
	}
}

// isAddressed tells subjects that may hold a Token or a text: senders send them, or the dispatch system is asked.
func isAddressed(subject string) bool {
	return strings.HasPrefix(subject, submitPrefix) || strings.HasPrefix(subject, tokenPrefix) || strings.HasPrefix(subject, ordersPrefix)
}
