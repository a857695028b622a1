package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton/internal/durable"
	"github.com/abaton-health/abaton/internal/policy"
)

// simulateFlags say which texts and which requests are meant.
type simulateFlags struct {
	before, after, org string
	requests, ledger   string
	asIf               string
	all, asJSON        bool
}

func newPolicySimulate(e *env) *cobra.Command {
	var f simulateFlags
	c := &cobra.Command{Use: "simulate", Short: "Show who gains and who loses by a new policy, before anybody does", Args: cobra.NoArgs,
		Long: "Runs requests through two policies and groups what changes by who asks, role, purpose and level. The requests are\n" +
			"generated from the two texts, or read from a file of JSON lines, or from the ledger in a copy of a stopped keeper's\n" +
			"folder. With --new FILE the result is kept in FILE.simulation, which publishing asks for.",
		Example: "  abaton policy simulate --old solo --new our.cedar\n  abaton policy simulate --org clinic --new our.cedar\n" +
			"  abaton policy simulate --org clinic --new our.cedar --from-ledger copy-of-keeper-1 --as-if '{\"roles\":[\"nurse\"]}'",
		RunE: func(c *cobra.Command, _ []string) error { return e.simulatePolicy(c, &f) }}
	c.Flags().StringVar(&f.before, "old", "", "the policy to compare with: a file, solo or hospital")
	c.Flags().StringVar(&f.org, "org", "", "compare with the policy in force in this organisation")
	c.Flags().StringVar(&f.after, "new", "", "the policy to try: a file, solo or hospital")
	c.Flags().StringVar(&f.requests, "requests", "", "requests, one JSON object a line")
	c.Flags().StringVar(&f.ledger, "from-ledger", "", "requests from the ledger in this copy of a keeper's folder")
	c.Flags().StringVar(&f.asIf, "as-if", "{}", "facts that the ledger does not hold, as JSON")
	c.Flags().BoolVar(&f.all, "all", false, "show groups in which nothing changes too")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	c.MarkFlagRequired("new")
	return c
}

func (e *env) simulatePolicy(c *cobra.Command, f *simulateFlags) error {
	if (f.before == "") == (f.org == "") || f.requests != "" && f.ledger != "" {
		return usage("say --old or --org, and at most one of --requests and --from-ledger")
	}
	var was []byte
	var err error
	if f.org != "" {
		now, err := e.policyOf(c, f.org)
		if err != nil {
			return err
		}
		was = now.text
	} else if was, err = e.policyText(f.before); err != nil {
		return err
	}
	before, err := readPolicy(was)
	if err != nil {
		return fmt.Errorf("old policy: %w", err)
	}
	text, err := e.policyText(f.after)
	if err != nil {
		return err
	}
	after, err := readPolicy(text)
	if err != nil {
		return fmt.Errorf("%s: %w", f.after, err)
	}
	asked, source, err := f.asked(before, after)
	if err != nil {
		return err
	}
	s := policy.Simulate(before, after, source, asked)
	if err := keepSimulation(f.after, s); err != nil {
		return err
	}
	if f.asJSON {
		_, err := e.stdout.Write(s.Marshal())
		return err
	}
	return e.printSimulation(s, after, f.all)
}

// keepSimulation writes the result beside the text, where that is a file.
func keepSimulation(file string, s *policy.Simulation) error {
	if _, err := os.Stat(file); err != nil {
		return nil //nolint:nilerr // a shipped text by its name
	}
	if err := durable.WriteFile(file+simulationSuffix, s.Marshal(), 0o644); err != nil {
		return fmt.Errorf("keep simulation: %w", err)
	}
	return nil
}

// asked are the requests that the flags mean.
func (f *simulateFlags) asked(before, after *policy.Rules) (iter.Seq[*policy.Facts], string, error) {
	switch {
	case f.requests != "":
		all, err := readRequests(f.requests)
		return slices.Values(all), "file", err
	case f.ledger != "":
		all, err := ledgerRequests(f.ledger, []byte(f.asIf))
		return slices.Values(all), "ledger", err
	}
	return policy.Generate(before, after), "generated", nil
}

// requestLineMax bounds one line of a file of requests, in bytes.
const requestLineMax = 64 << 10

// readRequests reads one JSON object a line, strictly.
func readRequests(file string) (all []*policy.Facts, err error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read requests: %w", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, requestLineMax)
	for n := 1; lines.Scan(); n++ {
		d := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		d.DisallowUnknownFields()
		f := new(policy.Facts)
		if d.Decode(f) != nil {
			return nil, fmt.Errorf("read requests: line %d is not a request", n)
		}
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read requests: line %d holds more than one", n)
		}
		all = append(all, f)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read requests: %w", err)
	}
	return all, nil
}

func (e *env) printSimulation(s *policy.Simulation, after *policy.Rules, all bool) error {
	t := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "WHO\tROLES\tPURPOSE\tLEVEL\tREQUESTS\tBEFORE\tAFTER\tGAIN\tLOSE\tBY")
	rules := make(map[string]bool)
	for _, g := range s.Groups {
		if !all && g.Gained+g.Lost == 0 {
			continue
		}
		for _, id := range g.By {
			rules[id] = true
		}
		roles := g.Roles
		if roles == "" {
			roles = "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n", g.Kind, roles, g.Purpose, g.Level, g.Requests, g.Before, g.After, g.Gained, g.Lost, strings.Join(g.By, " "))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	var ids []string
	for id := range rules {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		why := after.Why(id)
		if id == "-" {
			why = "no rule of the new policy permits it"
		}
		e.say("%s: %s", id, why)
	}
	e.say("%d requests (%s): %d gain, %d lose. Digest %x", s.Requests, s.Source, s.Gained, s.Lost, s.Digest())
	if s.Unknown > 0 {
		e.say("%d requests have facts that no keeper states, and were not counted.", s.Unknown)
	}
	return nil
}
