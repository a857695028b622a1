package report

import (
	"encoding/json"
	"strings"

	"github.com/abaton-health/abaton/key"
)

// Draft is one authority's form, filled as far as facts go.
type Draft struct {
	Incident Incident  `json:"incident"`
	Settings Settings  `json:"settings"`
	Rule     string    `json:"rule"`
	Version  string    `json:"version"`
	Name     string    `json:"name"`
	Steps    []DueStep `json:"steps"`
	Fields   []Filled  `json:"fields"`
	Filled   int       `json:"filled"`
	Of       int       `json:"of"`
	Others   []string  `json:"others"`  // who else has a duty, or must be told
	Missing  []string  `json:"missing"` // ids of the fields that a person must fill
}

// Filled is one field of a draft. An empty Answer is missing.
type Filled struct {
	ID       string   `json:"id"`
	Section  string   `json:"section"`
	Label    string   `json:"label"`
	Answer   string   `json:"answer"`
	Required bool     `json:"required"`
	Evidence []string `json:"evidence"`
}

// Percent is how many of the fields are filled, of a hundred, rounded down.
func (d *Draft) Percent() int { return d.Filled * 100 / max(d.Of, 1) }

// Fill is the draft that a rule makes of an incident.
func Fill(r *Rule, i *Incident, s *Settings) *Draft {
	d := &Draft{Incident: *i, Settings: *s, Rule: r.ID, Version: r.Version, Name: r.Name, Steps: r.due(i), Others: append([]string{}, r.Others...), Missing: []string{}, Of: len(r.Fields)}
	k := &known{i: i, s: s, r: r}
	for _, f := range r.Fields {
		var a answer
		if text, fixed := strings.CutPrefix(f.Answer, textPrefix); fixed {
			a = said(text)
		} else if from := sources[f.Answer]; from != nil {
			a = from(k)
		}
		if a.text == "" {
			d.Missing = append(d.Missing, f.ID)
			a.evidence = nil
		} else {
			d.Filled++
		}
		d.Fields = append(d.Fields, Filled{ID: f.ID, Section: f.Section, Label: f.Label, Answer: a.text, Required: f.Required, Evidence: append([]string{}, a.evidence...)})
	}
	return d
}

// SealIncident is the signed file of an incident, with all its evidence.
func SealIncident(i *Incident, p *Proofs, a *Asked, by *key.Signing) ([]byte, error) {
	return seal(IncidentFile, i.Drill, i, p.All(), a, by)
}

// SealDraft is the signed file of a draft, with all its evidence.
func SealDraft(d *Draft, p *Proofs, a *Asked, by *key.Signing) ([]byte, error) {
	return seal(DraftFile, d.Incident.Drill, d, p.All(), a, by)
}

// same reports whether two values are written alike.
func same(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}
