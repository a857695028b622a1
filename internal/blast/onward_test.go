package blast_test

import (
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/blast"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/key"
)

// clinician is one more of the house.
func (h *house) clinician() *custodytest.Person {
	h.t.Helper()
	p := custodytest.NewClinician(h.t, h.Set, h.org)
	h.Publish(h.t, p.Inception)
	h.Enrol(h.t, p)
	h.ids = append(h.ids, p.ID, p.Device.ID)
	return p
}

// letter is a grant to a giver that may go on.
func (h *house) letter(p *custodytest.Person, to, onward abaton.ActorID) *grant.Grant {
	h.t.Helper()
	g := p.Grant(to, grant.Read, 100)
	g.Onward = onward
	h.Publish(h.t, p.Event(&actor.Granted{Grant: g.Marshal()}))
	return g
}

// hands has somebody hand a grant on, whatever the patient said of it.
func (h *house) hands(from *custodytest.Person, parent *grant.Grant, to abaton.ActorID, change func(*grant.Grant)) abaton.GrantID {
	h.t.Helper()
	terms := *parent
	terms.Grantee, terms.Onward, terms.Nonce = to, abaton.ActorID{}, [16]byte{byte(len(h.ids)), byte(len(h.patients))}
	if change != nil {
		change(&terms)
	}
	b := &actor.Onward{Parent: parent.ID(), Terms: terms.Marshal(), Wrap: make([]byte, key.BoxOverhead)}
	h.Publish(h.t, from.Event(b))
	return grant.OnwardID(from.ID, b.Parent, b.Terms)
}

// TestHandedOn: for each way in which the logs can say yes or no to a hand-on,
// what is computed for a thief of whom it was handed to is what five keepers open.
func TestHandedOn(t *testing.T) {
	var h *house
	var eve, carl *custodytest.Person
	var team, other *actor.Team
	begin := func() { // each in a house of its own: the watch stops whoever tries them all
		h = newHouse(t)
		eve, carl = h.clinician(), h.clinician()
		h.givers = []*custodytest.Person{h.ben, carl}
		team, other = h.org.Team(1, eve.ID), h.org.Team(2, h.ben.ID)
		h.Publish(t, h.org.Event(team))
		h.Publish(t, h.org.Event(other))
	}
	for _, c := range []struct {
		name string
		does func(p *custodytest.Person)
		want int
	}{
		{"a letter alone", func(p *custodytest.Person) { h.letter(p, h.ben.ID, h.org.ID) }, 0},
		{"handed on", func(p *custodytest.Person) { h.hands(h.ben, h.letter(p, h.ben.ID, h.org.ID), eve.ID, nil) }, recordsEach},
		{"handed on to a team", func(p *custodytest.Person) { h.hands(h.ben, h.letter(p, h.ben.ID, h.org.ID), team.Team, nil) }, recordsEach},
		{"of a team's grant", func(p *custodytest.Person) { h.hands(h.ben, h.letter(p, other.Team, h.org.ID), eve.ID, nil) }, recordsEach},
		{"by somebody outside of the team", func(p *custodytest.Person) { h.hands(carl, h.letter(p, other.Team, h.org.ID), eve.ID, nil) }, 0},
		{"to outside of where it may go", func(p *custodytest.Person) { h.hands(h.ben, h.letter(p, h.ben.ID, other.Team), eve.ID, nil) }, 0},
		{"that may not go on", func(p *custodytest.Person) { h.hands(h.ben, h.letter(p, h.ben.ID, abaton.ActorID{}), eve.ID, nil) }, 0},
		{"for longer", func(p *custodytest.Person) {
			h.hands(h.ben, h.letter(p, h.ben.ID, h.org.ID), eve.ID, func(g *grant.Grant) { g.Expires++ })
		}, 0},
		{"for one record", func(p *custodytest.Person) {
			h.hands(h.ben, h.letter(p, h.ben.ID, h.org.ID), eve.ID, func(g *grant.Grant) { g.Quota = 1 })
		}, 1},
		{"to somebody else", func(p *custodytest.Person) { h.hands(h.ben, h.letter(p, h.ben.ID, h.org.ID), carl.ID, nil) }, 0},
		{"taken back", func(p *custodytest.Person) {
			h.Publish(t, h.ben.Event(&actor.Revoke{Grant: h.hands(h.ben, h.letter(p, h.ben.ID, h.org.ID), eve.ID, nil)}))
		}, 0},
		{"and the letter stopped", func(p *custodytest.Person) {
			g := h.letter(p, h.ben.ID, h.org.ID)
			h.hands(h.ben, g, eve.ID, nil)
			h.Publish(t, p.Event(&actor.Revoke{Grant: g.ID()}))
		}, 0},
		{"and a bar of the giver", func(p *custodytest.Person) {
			h.hands(h.ben, h.letter(p, h.ben.ID, h.org.ID), eve.ID, nil)
			h.Publish(t, p.Event(&actor.Bar{Actor: h.ben.ID}))
		}, 0},
		{"and a line that is shielded since", func(p *custodytest.Person) {
			h.hands(h.ben, h.letter(p, h.ben.ID, h.org.ID), eve.ID, nil)
			h.shields(p)
		}, 0},
	} {
		begin()
		p := h.patient(1)
		c.does(p)
		whole := computed(h.world().Reach(blast.Thing{Kind: blast.Person, Actor: eve.ID, Device: eve.Device.ID}), p.ID)
		lent := computed(h.world().Reach(blast.Thing{Kind: blast.Session, Actor: eve.ID, Device: eve.Device.ID}), p.ID)
		if opened := h.opens(eve, p); opened != c.want || whole != c.want || lent != c.want {
			t.Errorf("%s: %d records opened, %d and %d were computed, want %d", c.name, opened, whole, lent, c.want)
		}
	}
	p := h.patient(1)
	h.hands(carl, h.letter(p, carl.ID, h.org.ID), eve.ID, nil)
	h.Publish(t, h.org.Event(&actor.Bar{Actor: carl.ID}))
	if got, opened := computed(h.world().Reach(blast.Thing{Kind: blast.Person, Actor: eve.ID, Device: eve.Device.ID}), p.ID), h.opens(eve, p); got != 0 || opened != 0 {
		t.Errorf("the giver left: %d records opened, %d were computed, want none", opened, got)
	}
}

// TestOneQuota: what is handed on to two counts in the one grant.
func TestOneQuota(t *testing.T) {
	h := newHouse(t)
	eve := h.clinician()
	p := h.patient(1)
	g := p.Grant(h.ben.ID, grant.Read, 1)
	g.Onward = h.org.ID
	h.Publish(t, p.Event(&actor.Granted{Grant: g.Marshal()}))
	h.hands(h.ben, g, eve.ID, nil)
	both := h.world().Reach(blast.Thing{Kind: blast.Person, Actor: eve.ID, Device: eve.Device.ID}, blast.Thing{Kind: blast.Person, Actor: h.ben.ID, Device: h.ben.Device.ID})
	if both.Records != 1 || both.Patients != 1 {
		t.Errorf("giver and colleague: got %d records of %d patients, want the one of the grant", both.Records, both.Patients)
	}
}

// TestThingsOfAHandOn: which things of whom it was handed to open it, and who can
// hand on.
func TestThingsOfAHandOn(t *testing.T) {
	h := newHouse(t)
	eve := h.clinician()
	team := h.sealedTeam(h.ben)
	p := h.patient(1)
	g := h.letter(p, h.ben.ID, h.org.ID)
	h.hands(h.ben, g, eve.ID, nil)
	q := h.patient(1)
	h.hands(h.ben, h.letter(q, h.ben.ID, h.org.ID), team.Team, nil)
	h.give(h.patient(1), h.ben.ID, nil) // goes nowhere
	w := h.world()
	for _, c := range []struct {
		name     string
		stolen   []blast.Thing
		patients int
		handsOn  int
	}{
		{"eve", []blast.Thing{{Kind: blast.Person, Actor: eve.ID, Device: eve.Device.ID}}, 1, 0},
		{"eve's passkey", []blast.Thing{{Kind: blast.Passkey, Actor: eve.ID}}, 0, 0},
		{"eve's device", []blast.Thing{{Kind: blast.Device, Actor: eve.Device.ID, Held: []abaton.ActorID{eve.ID}}}, 0, 0},
		{"both", []blast.Thing{{Kind: blast.Passkey, Actor: eve.ID}, {Kind: blast.Device, Actor: eve.Device.ID, Held: []abaton.ActorID{eve.ID}}}, 1, 0},
		{"the team's key", []blast.Thing{{Kind: blast.TeamSeed, Actor: h.org.ID, Team: team.Team}}, 0, 0},
		{"ben", []blast.Thing{{Kind: blast.Person, Actor: h.ben.ID, Device: h.ben.Device.ID}}, 3, 2},
		{"ben's session", []blast.Thing{{Kind: blast.Session, Actor: h.ben.ID, Device: h.ben.Device.ID}}, 3, 0},
		{"ben's passkey", []blast.Thing{{Kind: blast.Passkey, Actor: h.ben.ID}}, 0, 0},
	} {
		r := w.Reach(c.stolen...)
		if handsOn := power(r, blast.CanHandOn); r.Patients != c.patients || handsOn != c.handsOn {
			t.Errorf("%s: got %d patients and %d to hand on, want %d and %d", c.name, r.Patients, handsOn, c.patients, c.handsOn)
		}
	}
	cut, ok := w.BiggestCut(blast.Thing{Kind: blast.Person, Actor: eve.ID, Device: eve.Device.ID})
	if !ok || cut.Grantee != eve.ID || cut.Patients != 0 {
		t.Errorf("biggest cut of eve: got %+v, want what was handed to her", cut)
	}
	if m := way(w.Reach(blast.Thing{Kind: blast.Organisation, Actor: h.org.ID}), blast.ByMadeStaff); m.Patients != 1 || m.Records != recordsEach {
		t.Errorf("every key of the house: got %+v, want the patient handed on to a team", m)
	}
}

// power is how many patients a power is about.
func power(r *blast.Reach, c blast.Can) int {
	for _, p := range r.Powers {
		if p.Can == c {
			return p.Patients
		}
	}
	return 0
}
