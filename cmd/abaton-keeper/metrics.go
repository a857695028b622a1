package main

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/store"
)

// metrics counts answers by route and reason. No patient, record, reader or
// organisation is a label.
type metrics struct {
	registry *prometheus.Registry
	answers  *prometheus.CounterVec
	keeper   *custody.Keeper
}

func newMetrics(k *custody.Keeper, s *store.Store) *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), keeper: k}
	m.answers = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "abaton_keeper_answers_total", Help: "Answers by route and reason; an empty reason is a success.",
	}, []string{"route", "reason"})
	m.registry.MustRegister(m.answers,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "abaton_keeper_mode", Help: "1 starting, 2 serving, 3 quarantined, 4 stopped.",
		}, func() float64 { return float64(k.Mode()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "abaton_keeper_ledger_entries", Help: "Size of this keeper's ledger.",
		}, func() float64 { return float64(k.LedgerSize()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "abaton_keeper_clock", Help: "0 unknown, 1 healthy, 2 doubted, 3 wrong.",
		}, func() float64 { return float64(k.Clock().Health) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "abaton_keeper_clock_ahead_seconds", Help: "How far the clock is ahead of the median of the peers'.",
		}, func() float64 { return k.Clock().Ahead.Seconds() }),
		findings{k}, watched{k}, below(k),
		held(s, "records", "Records that can still be read.", func(c store.Counts) int64 { return c.Records }),
		held(s, "batches", "Batches held.", func(c store.Counts) int64 { return c.Batches }),
		held(s, "fragment_bytes", "Bytes of fragments held.", func(c store.Counts) int64 { return c.Bytes }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "abaton_keeper_store_disk_bytes", Help: "Bytes of all files of the store.",
		}, func() float64 { return float64(s.DiskBytes()) }),
	)
	return m
}

func held(s *store.Store, what, help string, pick func(store.Counts) int64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "abaton_keeper_held_" + what, Help: help}, func() float64 {
		c, err := s.Counts()
		if err != nil {
			return -1
		}
		return float64(pick(c))
	})
}

func (m *metrics) count(route string, reason abaton.Reason) {
	m.answers.WithLabelValues(route, string(reason)).Inc()
}

// health answers 200 while the keeper serves, 503 otherwise.
func (m *metrics) health(w http.ResponseWriter, _ *http.Request) {
	mode := m.keeper.Mode()
	w.Header().Set("Content-Type", "application/json")
	if mode != custody.Serving {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	clock := m.keeper.Clock()
	json.NewEncoder(w).Encode(map[string]any{
		"mode": mode.String(), "clock": clock.Health.String(), "clockAheadSeconds": int64(clock.Ahead / time.Second),
	})
}

// status tells more than health, and always 200: for people who look.
func (m *metrics) status(w http.ResponseWriter, _ *http.Request) {
	clock := m.keeper.Clock()
	found, err := m.keeper.Findings()
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{
		"mode": m.keeper.Mode().String(), "clock": clock.Health.String(), "clockAheadSeconds": int64(clock.Ahead / time.Second),
		"ledgerEntries": m.keeper.LedgerSize(), "findings": found, "repair": m.keeper.RepairProgress(),
	})
}

// adminRoutes are metrics, health and repair, for this machine.
func adminRoutes(m *metrics, d *repairDesk) *http.ServeMux {
	routes := http.NewServeMux()
	routes.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	routes.HandleFunc("GET /health", m.health)
	routes.HandleFunc("GET /status", m.status)
	routes.HandleFunc("GET /repair", d.tell)
	routes.HandleFunc("POST /repair", d.begin)
	return routes
}
