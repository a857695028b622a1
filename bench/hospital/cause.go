package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"github.com/abaton-health/abaton/internal/detect"
)

// task is what somebody does when a record is opened. Keepers never know it:
// it says why honest people were held up.
type task uint8

const (
	rounds   task = iota // the first of a shift
	bedside              // one's own patients, and the ward's others
	aside                // a question in the corridor that nobody writes down
	slip                 // the wrong one of two with one name
	fromHome             // after the shift
	consult
	visit // of the clinic
	accident
	follow // an emergency looked up later, out of interest
	meeting
	worklist
	phoned
	ordered
	review
	program
)

func (t task) String() string {
	return [...]string{"first round", "bedside", "corridor question", "wrong patient", "from home", "consult", "clinic visit", "emergency",
		"curious afterwards", "meeting", "worklist", "telephone", "order", "quality review", "program"}[t]
}

// cause is why honest people were held up, or put before a person.
type cause struct {
	Kind    string `json:"kind"` // step-up, suspension or review
	Rule    string `json:"rule"`
	Task    string `json:"task"`
	Role    string `json:"role"`
	Related bool   `json:"related"`
	Days    rate   `json:"staff_days"`
}

// because is what causes are counted by.
type because struct {
	kind    string
	rule    detect.Rule
	task    task
	role    string
	related bool
}

// finding counts the first act of a staff-day for each rule that held it up.
func (c *counts) because(p *personDay, kind string, a *act, rules detect.Rules, role string, related bool) {
	for r := range detect.Rule(32) {
		b := because{kind, r, a.task, role, related}
		if rules.Has(r) && !p.causes[because{kind: kind, rule: r}] {
			p.causes[because{kind: kind, rule: r}] = true
			c.causes[b]++
		}
	}
}

func (c *counts) allCauses() (all []cause) {
	for b, n := range c.causes {
		all = append(all, cause{b.kind, b.rule.String(), b.task.String(), b.role, b.related, perThousand(n, c.staffDays)})
	}
	slices.SortFunc(all, func(a, b cause) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), -cmp.Compare(a.Days.Count, b.Days.Count), cmp.Compare(a.Rule, b.Rule),
			cmp.Compare(a.Task, b.Task), cmp.Compare(a.Role, b.Role), cmp.Compare(fmt.Sprint(a.Related), fmt.Sprint(b.Related)))
	})
	return all
}

// causesShown is how many of each kind the table has; the JSON has all.
const causesShown = 12

func printCauses(w io.Writer, all []quiet) {
	for _, q := range all {
		fmt.Fprintf(w, "\n## What held honest people up, %s feed, staff-days in 1,000\n\n| what | rule | doing | role | related | staff-days |\n|---|---|---|---|---|---|\n", q.Feed)
		shown := make(map[string]int)
		for _, c := range q.Causes {
			if shown[c.Kind]++; shown[c.Kind] <= causesShown {
				fmt.Fprintf(w, "| %s | %s | %s | %s | %v | %.2f |\n", c.Kind, c.Rule, c.Task, c.Role, c.Related, c.Days.Rate)
			}
		}
	}
}
