package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton/internal/report"
)

// drillNetwork is the network's folder in a drill's.
const drillNetwork = "network"

// drillMax is how long all drills together may take.
const drillMax = 15 * time.Minute

func newDrillCommand(e *env) *cobra.Command {
	var o drillOptions
	c := &cobra.Command{Use: "drill [NAME|all]", Short: "Attack a running network of its own, and see what that brought", Args: cobra.MaximumNArgs(1),
		Long: `Bring up a network of its own with made-up patients and attack it for real: steal
disks, sessions and laptops, switch checks off, replay, fork ledgers, encrypt
keepers. Each drill says how many records the attacker read in the clear, of how
many patients, after how many seconds it was seen and stopped, and whether the
keepers' ledgers list exactly what was read. Exit 0 only if every drill holds. It
leaves nothing behind and speaks to nobody outside of this machine. Without a name
it lists the drills. With --dir the network is made there, where nothing may be
yet, and goes at the end.`,
		Example: "  abaton drill\n  abaton drill stolen-session\n  abaton drill all --json",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return e.listDrills(o.json)
			}
			o.name = args[0]
			if c.Flags().Changed("dir") {
				o.at = e.dir
			}
			return e.drill(c.Context(), &o)
		}}
	c.Flags().BoolVar(&o.json, "json", false, "print the results as JSON")
	c.Flags().BoolVar(&o.keep, "keep", false, "leave the network's folder, and say where it is")
	return c
}

type drillOptions struct {
	name, at   string
	json, keep bool
}

// drill is one attack.
type drill struct {
	name   string
	attack string // in words
	// bothLocks: the attacker holds a key that opens records and passes for
	// somebody whom keepers answer; all others must get nothing.
	bothLocks bool
	// silent: no keeper can see it, such as a disk that was copied.
	silent bool
	vector report.Vector // how a report of it says it came about; empty: no theft with a name
	run    func(context.Context, *ground) (loss, error)
}

// loss is what an attack brought and what became of it.
type loss struct {
	records, patients int
	seen, stopped     time.Duration // from the first hostile act on; negative: never
	exact             bool          // the ledgers list exactly what was read
	began             time.Time     // the first hostile act; zero where nobody noted it
	who               string        // whose requests a report is about; empty for all
	detail            string
}

// unseen is a loss before anything happened.
func unseen() loss { return loss{seen: -1, stopped: -1} }

// drilled is one line of the results.
type drilled struct {
	Name      string   `json:"name"`
	OK        bool     `json:"ok"`
	Exposed   int      `json:"exposed_records"`
	Patients  int      `json:"patients"`
	Seen      *float64 `json:"seen_s"`    // null: not seen
	Stopped   *float64 `json:"stopped_s"` // null: not stopped
	ListExact bool     `json:"list_exact"`
	Detail    string   `json:"detail"`
	Attack    string   `json:"attack"`
}

// drills are all of them, in the order they run: what leaves the network whole
// comes first.
func drills() []drill {
	return slices.Concat(asideDrills(), clinicianDrills(), watchDrills(), keeperDrills())
}

func (e *env) listDrills(asJSON bool) error {
	if asJSON {
		var names []string
		for _, d := range drills() {
			names = append(names, d.name)
		}
		return e.json(map[string]any{"names": names})
	}
	t := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	for _, d := range drills() {
		fmt.Fprintf(t, "%s\t%s\n", d.name, d.attack)
	}
	return t.Flush()
}

// chosen are the drills that a name means.
func chosen(name string) ([]drill, error) {
	all := drills()
	if name == "all" {
		return all, nil
	}
	for _, d := range all {
		if d.name == name {
			return []drill{d}, nil
		}
	}
	return nil, usage("there is no drill %q; abaton drill lists them", name)
}

// drill runs the chosen drills in one network.
func (e *env) drill(ctx context.Context, o *drillOptions) (err error) {
	todo, err := chosen(o.name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, drillMax)
	defer cancel()
	dir := o.at
	if dir == "" {
		if dir, err = os.MkdirTemp("", "abaton-drill-"); err != nil {
			return fmt.Errorf("make drill folder: %w", err)
		}
	}
	if o.keep {
		e.say("The network lies in %s.", dir)
		e.say("Report it afterwards with: abaton report --dir %s --out %s", shellQuote(filepath.Join(dir, drillNetwork)), shellQuote(filepath.Join(dir, "report")))
	} else {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	results, err := e.drillIn(ctx, dir, todo, o.json)
	if o.json {
		err = errors.Join(err, e.json(map[string]any{"drills": results}))
	}
	if err != nil {
		return err
	}
	for _, r := range results {
		if !r.OK {
			return fmt.Errorf("the drill %s does not hold", r.Name)
		}
	}
	return nil
}

// drillIn brings up the network and runs the drills, one after the other. One
// that does not hold does not end them.
func (e *env) drillIn(ctx context.Context, dir string, todo []drill, asJSON bool) (results []drilled, err error) {
	began := time.Now()
	e.say("Bringing up a network with %d patients.", groundPatients)
	binaries, err := beside()
	if err != nil {
		return nil, err
	}
	g, err := e.newGround(ctx, dir, binaries, groundPatients)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	e.say("Ready after %v.", time.Since(began).Round(time.Millisecond))
	for _, d := range todo {
		e.say("%s: %s", d.name, d.attack)
		began := time.Now()
		r := d.held(ctx, g)
		results = append(results, r)
		if !asJSON {
			e.printDrill(r, time.Since(began))
		}
		if ctx.Err() != nil {
			return results, ctx.Err()
		}
	}
	return results, nil
}

// held runs a drill and judges it.
func (d *drill) held(ctx context.Context, g *ground) drilled {
	began := time.Now()
	l, err := d.run(ctx, g)
	err = errors.Join(err, d.judge(&l), g.leaves(d, &l, began, time.Now()), g.whole(ctx))
	r := drilled{Name: d.name, OK: err == nil, Exposed: l.records, Patients: l.patients, Seen: secondsOf(l.seen), Stopped: secondsOf(l.stopped),
		ListExact: l.exact, Detail: l.detail, Attack: d.attack}
	if err != nil {
		r.Detail = strings.TrimPrefix(l.detail+"; "+strings.ReplaceAll(err.Error(), "\n", "; "), "; ")
	}
	return r
}

// judge holds a loss against what every drill must come to.
func (d *drill) judge(l *loss) (err error) {
	if !d.bothLocks && l.records > 0 {
		err = errors.Join(err, fmt.Errorf("%d records were read by who lacks a lock", l.records))
	}
	if d.bothLocks && l.stopped < 0 {
		err = errors.Join(err, errors.New("nobody stopped it"))
	}
	if !d.silent && l.seen < 0 {
		err = errors.Join(err, errors.New("nobody saw it"))
	}
	if !l.exact {
		err = errors.Join(err, errors.New("the ledgers do not list exactly what was read"))
	}
	return err
}

// secondsOf is a time in seconds, nil for one that never came.
func secondsOf(d time.Duration) *float64 {
	if d < 0 {
		return nil
	}
	s := float64(d.Microseconds()) / 1e6
	return &s
}

func (e *env) printDrill(r drilled, took time.Duration) {
	verdict, exact := "ok ", "exact"
	if !r.OK {
		verdict = "BAD"
	}
	if !r.ListExact {
		exact = "NOT EXACT"
	}
	e.print("%s  %-22s %5d records of %d patients, seen %s, stopped %s, list %s (%v)\n     %s\n", verdict, r.Name, r.Exposed, r.Patients,
		saidSeconds(r.Seen), saidSeconds(r.Stopped), exact, took.Round(time.Millisecond), r.Detail)
}

func saidSeconds(s *float64) string {
	if s == nil {
		return "never"
	}
	return fmt.Sprintf("after %.2f s", *s)
}
