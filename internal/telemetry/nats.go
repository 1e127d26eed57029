package telemetry

import "github.com/prometheus/client_golang/prometheus"

// natsMetrics are those of the connection to NATS and of what is taken from it. A metric without labels is a vector, too,
// so that it is absent until something is known of it: a service without NATS has no connection that is down.
type natsMetrics struct {
	connected, takenAt, waiting, unacked *prometheus.GaugeVec
	reconnects, messages, redelivered    *prometheus.CounterVec
}

func newNATSMetrics(r prometheus.Registerer) natsMetrics {
	return natsMetrics{
		connected: natsConnected.gaugeVec(r), takenAt: natsTakenAt.gaugeVec(r), waiting: natsWaiting.gaugeVec(r), unacked: natsUnacked.gaugeVec(r),
		reconnects: natsReconnects.counterVec(r), messages: natsMessages.counterVec(r), redelivered: natsRedelivered.counterVec(r),
	}
}

// NATSConnected says whether there is a connection to NATS.
func (m *Metrics) NATSConnected(up bool) {
	if m == nil {
		return
	}
	m.nats.connected.WithLabelValues().Set(oneIf(up))
	m.nats.reconnects.WithLabelValues().Add(0) // From now on it is known.
	m.nats.redelivered.WithLabelValues().Add(0)
}

// NATSReconnected counts a connection that was lost and made again.
func (m *Metrics) NATSReconnected() {
	if m != nil {
		m.nats.reconnects.WithLabelValues().Inc()
	}
}

// natsAcked is the outcome of a message that was taken.
const natsAcked = "acked"

// NATSMessages counts n messages of the stream by what became of them: "acked", "returned" or "dead".
func (m *Metrics) NATSMessages(outcome string, n int) {
	if m == nil || n <= 0 {
		return
	}
	m.nats.messages.WithLabelValues(m.label("outcome", outcome)).Add(float64(n))
	if outcome == natsAcked {
		m.nats.takenAt.WithLabelValues().SetToCurrentTime()
	}
}

// NATSRedelivered counts n messages that had been delivered before.
func (m *Metrics) NATSRedelivered(n int) {
	if m != nil && n > 0 {
		m.nats.redelivered.WithLabelValues().Add(float64(n))
	}
}

// NATSBacklog says how many messages nobody has fetched, and how many are fetched and not answered.
func (m *Metrics) NATSBacklog(waiting, unacked int64) {
	if m != nil {
		m.nats.waiting.WithLabelValues().Set(float64(waiting))
		m.nats.unacked.WithLabelValues().Set(float64(unacked))
	}
}
