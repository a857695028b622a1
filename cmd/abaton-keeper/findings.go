package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/abaton-health/abaton/internal/custody"
)

// findings shows how often the keeper found what wrong with itself, by reason.
// The counts are the store's: they survive the process.
type findings struct{ keeper *custody.Keeper }

func (findings) about() *prometheus.Desc {
	return prometheus.NewDesc("abaton_keeper_findings_total", "What this keeper found wrong with itself, ever.", []string{"reason"}, nil)
}

// Describe names the metric (prometheus.Collector).
func (f findings) Describe(to chan<- *prometheus.Desc) { to <- f.about() }

// Collect reads the counts; a store that cannot be read shows none.
func (f findings) Collect(to chan<- prometheus.Metric) {
	counts, err := f.keeper.Findings()
	if err != nil {
		return
	}
	for reason, n := range counts {
		to <- prometheus.MustNewConstMetric(f.about(), prometheus.CounterValue, float64(n), string(reason))
	}
}
