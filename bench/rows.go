package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"time"

	"github.com/abaton-health/abaton/bench/machine"
)

// write makes the result file, one per day and commit.
func write(dir string, rows []row, f machine.Facts) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(struct {
		Facts machine.Facts `json:"facts"`
		Rows  []row         `json:"rows"`
	}{f, rows}, "", "  ")
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%s-%s.json", f.Date[:10], f.Commit)
	return os.WriteFile(filepath.Join(dir, name), append(data, '\n'), 0o644)
}

// median and percentile of durations, in milliseconds.
func percentile(all []time.Duration, p float64) float64 {
	if len(all) == 0 {
		return 0
	}
	sorted := append([]time.Duration(nil), all...)
	sort.Slice(sorted, func(i, j int) bool { return sorted[i] < sorted[j] })
	return float64(sorted[min(int(p*float64(len(sorted))), len(sorted)-1)]) / float64(time.Millisecond)
}

// perOp is the median CPU-bound time of f, in microseconds, over rounds of n
// calls.
func perOp(rounds, n int, f func()) float64 {
	var all []time.Duration
	for range rounds {
		start := time.Now()
		for range n {
			f()
		}
		all = append(all, time.Since(start)/time.Duration(n))
	}
	return percentile(all, 0.5) * 1000
}
