package people_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/internal/escrow"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/key"
)

// claimed is a patient whom a team's member let claim a record.
type claimed struct {
	*town
	*people.Person
	member *people.Person
	net    *client.Network
	lines  map[abaton.Category]abaton.Line // as they were in custody
	kit    escrow.Code
}

func newClaimed(t *testing.T) *claimed {
	t.Helper()
	w := newTown(t)
	net := w.net(t, w.org)
	member, err := w.NewClinician("ann", "Ann", w.org)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Enlist(t.Context(), net, w.org, nil, member); err != nil {
		t.Fatal(err)
	}
	team, nonce := w.org.NewTeam()
	body := &actor.Team{Team: team.ID, Nonce: nonce}
	if _, err := w.org.SetTeam(t.Context(), net, w.org.Hand(), body, member.ID); err != nil {
		t.Fatal(err)
	}
	box, err := key.ParseBoxPublic(body.Public)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := w.NewKept("ana", []byte("source"), w.org, team, box)
	if err != nil {
		t.Fatal(err)
	}
	if kept.Manage != nil || kept.Passkey != nil || kept.Box != nil {
		t.Error("a patient in custody has keys here")
	}
	if err := people.Introduce(t.Context(), net, kept); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Load("ana"); !errors.Is(err, people.ErrNobody) {
		t.Errorf("load a patient in custody: got %v, want %v", err, people.ErrNobody)
	}
	c := &claimed{town: w, member: member, net: net, lines: make(map[abaton.Category]abaton.Line)}
	b, err := w.OpenKept(t.Context(), net, member, kept.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range b.Seeds {
		c.lines[s.Category] = s.Line
	}
	// A claim that is broken off before the kit is on paper leaves the custody.
	torn := errors.New("the printer jams")
	if _, _, err := w.Claim(t.Context(), net, member, "ana", people.Claiming{Printed: func(escrow.Code) error { return torn }}); !errors.Is(err, torn) {
		t.Fatalf("without paper: got %v, want %v", err, torn)
	}
	if under, err := w.Claims("ana"); err != nil || !under {
		t.Errorf("a claim that was broken off: got %v, %v, want under way", under, err)
	}
	if _, err := w.OpenKept(t.Context(), net, member, kept.ID); err != nil {
		t.Errorf("open after a claim that was broken off: got %v, want opened", err)
	}
	c.Person, _, err = w.Claim(t.Context(), net, member, "ana", people.Claiming{Printed: func(code escrow.Code) error { c.kit = code; return nil }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestLinesOfAClaimedRecord: a claim gives a record another root; the lines
// keep their names, and every epoch has its seed: on the device, after it was
// saved, and after every device was lost.
func TestLinesOfAClaimedRecord(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	c := newClaimed(t)
	st, err := c.net.Log(t.Context(), c.ID)
	if err != nil {
		t.Fatal(err)
	}
	whole := func(when string, p *people.Person) {
		t.Helper()
		for _, category := range fhir.Categories() {
			line := c.lines[category.ID()]
			if p.Line(category.ID()) != line {
				t.Errorf("%s: a line of category %v has another name than in custody", when, category)
			}
			newest, ok := st.Newest(line)
			if !ok || newest.Epoch != 2 {
				t.Fatalf("%s: got epoch %d of a line, want 2", when, newest.Epoch)
			}
			for e := uint32(1); e <= newest.Epoch; e++ {
				s, ok := p.Seed(line, e)
				if !ok || s.Line != line || s.Category != category.ID() {
					t.Errorf("%s: no seed of epoch %d", when, e)
				}
				if e == newest.Epoch && key.SegmentIDOf(key.BoxFromSeed(s.Seed).Public()) != newest.ID {
					t.Errorf("%s: the seed of the newest epoch is not its segment's", when)
				}
			}
		}
	}
	whole("on the device", c.Person)
	again, err := c.Load("ana")
	if err != nil {
		t.Fatal(err)
	}
	whole("read from disk", again)

	if err := os.Remove(filepath.Join(c.Dir("ana"), "keys")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(c.Dir("ana"), "own")); err != nil {
		t.Fatal(err)
	}
	r, _, err := c.BeginWithKit(t.Context(), c.net, "ana", c.kit)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range c.keepers.Keepers {
		k.Ahead(custodytest.Wait)
	}
	back, err := c.Finish(t.Context(), c.net, r)
	if err != nil {
		t.Fatal(err)
	}
	whole("back from the kit", back.Person)
	if again, err = c.Load("ana"); err != nil {
		t.Fatal(err)
	}
	whole("back, and read from disk", again)
}

// TestClaimOnce: what is the patient's own cannot be opened or claimed by the
// team again, and somebody else's team opens nothing.
func TestClaimOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	c := newClaimed(t)
	if _, _, err := c.Claim(t.Context(), c.net, c.member, "ana", people.Claiming{}); !errors.Is(err, people.ErrOwn) {
		t.Errorf("claim again: got %v, want %v", err, people.ErrOwn)
	}
	if _, err := c.OpenKept(t.Context(), c.net, c.member, c.ID); !errors.Is(err, people.ErrOwn) {
		t.Errorf("open after the claim: got %v, want %v", err, people.ErrOwn)
	}
	for _, name := range []string{"kept", "claim"} {
		if _, err := os.Stat(filepath.Join(c.Dir("ana"), name)); err == nil {
			t.Errorf("the file %s outlives the claim", name)
		}
	}
	st, err := c.net.Log(t.Context(), c.ID)
	if err != nil {
		t.Fatal(err)
	}
	if w := st.Ways(); !w.Bound || !w.Kit || w.Custody {
		t.Errorf("ways back in: got %+v, want device and kit", w)
	}
}
