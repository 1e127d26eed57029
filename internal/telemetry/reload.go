package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// reloadMetrics tell whether the configuration in force is the one in its file.
type reloadMetrics struct{ success, at *prometheus.GaugeVec }

func newReloadMetrics(r prometheus.Registerer) reloadMetrics {
	return reloadMetrics{success: reloadSuccess.gaugeVec(r), at: reloadedAt.gaugeVec(r)}
}

// Reloaded notes whether a configuration was taken over, at a time.
func (m *Metrics) Reloaded(taken bool, at time.Time) {
	if m == nil {
		return
	}
	m.reloads.success.WithLabelValues().Set(oneIf(taken))
	if taken {
		m.reloads.at.WithLabelValues().Set(float64(at.UnixMilli()) / 1000)
	}
}
