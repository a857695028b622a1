package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/abaton-health/abaton/internal/blast"
	"github.com/abaton-health/abaton/internal/fhir"
)

var update = flag.Bool("update", false, "write the table of thefts in docs/THREATS.md anew")

// Marks of the table that the run writes.
const (
	theftsBegin = "<!-- thefts: written by TestThefts -->\n"
	theftsEnd   = "<!-- end of thefts -->\n"
)

// documented holds the table in docs/THREATS.md against what this run opened,
// or writes it.
func (v *victims) documented(tried []theftTried) {
	v.t.Helper()
	file := filepath.Join("..", "..", "docs", "THREATS.md")
	text, err := os.ReadFile(file)
	v.check(err)
	before, rest, ok := strings.Cut(string(text), theftsBegin)
	have, after, ends := strings.Cut(rest, theftsEnd)
	if !ok || !ends {
		v.t.Fatalf("docs/THREATS.md has no place for the table of thefts")
	}
	want := v.table(tried)
	if have == want {
		return
	}
	if !*update {
		v.t.Errorf("the table of thefts in docs/THREATS.md is not what this run opened; see it, then go test ./cmd/abaton -run TestThefts -update. Got:\n%s", want)
		return
	}
	v.check(os.WriteFile(file, []byte(before+theftsBegin+want+theftsEnd+after), 0o644))
}

func (v *victims) table(tried []theftTried) string {
	var b strings.Builder
	all := len(v.patients) * len(fhir.Categories()) * recordsALine
	fmt.Fprintf(&b, "\n| stolen, one thing | opened, of %d patients and %d records | opened later, if nobody acts | one thing more that opens more |\n|---|---|---|---|\n", len(v.patients), all)
	for _, one := range tried {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", one.words, one.now, one.afterwards(), oneMore(v.find(one.who, one.kind)))
	}
	b.WriteString("\n")
	return b.String()
}

// String is a haul in words.
func (h *haul) String() string {
	if len(h.records) == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%s, %d records", patientsOf(len(h.patients)), len(h.records))
}

func (one *theftTried) afterwards() string {
	if one.later == nil || len(one.later.records) == 0 {
		return "nothing"
	}
	how := map[blast.Way]string{
		blast.ByEmergency: "by emergencies, each in its patient's history, 12 a day",
		blast.ByRecovery:  "after the wait, unless a live device stops it",
		blast.ByMadeStaff: "by staff and devices that it takes on itself",
		blast.ByCustody:   "out of the care team's custody, 100 a day",
	}[one.way]
	return fmt.Sprintf("%s: %s", one.later, how)
}

func oneMore(computed *blastThing) string {
	if len(computed.OneMore) == 0 {
		return "nothing there"
	}
	var words []string
	for _, o := range computed.OneMore {
		words = append(words, o.words())
	}
	return strings.Join(words, "; ")
}
