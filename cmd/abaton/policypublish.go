package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/policy"
)

// simulationSuffix names a simulation beside the text it is of.
const simulationSuffix = ".simulation"

// errNotSimulated refuses a change whose effect nobody has looked at.
var errNotSimulated = errors.New("this very text was not simulated against the policy in force: abaton policy simulate")

// policyBack is how far a version begins in the past, so that keepers whose clocks
// differ a little agree at once.
const policyBack = abaton.ClockSkewMax

func newPolicyPublish(e *env) *cobra.Command {
	var expires, begins string
	c := &cobra.Command{Use: "publish ORG FILE", Short: "Sign a simulated policy into the organisation's key log", Args: cobra.ExactArgs(2),
		Long: "Publishes the next version. It is refused unless \"abaton policy simulate --org ORG --new FILE\" held this very text\n" +
			"against the policy in force; the digest of that simulation goes into the event.",
		Example: "  abaton policy publish clinic our.cedar --expires 90d",
		RunE: func(c *cobra.Command, args []string) error {
			life, ok := parseSpan(expires)
			if !ok || life > actor.PolicyLifeMax-policyBack {
				return usage("--expires is a span such as 90d, at most 365d")
			}
			wait, ok := parseSpan(begins)
			if begins != "0" && !ok {
				return usage("--begins is a span such as 12h from now")
			}
			d, err := e.device(args[0])
			if err != nil {
				return err
			}
			defer d.hangUp()
			return e.publishPolicy(c, d, args[1], wait, life)
		}}
	c.Flags().StringVar(&expires, "expires", "", "how long it holds, such as 90d")
	c.Flags().StringVar(&begins, "begins", "0", "in how long it begins, such as 12h")
	c.MarkFlagRequired("expires")
	return c
}

func (e *env) publishPolicy(c *cobra.Command, d *device, file string, wait, life time.Duration) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read policy: %w", err)
	}
	if _, err := readPolicy(text); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	now, err := d.policy(c)
	if err != nil {
		return err
	}
	s, err := simulated(file, now.text, text)
	if err != nil {
		return err
	}
	began := time.Now()
	starts := began.Add(wait)
	body := &actor.Policy{Version: 1, Text: text, Simulation: s.Digest(),
		NotBefore: starts.Add(-policyBack).Unix(), Expires: starts.Add(life).Unix()}
	if wait > 0 {
		body.NotBefore = starts.Unix()
	}
	for _, p := range now.state.Policies() {
		body.Version = max(body.Version, p.Version+1)
	}
	p, err := d.net.Append(c.Context(), d.Hand(), body)
	if err != nil {
		return fmt.Errorf("publish policy: %w", err)
	}
	e.say("Version %d at %d of %d keepers after %v; it ends %s.", body.Version, p.At, p.Of,
		time.Since(began).Round(time.Millisecond), time.Unix(body.Expires, 0).UTC().Format(time.DateTime))
	e.print("%s\n", policy.IDOf(text))
	return nil
}

// simulated is the simulation beside the file, if it is of these two texts.
func simulated(file string, before, after []byte) (*policy.Simulation, error) {
	data, err := os.ReadFile(file + simulationSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNotSimulated
	}
	if err != nil {
		return nil, fmt.Errorf("read simulation: %w", err)
	}
	s, err := policy.ParseSimulation(data)
	if err != nil {
		return nil, fmt.Errorf("%s%s: %w", file, simulationSuffix, err)
	}
	if !s.Of(policy.IDOf(before), policy.IDOf(after)) {
		return nil, errNotSimulated
	}
	return s, nil
}
