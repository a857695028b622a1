// Command bench measures what docs/adr and README claim, each row beside the
// bare limit of the same machine in the same run, and writes a result file.
//
//	go run ./bench [-only NAME] [-out bench/results]
//
// Machines are noisy: rows are medians, and the ratio to the limit says more
// than the figure. It changes nothing outside a temporary folder.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/abaton-health/abaton/bench/machine"
)

// row is one line of the result.
type row struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Budget string  `json:"budget,omitempty"`
	// Limit is the bare cost of what cannot be avoided, measured in this run.
	Limit     float64 `json:"limit,omitempty"`
	LimitName string  `json:"limit_name,omitempty"`
	Detail    string  `json:"detail,omitempty"`
}

// ratio is how far the row is from its limit.
func (r row) ratio() string {
	if r.Limit == 0 {
		return ""
	}
	if r.Unit == "/s" || r.Unit == "MB/s" {
		return fmt.Sprintf("%.1fx", r.Limit/r.Value)
	}
	return fmt.Sprintf("%.1fx", r.Value/r.Limit)
}

// suite is one part of the benchmark.
type suite struct {
	name string
	run  func(ctx context.Context, b *bench) error
	part bool // of another suite: runs only when asked for by name
}

// bench collects rows.
type bench struct {
	rows []row
	bin  string // folder of the built binaries
	data string // Synthea folder, empty for the committed sample
	talk *os.File

	object int64 // bytes of the large object

	patients int // of an exact list
}

func (b *bench) add(r row) {
	b.rows = append(b.rows, r)
	fmt.Fprintf(b.talk, "  %-46s %10.3g %-6s %s\n", r.Name, r.Value, r.Unit, r.ratio())
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	only := flag.String("only", "", "run the suites whose name contains this")
	out := flag.String("out", "", "write the result file into this folder")
	bin := flag.String("bin", "bin", "folder of the built binaries")
	data := flag.String("data", "", "folder of Synthea Bundles; empty means the committed sample")
	patients := flag.Int("patients", 1_000_000, "patients of the exact list")
	object := flag.Int64("object", 2_000_000_000, "bytes of the object that is streamed")
	flag.Parse()
	b := &bench{bin: *bin, data: *data, talk: os.Stderr, object: *object, patients: *patients}
	started := time.Now()
	before := machine.Load()
	for _, s := range suites() {
		if !strings.Contains(s.name, *only) || s.part && *only == "" {
			continue
		}
		fmt.Fprintf(b.talk, "%s\n", s.name)
		if err := s.run(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	m := machine.Of(started, before, "go run ./bench "+strings.Join(os.Args[1:], " "))
	print(b.rows, m)
	if *out == "" {
		return nil
	}
	return write(*out, b.rows, m)
}

func suites() []suite {
	return []suite{
		{name: "limits", run: limits},
		{name: "records", run: records},
		{name: "keeper", run: keeperCost},
		{name: "policy", run: policies},
		{name: "search", run: searching},
		{name: "network", run: network},
		{name: "emergency", run: emergencies},
		{name: "objects", run: objects},
		{name: "storage", run: storage, part: true},
		{name: "exact", run: exactList, part: true},
	}
}

// print shows the table.
func print(rows []row, m machine.Facts) {
	fmt.Printf("%s\n\n", m)
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "what\tmeasured\tunit\tbudget\tlimit\tlimit is\tratio\tdetail")
	for _, r := range rows {
		limit := ""
		if r.Limit != 0 {
			limit = fmt.Sprintf("%.4g", r.Limit)
		}
		fmt.Fprintf(w, "%s\t%.4g\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Name, r.Value, r.Unit, r.Budget, limit, r.LimitName, r.ratio(), r.Detail)
	}
	w.Flush()
}
