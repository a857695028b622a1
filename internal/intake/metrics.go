package intake

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/abaton-health/abaton/internal/hl7"
)

// counters count what happens; no label names a sender or a patient.
type counters struct {
	messages    *prometheus.CounterVec
	garbage     prometheus.Counter
	connections prometheus.Gauge
}

func newCounters() *counters {
	return &counters{
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "abaton_intake_messages_total",
			Help: "Messages answered: filed, known (filed before), quarantined, refused, deferred (to be sent again)."}, []string{"outcome", "reason"}),
		garbage:     prometheus.NewCounter(prometheus.CounterOpts{Name: "abaton_intake_garbage_bytes_total", Help: "Bytes outside of frames."}),
		connections: prometheus.NewGauge(prometheus.GaugeOpts{Name: "abaton_intake_connections", Help: "Senders connected now."}),
	}
}

func (c *counters) answered(outcome string, reason hl7.Reason) {
	c.messages.WithLabelValues(outcome, string(reason)).Inc()
}

// Collectors are the intake's metrics, for main to register.
func (in *Intake) Collectors() []prometheus.Collector {
	return []prometheus.Collector{in.counters.messages, in.counters.garbage, in.counters.connections}
}
