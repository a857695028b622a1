package main

import (
	"context"
	"encoding/json"
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
	"github.com/abaton-health/abaton/internal/careteam"
	"github.com/abaton-health/abaton/internal/people"
)

// A duty copy is what the clinic must keep, out of the patient's hands and its
// own: two people of two organisations open it together, for a complaint or
// liability, and the patient is told.
func newDutyCopyCommand(e *env) *cobra.Command {
	return noun("duty-copy", "What the clinic must keep: opened by two organisations together, for a complaint only",
		newDutyCopyBegin(e), newDutyCopyList(e), newDutyCopyPart(e), newDutyCopyOpen(e), newDutyCopyErase(e))
}

// guards name the two guardians on the command line.
type guards struct{ team, trustee, trusteeTeam string }

func (g *guards) flags(c *cobra.Command) {
	c.Flags().StringVar(&g.team, "team", "", "the clinic's team that guards one part")
	c.Flags().StringVar(&g.trustee, "trustee", "", "the organisation that guards the other")
	c.Flags().StringVar(&g.trusteeTeam, "trustee-team", "", "its team")
}

// find looks both up, with their keys as they are now.
func (g *guards) find(ctx context.Context, d *device) (a, b careteam.Guardian, err error) {
	own, err := teamOf(d.at, g.team)
	if err != nil {
		return a, b, err
	}
	trustee, err := d.at.People().Find(g.trustee)
	if err != nil {
		return a, b, err
	}
	teams, err := d.at.People().Teams(trustee)
	if err != nil {
		return a, b, err
	}
	theirs, ok := teams[g.trusteeTeam]
	if !ok || trustee.Kind != actor.Organisation {
		return a, b, usage("%s has no team %q", g.trustee, g.trusteeTeam)
	}
	if a, err = people.Guarding(ctx, d.net, *own); err != nil {
		return a, b, fmt.Errorf("%s: %w", g.team, err)
	}
	if b, err = people.Guarding(ctx, d.net, theirs); err != nil {
		return a, b, fmt.Errorf("%s: %w", g.trusteeTeam, err)
	}
	return a, b, nil
}

// begins makes the duty chart of one patient and tells the gateway, unless there
// is one that takes copies for long enough.
func (d *device) begins(ctx context.Context, about abaton.ActorID, a, b careteam.Guardian, again bool) (chart *people.DutyChart, made bool, err error) {
	all, err := d.at.People().DutyCharts(d.Person)
	if err != nil {
		return nil, false, err
	}
	for _, one := range slices.Backward(all) {
		if !again && one.Patient == about && one.Until > time.Now().Unix() {
			return &one, false, d.tellGateway(one)
		}
	}
	if _, err := os.Stat(d.at.DutyFile()); err != nil {
		return nil, false, fmt.Errorf("this network's gateway makes no duty copies: %w", err)
	}
	if chart, err = d.at.People().BeginDuty(ctx, d.net, d.Person, about, a, b); err != nil {
		return nil, false, err
	}
	return chart, true, d.tellGateway(*chart)
}

// keepsDuty has an import keep duty copies of its patients.
func (m *importer) keepsDuty(ctx context.Context, g guards) (done func(), err error) {
	d, err := newDevice(m.n, m.staff.org)
	if err != nil {
		return nil, err
	}
	a, b, err := g.find(ctx, d)
	if err != nil {
		d.hangUp()
		return nil, err
	}
	m.duty = func(ctx context.Context, about abaton.ActorID) error {
		_, _, err := d.begins(ctx, about, a, b, false)
		return err
	}
	return d.hangUp, nil
}

// tellGateway lists a chart for the gateway; telling it twice changes nothing.
func (d *device) tellGateway(c people.DutyChart) error {
	line, err := careteam.DutyNote{Patient: c.Patient, Chart: c.Chart}.Seal(d.ID, d.Public)
	if err != nil {
		return err
	}
	return careteam.AddDutyNote(d.at.DutyFile(), line)
}

func newDutyCopyBegin(e *env) *cobra.Command {
	var g guards
	var again, asJSON bool
	c := &cobra.Command{Use: "begin PATIENT", Short: "Keep a copy of what is filed for a patient from now on", Args: cobra.ExactArgs(1),
		Long: `Keep a copy of what is filed for a patient from now on. The gateway seals it in the
same transaction, to a chart of which the patient has no key. Its root is made here,
cut in two, and dropped: one part for a team of the clinic, one for a team of another
organisation. A chart takes copies for a year; --again begins the next, and what the
former holds stays. Tell the patient the chart's name: whose it is sees every opening.`,
		Example: "  abaton duty-copy begin patient-8a4c9c04 --team records --trustee archive --trustee-team keepsake",
		RunE: func(c *cobra.Command, args []string) error {
			m, err := e.employer()
			if err != nil {
				return err
			}
			defer m.hangUp()
			card, err := m.at.People().Card(args[0])
			if err != nil {
				return err
			}
			if card.Kind != actor.Patient {
				return usage("%s is no patient", args[0])
			}
			a, b, err := g.find(c.Context(), m.device)
			if err != nil {
				return err
			}
			chart, made, err := m.begins(c.Context(), card.ID, a, b, again)
			if err != nil {
				return err
			}
			if asJSON {
				return e.json(struct {
					V     int    `json:"v"`
					Chart string `json:"chart"`
					Made  bool   `json:"made"`
					Until int64  `json:"until"`
				}{1, chart.Chart.String(), made, chart.Until})
			}
			if !made {
				e.say("There is one already, which takes copies until %s.", day(chart.Until))
			}
			e.say("%s and %s open it together. The patient sees who did: abaton access list --as %s --duty %s", g.team, g.trusteeTeam, args[0], chart.Chart)
			e.print("%s\n", chart.Chart)
			return nil
		}}
	g.flags(c)
	for _, f := range []string{"team", "trustee", "trustee-team"} {
		c.MarkFlagRequired(f)
	}
	c.Flags().BoolVar(&again, "again", false, "begin another chart, as each year")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func day(unix int64) string { return time.Unix(unix, 0).UTC().Format(time.DateOnly) }

func newDutyCopyList(e *env) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "list", Short: "Of whom the clinic keeps duty copies, and where", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			m, err := e.employer()
			if err != nil {
				return err
			}
			defer m.hangUp()
			all, err := m.at.People().DutyCharts(m.Person)
			if err != nil {
				return err
			}
			cards, err := m.at.People().Cards()
			if err != nil {
				return err
			}
			known := make(map[abaton.ActorID]string)
			for _, card := range cards {
				known[card.ID] = card.Handle
			}
			if asJSON {
				return e.json(struct {
					V      int                `json:"v"`
					Charts []people.DutyChart `json:"charts"`
				}{1, all})
			}
			t := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "PATIENT\tTAKES COPIES UNTIL\tCHART")
			for _, d := range all {
				fmt.Fprintf(t, "%s\t%s\t%s\n", nameOf(known, d.Patient), day(d.Until), d.Chart)
			}
			return t.Flush()
		}}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func newDutyCopyPart(e *env) *cobra.Command {
	var as, to string
	c := &cobra.Command{Use: "part CHART", Short: "Open the own guardian's part, for the other guardian's person alone", Args: cobra.ExactArgs(1),
		Long: `Open the part that the own organisation guards, for one person of the other guardian.
Three keepers ledger it and tell the patient. What is printed opens for that person
alone, and nothing without that person's own part.`,
		Example: "  abaton duty-copy part act1... --as dr-anna --to archivist >part.txt",
		RunE: func(c *cobra.Command, args []string) error {
			d, chart, err := e.guardian(as, args[0])
			if err != nil {
				return err
			}
			defer d.hangUp()
			other, err := d.at.People().Find(to)
			if err != nil {
				return err
			}
			if other.Sponsor == d.Sponsor {
				return usage("%s is of the same organisation: the other guardian is another", to)
			}
			log, err := d.net.Log(c.Context(), other.ID)
			if err != nil {
				return err
			}
			box, err := log.Box()
			if err != nil {
				return err
			}
			part, err := d.at.People().OpenDutyPart(c.Context(), d.net, d.Person, chart)
			if err != nil {
				return err
			}
			text, err := careteam.SealDutyPart(chart, part.Part, box)
			if err != nil {
				return err
			}
			e.say("For %s alone, who goes on with: abaton duty-copy open %s --as %s --part FILE", other.Handle, chart, other.Handle)
			e.print("%s\n", text)
			return nil
		}}
	c.Flags().StringVar(&as, "as", "", "somebody in a team that guards it")
	c.Flags().StringVar(&to, "to", "", "somebody in the other guardian's team")
	c.MarkFlagRequired("as")
	c.MarkFlagRequired("to")
	return c
}

// guardian is the device of somebody who guards a chart.
func (e *env) guardian(as, name string) (*device, abaton.ActorID, error) {
	chart, err := abaton.ParseActorID(name)
	if err != nil {
		return nil, chart, usage("a duty copy is named as act1...")
	}
	d, err := e.device(as)
	if err != nil {
		return nil, chart, err
	}
	if d.Kind != actor.Clinician {
		d.hangUp()
		return nil, chart, usage("%s is no clinician, and in no team", as)
	}
	return d, chart, nil
}

// opens opens a duty copy with the other guardian's part in a file.
func (d *device) opens(ctx context.Context, chart abaton.ActorID, file string) (*people.DutyCopy, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read part: %w", err)
	}
	part, err := careteam.OpenDutyPart(chart, strings.TrimSpace(string(text)), d.Box)
	if err != nil {
		return nil, err
	}
	return d.at.People().OpenDuty(ctx, d.net, d.Person, chart, part)
}

// dutyVersion is one line of duty-copy open: a version as it was filed.
type dutyVersion struct {
	Name     string          `json:"name"` // TYPE/ID
	Version  string          `json:"version"`
	Filed    string          `json:"filed"`
	By       string          `json:"by,omitempty"`
	Deleted  bool            `json:"deleted,omitempty"`
	Resource json.RawMessage `json:"resource,omitempty"`
}

func newDutyCopyOpen(e *env) *cobra.Command {
	var as, part string
	c := &cobra.Command{Use: "open CHART", Short: "Open a duty copy with both parts, for a complaint or liability", Args: cobra.ExactArgs(1),
		Long: `Open a duty copy with the own part and the other guardian's. Every version that was
filed is printed, one a line, in the order of filing; also what was changed or deleted
in the patient's record since. Each is ledgered, and the patient sees it.`,
		Example: "  abaton duty-copy open act1... --as archivist --part part.txt",
		RunE: func(c *cobra.Command, args []string) error {
			d, chart, err := e.guardian(as, args[0])
			if err != nil {
				return err
			}
			defer d.hangUp()
			opened, err := d.opens(c.Context(), chart, part)
			if err != nil {
				return err
			}
			return e.printDuty(d, opened)
		}}
	c.Flags().StringVar(&as, "as", "", "somebody in a team that guards it")
	c.Flags().StringVar(&part, "part", "", "the file with the other guardian's part")
	c.MarkFlagRequired("as")
	c.MarkFlagRequired("part")
	return c
}

func (e *env) printDuty(d *device, opened *people.DutyCopy) error {
	known, err := names(d.at)
	if err != nil {
		return err
	}
	records := opened.Records
	slices.SortStableFunc(records, func(a, b client.Record) int {
		return int(int64(a.Envelope.LastUpdated) - int64(b.Envelope.LastUpdated))
	})
	out := json.NewEncoder(e.stdout)
	out.SetEscapeHTML(false)
	for i := range records {
		v := &records[i].Envelope
		line := dutyVersion{Name: v.Type + "/" + v.ID, Version: v.VersionID, Deleted: v.Deleted, Resource: records[i].Content,
			Filed: time.UnixMilli(int64(v.LastUpdated)).UTC().Format(time.RFC3339Nano)}
		if v.Person != (abaton.ActorID{}) {
			line.By = nameOf(known, v.Person)
		}
		if err := out.Encode(line); err != nil {
			return fmt.Errorf("write duty copy: %w", err)
		}
	}
	missing := 0
	for _, m := range opened.Missing {
		if !errors.Is(m.Err, abaton.ErrErased) {
			missing++
		}
	}
	if opened.Caveat != "" {
		e.say("%s", opened.Caveat)
	}
	e.say("%s; %d could not be opened now, %d belong to writes that are not complete. The patient sees this opening.", plural(len(records), "version"), missing, opened.Hidden)
	return nil
}

func newDutyCopyErase(e *env) *cobra.Command {
	var as, part string
	var all, asJSON bool
	c := &cobra.Command{Use: "erase CHART [TYPE/ID...]", Short: "Erase it, or some of it, for ever: both guardians together", Args: cobra.MinimumNArgs(1),
		Long: `Erase what the law no longer has the clinic keep, in every version, at every keeper,
for ever. It takes both guardians' parts, as opening does. Say TYPE/ID, or --all.`,
		Example: "  abaton duty-copy erase act1... Observation/bw32w7qi-... --as archivist --part part.txt",
		RunE: func(c *cobra.Command, args []string) error {
			if all == (len(args) > 1) {
				return usage("say what is to be erased, or --all")
			}
			d, chart, err := e.guardian(as, args[0])
			if err != nil {
				return err
			}
			defer d.hangUp()
			opened, err := d.opens(c.Context(), chart, part)
			if err != nil {
				return err
			}
			names, of := make([]abaton.RecordName, 0, len(opened.Records)), make(map[string]bool)
			for _, r := range opened.Records {
				name := r.Envelope.Type + "/" + r.Envelope.ID
				if all || slices.Contains(args[1:], name) {
					names, of[name] = append(names, r.Name), true
				}
			}
			if len(of) == 0 || !all && len(of) < len(args)-1 {
				return fmt.Errorf("duty copy: %w", abaton.ErrNotFound)
			}
			return e.eraseRows(c.Context(), d, opened.Hand(chart), plural(len(of), "resource")+" of the duty copy", rowsOf(names), asJSON)
		}}
	c.Flags().StringVar(&as, "as", "", "somebody in a team that guards it")
	c.Flags().StringVar(&part, "part", "", "the file with the other guardian's part")
	c.Flags().BoolVar(&all, "all", false, "everything in it")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.MarkFlagRequired("as")
	c.MarkFlagRequired("part")
	return c
}
