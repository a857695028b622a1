package main

import (
	"errors"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/pdf"
	"github.com/abaton-health/abaton/internal/report"
)

// reportWriter makes the files of one incident.
type reportWriter struct {
	*device
	dir       string
	settings  *report.Settings
	facts     *report.Facts
	proofs    *report.Proofs
	asked     *report.Asked
	languages []string
	incident  *report.Incident
	drafts    []draftSaid
	files     []string
	say       func(string, ...any) // how far it is
	large     bool
	unprinted int // files without a PDF: a letter that cannot be printed
}

// draftSaid is one draft, as report --json says it.
type draftSaid struct {
	Rule    string           `json:"rule"`
	Version string           `json:"version"`
	File    string           `json:"file"`
	Percent int              `json:"percent"`
	Filled  int              `json:"filled"`
	Of      int              `json:"of"`
	Missing []string         `json:"missing"`
	Due     []report.DueStep `json:"due"`
}

// write makes all files of an incident.
func (w *reportWriter) write() error {
	if err := w.begin(); err != nil {
		return err
	}
	return w.finish()
}

// draft makes the draft of each rule that applies.
func (w *reportWriter) draft() error {
	for _, regime := range w.incident.Regimes {
		rule := report.RuleFor(regime.Rule, w.incident.Clocks.Detected)
		draft := report.Fill(rule, w.incident, w.settings)
		data, err := report.SealDraft(draft, w.proofs, w.asked, w.Manage)
		if err != nil {
			return err
		}
		name := "draft-" + regime.Rule
		if err := w.save(name, data); err != nil {
			return err
		}
		w.drafts = append(w.drafts, draftSaid{regime.Rule, regime.Version, name + ".html", draft.Percent(), draft.Filled, draft.Of, draft.Missing, draft.Steps})
	}
	return nil
}

// unprintable reports whether a text has a letter that no font here has.
func unprintable(err error) bool {
	_, is := errors.AsType[*pdf.GlyphError](err)
	return is
}

// reportSaid is report --json.
type reportSaid struct {
	V        int            `json:"v"`
	Incident string         `json:"incident"`
	Drill    bool           `json:"drill"`
	Dir      string         `json:"dir"`
	Complete string         `json:"complete"`
	Whole    bool           `json:"whole"`
	Faults   []string       `json:"faults"`
	People   report.People  `json:"people"`
	Records  report.Records `json:"records"`
	Patients []patientSaid  `json:"patients"`
	Drafts   []draftSaid    `json:"drafts"`
	Files    []string       `json:"files"`
}

type patientSaid struct {
	Who     string         `json:"who"`
	Patient string         `json:"patient"`
	Records report.Records `json:"records"`
	First   int64          `json:"first"`
	Last    int64          `json:"last"`
}

func (e *env) sayReport(w *reportWriter, asJSON bool) error {
	known, err := names(w.at)
	if err != nil {
		return err
	}
	i := w.incident
	out := reportSaid{V: 1, Incident: i.ID, Drill: i.Drill, Dir: w.dir, Complete: i.Complete.Says, Whole: i.Complete.Whole, Faults: i.Complete.Faults,
		People: i.Scope.People, Records: i.Scope.Records, Patients: []patientSaid{}, Drafts: w.drafts, Files: w.files}
	for _, p := range i.Scope.Patients {
		id, err := abaton.ParseActorID(p.Patient)
		if err != nil {
			return err
		}
		out.Patients = append(out.Patients, patientSaid{nameOf(known, id), p.Patient, p.Records, p.First, p.Last})
	}
	if asJSON {
		return e.json(out)
	}
	e.print("%s\n", i.ID)
	for _, p := range out.Patients {
		e.print("%-24s opened %d, not sure %d, asked for %d\n", p.Who, p.Records.Opened, p.Records.Close, p.Records.Asked)
	}
	e.say("%d patients with records opened; the list is %s.", i.Scope.People.Opened, i.Complete.Says)
	for _, fault := range i.Complete.Faults {
		e.say("Does not count: %s.", fault)
	}
	for _, d := range w.drafts {
		e.say("%s: %d of %d fields filled (%d %%); missing %d.", d.Rule, d.Filled, d.Of, d.Percent, len(d.Missing))
		for _, s := range d.Due {
			e.say("  %s: due %s", s.Name, time.Unix(s.Due, 0).UTC().Format(time.DateTime))
		}
	}
	if w.unprinted > 0 {
		e.say("%d files have no PDF: a letter of an alphabet that is not built in. Their pages are whole.", w.unprinted)
	}
	e.say("Files in %s. Nothing was sent: a person reads, completes and hands in.", w.dir)
	return nil
}
