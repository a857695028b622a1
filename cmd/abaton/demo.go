package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// demoMax is how long the whole demonstration may take.
const demoMax = 15 * time.Minute

func newDemoCommand(e *env) *cobra.Command {
	var o demoOptions
	c := &cobra.Command{Use: "demo", Short: "The whole story on a fresh network: break-ins, lost keepers, liars, thieves", Args: cobra.NoArgs,
		Long: `Bring up a network of its own, import the sample patients, and then do to it what
it must withstand: read without a grant, kill two keepers, lose one while another
lies, stop access, steal disks. Each step is checked for real; exit 0 only if all
hold. With the same --seed the same keepers and the same patient are chosen.`,
		Example: "  abaton demo\n  abaton demo --json",
		RunE:    func(c *cobra.Command, _ []string) error { return e.demo(c.Context(), &o) }}
	c.Flags().BoolVar(&o.json, "json", false, "print the steps as JSON")
	c.Flags().BoolVar(&o.keep, "keep", false, "leave the network's folder, and say where it is")
	c.Flags().Uint64Var(&o.seed, "seed", 0, "choose patient and keepers by this number (default: by the clock)")
	return c
}

type demoOptions struct {
	json, keep bool
	seed       uint64
}

// step is one line of the story as it went.
type step struct {
	Name   string  `json:"name"`
	OK     bool    `json:"ok"`
	Figure float64 `json:"figure"`
	Unit   string  `json:"unit"`
	Detail string  `json:"detail"`
}

// result is what a step found: one figure with its unit, and a sentence.
type result struct {
	figure float64
	unit   string
	detail string
}

// demo runs the story in a folder of its own.
func (e *env) demo(ctx context.Context, o *demoOptions) error {
	if o.seed == 0 {
		o.seed = uint64(time.Now().UnixNano()) % 1_000_000
	}
	ctx, cancel := context.WithTimeout(ctx, demoMax)
	defer cancel()
	dir, err := os.MkdirTemp("", "abaton-demo-")
	if err != nil {
		return fmt.Errorf("make demo folder: %w", err)
	}
	if o.keep {
		e.say("The network lies in %s.", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	e.say("Seed %d.", o.seed)
	steps, err := e.story(ctx, dir, o)
	if o.json {
		err = errors.Join(err, e.json(map[string]any{"seed": o.seed, "steps": steps}))
	}
	if err != nil {
		return err
	}
	for _, s := range steps {
		if !s.OK {
			return fmt.Errorf("the step %s does not hold", s.Name)
		}
	}
	return nil
}

// story starts the network and takes the steps. A step that does not hold does
// not end it; those that build on it then fail too.
func (e *env) story(ctx context.Context, dir string, o *demoOptions) (steps []step, err error) {
	d, err := e.newDemo(ctx, dir, o.seed)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	for _, s := range d.steps() {
		began := time.Now()
		r, err := s.take(ctx)
		if err == nil {
			err = d.after(ctx)
		}
		done := step{Name: s.name, OK: err == nil, Figure: r.figure, Unit: r.unit, Detail: r.detail}
		if err != nil {
			done.Detail = strings.TrimPrefix(r.detail+"; "+strings.ReplaceAll(err.Error(), "\n", "; "), "; ")
		}
		steps = append(steps, done)
		if !o.json {
			e.printStep(done, time.Since(began))
		}
		if ctx.Err() != nil {
			return steps, ctx.Err()
		}
	}
	return steps, nil
}

func (e *env) printStep(s step, took time.Duration) {
	verdict := "ok "
	if !s.OK {
		verdict = "BAD"
	}
	e.print("%s  %-18s %9.6g %-10s %s (%v)\n", verdict, s.Name, s.Figure, s.Unit, s.Detail, took.Round(time.Millisecond))
}

// namedStep is one step of the story.
type namedStep struct {
	name string
	take func(context.Context) (result, error)
}

// steps are the story, in its order.
func (d *demo) steps() []namedStep {
	return []namedStep{
		{"import", d.importing},
		{"read_back", d.readBack},
		{"read_without_grant", d.readWithoutGrant},
		{"give_access", d.giveAccess},
		{"read", d.read},
		{"two_keepers_killed", d.twoKilled},
		{"one_lost_one_lying", d.oneLostOneLying},
		{"access_stopped", d.accessStopped},
		{"disk_stolen", d.diskStolen},
		{"disclosures_exact", d.disclosuresExact},
		{"ledgers_verified", d.ledgersVerified},
		{"memory", d.memory},
	}
}

// quiet is an env for parts of other commands, whose talk goes nowhere.
func (e *env) quiet(dir string) *env {
	return &env{stdin: e.stdin, stdout: io.Discard, stderr: io.Discard, dir: dir}
}

func (d *demo) path(parts ...string) string {
	return filepath.Join(append([]string{d.dir}, parts...)...)
}
