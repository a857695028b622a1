// Package ages says who decides about a minor's record, at what age: data with
// effective dates, one row for each law.
//
//	law, ok := ages.In("NL", now)
//	stage := law.Stage(born, now)          // Guardians, Together or Alone
//	parts := law.Guardians(stage)          // what a guardian may be given
//	until := law.Next(born, now)           // the birthday at which this ends
//
// It protects nothing by itself: keepers know no ages. They end a grant at the
// instant that stands in it, and what stands in it is what the child's device was
// told here. A country that is not in the table has no law here, and nothing is
// given in its name.
package ages

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/abaton-health/abaton/internal/fhir"
)

//go:embed ages.tsv
var table string

// Stage is who decides. Zero is nobody.
type Stage uint8

// The stages of a minor.
const (
	Guardians Stage = iota + 1 // the guardians
	Together                   // guardians, unless the child objects
	Alone                      // the child
)

// String is the word for s.
func (s Stage) String() string {
	switch s {
	case Guardians:
		return "guardians"
	case Together:
		return "together"
	case Alone:
		return "alone"
	}
	return "nobody"
}

// Law is one country's rule from a day on.
type Law struct {
	Country string // ISO 3166-1, two letters
	From    time.Time
	Agrees  int // from this birthday the child agrees, in years
	Alone   int // from this birthday the child decides alone, in years
	// Own are the parts that are the child's own from Agrees on.
	Own    []fhir.Category
	Source string
}

// In is the law in force in a country at a time; false where the table has none.
func In(country string, at time.Time) (law Law, ok bool) {
	all, err := read(table)
	if err != nil {
		return Law{}, false
	}
	for _, l := range all {
		if l.Country == country && !at.Before(l.From) && (!ok || l.From.After(law.From)) {
			law, ok = l, true
		}
	}
	return law, ok
}

// Countries are those that the table has, sorted.
func Countries() (all []string) {
	laws, err := read(table)
	if err != nil {
		return nil
	}
	for _, l := range laws {
		all = append(all, l.Country)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Stage is who decides at a time about somebody born then. Before the birth it is
// nobody.
func (l Law) Stage(born, at time.Time) Stage {
	switch {
	case l.Agrees <= 0 || l.Alone <= l.Agrees || at.Before(born):
		return 0
	case !at.Before(born.AddDate(l.Alone, 0, 0)):
		return Alone
	case !at.Before(born.AddDate(l.Agrees, 0, 0)):
		return Together
	}
	return Guardians
}

// Next is the birthday at which the stage ends; zero where no other follows. Who
// was born on 29 February has it on 1 March of other years.
func (l Law) Next(born, at time.Time) time.Time {
	switch l.Stage(born, at) {
	case Guardians:
		return born.AddDate(l.Agrees, 0, 0)
	case Together:
		return born.AddDate(l.Alone, 0, 0)
	}
	return time.Time{}
}

// Guardians are the parts that a guardian may be given in a stage. What was
// written to keep a child safe, perhaps from a guardian, and notes of a
// psychotherapist never are; nothing is where the child decides alone.
func (l Law) Guardians(s Stage) (parts []fhir.Category) {
	if s != Guardians && s != Together {
		return nil
	}
	for _, c := range fhir.Categories() {
		never := c == fhir.Safeguarding || c == fhir.PsychotherapyNotes
		if !never && (s == Guardians || !slices.Contains(l.Own, c)) {
			parts = append(parts, c)
		}
	}
	return parts
}

// columns of the table.
const columns = 6

func read(text string) (all []Law, err error) {
	for n, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		l, err := parse(strings.Split(line, "\t"))
		if err != nil {
			return nil, fmt.Errorf("ages, line %d: %w", n+1, err)
		}
		all = append(all, l)
	}
	return all, nil
}

func parse(f []string) (l Law, err error) {
	if len(f) != columns || len(f[0]) != 2 || f[5] == "" {
		return l, fmt.Errorf("not %d columns with a country and a source", columns)
	}
	l.Country, l.Source = f[0], f[5]
	if l.From, err = time.Parse(time.DateOnly, f[1]); err != nil {
		return l, err
	}
	if l.Agrees, err = strconv.Atoi(f[2]); err != nil {
		return l, err
	}
	if l.Alone, err = strconv.Atoi(f[3]); err != nil {
		return l, err
	}
	if l.Agrees < 1 || l.Alone <= l.Agrees || l.Alone > 21 {
		return l, fmt.Errorf("ages out of order")
	}
	for name := range strings.SplitSeq(f[4], ",") {
		c, ok := fhir.ParseCategory(name)
		if !ok {
			return l, fmt.Errorf("no part of a record")
		}
		l.Own = append(l.Own, c)
	}
	return l, nil
}
