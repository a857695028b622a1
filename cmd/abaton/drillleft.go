package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/abaton-health/abaton/internal/report"
)

// drillFile, in a network's folder, says that drills made the network. Whatever is
// reported of it is of a drill, whether or not that was asked for.
const drillFile = "drill.json"

// drillLeft is what drills leave beside the network: what a person would know of
// an incident and no ledger holds.
type drillLeft struct {
	V      int         `json:"v"`
	Drills []drillDone `json:"drills"` // in the order they ran
}

// drillDone is one drill that ran; times are unix seconds, 0 is never.
type drillDone struct {
	Name    string        `json:"name"`
	Attack  string        `json:"attack"`
	Vector  report.Vector `json:"vector"`
	Subject string        `json:"subject"` // as report --subject takes it
	Began   int64         `json:"began"`
	Ended   int64         `json:"ended"`
	Seen    int64         `json:"seen"`
	Stopped int64         `json:"stopped"`
}

// leaves notes what a drill was, for whoever reports it.
func (g *ground) leaves(d *drill, l *loss, began, ended time.Time) error {
	if !l.began.IsZero() {
		began = l.began
	}
	done := drillDone{Name: d.name, Attack: d.attack, Vector: d.vector, Subject: l.who, Began: began.Unix(), Ended: ended.Unix() + 1}
	if done.Subject == "" {
		done.Subject = subjectAll
	}
	if l.seen >= 0 {
		done.Seen = began.Add(l.seen + time.Second).Unix() // not earlier than it was
	}
	if l.stopped >= 0 {
		done.Stopped = began.Add(l.stopped + time.Second).Unix()
	}
	g.left.Drills = append(g.left.Drills, done)
	return g.leave(drillFile, &g.left)
}

// leave writes a file into the network's folder.
func (g *ground) leave(name string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := os.WriteFile(filepath.Join(g.n.Dir(), name), text, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// drillIn reads what drills left in a network's folder; nil where none made it.
func drillIn(dir string) (*drillLeft, error) {
	text, err := os.ReadFile(filepath.Join(dir, drillFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", drillFile, err)
	}
	l := new(drillLeft)
	if json.Unmarshal(text, l) != nil || l.V != 1 {
		return nil, fmt.Errorf("read %s: damaged, or of another version", drillFile)
	}
	return l, nil
}

// of is the drill of a name; of no name, the last that ran. Nil for none.
func (l *drillLeft) of(name string) *drillDone {
	for i := len(l.Drills) - 1; i >= 0; i-- {
		if name == "" || l.Drills[i].Name == name {
			return &l.Drills[i]
		}
	}
	return nil
}

// fill puts what a drill's people would say where the flags say nothing. The mark of
// a drill goes on in any case.
func (f *reportFlags) fill(l *drillLeft) error {
	f.drill = true
	d := l.of(f.of)
	if d == nil {
		if f.of != "" {
			return usage("no drill %q ran here", f.of)
		}
		return nil
	}
	if f.subject == "" {
		f.subject = d.Subject
	}
	for _, t := range []struct {
		into *string
		at   int64
	}{{&f.since, d.Began}, {&f.until, d.Ended}, {&f.detected, d.Seen}, {&f.contained, d.Stopped}} {
		if *t.into == "" && t.at != 0 {
			*t.into = time.Unix(t.at, 0).UTC().Format(time.RFC3339)
		}
	}
	if f.what == "" {
		f.what = string(d.Vector)
	}
	if f.found == "" {
		f.found = "by the drill " + d.Name
	}
	if len(f.did) == 0 && d.Stopped != 0 {
		f.did = []string{f.contained + " keepers refused what was asked"}
	}
	return nil
}

// drillSettings are what the clinic of a drill says of itself; nobody of it is real.
func drillSettings() *report.Settings {
	return &report.Settings{Name: "The Drill Clinic", Address: "1 Drill Street, Drilltown", Country: "NL", Identifier: "00000000", Sector: "health care: hospital",
		DPO:      report.Contact{Name: "the drill's data protection officer", Phone: "+31 000 0000"},
		Reporter: report.Contact{Name: "the drill's security officer", Function: "security officer", Phone: "+31 000 0000"},
		Patients: report.Contact{Name: "the drill's desk", Phone: "+31 000 0000", Hours: "day and night"},
		Support:  report.Contact{Name: "the drill's counsellor", Phone: "+31 000 0000"},
		Person:   "the drill's doctor", CrossBorder: "no: all are made up", Groups: "patients of the drill's ward, made up",
		Kinds: "medical records, made up", Identity: "no", Safeguards: []string{"each record sealed under a key of its own and spread over five keepers"},
		Planned: []string{"the findings of the drill are followed up"}, Training: "yes: this was a drill", Authority: "nobody: this is a drill"}
}
