package main

import (
	"fmt"
	"math/bits"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/ledger"
)

func newAccessCommand(e *env) *cobra.Command {
	var as, duty string
	var asJSON bool
	var only accessFilter
	list := &cobra.Command{Use: "list", Short: "Who looked at a patient's record, from the keepers' ledgers", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			d, err := e.device(as)
			if err != nil {
				return err
			}
			defer d.hangUp()
			l, err := d.at.People().Direct(c.Context(), d.Person, d.net)
			if err != nil {
				return err
			}
			reader, err := d.net.NewReader(l)
			if err != nil {
				return err
			}
			defer reader.Close()
			of, err := historyOf(d, duty)
			if err != nil {
				return err
			}
			h, err := reader.History(c.Context(), of)
			if err != nil {
				return fmt.Errorf("read ledgers: %w", err)
			}
			if err := only.apply(c.Context(), d, h); err != nil {
				return err
			}
			known, err := names(d.at)
			if err != nil {
				return err
			}
			known[d.ID] = d.Handle // also one of --keys
			if asJSON {
				return e.json(accessJSON(h, of, known))
			}
			return e.accessTable(h, known)
		}}
	list.Flags().StringVar(&as, "as", "", "the patient")
	list.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	list.Flags().StringVar(&only.since, "since", "", "only what lasted beyond this instant, as 2026-01-31T08:00:00Z")
	list.Flags().StringVar(&only.record, "record", "", "only who was given this resource, TYPE/ID, in any version")
	list.Flags().StringVar(&duty, "duty", "", "of a duty copy about the patient, act1..., in place of the record")
	list.MarkFlagRequired("as")
	return noun("access", "Who looked, and who can", list, newAccessWho(e))
}

// historyOf is whose history is asked for: the device's own, or a duty copy's,
// which keepers tell to whom it is about.
func historyOf(d *device, duty string) (abaton.ActorID, error) {
	if duty == "" {
		return d.ID, nil
	}
	of, err := abaton.ParseActorID(duty)
	if err != nil {
		return of, usage("--duty names a duty copy, as act1...")
	}
	return of, nil
}

// disclosureCounts are the records of a line: those of which at least one
// ledger says that its keeper handed its part out, and those refused. A reader
// needs three; but a ledger that did not answer may hold the other two, so
// less is not said.
func disclosureCounts(l *ledger.Line) (released, refused int) {
	for _, r := range l.Rows {
		released += bits.OnesCount64(r.Released)
		refused += bits.OnesCount64(r.Refused &^ r.Released)
	}
	return released, refused
}

// disclosureLine is one line of access list --json.
type disclosureLine struct {
	Request  string               `json:"request"`
	Op       string               `json:"op"`
	Who      string               `json:"who"`
	Actor    string               `json:"actor"`
	Role     string               `json:"role,omitempty"`
	Device   string               `json:"device,omitempty"`
	Behalf   string               `json:"behalf,omitempty"`  // in whose place
	Through  string               `json:"through,omitempty"` // who handed the grant on
	Onward   string               `json:"onward,omitempty"`  // which hand-on
	Purpose  abaton.Purpose       `json:"purpose"`
	Grant    string               `json:"grant,omitempty"`
	Session  string               `json:"session"`
	First    int64                `json:"first"`
	Last     int64                `json:"last"`
	Released int                  `json:"released"` // by at least one keeper
	Refused  int                  `json:"refused"`
	Renewals int                  `json:"renewals,omitempty"`
	Keepers  []abaton.KeeperIndex `json:"keepers"`
	Disputed bool                 `json:"disputed,omitempty"`
	Records  []string             `json:"records,omitempty"` // those released
}

// disclosureList is access list --json.
type disclosureList struct {
	V        int              `json:"v"`
	Patient  string           `json:"patient"`
	Verdict  string           `json:"verdict"`
	Answered int              `json:"answered"`
	Since    int64            `json:"since,omitempty"`
	Lines    []disclosureLine `json:"lines"`
}

func accessJSON(h *ledger.History, patient abaton.ActorID, known map[abaton.ActorID]string) disclosureList {
	out := disclosureList{V: 1, Patient: patient.String(), Verdict: h.String(), Answered: h.Answered, Since: h.Since, Lines: []disclosureLine{}}
	for i := range h.Lines {
		l := &h.Lines[i]
		released, refused := disclosureCounts(l)
		d := disclosureLine{Request: fmt.Sprintf("%x", l.Request), Op: l.Op.String(), Who: nameOf(known, l.Actor), Actor: l.Actor.String(),
			Purpose: l.Purpose, Session: l.Session.String(), First: l.First, Last: l.Last, Released: released, Refused: refused,
			Renewals: l.Renewals, Keepers: l.Keepers, Disputed: l.Disputed}
		if l.Grant != (abaton.GrantID{}) {
			d.Grant = l.Grant.String()
		}
		if d.Role = l.Role; l.Device != (abaton.ActorID{}) {
			d.Device = nameOf(known, l.Device)
		}
		if l.Behalf != (abaton.ActorID{}) {
			d.Behalf = nameOf(known, l.Behalf)
		}
		if !l.Onward.IsZero() {
			d.Through, d.Onward = nameOf(known, l.Onward.From), l.Onward.ID.String()
		}
		for _, r := range l.Rows {
			for j := range abaton.BatchRecordsMax {
				if r.Released>>j&1 == 1 {
					d.Records = append(d.Records, abaton.RecordName{Batch: r.Batch, Index: uint16(j)}.String())
				}
			}
		}
		out.Lines = append(out.Lines, d)
	}
	return out
}

func (e *env) accessTable(h *ledger.History, known map[abaton.ActorID]string) error {
	t := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "WHEN\tWHO\tDID\tRECORDS\tREFUSED\tWHY\tLEDGERS")
	for i := range h.Lines {
		l := &h.Lines[i]
		released, refused := disclosureCounts(l)
		did := l.Op.String()
		if l.Renewals > 0 {
			did += fmt.Sprintf(" (kept open %d times)", l.Renewals)
		}
		if l.Disputed {
			did += " (ledgers differ)"
		}
		who := nameOf(known, l.Actor)
		if l.Behalf != (abaton.ActorID{}) {
			who += " for " + nameOf(known, l.Behalf)
		}
		if !l.Onward.IsZero() {
			who += " through " + nameOf(known, l.Onward.From)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%s\t%d\n", time.Unix(l.First, 0).Format(time.DateTime), who, did,
			released, refused, l.Purpose, len(l.Keepers))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	e.say("This list is %s. %d ledgers answered.", h.String(), h.Answered)
	for _, f := range h.Faults {
		e.say("%v", f)
	}
	return nil
}
