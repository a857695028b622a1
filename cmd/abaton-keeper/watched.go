package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/detect"
)

// watched shows what this keeper's watch did, in numbers alone.
type watched struct{ keeper *custody.Keeper }

func (watched) verdicts() *prometheus.Desc {
	return prometheus.NewDesc("abaton_keeper_verdicts_total", "Verdicts by whose word (own, heard), level and rule, since the start; one with two rules counts for each.",
		[]string{"word", "level", "rule"}, nil)
}

func (watched) subjects() *prometheus.Desc {
	return prometheus.NewDesc("abaton_keeper_held_subjects", "People, sessions and devices held back now, by level.", []string{"level"}, nil)
}

func (watched) lifts() *prometheus.Desc {
	return prometheus.NewDesc("abaton_keeper_lifted_verdicts_total", "Verdicts that organisations lifted, since the start.", nil, nil)
}

func (watched) silent() *prometheus.Desc {
	return prometheus.NewDesc("abaton_keeper_silent_peers", "Other keepers that have said nothing for a minute.", nil, nil)
}

// Describe names the metrics (prometheus.Collector).
func (w watched) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{w.verdicts(), w.subjects(), w.lifts(), w.silent()} {
		to <- d
	}
}

// Collect reads the counts. Every row is there from the start, so that a first
// verdict is a rise.
func (w watched) Collect(to chan<- prometheus.Metric) {
	n := w.keeper.Watched()
	for l := detect.StepUp; l <= detect.Quarantine; l++ {
		for r := detect.D0; detect.AllRules.Has(r); r++ {
			for word, own := range map[string]bool{"own": true, "heard": false} {
				to <- prometheus.MustNewConstMetric(w.verdicts(), prometheus.CounterValue, float64(n.Verdicts[custody.TallyKey{Own: own, Level: l, Rule: r}]), word, l.String(), r.String())
			}
		}
	}
	for l := detect.StepUp; l <= detect.Quarantine; l++ {
		to <- prometheus.MustNewConstMetric(w.subjects(), prometheus.GaugeValue, float64(n.Held[l]), l.String())
	}
	to <- prometheus.MustNewConstMetric(w.lifts(), prometheus.CounterValue, float64(n.Lifts))
	to <- prometheus.MustNewConstMetric(w.silent(), prometheus.GaugeValue, float64(n.Silent))
}
