package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// searching measures the index in memory without HTTP: making it, asking it
// with 100 patients open, and what an open patient takes.
func searching(ctx context.Context, b *bench) error {
	const pkg = "./internal/fhir/search"
	made, err := goBench(ctx, pkg, "BenchmarkIndex", "2s", "cpu-µs/resource")
	if err != nil {
		return err
	}
	b.add(row{Name: "index", Value: 1e6 / made["BenchmarkIndex/whole"], Unit: "/s", Budget: "≥ 80 k resources per CPU-second",
		Limit: 1e6 / made["BenchmarkIndex/parse"], LimitName: "parsing alone", Detail: "parse and index every R4 parameter"})
	asked, err := goBench(ctx, pkg, "BenchmarkSearch", "200x", "ns/op")
	if err != nil {
		return err
	}
	var all []float64
	slowest := ""
	for name, took := range asked {
		if all = append(all, took); took == slices.Max(all) {
			slowest = strings.TrimPrefix(name, "BenchmarkSearch/")
		}
	}
	slices.Sort(all)
	b.add(row{Name: "search_100_patients", Value: all[len(all)/2] / 1e6, Unit: "ms", Budget: "p50 ≤ 2 ms",
		Detail: fmt.Sprintf("median of %d kinds of query; slowest %s %.1f ms", len(all), slowest, all[len(all)-1]/1e6)})
	rows := []row{}
	for _, m := range []struct{ unit, name, detail string }{
		{"body-bytes/patient", "chart_memory: records", "as the client wrote them"},
		{"index-bytes/patient", "chart_memory: index", "every R4 parameter"},
		{"chart-bytes/patient", "chart_memory: heap beside the records", "versions and index"},
	} {
		got, err := goBench(ctx, pkg, "BenchmarkMemory", "1x", m.unit)
		if err != nil {
			return err
		}
		rows = append(rows, row{Name: m.name, Value: got["BenchmarkMemory"] / 1024, Unit: "KiB", Detail: m.detail + ", mean of the patients at hand"})
	}
	for i := range rows[1:] {
		rows[i+1].Limit, rows[i+1].LimitName = rows[0].Value, "the records"
	}
	for _, r := range rows {
		b.add(r)
	}
	return nil
}

// panel searches over all patients the clinician holds: cold, which opens of
// each what the query looks at, then warm.
func panel(ctx context.Context, b *bench, r *running) error {
	f, err := r.signIn(ctx, b)
	if err != nil {
		return err
	}
	if _, err := f.get(ctx, "/Organization?_count=1"); err != nil {
		return fmt.Errorf("cold directory: %w", err)
	}
	people := 0
	trip := b.value("bare loopback TLS 1.3 h2 round trip")
	for _, q := range []struct{ name, path string }{
		{"Patient by name", "/Patient?name=a&_count=1000"},
		{"Observations of a month", "/Observation?date=2019-03&_count=20"},
	} {
		start := time.Now()
		page, err := f.get(ctx, q.path)
		if err != nil {
			return fmt.Errorf("cold panel: %w", err)
		}
		cold := time.Since(start)
		if people == 0 {
			all, err := f.get(ctx, "/Patient?_summary=count")
			if err != nil {
				return fmt.Errorf("count patients: %w", err)
			}
			people = totalIn(all)
		}
		var warm []time.Duration
		for range 50 {
			start = time.Now()
			if _, err := f.get(ctx, q.path); err != nil {
				return fmt.Errorf("warm panel: %w", err)
			}
			warm = append(warm, time.Since(start))
		}
		detail := fmt.Sprintf("%d patients, %d found", people, totalIn(page))
		b.add(row{Name: "panel cold, " + q.name, Value: float64(cold.Milliseconds()), Unit: "ms", Limit: trip, LimitName: "one TLS round trip", Detail: detail})
		b.add(row{Name: "panel warm, " + q.name + ", p50", Value: percentile(warm, 0.5), Unit: "ms", Budget: "≤ 2 ms", Limit: trip, LimitName: "one TLS round trip", Detail: detail})
	}
	return nil
}
