package blast_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/blast"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/internal/escrow"
)

// shields raises a patient's line to what is between two people.
func (h *house) shields(p *custodytest.Person) {
	h.t.Helper()
	h.Publish(h.t, p.Event(&actor.Epoch{Line: p.Root.Line(custodytest.General), Level: grant.Shielded, Epoch: 2,
		Segment: p.Root.Segment(custodytest.General, 2).Public().Bytes()}))
}

// reads gives another person what the patient sees, for a case.
func (h *house) reads(p, who *custodytest.Person, when grant.Case) {
	h.t.Helper()
	h.give(p, who.ID, func(g *grant.Grant) { g.Purposes, g.When = []abaton.Purpose{abaton.PatientAccess}, when })
}

// names lets the registry speak about a patient, with the house's physicians.
func (h *house) names(p *custodytest.Person, may actor.Says) {
	h.t.Helper()
	r := &actor.Registrar{Registrar: h.registry.ID, May: may}
	if may&^actor.SaysNarrow != 0 {
		r.With = []abaton.ActorID{h.org.ID}
	}
	h.Publish(h.t, p.Event(r))
}

// states has registry and ben state a case, or reports that keepers refuse it.
func (h *house) states(p *custodytest.Person, c grant.Case) actor.Hash {
	h.t.Helper()
	b := &actor.Finding{Case: c, Registrar: h.registry.ID, Physician: h.ben.ID, House: h.org.ID}
	if c == grant.Incapacity {
		b.Until = time.Now().Add(24 * time.Hour).Unix()
	}
	rand.Read(b.Nonce[:])
	event := p.Unsigned(b)
	e := actor.Signed(event, actor.ByKey(h.registry.Manage, event), actor.ByKey(h.ben.Manage, event))
	h.Publish(h.t, e)
	p.Stand(e)
	return actor.HashOf(e.Event)
}

// agree holds what opens for a thief of people against what is computed.
func (h *house) agree(when string, who, p *custodytest.Person, want int) {
	h.t.Helper()
	thing := blast.Thing{Kind: blast.Person, Actor: who.ID}
	if who.Device != nil {
		thing.Device = who.Device.ID
	}
	got, opened := computed(h.world().Reach(thing), p.ID), h.opens(who, p)
	if got != want || opened != want {
		h.t.Errorf("%s: %d records opened, %d were computed, want %d", when, opened, got, want)
	}
}

// TestOnePersonsLines: what is shielded opens for a thief of the one person who
// was given it alone, with the passkey at hand.
func TestOnePersonsLines(t *testing.T) {
	h := newHouse(t)
	eve := h.clinician()
	team := h.org.Team(1, h.ben.ID)
	h.Publish(t, h.org.Event(team))
	mine, ours, wide := h.patient(grant.Shielded), h.patient(1), h.patient(1)
	h.give(mine, h.ben.ID, nil)
	h.give(ours, team.Team, nil)
	h.Publish(t, wide.Event(wide.Line(custodytest.Sensitive, 1)))
	h.give(wide, h.ben.ID, func(g *grant.Grant) {
		g.Lines = append(g.Lines, wide.Root.Line(custodytest.Sensitive))
		g.Sort()
	})
	h.agree("a team, before the line was shielded", h.ben, ours, recordsEach)
	h.shields(ours)
	h.shields(wide)
	h.agree("one person", h.ben, mine, recordsEach)
	h.agree("a colleague", eve, mine, 0)
	h.agree("a team", h.ben, ours, 0)
	h.agree("one person, beside another line", h.ben, wide, 0)
	if n := computed(h.world().Reach(blast.Thing{Kind: blast.Session, Actor: h.ben.ID, Device: h.ben.Device.ID}), mine.ID); n != 0 || h.opensBy(h.ben, mine, false) != 0 {
		t.Errorf("a session without the passkey: %d records were computed, want none", n)
	}
}

// TestFamily: what a patient was given of another opens with that patient's phone;
// what is for a case, once it is stated.
func TestFamily(t *testing.T) {
	h := newHouse(t)
	h.ids = append(h.ids, h.registry.ID)
	h.Publish(t, h.registry.Inception)
	son, heir := h.patient(1), h.patient(1)
	child, mia := h.patient(1), h.patient(1)
	h.reads(child, son, grant.Always)
	h.give(child, son.ID, nil) // for treatment, which no patient gives
	h.agree("a parent", son, child, recordsEach)
	if r := h.world().Reach(blast.Thing{Kind: blast.Session, Actor: son.ID}); r.Patients != 2 {
		t.Errorf("a parent's session: got %d patients, want own and child", r.Patients)
	}
	if r := h.world().Reach(blast.Thing{Kind: blast.Passkey, Actor: son.ID}); r.Patients != 0 {
		t.Errorf("a parent's passkey: got %d patients, want none", r.Patients)
	}
	code := escrow.Code{1}
	h.keeps(son, escrow.Kit(son.ID, code, custodytest.Wait), code.Half(son.ID))
	if m := way(h.world().Reach(blast.Thing{Kind: blast.Kit, Actor: son.ID}), blast.ByRecovery); m.Patients != 2 || m.Records != 2*recordsEach {
		t.Errorf("a parent's kit: got %+v, want own and child", m)
	}
	h.names(mia, actor.SaysNarrow|actor.SaysIncapacity|actor.SaysDeath)
	h.reads(mia, son, grant.Incapacity)
	h.reads(mia, heir, grant.Death)
	h.give(mia, h.ben.ID, nil)
	registry := blast.Thing{Kind: blast.Organisation, Actor: h.registry.ID}
	ben := blast.Thing{Kind: blast.Person, Actor: h.ben.ID, Device: h.ben.Device.ID}
	phone := func(p *custodytest.Person) blast.Thing { return blast.Thing{Kind: blast.Person, Actor: p.ID} }
	w := h.world()
	for _, c := range []struct {
		name            string
		stolen          []blast.Thing
		states, besides int
	}{
		{"the registry", []blast.Thing{registry}, 0, 0},
		{"a physician", []blast.Thing{ben}, 0, 0},
		{"both", []blast.Thing{registry, ben}, 1, 0},
		{"both and the son's phone", []blast.Thing{registry, ben, phone(son)}, 1, 1},
		{"both and the heir's phone", []blast.Thing{registry, {Kind: blast.Passkey, Actor: h.ben.ID}, phone(heir)}, 1, 1},
		{"the registry and the son's phone", []blast.Thing{registry, phone(son)}, 0, 0},
	} {
		r := w.Reach(c.stolen...)
		m := way(r, blast.ByFinding)
		if power(r, blast.CanState) != c.states || m.Patients != c.besides || m.Records != c.besides*recordsEach {
			t.Errorf("%s: can state of %d, and reaches %+v, want %d and %d patients", c.name, power(r, blast.CanState), m, c.states, c.besides)
		}
	}
	for kind, want := range map[blast.Kind]int{blast.ManageKey: 1, blast.Organisation: 1, blast.AlarmKey: 0} {
		r := w.Reach(blast.Thing{Kind: kind, Actor: h.registry.ID})
		if got := power(r, blast.CanCutOff); got != want || r.Patients != 0 {
			t.Errorf("%s of the registry: cuts off for %d and reads of %d, want %d and none", kind, got, r.Patients, want)
		}
	}
	h.agree("a mandate that sleeps", son, mia, 0)
	h.agree("a doctor", h.ben, mia, recordsEach)
	finding := h.states(mia, grant.Incapacity)
	h.agree("a mandate that was stated", son, mia, recordsEach)
	h.agree("an heir of somebody who lives", heir, mia, 0)
	h.Publish(t, mia.Event(&actor.Veto{Recover: finding}))
	h.agree("a mandate that sleeps again", son, mia, 0)
	h.states(mia, grant.Death)
	h.agree("an heir", heir, mia, recordsEach)
	h.agree("a proxy of somebody who died", son, mia, 0)
	h.agree("a doctor of somebody who died", h.ben, mia, 0)
	h.agree("the phone of somebody who died", mia, mia, 0)
	dead := h.world().Reach(phone(mia))
	if m := way(dead, blast.ByFinding); m.Patients != 1 || m.Records != recordsEach || power(dead, blast.CanGive) != 0 {
		t.Errorf("the phone of somebody who died: got %+v, want the own record once it is taken back", m)
	}
	if m := way(h.world().Reach(registry, ben), blast.ByFinding); m.Patients != 1 {
		t.Errorf("the registry and a doctor: got %+v, want what the doctor was given once it is taken back", m)
	}
}

// TestNothingOpensOfTheDead: no emergency set, kit or custody.
func TestNothingOpensOfTheDead(t *testing.T) {
	h := newHouse(t)
	h.ids = append(h.ids, h.registry.ID)
	h.Publish(t, h.registry.Inception)
	team := h.sealedTeam(h.ben)
	p, id := h.kept(team)
	whole := blast.Thing{Kind: blast.Person, Actor: h.ben.ID, Device: h.ben.Device.ID}
	house := []blast.Thing{{Kind: blast.ManageKey, Actor: h.org.ID}, {Kind: blast.TeamSeed, Actor: h.org.ID, Team: team.Team}}
	if r := h.world().Reach(whole); way(r, blast.ByCustody).Patients != 1 || power(r, blast.CanClaim) != 1 {
		t.Errorf("before: got %+v and %+v, want one in custody", r.More, r.Powers)
	}
	if m := way(h.world().Reach(house...), blast.ByMadeStaff); m.Patients != 1 || m.Records != recordsEach || m.PerDay != abaton.CustodyOrganisationMax {
		t.Errorf("the keys of house and team, before: got %+v, want one in custody, by a member it makes", m)
	}
	h.names(p, actor.SaysDeath)
	h.states(p, grant.Death)
	if n := h.unkeeps(p, id, team); n != 0 {
		t.Errorf("%d records opened of the dead out of custody, want none", n)
	}
	for _, things := range [][]blast.Thing{{whole}, house} {
		if r := h.world().Reach(things...); len(r.More) != 0 {
			t.Errorf("%s: got %+v, want nothing of the dead", things[0].Kind, r.More)
		}
	}
}
