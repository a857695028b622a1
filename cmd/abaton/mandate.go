package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/people"
)

func newMandateCommand(e *env) *cobra.Command {
	return noun("mandate", "What others may read once the patient cannot decide, or has died", newMandateGive(e), newMandateList(e), newMandateEnd(e))
}

// caseOf is a case by its word.
func caseOf(word string) (grant.Case, error) {
	for _, c := range []grant.Case{grant.Incapacity, grant.Death} {
		if c.String() == word {
			return c, nil
		}
	}
	return 0, usage("%q is no case; there are: incapacity, death", word)
}

func newMandateGive(e *env) *cobra.Command {
	var as, to, read, when string
	var life time.Duration
	c := &cobra.Command{Use: "give", Short: "Name who may read in that case; until then it opens nothing", Args: cobra.NoArgs,
		Long: `Name who may read which parts in that case. Until it is stated, by a registrar
that the patient named together with a physician, it opens nothing at any keeper.
The patient takes it back like any other access: abaton grant stop.`,
		Example: "  abaton mandate give --as patient-8a4c9c04 --to patient-085e81c0 --when incapacity --read general",
		RunE: func(c *cobra.Command, _ []string) error {
			in, err := caseOf(when)
			if err != nil {
				return err
			}
			parts, err := categoriesOf(read)
			if err != nil {
				return err
			}
			if life <= 0 || life > abaton.DormantLifeMax-2*time.Minute {
				return usage("--for is at most %v", abaton.DormantLifeMax)
			}
			d, err := e.device(as)
			if err != nil {
				return err
			}
			defer d.hangUp()
			whom, err := guardianOf(d, to)
			if err != nil {
				return err
			}
			id, p, err := d.Give(c.Context(), d.net, people.Terms{To: whom, Actions: grant.Read, Categories: parts,
				Purpose: abaton.PatientAccess, Life: life, When: in, Quota: people.RecordsMax})
			if err != nil {
				return err
			}
			e.say("%s may read %s in case of %s, and nothing before; known at %d of %d keepers.", whom.Handle, partNames(parts), in, p.At, p.Of)
			e.print("%s\n", id)
			return nil
		}}
	c.Flags().StringVar(&as, "as", "", "the patient")
	c.Flags().StringVar(&to, "to", "", "who may read then")
	c.Flags().StringVar(&read, "read", "general", "parts of the record, with commas: "+categoryNames())
	c.Flags().StringVar(&when, "when", "", "incapacity or death")
	c.Flags().DurationVar(&life, "for", 5*366*24*time.Hour, "for how long it stands")
	for _, name := range []string{"as", "to", "when"} {
		c.MarkFlagRequired(name)
	}
	return c
}

// mandates is mandate list --json.
type mandates struct {
	V          int               `json:"v"`
	Stated     string            `json:"stated"` // always: no case is open
	Frozen     bool              `json:"frozen"`
	Mandates   []listedMandate   `json:"mandates"`
	Registrars []listedRegistrar `json:"registrars"`
	Findings   []listedFinding   `json:"findings"`
}

type listedMandate struct {
	Grant   string   `json:"grant"`
	To      string   `json:"to"`
	When    string   `json:"when"`
	Parts   []string `json:"parts"`
	Expires int64    `json:"expires"`
}

type listedRegistrar struct {
	Registrar string   `json:"registrar"`
	May       []string `json:"may"`
	With      []string `json:"with"`
}

type listedFinding struct {
	Finding   string `json:"finding"`
	Case      string `json:"case"`
	Registrar string `json:"registrar"`
	Physician string `json:"physician"`
	At        int64  `json:"at"`
	Review    int64  `json:"review,omitempty"`
	Ended     bool   `json:"ended"`
}

func newMandateList(e *env) *cobra.Command {
	var as string
	var asJSON bool
	c := &cobra.Command{Use: "list", Short: "Mandates, who may state a case, and what was stated", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			d, err := e.device(as)
			if err != nil {
				return err
			}
			defer d.hangUp()
			list, err := d.mandates(c.Context(), time.Now())
			if err != nil {
				return err
			}
			if asJSON {
				return e.json(list)
			}
			return e.mandateTable(list)
		}}
	c.Flags().StringVar(&as, "as", "", "the patient")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.MarkFlagRequired("as")
	return c
}

func (d *device) mandates(ctx context.Context, now time.Time) (*mandates, error) {
	if d.Kind != actor.Patient {
		return nil, usage("%s is no patient", d.Handle)
	}
	d.net.Refresh(d.ID)
	st, err := d.net.Log(ctx, d.ID)
	if err != nil {
		return nil, err
	}
	known, err := names(d.at)
	if err != nil {
		return nil, err
	}
	out := &mandates{V: 1, Stated: st.Stated(now).String(), Frozen: st.Frozen(), Mandates: []listedMandate{},
		Registrars: []listedRegistrar{}, Findings: []listedFinding{}}
	for id, g := range st.Grants() {
		if g.When == grant.Always {
			continue
		}
		m := listedMandate{Grant: id.String(), To: nameOf(known, g.Grantee), When: g.When.String(), Expires: g.Expires}
		for _, part := range fhir.Categories() {
			if g.Covers(d.Root.Line(part.ID())) {
				m.Parts = append(m.Parts, part.String())
			}
		}
		out.Mandates = append(out.Mandates, m)
	}
	for _, r := range st.Registrars(now) {
		one := listedRegistrar{Registrar: nameOf(known, r.Registrar), May: wordsOf(r.May), With: []string{}}
		for _, with := range r.With {
			one.With = append(one.With, nameOf(known, with))
		}
		out.Registrars = append(out.Registrars, one)
	}
	for _, f := range st.Findings(now) {
		out.Findings = append(out.Findings, listedFinding{Finding: hex.EncodeToString(f.Event[:]), Case: f.Finding.Case.String(),
			Registrar: nameOf(known, f.Finding.Registrar), Physician: nameOf(known, f.Finding.Physician), At: f.At.Unix(),
			Review: f.Finding.Until, Ended: f.Ended})
	}
	return out, nil
}

func (e *env) mandateTable(list *mandates) error {
	t := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "IN CASE OF\tWHO\tPARTS\tUNTIL\tGRANT")
	for _, m := range list.Mandates {
		fmt.Fprintf(t, "%s\t%s\t%v\t%s\t%s\n", m.When, m.To, m.Parts, time.Unix(m.Expires, 0).Format(time.DateOnly), m.Grant)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range list.Registrars {
		e.print("%s may: %v, with %v\n", r.Registrar, r.May, r.With)
	}
	for _, f := range list.Findings {
		state := "stands"
		if f.Ended {
			state = "ended"
		}
		e.print("%s stated by %s with %s on %s: %s\n", f.Case, f.Registrar, f.Physician, time.Unix(f.At, 0).Format(time.DateTime), state)
	}
	return nil
}

func newMandateEnd(e *env) *cobra.Command {
	var as string
	var asJSON bool
	c := &cobra.Command{Use: "end", Short: "I decide again: end what was stated about me", Args: cobra.NoArgs,
		Long: `End what was stated about the patient: that this one cannot decide, or has died.
It takes the patient's own live device and holds at once. Mandates stay, dormant;
who looked meanwhile stands in: abaton access list.`,
		Example: "  abaton mandate end --as patient-8a4c9c04",
		RunE: func(c *cobra.Command, _ []string) error {
			d, err := e.device(as)
			if err != nil {
				return err
			}
			defer d.hangUp()
			if d.Kind != actor.Patient {
				return usage("%s is no patient", d.Handle)
			}
			return e.takeBack(c.Context(), d, d.ID, d.Hand(), asJSON)
		}}
	c.Flags().StringVar(&as, "as", "", "the patient")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.MarkFlagRequired("as")
	return c
}
