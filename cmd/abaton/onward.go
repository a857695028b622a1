package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/people"
)

// onwardTo is where a grant may be handed on: a team, the clinic, or nowhere.
func onwardTo(ctx context.Context, d *device, name string) (abaton.ActorID, error) {
	if name == "" {
		return abaton.ActorID{}, nil
	}
	whom, team, err := d.grantee(ctx, name)
	switch {
	case err != nil:
		return abaton.ActorID{}, err
	case team != nil:
		return team.ID, nil
	case whom.Kind != actor.Organisation:
		return abaton.ActorID{}, usage("%s is neither a team nor a clinic", whom.Handle)
	}
	return whom.ID, nil
}

func newGrantOnward(e *env) *cobra.Command {
	var as, name, to, read string
	var life time.Duration
	var quota uint32
	c := &cobra.Command{Use: "onward", Short: "Hand on what a patient gave, once, as far as the patient allowed", Args: cobra.NoArgs,
		Long: `Hand on what a patient gave, to a colleague or a team, where the patient allowed it
(grant give --onward). It may only narrow: no further parts, no longer, no more
records, and not a second time. It ends when the patient stops the grant, when you
take it back (grant stop), or when you leave. The patient sees it at once.`,
		Example: "  abaton grant onward --as dr-ben --grant GRANT --to ward --read general --for 24h",
		RunE: func(c *cobra.Command, _ []string) error {
			id, err := abaton.ParseGrantID(name)
			if err != nil {
				return usage("%q is no grant; abaton grant held shows them", name)
			}
			var categories []fhir.Category
			if read != "" {
				if categories, err = categoriesOf(read); err != nil {
					return err
				}
			}
			d, err := e.device(as)
			if err != nil {
				return err
			}
			defer d.hangUp()
			if d.Kind != actor.Clinician {
				return usage("%s is no clinician; only people hand on", d.Handle)
			}
			whom, team, err := d.grantee(c.Context(), to)
			if err != nil {
				return err
			}
			began := time.Now()
			handed, p, err := d.GiveOn(c.Context(), d.net, people.Onward{Grant: id, To: whom, Team: team, Categories: categories, Life: life, Quota: quota})
			if err != nil {
				return err
			}
			e.say("Handed on to %s, in force at %d of %d keepers after %v. The patient sees it.", to, p.At, p.Of, time.Since(began).Round(time.Millisecond))
			e.say("It begins with the next sign-in, and goes no further.")
			e.print("%s\n", handed)
			return nil
		}}
	c.Flags().StringVar(&as, "as", "", "who hands on")
	c.Flags().StringVar(&name, "grant", "", "the patient's grant, of the letter or of abaton grant held")
	c.Flags().StringVar(&to, "to", "", "a colleague or a team")
	c.Flags().StringVar(&read, "read", "", "which parts of what was given, with commas (default: all of it)")
	c.Flags().DurationVar(&life, "for", 0, "for how long (default: as long as the patient gave it)")
	c.Flags().Uint32Var(&quota, "quota", 0, "how many records at most (default: as many as the patient gave)")
	for _, f := range []string{"as", "grant", "to"} {
		c.MarkFlagRequired(f)
	}
	return c
}

// heldGrant is one line of grant held.
type heldGrant struct {
	Patient string   `json:"patient"`
	Parts   []string `json:"parts"`
	Expires int64    `json:"expires"`
	Quota   uint32   `json:"quota"`
	Through string   `json:"through,omitempty"` // who handed it on
	Onward  string   `json:"onward,omitempty"`  // where it may be handed on
	Grant   string   `json:"grant"`
}

func newGrantHeld(e *env) *cobra.Command {
	shown := func(list []heldGrant) any {
		return struct {
			V      int         `json:"v"`
			Grants []heldGrant `json:"grants"`
		}{1, list}
	}
	c := listing(e, &cobra.Command{Use: "held", Short: "What somebody was given to read, by whom, until when"},
		"PATIENT\tPARTS\tUNTIL\tTHROUGH\tMAY GO ON TO\tGRANT", (*device).held, shown, func(g heldGrant) string {
			return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s", g.Patient, strings.Join(g.Parts, ","), time.Unix(g.Expires, 0).Format(time.DateTime),
				cmp.Or(g.Through, "-"), cmp.Or(g.Onward, "-"), g.Grant)
		})
	c.Flags().Lookup("as").Usage = "who was given it"
	return c
}

// held are the grants that this person holds, own ones and those handed on.
func (d *device) held(ctx context.Context, _ time.Time) ([]heldGrant, error) {
	bundles, err := d.Held(ctx, d.net)
	if err != nil {
		return nil, err
	}
	known, err := namesWithTeams(d.at)
	if err != nil {
		return nil, err
	}
	list := []heldGrant{}
	for _, b := range bundles {
		st, err := d.net.Log(ctx, b.Patient)
		if err != nil {
			return nil, err
		}
		g, _ := st.Grant(b.Grant)
		one := heldGrant{Patient: nameOf(known, b.Patient), Grant: b.Grant.String(), Expires: g.Expires, Quota: g.Quota, Parts: []string{}}
		if g.Onward != (abaton.ActorID{}) && b.Onward.IsZero() {
			one.Onward = nameOf(known, g.Onward)
		}
		if !b.Onward.IsZero() {
			giver, err := d.net.Log(ctx, b.Onward.From)
			if err != nil {
				return nil, err
			}
			h, _, _ := giver.Onward(b.Onward.ID)
			one.Through, one.Expires, one.Quota = nameOf(known, b.Onward.From), h.Terms.Expires, h.Terms.Quota
		}
		for _, s := range b.Seeds {
			if c, ok := fhir.CategoryByID(s.Category); ok && !slices.Contains(one.Parts, c.String()) {
				one.Parts = append(one.Parts, c.String())
			}
		}
		slices.Sort(one.Parts)
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b heldGrant) int {
		return cmp.Or(strings.Compare(a.Patient, b.Patient), strings.Compare(a.Grant, b.Grant))
	})
	return list, nil
}
