package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"
)

func newImportCommand(e *env) *cobra.Command {
	var keepGoing, asJSON bool
	var custody string
	var duty guards
	c := &cobra.Command{Use: "import PATH...", Short: "Bring FHIR files into a network on this machine", Args: cobra.MinimumNArgs(1),
		Long: `Bring FHIR files into a network on this machine: Bundles, lines (.ndjson),
single resources, each also compressed (.gz), and folders of them. The network
must be up. What is there already is not added again; an import that was killed
goes on where it was. White space between JSON values is not kept; all else is,
to the byte.

With --custody, nobody has the keys of a new patient's record but the named team,
half of them, and the keepers; the patient makes it the own later: abaton custody
claim. Whoever is in the team can open the record meanwhile, under the own name.

With --team, --trustee and --trustee-team, a duty copy of each new patient is kept from
the first record on, as abaton duty-copy begin does.`,
		Example: "  abaton import --dir run/demo ~/synthea/",
		RunE: func(c *cobra.Command, paths []string) error {
			n, err := e.network()
			if err != nil {
				return err
			}
			sources, err := sourcesOf(paths)
			if err != nil {
				return err
			}
			m, err := newImporter(c.Context(), e, n)
			if err != nil {
				return err
			}
			if custody != "" {
				if m.custody, err = m.keeping(c.Context(), custody); err != nil {
					return errors.Join(err, m.journal.Close())
				}
			}
			if duty.team != "" {
				done, err := m.keepsDuty(c.Context(), duty)
				if err != nil {
					return errors.Join(err, m.journal.Close())
				}
				defer done()
			}
			out, err := m.run(c.Context(), sources)
			if asJSON {
				err = errors.Join(err, e.json(out))
			}
			e.report(out)
			if err == nil && out.Refused > 0 && !keepGoing {
				return errFailed
			}
			return err
		}}
	c.Flags().BoolVar(&keepGoing, "keep-going", false, "exit 0 even if some resources were refused")
	c.Flags().StringVar(&custody, "custody", "", "the team that keeps new patients' records until they claim them (default: the patients' own devices, played here)")
	duty.flags(c)
	c.MarkFlagsRequiredTogether("team", "trustee", "trustee-team")
	c.Flags().BoolVar(&asJSON, "json", false, "print the counts as JSON")
	return c
}

// report says how an import went, each refusal with its reason.
func (e *env) report(out *imported) {
	for i, r := range out.refusals {
		if i == refusalsShown {
			e.say("... and %d more", len(out.refusals)-i)
			break
		}
		e.say("refused: %s: %s", r.where, r.reason)
	}
	e.say("%d resources are there, %d of them from an earlier import; %d new patients; %d refused; %v.",
		out.Resources, out.Skipped, out.Patients, out.Refused, out.Spent.Round(time.Millisecond))
	if out.Pending > 0 {
		e.say("%d more are accepted and not yet at four keepers; the gateway goes on by itself.", out.Pending)
	}
}
