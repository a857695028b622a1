package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/careteam"
	"github.com/abaton-health/abaton/internal/escrow"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/key"
)

func newCustodyCommand(e *env) *cobra.Command {
	return noun("custody", "Records that a care team keeps until their patients claim them", newCustodyStatus(e), newCustodyClaim(e))
}

// keeping is who keeps new patients' records.
type keeping struct {
	team people.Team
	box  key.BoxPublic
}

// keeping is a team by its name, with its key as it is now.
func (m *importer) keeping(ctx context.Context, name string) (*keeping, error) {
	team, err := teamOf(m.n, name)
	if err != nil {
		return nil, err
	}
	m.c.Refresh(m.staff.org.ID)
	log, err := m.c.Log(ctx, m.staff.org.ID)
	if err != nil {
		return nil, err
	}
	t := log.Team(team.ID)
	if t == nil || len(t.Seats) == 0 {
		return nil, fmt.Errorf("%s: %w", name, people.ErrNoTeam)
	}
	if len(t.Seats) < 2 {
		return nil, usage("%s has one member: whoever loses that device loses every record; a team that keeps has two at least", name)
	}
	box, err := key.ParseBoxPublic(t.Public)
	return &keeping{team: *team, box: box}, err
}

// custodyLine is one patient in custody status.
type custodyLine struct {
	Patient string   `json:"patient"`
	Record  string   `json:"record"`
	State   string   `json:"state"` // custody, claiming, own
	Teams   []string `json:"teams,omitempty"`
}

func newCustodyStatus(e *env) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "status", Short: "Whose records a care team keeps, and what that means", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := e.portal()
			if err != nil {
				return err
			}
			defer p.hangUp()
			list, err := p.custodies(c.Context())
			if err != nil {
				return err
			}
			kept := 0
			for _, l := range list {
				if l.State != "own" {
					kept++
				}
			}
			if asJSON {
				return e.json(struct {
					V        int           `json:"v"`
					Kept     int           `json:"kept"`
					Of       int           `json:"of"`
					Patients []custodyLine `json:"patients"`
				}{1, kept, len(list), list})
			}
			t := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "PATIENT\tRECORD\tKEPT BY")
			for _, l := range list {
				by := strings.Join(l.Teams, ",")
				if l.State == "own" {
					by = "the patient"
				}
				fmt.Fprintf(t, "%s\t%s\t%s\n", l.Patient, l.State, by)
			}
			if err := t.Flush(); err != nil {
				return err
			}
			e.say("%d of %d records are in a care team's custody. Whoever is in the team can open each of them under the own name, %d a day, %d a day the whole clinic; patients see every one.",
				kept, len(list), abaton.CustodyPersonMax, abaton.CustodyOrganisationMax)
			return nil
		}}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// custodies says of every patient here who keeps the record, as the key logs
// say now.
func (p *portal) custodies(ctx context.Context) ([]custodyLine, error) {
	cards, err := p.at.People().Cards()
	if err != nil {
		return nil, err
	}
	org, err := p.at.Organisation()
	if err != nil {
		return nil, err
	}
	teams, err := p.at.People().Teams(org)
	if err != nil {
		return nil, err
	}
	named := make(map[abaton.ActorID]string)
	for name, t := range teams {
		named[t.ID] = name
	}
	list := []custodyLine{}
	for _, card := range cards {
		if card.Kind != actor.Patient {
			continue
		}
		st, err := p.net.Log(ctx, card.ID)
		if err != nil {
			return nil, err
		}
		if st == nil {
			continue // an import that was killed made the keys and published nothing
		}
		l := custodyLine{Patient: card.Handle, Record: card.ID.String(), State: "own"}
		if _, err := p.at.People().InCustody(card.Handle); err == nil {
			l.State = "claiming"
		} else if !errors.Is(err, people.ErrOwn) {
			return nil, err
		}
		if _, escrow, kept := careteam.Of(st); kept {
			l.State = "custody"
			for _, w := range escrow.Wraps {
				l.Teams = append(l.Teams, nameOf(named, w.Holder))
			}
		}
		list = append(list, l)
	}
	return list, nil
}

// claimed is custody claim --json.
type claimed struct {
	V       int    `json:"v"`
	Patient string `json:"patient"`
	Record  string `json:"record"`
	Done    int    `json:"done"` // records under a lock of the patient's own
	Of      int    `json:"of"`
	Seconds string `json:"seconds"`
	Kit     string `json:"kit"` // the words of the new kit
}

func newCustodyClaim(e *env) *cobra.Command {
	var as string
	var asJSON bool
	c := &cobra.Command{Use: "claim PATIENT", Short: "Make a record that a care team keeps the patient's own, with the patient there", Args: cobra.ExactArgs(1),
		Long: `Make a record that a care team keeps the patient's own, with the patient there. The
member of the team opens it a last time; the patient's device makes keys of its own,
ends the custody and all reading that was given meanwhile, prints a kit, and locks
every record anew. Until "n of n", what is not locked anew yet still opens with what
the team had. It can be stopped and called again.`,
		Example: "  abaton custody claim patient-8a4c9c04 --as dr-anna",
		RunE: func(c *cobra.Command, args []string) error {
			d, err := e.device(as)
			if err != nil {
				return err
			}
			defer d.hangUp()
			began, bar, words := time.Now(), newProgress(e, 0), ""
			p, at, err := d.at.People().Claim(c.Context(), d.net, d.Person, args[0], people.Claiming{
				Printed: func(code escrow.Code) error {
					words = strings.Join(code.Words(escrow.English), " ")
					return nil
				},
				Progress: func(at client.Relocked) { bar.relocked(at) },
			})
			bar.end()
			if at != nil && (err != nil || !at.Complete()) {
				e.say("%d of %d records are the patient's own; the rest still opens with what the team had. Call it again: abaton custody claim %s --as %s", at.Done, at.Of, args[0], as)
			}
			if err != nil {
				if words != "" { // it may be in force already, and is shown once
					e.say("Keep the kit: %s", words)
				}
				return err
			}
			if asJSON {
				return e.json(claimed{1, p.Handle, p.ID.String(), at.Done, at.Of, fmt.Sprintf("%.3f", time.Since(began).Seconds()), words})
			}
			e.say("%d of %d records are the patient's own after %v; what the team had opens nothing.", at.Done, at.Of, time.Since(began).Round(time.Millisecond))
			e.say("The kit: write it on paper, it is shown once.")
			if words == "" {
				words = "(shown when the claim began)"
			}
			e.print("%s\n", words)
			return nil
		}}
	c.Flags().StringVar(&as, "as", "", "a member of the team")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.MarkFlagRequired("as")
	return c
}
