package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
)

func newTeamCommand(e *env) *cobra.Command {
	return noun("team", "Who works together", newTeamSet(e), newTeamList(e))
}

func newTeamSet(e *env) *cobra.Command {
	var members, role string
	var delegable bool
	var t memberTerms
	c := &cobra.Command{Use: "set NAME", Short: "Make a team, or say who is in it from now on", Args: cobra.ExactArgs(1),
		Long: `Make a team, or say who is in it from now on. A patient gives to it by its name:
abaton grant give --to NAME. Who drops out is refused at once, and the team's key
moves on: what was given before is to be given again.`,
		Example: "  abaton team set ward --members dr-anna,dr-ben --delegable",
		RunE: func(c *cobra.Command, args []string) error {
			m, err := e.employer()
			if err != nil {
				return err
			}
			defer m.hangUp()
			m.managers = t.managers
			ids, err := m.membersOf(c.Context(), members)
			if err != nil {
				return err
			}
			all, err := m.at.People().Teams(m.Person)
			if err != nil {
				return err
			}
			team, there := all[args[0]]
			body := &actor.Team{Team: team.ID, Role: role, Delegable: delegable}
			if !there {
				team, body.Nonce = m.NewTeam()
				body.Team = team.ID
			}
			began := time.Now()
			published, err := m.SetTeam(c.Context(), m.net, m.hand(), body, ids...)
			if err != nil {
				return err
			}
			if err := m.at.People().NameTeam(m.Person, args[0], team); err != nil {
				return err
			}
			return e.sayDone(t.asJSON, fmt.Sprintf("%d members", len(body.Seats)), args[0], team.ID, published, began)
		}}
	c.Flags().StringVar(&members, "members", "", "who is in it, with commas")
	c.Flags().StringVar(&role, "role", "", "only while they work as this (default: any role)")
	c.Flags().BoolVar(&delegable, "delegable", false, "members may hand their place on for a shift")
	t.marks(c)
	c.MarkFlagRequired("members")
	return c
}

func (m *employer) membersOf(ctx context.Context, handles string) (ids []abaton.ActorID, err error) {
	for handle := range strings.SplitSeq(handles, ",") {
		p, err := m.named(ctx, strings.TrimSpace(handle))
		if err != nil {
			return nil, err
		}
		if p.Kind != actor.Clinician {
			return nil, usage("%s is no clinician and cannot be in a team", p.Handle)
		}
		ids = append(ids, p.ID)
	}
	return ids, nil
}

// grantee is who --to names: a person, or a team of the clinic.
func (d *device) grantee(ctx context.Context, to string) (*people.Person, *people.Team, error) {
	p, err := d.named(ctx, to)
	if err == nil && p.Kind == actor.Device {
		return nil, nil, usage("%s is a device; give to a person or a team", p.Handle)
	}
	if !errors.Is(err, people.ErrNobody) {
		return p, nil, err
	}
	team, found := teamOf(d.at, to)
	if found != nil {
		return nil, nil, err
	}
	return nil, team, nil
}

func teamOf(n *local.Network, name string) (*people.Team, error) {
	org, err := n.Organisation()
	if err != nil {
		return nil, err
	}
	all, err := n.People().Teams(org)
	if err != nil {
		return nil, err
	}
	team, ok := all[name]
	if !ok {
		return nil, usage("%q is no team; abaton team list shows them", name)
	}
	return &team, nil
}

// listedTeam is one line of team list. Members are those in it now.
type listedTeam struct {
	Team      string   `json:"team"`
	Actor     string   `json:"actor"`
	Role      string   `json:"role,omitempty"`
	Members   []string `json:"members"`
	Seats     []string `json:"seats"` // also of who is away, suspended or has left
	Delegable bool     `json:"delegable"`
	Epoch     uint32   `json:"epoch"`
}

func newTeamList(e *env) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "list", Short: "The teams, and who is in them now", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		m, err := e.employer()
		if err != nil {
			return err
		}
		defer m.hangUp()
		list, err := m.teams(c.Context(), time.Now())
		if err != nil {
			return err
		}
		if asJSON {
			return e.json(struct {
				V     int          `json:"v"`
				Teams []listedTeam `json:"teams"`
			}{1, list})
		}
		t := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "TEAM\tMEMBERS NOW\tROLE\tDELEGABLE\tKEY")
		for _, l := range list {
			fmt.Fprintf(t, "%s\t%s\t%s\t%t\t%d\n", l.Team, strings.Join(l.Members, ","), l.Role, l.Delegable, l.Epoch)
		}
		return t.Flush()
	}}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (m *employer) teams(ctx context.Context, now time.Time) ([]listedTeam, error) {
	log, err := m.net.Log(ctx, m.ID)
	if err != nil {
		return nil, err
	}
	known, err := names(m.at)
	if err != nil {
		return nil, err
	}
	named, err := m.at.People().Teams(m.Person)
	if err != nil {
		return nil, err
	}
	for name, t := range named {
		known[t.ID] = name
	}
	list := []listedTeam{}
	for _, t := range log.Teams() {
		l := listedTeam{Team: nameOf(known, t.Team), Actor: t.Team.String(), Role: t.Role, Delegable: t.Delegable, Epoch: t.Epoch, Members: []string{}}
		for _, s := range t.Seats {
			l.Seats = append(l.Seats, nameOf(known, s.Actor))
			if log.Seated(t.Team, s.Actor, now) {
				l.Members = append(l.Members, nameOf(known, s.Actor))
			}
		}
		slices.Sort(l.Seats)
		slices.Sort(l.Members)
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b listedTeam) int { return strings.Compare(a.Team, b.Team) })
	return list, nil
}

// namesWithTeams is names with the teams of the clinic.
func namesWithTeams(n *local.Network) (map[abaton.ActorID]string, error) {
	known, err := names(n)
	if err != nil {
		return nil, err
	}
	org, err := n.Organisation()
	if err != nil {
		return nil, err
	}
	teams, err := n.People().Teams(org)
	for name, t := range teams {
		known[t.ID] = "team " + name
	}
	return known, err
}
