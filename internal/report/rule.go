package report

import (
	"cmp"
	"embed"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Deadlines and forms are data with effective dates: each file of rules is one
// version of one authority's rules, and names its sources.
//
//go:embed rules/*.json
var ruleFiles embed.FS

// Rule is one version of one duty to report.
type Rule struct {
	ID        string   `json:"id"`
	Version   string   `json:"version"`
	From      string   `json:"from"`            // first day it applies, YYYY-MM-DD
	Until     string   `json:"until,omitempty"` // first day it no longer does
	Name      string   `json:"name"`
	Authority string   `json:"authority"`
	Form      string   `json:"form"`
	Note      string   `json:"note"` // what is not sure about it
	Sources   []string `json:"sources"`
	Others    []string `json:"others"` // who else has a duty, or must be told
	Steps     []Step   `json:"steps"`
	Fields    []Field  `json:"fields"`
}

// Step is something due. Exactly one of Hours, Days, Months and YearEnd is set,
// or none: then it is due without undue delay, at once.
type Step struct {
	Name    string `json:"name"`
	After   string `json:"after"` // "detected", or the step it follows
	Hours   int    `json:"hours,omitempty"`
	Days    int    `json:"days,omitempty"`
	Months  int    `json:"months,omitempty"`
	YearEnd int    `json:"days_after_year_end,omitempty"`
	// AtLeast and Below are how many people it takes, if that matters.
	AtLeast int `json:"people_at_least,omitempty"`
	Below   int `json:"people_below,omitempty"`
}

// Field is one field of a form.
type Field struct {
	ID      string `json:"id"`
	Section string `json:"section"`
	Label   string `json:"label"`
	// Answer is where the answer comes from: a source of this package, "text:"
	// and the answer itself where it is always the same, or "person".
	Answer   string `json:"answer"`
	Required bool   `json:"required"`
}

// Regime is one duty in an incident: what is due when.
type Regime struct {
	Rule    string    `json:"rule"`
	Version string    `json:"version"`
	Form    string    `json:"form"`
	Steps   []DueStep `json:"steps"`
	Status  string    `json:"status"` // always "draft": nothing is sent from here
}

// DueStep is one step with its time, unix seconds.
type DueStep struct {
	Name string `json:"name"`
	Due  int64  `json:"due"`
}

// Rules are all that is known here, by id and then version. A file that is not
// in its form is a mistake of this program.
func Rules() []Rule {
	names, err := ruleFiles.ReadDir("rules")
	if err != nil {
		panic("the rules are built in")
	}
	var all []Rule
	for _, n := range names {
		data, err := ruleFiles.ReadFile("rules/" + n.Name())
		if err != nil {
			panic("the rules are built in")
		}
		r, err := parseRule(data)
		if err != nil {
			panic(fmt.Sprintf("built-in rule %s: %v", n.Name(), err))
		}
		all = append(all, *r)
	}
	slices.SortFunc(all, func(a, b Rule) int { return cmp.Or(strings.Compare(a.ID, b.ID), strings.Compare(a.Version, b.Version)) })
	return all
}

func parseRule(data []byte) (*Rule, error) {
	r := new(Rule)
	if err := strict(data, r); err != nil {
		return nil, err
	}
	if _, err := time.Parse(time.DateOnly, r.From); err != nil || r.ID == "" || r.Version == "" || len(r.Sources) == 0 || len(r.Steps) == 0 || len(r.Fields) == 0 {
		return nil, errForm
	}
	if _, err := time.Parse(time.DateOnly, r.Until); err != nil && r.Until != "" {
		return nil, errForm
	}
	seen := make(map[string]bool)
	for i, s := range r.Steps {
		spans := 0
		for _, n := range []int{s.Hours, s.Days, s.Months, s.YearEnd} {
			if n < 0 {
				return nil, errForm
			}
			if n > 0 {
				spans++
			}
		}
		if spans > 1 || seen[s.Name] || s.After != "detected" && !seen[s.After] || s.Name == "" {
			return nil, fmt.Errorf("step %d: %w", i, errForm)
		}
		seen[s.Name] = true
	}
	clear(seen)
	for i, f := range r.Fields {
		_, known := sources[f.Answer]
		if f.ID == "" || f.Label == "" || seen[f.ID] || !known && f.Answer != byPerson && !strings.HasPrefix(f.Answer, textPrefix) {
			return nil, fmt.Errorf("field %d: %w", i, errForm)
		}
		seen[f.ID] = true
	}
	return r, nil
}

// RuleFor is the version of a rule that applies at a time; nil for none.
func RuleFor(id string, at int64) *Rule {
	day := time.Unix(at, 0).UTC().Format(time.DateOnly)
	var found *Rule
	for _, r := range Rules() {
		if r.ID == id && r.From <= day && (r.Until == "" || day < r.Until) {
			found = &r
		}
	}
	return found
}

// rule is one version by name; nil for none.
func rule(id, version string) *Rule {
	for _, r := range Rules() {
		if r.ID == id && r.Version == version {
			return &r
		}
	}
	return nil
}

// Due is what an incident makes due, counted from when it was detected.
func Due(i *Incident) []Regime {
	all := []Regime{}
	for _, r := range Rules() {
		if in := RuleFor(r.ID, i.Clocks.Detected); in == nil || in.Version != r.Version {
			continue
		}
		all = append(all, Regime{Rule: r.ID, Version: r.Version, Form: r.Form, Steps: r.due(i), Status: "draft"})
	}
	return all
}

func (r *Rule) due(i *Incident) []DueStep {
	out, at := []DueStep{}, map[string]time.Time{"detected": time.Unix(i.Clocks.Detected, 0).UTC()}
	people := i.Scope.People.Opened + i.Scope.People.Close // the doubtful count
	for _, s := range r.Steps {
		if people < s.AtLeast || s.Below != 0 && people >= s.Below {
			continue
		}
		from, known := at[s.After]
		if !known { // the step it follows does not apply
			from = at["detected"]
		}
		due := from.Add(time.Duration(s.Hours)*time.Hour).AddDate(0, s.Months, s.Days)
		if s.YearEnd > 0 {
			due = time.Date(from.Year()+1, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, s.YearEnd)
		}
		at[s.Name] = due
		out = append(out, DueStep{s.Name, due.Unix()})
	}
	return out
}
