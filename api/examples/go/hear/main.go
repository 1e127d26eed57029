// Command hear prints what becomes of scans: pushes that ended, and events that were rejected.
//
//	hear NATS_URL NAME DELIVERY_ID
//
// NAME is the listener's own: what it has not acknowledged waits for it on the server, also while it does not run. It
// needs NATS's client, github.com/nats-io/nats.go. Credentials come from the file that NATS_CREDS names, if it is set.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// outcome is what a dispatch system wants to know; api/asyncapi.yaml has all of it.
type outcome struct {
	EventID   string `json:"event_id"`
	WaybillID string `json:"waybill_id"`
	Status    string `json:"status"` // delivered, failed, discarded, rejected; differs and agrees are of whole waybills.
	Errcode   int    `json:"errcode"`
	Reason    string `json:"reason"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "hear NATS_URL NAME DELIVERY_ID")
		os.Exit(1)
	}
	if err := hear(ctx, os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func hear(ctx context.Context, address, name, deliveryID string) error {
	options := []nats.Option{nats.MaxReconnects(-1)}
	if file := os.Getenv("NATS_CREDS"); file != "" {
		options = append(options, nats.UserCredentials(file))
	}
	conn, err := nats.Connect(address, options...)
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	consumer, err := js.CreateOrUpdateConsumer(ctx, "CARRIER_OUTCOMES", jetstream.ConsumerConfig{
		Durable: name, AckPolicy: jetstream.AckExplicitPolicy, FilterSubject: "carrier.outcomes." + deliveryID + ".>",
	})
	if err != nil {
		return err
	}
	listening, err := consumer.Consume(note)
	if err != nil {
		return err
	}
	defer listening.Stop()
	<-ctx.Done()
	return nil
}

// note takes one outcome. Outcomes are told at least once, in order: ce-source and ce-id together tell a repeat, so keep
// them with what you make of it, in one transaction. Only then acknowledge.
func note(m jetstream.Msg) {
	var o outcome
	if err := json.Unmarshal(m.Data(), &o); err != nil {
		fmt.Fprintln(os.Stderr, "unreadable:", err)
		_ = m.Term() // It will not become readable.
		return
	}
	fmt.Println(m.Headers().Get("ce-id"), o.Status, o.WaybillID, o.EventID, o.Errcode, o.Reason)
	if err := m.Ack(); err != nil {
		fmt.Fprintln(os.Stderr, "it will come again:", err)
	}
}
