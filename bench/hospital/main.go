// Command hospital plays weeks of a hospital that there is not, lets thieves
// loose among its people, and measures what five keepers' watches make of
// both: what is stopped, how soon, with how many patients exposed, and how
// often honest people are held up.
//
//	go run ./bench/hospital -staff 500 -days 28 -seed 1
//	go run ./bench/hospital -only fast-export -json
//	go run ./bench/hospital -all -out bench/results     # with ablation, sweep and baselines
//
// It drives the keepers' own packages internal/detect and internal/contain,
// one watch and one ladder for each of five keepers, without the rest of a
// keeper. The hospital is ours: its habits are made up and only three of its
// figures are calibrated to published ones. It shows that the rules do what
// they say, and proves nothing of a real hospital.
package main

import (
	"embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/abaton-health/abaton/bench/machine"
)

//go:embed attacks/*.attack
var ours embed.FS

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	started, before := time.Now(), machine.Load()
	o, err := parse(args, stderr)
	if err != nil {
		return 2
	}
	scripts, err := o.scripts()
	if err != nil {
		fmt.Fprintf(stderr, "hospital: %v\n", err)
		return 1
	}
	r, _ := measure(o, scripts, stderr)
	r.Facts = machine.Of(started, before, "go run ./bench/hospital "+strings.Join(args, " "))
	if err := r.deliver(o, stdout); err != nil {
		fmt.Fprintf(stderr, "hospital: %v\n", err)
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (*options, error) {
	var o options
	var feed string
	flags := flag.NewFlagSet("hospital", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&o.staff, "staff", 500, "of the hospital, nearly: units are whole")
	flags.IntVar(&o.patients, "patients", 0, "with a record there (default 40 for each of the staff, 20 above 1,000 staff)")
	flags.IntVar(&o.days, "days", 28, "to play")
	flags.IntVar(&o.train, "train", 0, "days before attacks begin and anything counts (default a quarter)")
	flags.IntVar(&o.runs, "runs", 10, "of each attack")
	flags.IntVar(&o.honey, "honey", -1, "made-up patients (default one for 200 true ones)")
	flags.Uint64Var(&o.seed, "seed", 1, "of everything")
	flags.DurationVar(&o.delay, "delay", time.Second, "of a verdict from keeper to keeper")
	flags.StringVar(&o.only, "only", "", "one attack")
	flags.StringVar(&o.attacks, "attacks", "", "a folder of attack scripts instead of ours (attacks/README.md)")
	flags.StringVar(&feed, "feed", "fresh", "fresh, ordinary or poor; -all takes the three")
	flags.BoolVar(&o.all, "all", false, "also the other feeds, the ablation, the sweep and the baselines")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	flags.StringVar(&o.out, "out", "", "a folder for the JSON and the table")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	o.fill(feed)
	if flags.NArg() > 0 || o.staff < 50 || o.staff > 20_000 || o.days < 2 || o.days > 365 || o.train >= o.days || o.runs < 0 || o.runs > 1000 ||
		o.patients < 4*o.staff || pick(feed).name != feed {
		fmt.Fprintln(stderr, "hospital: at least 50 staff, 4 patients for each, 2 days, a training shorter than that, and a feed there is")
		return nil, errors.New("options")
	}
	return &o, nil
}

func (o *options) fill(feed string) {
	if o.patients == 0 {
		o.patients = 40 * o.staff
		if o.staff > 1000 {
			o.patients = 20 * o.staff
		}
	}
	if o.train == 0 {
		o.train = max(1, o.days/4)
	}
	if o.honey < 0 {
		o.honey = o.patients / 200
	}
	o.feeds = []string{feed}
	if o.all {
		for _, f := range feeds() {
			if f.name != feed {
				o.feeds = append(o.feeds, f.name)
			}
		}
	}
}

// scripts are ours, or those of a folder, by name.
func (o *options) scripts() (all []*script, err error) {
	var from fs.FS = ours
	pattern := "attacks/*.attack"
	if o.attacks != "" {
		from, pattern = os.DirFS(o.attacks), "*.attack"
	}
	names, err := fs.Glob(from, pattern)
	if err != nil {
		return nil, fmt.Errorf("list attacks: %w", err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(from, name)
		if err != nil {
			return nil, fmt.Errorf("read attack: %w", err)
		}
		s, err := parseScript(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if slices.ContainsFunc(all, func(other *script) bool { return other.name == s.name }) {
			return nil, fmt.Errorf("%s: a second attack of that name", name)
		}
		if o.only == "" || o.only == s.name {
			all = append(all, s)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("no such attack")
	}
	return all, nil
}

// deliver prints the report and keeps it, when asked to.
func (r *report) deliver(o *options, stdout io.Writer) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	var table strings.Builder
	r.print(&table)
	if o.json {
		fmt.Fprintln(stdout, string(data))
	} else {
		fmt.Fprint(stdout, table.String())
	}
	if o.out == "" {
		return nil
	}
	name := filepath.Join(o.out, fmt.Sprintf("%s-hospital-%d-seed-%d", r.Facts.Date[:10], o.staff, o.seed))
	if err := os.WriteFile(name+".json", append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err := os.WriteFile(name+".md", []byte(table.String()), 0o644); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
