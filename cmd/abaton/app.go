package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/internal/smart"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/session"
)

// appLife is for how long a patient lets an app in, if nothing else is said:
// as long as one lent session lasts.
const appLife = time.Hour

func newAppCommand(e *env) *cobra.Command {
	return noun("app", "SMART apps: what they ask, what they were given", newAppApprove(e), newAppDecline(e), newAppList(e), newAppStop(e), newAppLaunch(e))
}

// setApps replaces a network's registry of apps by a file.
func setApps(n *local.Network, path string) error {
	if path == "" {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read apps: %w", err)
	}
	if _, err := smart.ParseRegistry(text, func(string) ([]byte, error) {
		return nil, errors.New("key files are not copied; write the keys into jwks")
	}); err != nil {
		return err
	}
	return n.SetApps(text)
}

// approval are the flags of app approve.
type approval struct {
	as, patient, parts, scope, purpose string
	life                               time.Duration
	yes                                bool
}

func newAppApprove(e *env) *cobra.Command {
	var a approval
	c := &cobra.Command{Use: "approve CODE", Short: "Let an app in: the code is on the page that the app opened", Args: cobra.ExactArgs(1),
		Long: `Let an app in. The code is on the page that the app opened in the browser. A
patient's app becomes an actor of its own: the patient signs a grant for it that
names only the parts of the record it needs, and the ledgers name the app. A
clinician's app works in a session of the clinician, within what it asked.`,
		Example: "  abaton app approve BCDF-2345 --as patient-8a4c9c04 --parts general --for 30m",
		RunE: func(c *cobra.Command, args []string) error {
			d, err := e.device(a.as)
			if err != nil {
				return err
			}
			defer d.hangUp()
			return e.approveApp(c.Context(), d, args[0], &a)
		}}
	c.Flags().StringVar(&a.as, "as", "", "who approves: a patient, or a clinician")
	c.Flags().StringVar(&a.patient, "patient", "", "a clinician's: whose record the app is about (a handle)")
	c.Flags().StringVar(&a.parts, "parts", "", "a patient's: parts of the record, with commas (default: general and imaging, as far as it needs them): "+categoryNames())
	c.Flags().StringVar(&a.purpose, "purpose", string(abaton.Treatment), "a patient's: why, a code of PurposeOfUse; PATRQT is for the patient alone")
	c.Flags().StringVar(&a.scope, "scope", "", "allow only these of the scopes it asks for")
	c.Flags().DurationVar(&a.life, "for", appLife, "a patient's: for how long the grant holds; a lent session ends after an hour at most")
	c.Flags().BoolVar(&a.yes, "yes", false, "do not ask again")
	c.MarkFlagRequired("as")
	return c
}

func (e *env) approveApp(ctx context.Context, d *device, code string, a *approval) error {
	asked, err := people.AppAsked(ctx, d.at.GatewayURL(), code)
	if err != nil {
		return err
	}
	scope := asked.Scope
	if a.scope != "" {
		scope = a.scope
	}
	scopes, _, err := smart.ParseScopes(scope)
	if err != nil {
		return usage("--scope: %v", err)
	}
	e.say("%s (%s) asks to:", asked.Name, asked.App)
	for _, line := range scopes.Words() {
		e.say("  %s", line)
	}
	e.say("It is answered at %s.", asked.Answer)
	if !asked.Proof {
		e.say("It does not prove that it holds a key: whoever steals its access can use it until it ends.")
	}
	if !a.yes {
		if ok, err := e.confirm("Allow this?"); err != nil || !ok {
			return errors.Join(err, people.DeclineApp(ctx, d.at.GatewayURL(), code), errNotAllowed)
		}
	}
	yes := people.AppYes{Code: code, Scope: scope}
	switch d.Kind {
	case actor.Patient:
		return e.approveAsPatient(ctx, d, asked, scopes, a, yes)
	case actor.Clinician:
		return e.approveAsClinician(ctx, d, asked, a, yes)
	}
	return usage("%s is neither a patient nor a clinician", d.Handle)
}

var errNotAllowed = errors.New("not allowed")

// confirm asks on the terminal. Whoever is not there has not said yes.
func (e *env) confirm(question string) (bool, error) {
	fmt.Fprintf(e.stderr, "%s Type yes: ", question)
	line, err := bufio.NewReader(e.stdin).ReadString('\n')
	if err != nil && line == "" {
		return false, nil
	}
	return strings.TrimSpace(line) == "yes", nil
}

// approveAsPatient gives the app's own agent what it needs, and lends a
// session of that agent.
func (e *env) approveAsPatient(ctx context.Context, d *device, asked *login.AppAsk, scopes smart.Scopes, a *approval, yes people.AppYes) error {
	if p := abaton.Purpose(a.purpose); a.life <= 0 || !p.Valid() || p == abaton.PatientAccess {
		return usage("--for or --purpose is not one that can be given to an app")
	}
	read, add := people.Parts(scopes, smart.Read|smart.Search), people.Parts(scopes, smart.Create|smart.Update|smart.Delete)
	if a.parts != "" {
		parts, err := categoriesOf(a.parts)
		if err != nil {
			return err
		}
		if len(read) > 0 {
			read = parts
		}
		if len(add) > 0 {
			add = parts
		}
	}
	org, err := d.at.Organisation()
	if err != nil {
		return err
	}
	agent, err := d.at.People().Agent(asked.App, asked.Name, d.ID, org)
	if err != nil {
		return err
	}
	if err := d.at.Enlist(ctx, d.net, agent); err != nil {
		return err
	}
	if yes.Bundles, err = d.GiveApp(ctx, d.net, agent, read, add, abaton.Purpose(a.purpose), a.life); err != nil {
		return err
	}
	directory, err := directoryFor(ctx, d.at, agent)
	if err != nil {
		return err
	}
	yes.Bundles = append(yes.Bundles, directory...)
	yes.Patient = d.ID
	if yes.PatientID, err = d.patientID(ctx); err != nil {
		return err
	}
	given, err := d.at.People().ApproveApp(ctx, agent, d.at.GatewayURL(), asked, yes)
	if err != nil {
		return err
	}
	e.say("%s may now see %s and add to %s, until %s at the latest.", asked.Name, partsText(read), partsText(add), time.Unix(given.Expires, 0).Format(time.TimeOnly))
	e.say("In lists of who looked it is %s. Stop it with: abaton app stop %s --as %s", agent.Handle, asked.App, d.Handle)
	e.print("%s\n", given.Scope)
	return nil
}

func partsText(parts []fhir.Category) string {
	if len(parts) == 0 {
		return "nothing"
	}
	var names []string
	for _, p := range parts {
		names = append(names, p.String())
	}
	return strings.Join(names, ",")
}

// approveAsClinician lends a session of the clinician's own.
func (e *env) approveAsClinician(ctx context.Context, d *device, asked *login.AppAsk, a *approval, yes people.AppYes) error {
	bundles, err := d.Held(ctx, d.net)
	if err != nil {
		return err
	}
	about := asked.Patient
	if a.patient != "" {
		p, err := d.at.People().Find(a.patient)
		if err != nil {
			return err
		}
		if about != "" && about != p.ID.String() {
			return usage("the app was launched about another patient")
		}
		about, yes.Patient = p.ID.String(), p.ID
		if yes.PatientID, err = e.fhirID(ctx, d.at, p.Handle); err != nil {
			return err
		}
	}
	if about != "" {
		bundles = slices.DeleteFunc(bundles, func(b session.Bundle) bool { return b.Patient != d.Sponsor && b.Patient.String() != about })
	}
	yes.Bundles = bundles
	given, err := d.at.People().ApproveApp(ctx, d.Person, d.at.GatewayURL(), asked, yes)
	if err != nil {
		return err
	}
	e.say("%s works in a session of %s until %s at the latest.", asked.Name, d.Handle, time.Unix(given.Expires, 0).Format(time.TimeOnly))
	e.print("%s\n", given.Scope)
	return nil
}

// directoryFor is an agent's grant to the organisation's directory, which the
// organisation gives once: who is named in a chart can then be looked up.
func directoryFor(ctx context.Context, n *local.Network, agent *people.Person) ([]session.Bundle, error) {
	org, err := n.Organisation()
	if err != nil {
		return nil, err
	}
	d, err := newDevice(n, org)
	if err != nil {
		return nil, err
	}
	defer d.hangUp()
	st, err := d.net.Log(ctx, org.ID)
	if err != nil {
		return nil, err
	}
	if !people.Reads(st, agent, time.Now(), time.Hour) {
		t := people.Terms{To: agent, Actions: grant.Read, Directory: true, Purpose: abaton.Operations, Life: sampleLife, Quota: people.RecordsMax}
		if _, _, err := org.Give(ctx, d.net, t); err != nil {
			return nil, err
		}
		d.net.Refresh(org.ID)
	}
	return agent.HeldOf(ctx, d.net, org.ID)
}

// patientID is the FHIR id of the device's own patient, from the indexes of the
// own record: nothing more is opened.
func (d *device) patientID(ctx context.Context) (string, error) {
	own, err := d.Own(ctx, d.net)
	if err != nil {
		return "", err
	}
	l, err := d.at.People().Direct(ctx, d.Person, d.net, own)
	if err != nil {
		return "", err
	}
	reader, err := d.net.NewReader(l)
	if err != nil {
		return "", err
	}
	defer reader.Close()
	ask := client.Ask{Patient: d.ID, Purpose: abaton.PatientAccess, Lines: []abaton.Line{d.Line(fhir.General.ID())}}
	listing, err := reader.List(ctx, ask)
	if err != nil {
		return "", fmt.Errorf("list record: %w", err)
	}
	indexes, err := reader.Indexes(ctx, ask, listing.Batches)
	if err != nil {
		return "", fmt.Errorf("open indexes: %w", err)
	}
	for i := range indexes.Records {
		index, err := seal.ParseIndex(indexes.Records[i].Content)
		if err != nil {
			continue
		}
		for _, entry := range index.Entries {
			if entry.Kind == seal.KindResource && entry.Type == "Patient" {
				return entry.ID, nil
			}
		}
	}
	return d.patientAlone(ctx, reader, ask, listing)
}

// patientAlone looks through the batches of one record, which have no index.
func (d *device) patientAlone(ctx context.Context, reader *client.Reader, ask client.Ask, listing *client.Listing) (string, error) {
	var rows []client.Row
	for _, b := range listing.Batches {
		if b.Records == 1 && b.Gone&1 == 0 {
			rows = append(rows, client.Row{Batch: b.Name, Records: 1})
		}
	}
	if len(rows) > 0 {
		got, err := reader.Get(ctx, ask, rows...)
		if err != nil {
			return "", fmt.Errorf("open record: %w", err)
		}
		for i := range got.Records {
			if e := &got.Records[i].Envelope; e.Kind == seal.KindResource && e.Type == "Patient" {
				return e.ID, nil
			}
		}
	}
	return "", errors.New("this record holds no Patient yet")
}

func newAppDecline(e *env) *cobra.Command {
	return &cobra.Command{Use: "decline CODE", Short: "Say no to an app", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		n, err := e.network()
		if err != nil {
			return err
		}
		return people.DeclineApp(c.Context(), n.GatewayURL(), args[0])
	}}
}

// agents are the apps of a patient, by the actor that stands for each.
func (d *device) agents() (map[abaton.ActorID]*people.Person, error) {
	all, err := d.at.People().All(actor.Agent)
	if err != nil {
		return nil, err
	}
	own := make(map[abaton.ActorID]*people.Person)
	for _, p := range all {
		if _, patient, ok := p.AppOf(); ok && patient == d.ID {
			own[p.ID] = p
		}
	}
	return own, nil
}

func newAppList(e *env) *cobra.Command {
	var as string
	c := &cobra.Command{Use: "list", Short: "Which apps a patient let in, and to what", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		d, err := e.device(as)
		if err != nil {
			return err
		}
		defer d.hangUp()
		agents, err := d.agents()
		if err != nil {
			return err
		}
		list, err := d.grants(c.Context(), time.Now())
		if err != nil {
			return err
		}
		t := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "APP\tACTS AS\tMAY\tPARTS\tUNTIL\tGRANT")
		for _, g := range list {
			id, err := abaton.ParseActorID(g.Actor)
			if agents[id] == nil || err != nil {
				continue
			}
			app, _, _ := agents[id].AppOf()
			until := time.Unix(g.Expires, 0).Format(time.DateTime)
			if g.Expired {
				until = "ended"
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", app, g.To, strings.Join(g.May, ","), strings.Join(g.Parts, ","), until, g.Grant)
		}
		return t.Flush()
	}}
	c.Flags().StringVar(&as, "as", "", "the patient")
	c.MarkFlagRequired("as")
	return c
}

func newAppStop(e *env) *cobra.Command {
	var as string
	c := &cobra.Command{Use: "stop APP", Short: "Take back all that an app was given", Args: cobra.ExactArgs(1),
		Example: "  abaton app stop growth-chart --as patient-8a4c9c04",
		RunE: func(c *cobra.Command, args []string) error {
			d, err := e.device(as)
			if err != nil {
				return err
			}
			defer d.hangUp()
			return e.stopApp(c.Context(), d, args[0])
		}}
	c.Flags().StringVar(&as, "as", "", "the patient")
	c.MarkFlagRequired("as")
	return c
}

func (e *env) stopApp(ctx context.Context, d *device, name string) error {
	agents, err := d.agents()
	if err != nil {
		return err
	}
	d.net.Refresh(d.ID)
	st, err := d.net.Log(ctx, d.ID)
	if err != nil {
		return err
	}
	stopped := 0
	for id, g := range st.Grants() {
		p := agents[g.Grantee]
		if p == nil {
			continue
		}
		if app, _, _ := p.AppOf(); app != name && p.Handle != name {
			continue
		}
		done, err := d.Stop(ctx, d.net, id, false)
		if err != nil {
			return err
		}
		stopped++
		e.say("Stopped at %d of %d keepers: %s", done.At, done.Of, id)
	}
	if stopped == 0 {
		return fmt.Errorf("nothing was given to %s: %w", name, abaton.ErrNotFound)
	}
	e.say("Keepers release nothing to it any more. A gateway that has the chart open asks them again within 60 seconds.")
	return nil
}

func newAppLaunch(e *env) *cobra.Command {
	var as, patient string
	c := &cobra.Command{Use: "launch APP", Short: "Open an app on a patient, as a clinician's system does", Args: cobra.ExactArgs(1),
		Long:    "Print the address at which a browser opens the app on this patient. It works once, for five minutes. Whoever launches approves.",
		Example: "  abaton app launch growth-chart --as dr-anna --patient patient-8a4c9c04",
		RunE: func(c *cobra.Command, args []string) error {
			n, err := e.network()
			if err != nil {
				return err
			}
			p, err := n.People().Find(as)
			if err != nil {
				return err
			}
			s, err := n.People().Kept(p.Handle, n.GatewayURL())
			if err != nil {
				return err
			}
			id := patient
			if whom, err := n.People().Find(patient); err == nil {
				if id, err = e.fhirID(c.Context(), n, whom.Handle); err != nil {
					return err
				}
			}
			out, err := s.LaunchApp(c.Context(), args[0], id)
			if err != nil {
				return err
			}
			e.print("%s\n", out.URL)
			return nil
		}}
	c.Flags().StringVar(&as, "as", "", "who opens it, and is signed in")
	c.Flags().StringVar(&patient, "patient", "", "the patient: a handle, or a FHIR id")
	c.MarkFlagRequired("as")
	c.MarkFlagRequired("patient")
	return c
}
