package main

import (
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/ledger"
)

func newAccessCommand(e *env) *cobra.Command {
	var as, duty, format string
	var asJSON bool
	var only accessFilter
	list := &cobra.Command{Use: "list", Short: "Who looked at a patient's record, from the keepers' ledgers", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if asJSON {
				format = "json"
			}
			write, ok := accessFormats()[format]
			if !ok {
				return usage("--format is %s", strings.Join(slices.Sorted(maps.Keys(accessFormats())), ", "))
			}
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
			shown, err := e.shownAs(c.Context(), d, of, h)
			if err != nil {
				return err
			}
			return write(e, shown)
		}}
	list.Flags().StringVar(&as, "as", "", "the patient")
	list.Flags().StringVar(&format, "format", "text", "text, json, balp (FHIR AuditEvents), nen7513 or ocsf")
	list.Flags().BoolVar(&asJSON, "json", false, "print JSON, as --format json")
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
	Request  string          `json:"request"`
	Op       string          `json:"op"`
	Who      string          `json:"who"`
	Actor    string          `json:"actor"`
	Role     string          `json:"role,omitempty"`
	Device   string          `json:"device,omitempty"`
	Behalf   string          `json:"behalf,omitempty"`  // in whose place
	Through  string          `json:"through,omitempty"` // who handed the grant on
	Onward   string          `json:"onward,omitempty"`  // which hand-on
	Purpose  abaton.Purpose  `json:"purpose"`
	Grant    string          `json:"grant,omitempty"`
	Session  string          `json:"session"`
	First    int64           `json:"first"`
	Last     int64           `json:"last"`
	Released int             `json:"released"` // by at least one keeper
	Refused  int             `json:"refused"`
	Renewals int             `json:"renewals,omitempty"`
	Keepers  []int           `json:"keepers"`
	Disputed bool            `json:"disputed,omitempty"`
	Outcome  string          `json:"outcome"`
	Reasons  []abaton.Reason `json:"reasons,omitempty"` // why anything was refused
	Policy   uint64          `json:"policy,omitempty"`  // version of the organisation's
	Watch    *watchedLine    `json:"watch,omitempty"`   // the gravest finding of any keeper
	Parts    []string        `json:"parts,omitempty"`   // of the record, as far as this device knows
	Records  []string        `json:"records,omitempty"` // those released
}

// watchedLine is what a keeper's watch said; bit i of rules is rule Di.
type watchedLine struct {
	Level   uint8  `json:"level"`
	Rules   uint32 `json:"rules"`
	Version uint32 `json:"version"`
}

// gapLine is something missing, and at whom.
type gapLine struct {
	Keepers  []int  `json:"keepers"` // one of these; empty: no single one explains it
	From     int64  `json:"from"`
	To       int64  `json:"to,omitempty"`
	Requests int    `json:"requests,omitempty"`
	What     string `json:"what"`
}

// disclosureList is access list --json.
type disclosureList struct {
	V        int              `json:"v"`
	Patient  string           `json:"patient"`
	Verdict  string           `json:"verdict"`
	Answered int              `json:"answered"`
	Since    int64            `json:"since,omitempty"`
	Gaps     []gapLine        `json:"gaps,omitempty"`
	Lines    []disclosureLine `json:"lines"`
}

func accessJSON(s *shownAccess) disclosureList {
	h, known, places := s.History, s.known, s.Places()
	out := disclosureList{V: 1, Patient: s.Patient.String(), Verdict: h.String(), Answered: h.Answered, Since: h.Since, Lines: []disclosureLine{}}
	for _, g := range h.Gaps {
		out.Gaps = append(out.Gaps, gapLine{keeperNumbers(g.Keepers), g.From, g.To, g.Requests, g.String()})
	}
	for i := range h.Lines {
		l := &h.Lines[i]
		released, refused := disclosureCounts(l)
		d := disclosureLine{Request: fmt.Sprintf("%x", l.Request), Op: l.Op.String(), Who: nameOf(known, l.Actor), Actor: l.Actor.String(),
			Purpose: l.Purpose, Session: l.Session.String(), First: l.First, Last: l.Last, Released: released, Refused: refused,
			Renewals: l.Renewals, Keepers: keeperNumbers(l.Keepers), Disputed: l.Disputed, Outcome: l.Outcome().String(), Reasons: l.Reasons(), Policy: l.Policy(), Parts: s.PartsOf(l, places)}
		if w := l.Watch(); !w.IsZero() {
			d.Watch = &watchedLine{w.Level, w.Fired, w.Rules}
		}
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
