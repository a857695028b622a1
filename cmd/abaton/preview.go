package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/people"
)

// shielded reports whether one of the parts is between the patient and one
// person only.
func shielded(parts []fhir.Category) bool {
	return slices.ContainsFunc(parts, func(c fhir.Category) bool { return c.Level() >= grant.Shielded })
}

// forOnePerson says before any keeper does what cannot be given together.
func forOnePerson(to *people.Person, parts []fhir.Category, purpose abaton.Purpose) error {
	switch {
	case !shielded(parts):
		return nil
	case len(parts) > 1:
		return usage("%s is given alone; give the other parts by a second grant", fhir.PsychotherapyNotes)
	case to == nil || to.Kind != actor.Clinician && to.Kind != actor.Patient:
		return usage("%s is between you and one person; name a person with --to", fhir.PsychotherapyNotes)
	case purpose != abaton.Treatment && purpose != abaton.PatientAccess:
		return usage("%s is given for %s only", fhir.PsychotherapyNotes, abaton.Treatment)
	}
	return nil
}

// seenBy is what a grant would show, and to whom, before it is given.
type seenBy struct {
	V     int            `json:"v"`
	By    []string       `json:"by"`    // people, a team's as it is now
	Parts map[string]int `json:"parts"` // entries in each
	Kinds map[string]int `json:"kinds"` // entries of each type
}

// preview shows it. Nothing is published.
func (e *env) preview(ctx context.Context, d *device, to *people.Person, team *people.Team, parts []fhir.Category, asJSON bool) error {
	seen := seenBy{V: 1, By: []string{}, Parts: make(map[string]int), Kinds: make(map[string]int)}
	var err error
	if seen.By, err = d.readers(ctx, to, team); err != nil {
		return err
	}
	r, err := d.record(ctx)
	if err != nil {
		return err
	}
	for _, c := range parts {
		seen.Parts[c.String()] = 0
	}
	for _, v := range r.current() {
		c := r.categories[v.Type+"/"+v.ID]
		if slices.Contains(parts, c) {
			seen.Parts[c.String()]++
			seen.Kinds[v.Type]++
		}
	}
	if asJSON {
		return e.json(seen)
	}
	e.say("Who would see it: %s", strings.Join(seen.By, ", "))
	for _, c := range parts {
		e.say("What: %d entries of %s, and what is added to it", seen.Parts[c.String()], c)
	}
	if shielded(parts) {
		e.say("Nobody else: no team, no program, no export, not in an emergency. Each opening takes a touch and is in your history.")
	}
	e.caveats(r)
	return nil
}

// readers are the people behind a grantee.
func (d *device) readers(ctx context.Context, to *people.Person, team *people.Team) ([]string, error) {
	if to != nil {
		return []string{to.Handle}, nil
	}
	known, err := names(d.at)
	if err != nil {
		return nil, err
	}
	d.net.Refresh(team.Organisation)
	org, err := d.net.Log(ctx, team.Organisation)
	if err != nil {
		return nil, fmt.Errorf("look up team: %w", err)
	}
	all := []string{}
	if t := org.Team(team.ID); t != nil {
		for _, s := range t.Seats {
			if org.Seated(team.ID, s.Actor, time.Now()) {
				all = append(all, nameOf(known, s.Actor))
			}
		}
	}
	slices.Sort(all)
	return all, nil
}
