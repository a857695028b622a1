package people_test

import (
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/internal/people"
)

// TestAgentLendsLinesWithoutSeeds: where an agent may only write it lends the
// line; the seeds of what it may read come with it.
func TestAgentLendsLinesWithoutSeeds(t *testing.T) {
	w := newTown(t)
	agent, err := w.NewAgent("intake", "Intake", nil, w.org)
	if err != nil {
		t.Fatal(err)
	}
	clerk, err := w.NewClinician("clerk", "Clerk", w.org)
	if err != nil {
		t.Fatal(err)
	}
	ana, err := w.NewPatient("ana", "", nil, w.org, people.Feeding(agent))
	if err != nil {
		t.Fatal(err)
	}
	n := w.net(t, w.org)
	if err := people.Introduce(t.Context(), n, agent, clerk, ana); err != nil {
		t.Fatal(err)
	}
	for _, terms := range []people.Terms{people.QuarantineOf(agent, grant.Deposit), people.QuarantineOf(clerk, grant.Read)} {
		if _, _, err := w.org.Give(t.Context(), n, terms); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		who         *people.Person
		of          abaton.ActorID
		seeds, bare int
	}{{agent, w.org.ID, 0, 1}, {clerk, w.org.ID, 1, 0}, {agent, ana.ID, 9, 0}} {
		held, err := c.who.HeldOf(t.Context(), w.net(t, c.who), c.of)
		if err != nil || len(held) != 1 {
			t.Fatalf("%s: got %d grants, %v, want 1", c.who.Handle, len(held), err)
		}
		seeds, bare := 0, 0
		for _, s := range held[0].Seeds {
			if s.Seed.IsZero() {
				bare++
			} else {
				seeds++
			}
			if c.of == w.org.ID && s.Category != login.QuarantineCategory() {
				t.Errorf("%s holds something else of the organisation", c.who.Handle)
			}
		}
		if seeds != c.seeds || bare != c.bare {
			t.Errorf("%s: got %d seeds and %d lines without, want %d and %d", c.who.Handle, seeds, bare, c.seeds, c.bare)
		}
	}
}
