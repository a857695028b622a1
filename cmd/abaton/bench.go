package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
)

// benchRuns are how often bench does each thing.
const benchRuns = 100

// timing is one row of bench.
type timing struct {
	Name string  `json:"name"`
	Runs int     `json:"runs"`
	P50  float64 `json:"p50_ms"`
	P95  float64 `json:"p95_ms"`
	Max  float64 `json:"max_ms"`
}

// newBenchCommand times a running network as one patient's device sees it. The
// benchmark that documents cite is the program in the folder bench.
func newBenchCommand(e *env) *cobra.Command {
	var as string
	var asJSON bool
	c := &cobra.Command{Use: "bench", Short: "Time a running network, from one patient's device", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			d, err := e.device(as)
			if err != nil {
				return err
			}
			defer d.hangUp()
			rows, err := e.time(c.Context(), d)
			if err != nil {
				return err
			}
			if asJSON {
				return e.json(map[string]any{"v": 1, "timings": rows})
			}
			return e.printTimings(rows)
		}}
	c.Flags().StringVar(&as, "as", "", "the patient")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.MarkFlagRequired("as")
	return c
}

// time opens the whole record once, then one record, its list and a permit
// again and again in a warm session.
func (e *env) time(ctx context.Context, d *device) ([]timing, error) {
	own, err := d.Own(ctx, d.net)
	if err != nil {
		return nil, err
	}
	l, err := d.at.People().Direct(ctx, d.Person, d.net, own)
	if err != nil {
		return nil, err
	}
	reader, err := d.net.NewReader(l)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	ask := client.Ask{Patient: d.ID, Purpose: abaton.PatientAccess}
	for _, s := range own.Seeds {
		if !slices.Contains(ask.Lines, s.Line) {
			ask.Lines = append(ask.Lines, s.Line)
		}
	}
	var chart *client.Chart
	cold, err := repeat(1, func() error { chart, err = reader.Chart(ctx, ask); return err })
	if err != nil {
		return nil, err
	}
	if len(chart.Records) == 0 {
		return nil, errors.New("this record is empty: nothing to time")
	}
	name := chart.Records[len(chart.Records)/2].Name
	one := client.Row{Batch: name.Batch, Records: 1 << name.Index}
	rows := []timing{timed(fmt.Sprintf("whole record cold, %d resources", len(chart.Records)), cold)}
	for _, w := range []struct {
		name string
		do   func() error
	}{
		{"open one record, warm", func() error { _, err := reader.Get(ctx, ask, one); return err }},
		{"renew the right to it", func() error { return reader.Permit(ctx, ask, one) }},
		{"list the record", func() error { _, err := reader.List(ctx, ask); return err }},
	} {
		all, err := repeat(benchRuns, w.do)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.name, err)
		}
		rows = append(rows, timed(w.name, all))
	}
	return rows, nil
}

func repeat(n int, do func() error) ([]time.Duration, error) {
	all := make([]time.Duration, 0, n)
	for range n {
		start := time.Now()
		if err := do(); err != nil {
			return nil, err
		}
		all = append(all, time.Since(start))
	}
	return all, nil
}

func timed(name string, all []time.Duration) timing {
	slices.Sort(all)
	ms := func(i int) float64 { return float64(all[min(i, len(all)-1)]) / float64(time.Millisecond) }
	return timing{Name: name, Runs: len(all), P50: ms(len(all) / 2), P95: ms(len(all) * 95 / 100), Max: ms(len(all) - 1)}
}

func (e *env) printTimings(rows []timing) error {
	w := tabwriter.NewWriter(e.stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "WHAT\tRUNS\tP50 MS\tP95 MS\tMAX MS")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%d\t%.2f\t%.2f\t%.2f\n", r.Name, r.Runs, r.P50, r.P95, r.Max)
	}
	return w.Flush()
}
