package gateway

import (
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/abaton-health/abaton"
)

// counters count what happens. No label names a person, a patient, a record
// or a grant.
type counters struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	records  *prometheus.CounterVec
	faults   *prometheus.CounterVec
	notices  *prometheus.CounterVec
	held     *prometheus.CounterVec
	logins   prometheus.Counter
	untold   prometheus.Counter // registered where relations are told
}

func newCounters() *counters {
	return &counters{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "abaton_gateway_requests_total", Help: "Requests by route and status."}, []string{"route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "abaton_gateway_request_seconds", Help: "Time to answer, by route.",
			Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10}}, []string{"route"}),
		records: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "abaton_gateway_records_written_total", Help: "Records written, by how far they had come when answered."}, []string{"durable"}),
		faults:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "abaton_gateway_faults_total", Help: "Faults proved, by party."}, []string{"party"}),
		notices: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "abaton_gateway_notices_total", Help: "Notifications of subscriptions, by how a try ended."}, []string{"end"}),
		held:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "abaton_gateway_held_total", Help: "Answers that the keepers' watch held back, by reason."}, []string{"reason"}),
		untold:  prometheus.NewCounter(prometheus.CounterOpts{Name: "abaton_gateway_relations_untold_total", Help: "Resources that say who treats whom, and name nobody whom the organisation knows."}),
		logins:  prometheus.NewCounter(prometheus.CounterOpts{Name: "abaton_gateway_sessions_total", Help: "Sessions begun."}),
	}
}

func (c *counters) served(route string, status int, took time.Duration) {
	c.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	c.seconds.WithLabelValues(route).Observe(took.Seconds())
}

func (c *counters) written(records int, pending bool) {
	c.records.WithLabelValues(strconv.FormatBool(!pending)).Add(float64(records))
}

func (c *counters) fault(party string) { c.faults.WithLabelValues(party).Inc() }
func (c *counters) notice(end string)  { c.notices.WithLabelValues(end).Inc() }

// watched counts an error that is the watch's: what reached somebody, not each
// keeper's answer.
func (c *counters) watched(err error) {
	if r, is := errors.AsType[*abaton.RefusedError](err); is {
		switch r.Reason {
		case abaton.ReasonStepUp, abaton.ReasonThrottled, abaton.ReasonSuspended:
			c.held.WithLabelValues(string(r.Reason)).Inc()
		}
	}
}

func (c *counters) login() { c.logins.Inc() }

// Collectors are this gateway's metrics, for main to register.
func (g *Gateway) Collectors() []prometheus.Collector {
	gauge := func(name, help string, f func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f)
	}
	return append(g.relationCollectors(), []prometheus.Collector{
		g.counters.requests, g.counters.seconds, g.counters.records, g.counters.faults, g.counters.notices, g.counters.held, g.counters.logins,
		gauge("abaton_gateway_sessions", "Sessions that are live now.", func() float64 { return float64(g.sessions.len()) }),
		gauge("abaton_gateway_outbox_batches", "Sealed batches not yet at all keepers.", func() float64 { return float64(g.outbox.Len()) }),
		gauge("abaton_gateway_batches_below_quorum", "Batches not yet at the write quorum.", func() float64 { return g.backlog(0) }),
		gauge("abaton_gateway_batches_below_all", "Acknowledged batches not yet at every keeper.", func() float64 { return g.backlog(1) }),
		gauge("abaton_gateway_batches_refused", "Batches refused when nobody was there to be told.", func() float64 { return g.backlog(2) }),
	}...)
}

// backlog is one of the writer's three counts.
func (g *Gateway) backlog(which int) float64 {
	below, incomplete, refused := g.writer.Backlog()
	return float64([...]int{below, incomplete, refused}[which])
}
