package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/feeder"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/internal/hl7"
	"github.com/abaton-health/abaton/seal"
)

func newIntakeCommand(e *env) *cobra.Command {
	return noun("intake", "What other systems send: HL7 version 2 messages, and those that were set aside",
		newIntakeSend(e), newIntakeList(e), newIntakeShow(e), newIntakeRetry(e))
}

// setAside is one message of the quarantine.
type setAside struct {
	ID     string `json:"id"`
	Date   string `json:"date"`
	Reason string `json:"reason"`
	Place  string `json:"place,omitempty"`
	Bytes  int    `json:"bytes"`
	raw    []byte
}

// quarantine opens what a person may read of the organisation's quarantine,
// from the keepers, with no gateway between: oldest first, without what was
// filed since.
func (d *device) quarantine(ctx context.Context) ([]setAside, error) {
	org, err := d.at.Organisation()
	if err != nil {
		return nil, err
	}
	bundles, err := d.HeldOf(ctx, d.net, org.ID)
	if err != nil {
		return nil, err
	}
	ask := client.Ask{Patient: org.ID, Purpose: abaton.Operations}
	for _, b := range bundles {
		for _, s := range b.Seeds {
			if s.Category == login.QuarantineCategory() && !s.Seed.IsZero() {
				ask.Grant = b.Grant
				if !slices.Contains(ask.Lines, s.Line) {
					ask.Lines = append(ask.Lines, s.Line)
				}
			}
		}
	}
	if len(ask.Lines) == 0 {
		return nil, fmt.Errorf("quarantine: %w", abaton.Refuse(abaton.ReasonGrant))
	}
	l, err := d.at.People().Direct(ctx, d.Person, d.net, bundles...)
	if err != nil {
		return nil, err
	}
	reader, err := d.net.NewReader(l)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	opened, err := reader.Chart(ctx, ask)
	if err != nil {
		return nil, fmt.Errorf("open quarantine: %w", err)
	}
	return listAside(opened.Records), nil
}

func listAside(records []client.Record) (all []setAside) {
	resolved, seen := make(map[string]bool), make(map[string]bool)
	for i := range records {
		if e := &records[i].Envelope; e.Kind == seal.KindResource && e.Deleted {
			resolved[e.ID] = true
		}
	}
	for i := range records {
		e := &records[i].Envelope
		if e.Kind != seal.KindResource || resolved[e.ID] || seen[e.ID] {
			continue
		}
		a, err := hl7.ParseAside(records[i].Content)
		if err != nil {
			continue // not one of the intake's
		}
		seen[e.ID] = true
		all = append(all, setAside{ID: e.ID, Date: a.Date, Reason: string(a.Refusal.Reason), Place: a.Refusal.Place, Bytes: len(a.Raw), raw: a.Raw})
	}
	slices.SortFunc(all, func(a, b setAside) int { return cmp.Or(strings.Compare(a.Date, b.Date), strings.Compare(a.ID, b.ID)) })
	return all
}

// withQuarantine makes a command that works on the quarantine of --as.
func (e *env) withQuarantine(c *cobra.Command, do func(ctx context.Context, d *device, all []setAside, args []string) error) *cobra.Command {
	var as string
	c.RunE = func(c *cobra.Command, args []string) error {
		d, err := e.device(as)
		if err != nil {
			return err
		}
		defer d.hangUp()
		all, err := d.quarantine(c.Context())
		if err != nil {
			return err
		}
		return do(c.Context(), d, all, args)
	}
	c.Flags().StringVar(&as, "as", integratorHandle, "who reads the quarantine: a handle or act1...")
	return c
}

func newIntakeList(e *env) *cobra.Command {
	var asJSON bool
	c := e.withQuarantine(&cobra.Command{Use: "list", Short: "What was set aside, and why", Args: cobra.NoArgs},
		func(_ context.Context, _ *device, all []setAside, _ []string) error {
			if asJSON {
				return e.json(map[string]any{"v": 1, "messages": append([]setAside{}, all...)})
			}
			t := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "MESSAGE\tSET ASIDE\tREASON\tAT\tBYTES")
			for _, a := range all {
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\n", a.ID, a.Date, a.Reason, a.Place, a.Bytes)
			}
			if err := t.Flush(); err != nil {
				return err
			}
			e.say("%d messages are set aside.", len(all))
			return nil
		})
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func newIntakeShow(e *env) *cobra.Command {
	return e.withQuarantine(&cobra.Command{Use: "show MESSAGE", Short: "One message that was set aside, as it came", Args: cobra.ExactArgs(1)},
		func(_ context.Context, _ *device, all []setAside, args []string) error {
			chosen, err := choose(all, args)
			if err != nil {
				return err
			}
			e.print("%s\n", strings.ReplaceAll(string(chosen[0].raw), "\r", "\n"))
			return nil
		})
}

// choose are the messages named, by a beginning of their names; all without
// one.
func choose(all []setAside, args []string) (chosen []setAside, err error) {
	if len(args) == 0 {
		return all, nil
	}
	for _, a := range all {
		if slices.ContainsFunc(args, func(arg string) bool { return arg != "" && strings.HasPrefix(a.ID, arg) }) {
			chosen = append(chosen, a)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no such message: %w", abaton.ErrNotFound)
	}
	return chosen, nil
}

func newIntakeRetry(e *env) *cobra.Command {
	var asJSON bool
	c := e.withQuarantine(&cobra.Command{Use: "retry [MESSAGE...]", Short: "Send messages that were set aside to the gateway again, all or some",
		Long: `Send messages that were set aside to the gateway again, all or some. Those that
can be filed now leave the list; the others stay on it.`},
		func(ctx context.Context, d *device, all []setAside, args []string) error {
			chosen, err := choose(all, args)
			if err != nil {
				return err
			}
			f := &feeding{e: e, config: feeder.Config{Address: d.at.IntakeAddress()}, total: len(chosen)}
			err = f.run(ctx, func(yield func(int, []byte) bool) {
				for i := range chosen {
					if !yield(i, hl7.MarkRetry(chosen[i].raw)) {
						return
					}
				}
			})
			return f.report(err, asJSON)
		})
	c.Flags().BoolVar(&asJSON, "json", false, "print the counts as JSON")
	return c
}
