package main

import (
	"context"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/exact"
	"github.com/abaton-health/abaton/internal/report"
)

// newReportList makes lists that fit no report: of hundreds of thousands of
// patients, in memory that does not grow with them.
func newReportList(e *env) *cobra.Command {
	var f reportFlags
	var resume, asJSON bool
	c := &cobra.Command{Use: "list", Short: "The exact list alone, of any length: answers, patients and sums in a folder", Args: cobra.NoArgs,
		Long: `Asks all keepers as "abaton report" does, and keeps their answers on disk: DIR holds
what each keeper told with its proofs, patients.jsonl (a patient a line) and list.json
(the sums, and how complete it is). "abaton verify DIR" makes all of it again, offline.

An asking that broke off goes on with --resume: what was told is not asked again.`,
		Example: "  abaton report list --subject all --since 48h --out list\n  abaton report list --out list --resume\n  abaton verify list",
		RunE:    func(c *cobra.Command, _ []string) error { return e.listTouched(c.Context(), &f, resume, asJSON) }}
	c.Flags().StringVar(&f.subject, "subject", "", "whose requests: a person or device by handle or act1..., a session ses1..., a grant gra1..., or \"all\"")
	c.Flags().StringVar(&f.as, "as", "", "who asks: the clinic (default), or its security officer")
	c.Flags().StringVar(&f.since, "since", "", "from when: an instant as 2026-01-31T08:00:00Z, or a span such as 2h")
	c.Flags().StringVar(&f.until, "until", "", "to when; default now")
	c.Flags().StringVar(&f.out, "out", "", "the folder; several hundred bytes for each of five keepers' entries")
	c.Flags().BoolVar(&resume, "resume", false, "go on with what was asked before")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.MarkFlagRequired("out")
	return c
}

func (e *env) listTouched(ctx context.Context, f *reportFlags, resume, asJSON bool) error {
	if !resume && (f.subject == "" || f.since == "") {
		return usage("--subject says whose requests, --since from when")
	}
	d, err := e.asker(f.as)
	if err != nil {
		return err
	}
	defer d.hangUp()
	s, err := d.spool(ctx, f, resume)
	if err != nil {
		return err
	}
	defer s.Close()
	s.Progress = e.progress()
	if err := d.net.Exact(ctx, s.Look(), s); err != nil {
		return err
	}
	e.say("%d ledger entries told; making the list.", s.Entries())
	t, err := s.Write(ctx)
	if err != nil {
		return err
	}
	return e.sayList(f.out, t, asJSON)
}

// spool is the folder: a new one with a new question, or one that was begun.
func (d *device) spool(ctx context.Context, f *reportFlags, resume bool) (*exact.Spool, error) {
	trust := trustIn(d.net.Set())
	if resume {
		return exact.Resume(f.out, trust)
	}
	look, err := d.look(ctx, f, time.Now())
	if err != nil {
		return nil, err
	}
	return exact.Begin(f.out, report.Ask(d.Manage.ID(), *look), trust)
}

// asker is who asks keepers: the clinic, unless somebody else is named.
func (e *env) asker(as string) (*device, error) {
	if as != "" {
		return e.device(as)
	}
	n, err := e.network()
	if err != nil {
		return nil, err
	}
	org, err := n.Organisation()
	if err != nil {
		return nil, err
	}
	return e.device(org.Handle)
}

// progress says how far each keeper is, now and then.
func (e *env) progress() func(abaton.KeeperIndex, uint64, bool) {
	const every = 100_000
	said := make(map[abaton.KeeperIndex]uint64)
	return func(x abaton.KeeperIndex, entries uint64, told bool) {
		switch {
		case told:
			e.say("Keeper %d told all: %d entries.", x, entries)
		case entries >= said[x]+every:
			said[x] = entries
			e.say("Keeper %d: %d entries so far.", x, entries)
		}
	}
}

func (e *env) sayList(dir string, t *exact.Totals, asJSON bool) error {
	if asJSON {
		return e.json(t)
	}
	e.print("%d patients with records opened, %d not sure, %d asked for, %d listed; %d records opened\n",
		t.People.Opened, t.People.Close, t.People.Asked, t.People.Listed, t.Records.Opened)
	e.say("The list is %s.", t.Complete)
	for _, fault := range t.Faults {
		e.say("Does not count: %s.", fault)
	}
	e.say("Files in %s, for its owner alone.", dir)
	return nil
}

// verifyList makes a list again. A folder is one that "report list" made.
func (e *env) verifyList(ctx context.Context, dir string, trust *report.Trust) verified {
	v := verified{File: dir}
	s, err := exact.Resume(dir, trust)
	if err == nil {
		defer s.Close()
		var t *exact.Totals
		if t, err = s.Verify(ctx); err == nil {
			v.OK, v.Kind, v.Organisation, v.Entries, v.People, v.Vouched = true, "list", t.Organisation, int(t.Entries), t.People.Opened, len(t.Vouched)
			return v
		}
	}
	v.Why = err.Error()
	return v
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
