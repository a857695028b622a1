package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/local"
)

// newKeeperCommand looks at keepers as an attacker would.
func newKeeperCommand(e *env) *cobra.Command {
	var asJSON bool
	var pin string
	check := &cobra.Command{
		Use: "check URL", Short: "Send a keeper what it must refuse, and see it refused", Args: cobra.ExactArgs(1),
		Long: "Probes any keeper over its public address: wrong TLS, unknown routes, swapped methods, garbage, oversized and\n" +
			"non-canonical messages, unsigned, foreign, stale and repeated requests, foreign origins. Each must be refused\n" +
			"with the status and reason of the protocol. Some probes need a live session: they run when the keeper is one of\n" +
			"the network in --dir, and are listed as skipped otherwise. It changes nothing at the keeper.",
		Example: "  abaton keeper check https://127.0.0.1:20443",
		RunE:    func(c *cobra.Command, args []string) error { return e.checkKeeper(c.Context(), args[0], pin, asJSON) },
	}
	check.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	check.Flags().StringVar(&pin, "pin", "", "SHA-256 of its TLS key, in hex (known for keepers of --dir)")
	return noun("keeper", "Check a keeper from outside", check)
}

// probed is the result of one probe.
type probed struct {
	Probe string `json:"probe"`
	OK    bool   `json:"ok"`
	Skip  string `json:"skipped,omitempty"` // why it could not be tried
	Got   string `json:"got"`
	Want  string `json:"want"`
}

// checkKeeper runs all probes; an error if any was not refused as it must be.
func (e *env) checkKeeper(ctx context.Context, address, pin string, asJSON bool) error {
	p, err := newProber(address)
	if err != nil {
		return err
	}
	defer p.close()
	if err := p.know(e, pin); err != nil {
		return err
	}
	if err := p.reach(ctx); err != nil {
		return fmt.Errorf("keeper %s: %w: %w", address, err, abaton.ErrUnavailable)
	}
	results := p.run(ctx)
	if asJSON {
		err = e.json(map[string]any{"keeper": address, "probes": results})
	} else {
		e.printProbes(results)
	}
	if err != nil {
		return err
	}
	bad := 0
	for _, r := range results {
		if !r.OK && r.Skip == "" {
			bad++
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d probes were not refused as they must be", bad, len(results))
	}
	return nil
}

func (e *env) printProbes(results []probed) {
	width := 0
	for _, r := range results {
		width = max(width, len(r.Probe))
	}
	for _, r := range results {
		switch {
		case r.Skip != "":
			e.print("skip  %-*s  %s\n", width, r.Probe, r.Skip)
		case r.OK:
			e.print("ok    %-*s  %s\n", width, r.Probe, r.Got)
		default:
			e.print("BAD   %-*s  got %s, want %s\n", width, r.Probe, r.Got, r.Want)
		}
	}
}

// know learns what the network's folder tells of this keeper: its TLS key, and
// people with whose keys a session can be begun. A keeper elsewhere needs none
// of it.
func (p *prober) know(e *env, pin string) error {
	if pin != "" {
		key, err := parsePin(pin)
		if err != nil {
			return err
		}
		p.pin = &key
	}
	n, err := local.Open(e.dir)
	if err != nil {
		return nil //nolint:nilerr // no network here: the keeper is a stranger
	}
	at := slices.IndexFunc(n.Set().Keepers, func(k actorKeeper) bool { return k.URL == p.base })
	if at < 0 {
		return nil
	}
	p.network, p.entry = n, &n.Set().Keepers[at]
	if p.pin == nil {
		p.pin = &p.entry.SPKI
	}
	return nil
}

// answer is how a keeper met a probe.
type answer struct {
	status int    // HTTP; 0 when the connection ended instead
	reason string // of the problem, or what else was noticed
}

func (a answer) String() string {
	switch {
	case a.status == 0 && a.reason == "":
		return "connection refused"
	case a.status == 0:
		return a.reason
	case a.reason == "":
		return fmt.Sprint(a.status)
	}
	return fmt.Sprintf("%d %s", a.status, a.reason)
}

// expect are the answers that a probe allows.
type expect []answer

func (x expect) String() string {
	var all []string
	for _, a := range x {
		all = append(all, a.String())
	}
	return strings.Join(all, " or ")
}

func refusedWith(status int, reasons ...abaton.Reason) (x expect) {
	for _, r := range reasons {
		x = append(x, answer{status: status, reason: string(r)})
	}
	return x
}
