package telemetry

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestNATS(t *testing.T) {
	names := []string{"carrier_nats_connected", "carrier_nats_reconnects_total", "carrier_nats_messages_total", "carrier_nats_redelivered_total",
		"carrier_nats_last_taken_timestamp_seconds", "carrier_nats_waiting_messages", "carrier_nats_unacked_messages"}
	synctest.Test(t, func(t *testing.T) {
		m := NewMetrics(Build{})
		p := read(t, m)
		for _, name := range names { // NATS is off.
			p.want(name, map[string]float64{})
		}
		m.NATSConnected(false)
		m.NATSConnected(true)
		m.NATSConnected(false)
		m.NATSReconnected()
		m.NATSMessages("acked", 5)
		at := float64(time.Now().Unix())
		time.Sleep(time.Minute)
		m.NATSMessages("returned", 2)
		m.NATSMessages("dead", 1)
		m.NATSMessages("acked", 0)
		m.NATSRedelivered(3)
		m.NATSBacklog(70, 30)
		m.NATSBacklog(7, 3)
		p = read(t, m)
		p.want(names[0], map[string]float64{"": 0})
		p.want(names[1], map[string]float64{"": 1})
		p.want(names[2], map[string]float64{`outcome="acked"`: 5, `outcome="returned"`: 2, `outcome="dead"`: 1})
		p.want(names[3], map[string]float64{"": 3})
		p.want(names[4], map[string]float64{"": at})
		p.want(names[5], map[string]float64{"": 7})
		p.want(names[6], map[string]float64{"": 3})
	})
}
