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
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/people"
)

// employer is the clinic, with a way to the keepers.
type employer struct {
	*device
	managers int // who sign; 0 for as many as the clinic demands
}

func (e *env) employer() (*employer, error) {
	n, err := e.network()
	if err != nil {
		return nil, err
	}
	org, err := n.Organisation()
	if err != nil {
		return nil, err
	}
	d, err := newDevice(n, org)
	return &employer{device: d}, err
}

func (m *employer) hand() client.Hand {
	if m.managers == 0 {
		return m.Hand()
	}
	return m.HandOf(m.managers)
}

// done is what became of one event, for people and as JSON.
type done struct {
	V       int    `json:"v"`
	Did     string `json:"did"`
	Who     string `json:"who"`
	Actor   string `json:"actor"`
	At      int    `json:"at"` // keepers at which it is in force
	Of      int    `json:"of"`
	Seconds string `json:"seconds"` // until it was
}

func (e *env) sayDone(asJSON bool, did, who string, id abaton.ActorID, p client.Published, began time.Time) error {
	took := time.Since(began).Round(time.Millisecond)
	if asJSON {
		return e.json(done{1, did, who, id.String(), p.At, p.Of, fmt.Sprintf("%.3f", took.Seconds())})
	}
	e.say("%s: %s, in force at %d of %d keepers after %v.", who, did, p.At, p.Of, took)
	e.print("%s\n", id)
	return nil
}

func newStaffCommand(e *env) *cobra.Command {
	return noun("staff", "Who works at the clinic, and as what", newStaffAdd(e), newStaffRoles(e), newStaffLeave(e), newStaffSuspend(e), newStaffList(e))
}

// terms are what a membership says.
type memberTerms struct {
	roles, trained, sponsor string
	life                    time.Duration
	managers                int
	asJSON                  bool
}

func (t *memberTerms) flags(c *cobra.Command) {
	c.Flags().StringVar(&t.trained, "trained", "", "trainings and until when, with commas: privacy=2027-06-30")
	c.Flags().StringVar(&t.sponsor, "sponsor", "", "who answers for this one: a handle or act1...")
	c.Flags().DurationVar(&t.life, "for", 365*24*time.Hour, "for how long, a year at most")
	t.marks(c)
}

func (t *memberTerms) marks(c *cobra.Command) {
	c.Flags().IntVar(&t.managers, "managers", 0, "how many managers sign (default: as many as the clinic demands)")
	c.Flags().BoolVar(&t.asJSON, "json", false, "print JSON")
}

func rolesOf(text string) (roles []string, err error) {
	for name := range strings.SplitSeq(text, ",") {
		name = strings.TrimSpace(name)
		if _, known := abaton.RoleOf(name); !known {
			return nil, usage("%q is no role; there are: %s", name, roleNames())
		}
		roles = append(roles, name)
	}
	slices.Sort(roles)
	return slices.Compact(roles), nil
}

func roleNames() string {
	var names []string
	for _, r := range abaton.Roles() {
		names = append(names, r.Name)
	}
	return strings.Join(names, ", ")
}

// member is the membership these terms make.
func (t *memberTerms) member(m *employer, p *people.Person) (*actor.Member, error) {
	now := time.Now()
	out := &actor.Member{Actor: p.ID, Roles: p.Roles, NotBefore: now.Add(-time.Minute).Unix(), Expires: now.Add(t.life).Unix()}
	if t.life <= 0 || t.life > actor.MemberLifeMax-time.Minute {
		return nil, usage("--for is not a time one can be taken on for")
	}
	if t.sponsor != "" {
		by, err := m.at.People().Find(t.sponsor)
		if err != nil {
			return nil, err
		}
		out.Sponsor = by.ID
	}
	if t.trained == "" {
		return out, nil
	}
	for one := range strings.SplitSeq(t.trained, ",") {
		course, day, _ := strings.Cut(one, "=")
		until, err := time.Parse(time.DateOnly, day)
		if err != nil {
			return nil, usage("--trained %q is not COURSE=YYYY-MM-DD", one)
		}
		out.Trained = append(out.Trained, actor.Training{Course: course, Until: until.Unix()})
	}
	slices.SortFunc(out.Trained, func(a, b actor.Training) int { return strings.Compare(a.Course, b.Course) })
	return out, nil
}

func newStaffAdd(e *env) *cobra.Command {
	var t memberTerms
	var name string
	c := &cobra.Command{Use: "add HANDLE|ACTOR", Short: "Take somebody on, with a device, or for longer", Args: cobra.ExactArgs(1),
		Example: "  abaton staff add dr-carla --name 'Dr Carla' --roles physician,emergency",
		RunE: func(c *cobra.Command, args []string) error {
			roles, err := rolesOf(t.roles)
			if err != nil {
				return err
			}
			m, err := e.employer()
			if err != nil {
				return err
			}
			defer m.hangUp()
			m.managers = t.managers
			p, err := m.named(c.Context(), args[0])
			if errors.Is(err, people.ErrNobody) && !isActor(args[0]) {
				p, err = m.at.People().NewClinician(args[0], name, m.Person, roles...)
			}
			if err != nil {
				return err
			}
			return e.takeOn(c.Context(), m, p, roles, &t, "taken on as "+t.roles)
		}}
	c.Flags().StringVar(&t.roles, "roles", abaton.RolePhysician, "as what, with commas: "+roleNames())
	c.Flags().StringVar(&name, "name", "", "the name, for people")
	t.flags(c)
	return c
}

// takeOn makes somebody and the device known, and publishes the membership.
func (e *env) takeOn(ctx context.Context, m *employer, p *people.Person, roles []string, t *memberTerms, did string) error {
	if p.Kind != actor.Clinician && p.Kind != actor.Agent {
		return usage("%s is nobody who can be taken on", p.Handle)
	}
	known := []*people.Person{p}
	if p.Device != (abaton.ActorID{}) {
		d, err := m.at.People().Find(p.Device.String())
		if err != nil {
			return err
		}
		known = append(known, d)
	}
	if p.Manage != nil { // who enrolled in a browser is known already
		if err := people.Introduce(ctx, m.net, known...); err != nil {
			return err
		}
	}
	p.Roles = roles
	body, err := t.member(m, p)
	if err != nil {
		return err
	}
	began := time.Now()
	published, err := people.TakeOn(ctx, m.net, m.hand(), body)
	if err != nil {
		return err
	}
	if p.Manage != nil {
		if err := m.at.People().Amend(p); err != nil {
			return err
		}
	}
	return e.sayDone(t.asJSON, did, p.Handle, p.ID, published, began)
}

func newStaffRoles(e *env) *cobra.Command {
	var t memberTerms
	c := &cobra.Command{Use: "roles HANDLE|ACTOR ROLE[,ROLE]", Short: "Give somebody other roles", Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			roles, err := rolesOf(args[1])
			if err != nil {
				return err
			}
			m, err := e.employer()
			if err != nil {
				return err
			}
			defer m.hangUp()
			m.managers = t.managers
			p, err := m.named(c.Context(), args[0])
			if err != nil {
				return err
			}
			return e.takeOn(c.Context(), m, p, roles, &t, "works as "+args[1])
		}}
	t.flags(c)
	return c
}

func newStaffLeave(e *env) *cobra.Command {
	var t memberTerms
	var preview bool
	c := &cobra.Command{Use: "leave HANDLE|ACTOR", Short: "Somebody leaves, for ever", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if preview {
				return e.previewStop(c.Context(), args[0], 0, t.asJSON)
			}
			return e.bar(c, args[0], 0, "has left", t.asJSON)
		}}
	c.Flags().BoolVar(&preview, "preview", false, "show what it breaks, and do nothing")
	c.Flags().BoolVar(&t.asJSON, "json", false, "print JSON")
	return c
}

func newStaffSuspend(e *env) *cobra.Command {
	var t memberTerms
	var preview bool
	c := &cobra.Command{Use: "suspend HANDLE|ACTOR", Short: "Suspend somebody for a time", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if t.life <= 0 {
				return usage("--for is not a time")
			}
			if preview {
				return e.previewStop(c.Context(), args[0], t.life, t.asJSON)
			}
			return e.bar(c, args[0], t.life, "suspended for "+t.life.String(), t.asJSON)
		}}
	c.Flags().BoolVar(&preview, "preview", false, "show what it breaks, and do nothing")
	c.Flags().DurationVar(&t.life, "for", 30*24*time.Hour, "for how long")
	c.Flags().BoolVar(&t.asJSON, "json", false, "print JSON")
	return c
}

// bar ends somebody's part at the clinic, with one manager's key.
func (e *env) bar(c *cobra.Command, who string, life time.Duration, did string, asJSON bool) error {
	m, err := e.employer()
	if err != nil {
		return err
	}
	defer m.hangUp()
	p, err := m.named(c.Context(), who)
	if err != nil {
		return err
	}
	if p.Kind != actor.Clinician && p.Kind != actor.Agent {
		return usage("%s is nobody who works here; abaton device lost ends a device", p.Handle)
	}
	began, until := time.Now(), int64(0)
	if life > 0 {
		until = began.Add(life).Unix()
	}
	published, err := m.Bar(c.Context(), m.net, p.ID, until, m.Manage)
	if err != nil {
		return err
	}
	return e.sayDone(asJSON, did, p.Handle, p.ID, published, began)
}

// listedMember is one line of staff list.
type listedMember struct {
	Who         string   `json:"who"`
	Actor       string   `json:"actor"`
	Roles       []string `json:"roles"`
	NotBefore   int64    `json:"notBefore"`
	Expires     int64    `json:"expires"`
	Trained     []string `json:"trained,omitempty"`
	Sponsor     string   `json:"sponsor,omitempty"`
	State       string   `json:"state"`                 // works, suspended, left, over
	BarredUntil int64    `json:"barredUntil,omitempty"` // unix seconds
}

func newStaffList(e *env) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "list", Short: "Everybody the clinic ever took on", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		m, err := e.employer()
		if err != nil {
			return err
		}
		defer m.hangUp()
		log, err := m.net.Log(c.Context(), m.ID)
		if err != nil {
			return err
		}
		known, err := names(m.at)
		if err != nil {
			return err
		}
		list := listMembers(log, known, time.Now())
		if asJSON {
			return e.json(struct {
				V         int            `json:"v"`
				Approvals int            `json:"approvals"`
				Staff     []listedMember `json:"staff"`
			}{1, log.Approvals(), list})
		}
		t := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "WHO\tROLES\tSTATE\tUNTIL\tSPONSOR")
		for _, l := range list {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", l.Who, strings.Join(l.Roles, ","), l.State, time.Unix(l.Expires, 0).Format(time.DateOnly), l.Sponsor)
		}
		return t.Flush()
	}}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func listMembers(log *actor.State, known map[abaton.ActorID]string, now time.Time) []listedMember {
	list := []listedMember{}
	for _, m := range log.Members() {
		l := listedMember{Who: nameOf(known, m.Actor), Actor: m.Actor.String(), Roles: m.Roles, NotBefore: m.NotBefore, Expires: m.Expires, State: "works"}
		for _, t := range m.Trained {
			l.Trained = append(l.Trained, t.Course+" until "+time.Unix(t.Until, 0).UTC().Format(time.DateOnly))
		}
		if m.Sponsor != (abaton.ActorID{}) {
			l.Sponsor = nameOf(known, m.Sponsor)
		}
		switch until := log.BarredUntil(m.Actor, now); {
		case until > now.AddDate(100, 0, 0).Unix():
			l.State = "left"
		case until > 0:
			l.State, l.BarredUntil = "suspended", until
		case log.Member(m.Actor, now) == nil:
			l.State = "over"
		}
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b listedMember) int { return strings.Compare(a.Who, b.Who) })
	return list
}
