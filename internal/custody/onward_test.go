package custody_test

import (
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
)

// referral is a ward in which ana gave the doctor a grant that may go on to a
// team, in which ben sits.
type referral struct {
	*ward
	team   *actor.Team
	letter *grant.Grant
	nonce  byte
}

func newReferral(t *testing.T) *referral {
	t.Helper()
	r := &referral{ward: newWard(t, 1)}
	r.team = r.org.Team(1, r.ben.ID)
	r.Enrol(t, r.doctor)
	r.Publish(t, r.org.Event(r.team))
	r.letter = r.ana.Grant(r.doctor.ID, grant.Read, 5)
	r.letter.Onward = r.team.Team
	r.Publish(t, r.ana.Event(&actor.Granted{Grant: r.letter.Marshal()}))
	return r
}

// terms are the widest that the letter allows.
func (r *referral) terms(to abaton.ActorID) *grant.Grant {
	r.nonce++
	g := *r.letter
	g.Grantee, g.Onward, g.Nonce = to, abaton.ActorID{}, [16]byte{r.nonce}
	return &g
}

// hands has somebody hand parent on, whatever the letter says of it.
func (r *referral) hands(t *testing.T, from *custodytest.Person, parent abaton.GrantID, terms *grant.Grant) abaton.Handed {
	t.Helper()
	b := &actor.Onward{Parent: parent, Terms: terms.Marshal(), Wrap: make([]byte, key.BoxOverhead)}
	r.Publish(t, from.Event(b))
	return abaton.Handed{From: from.ID, ID: grant.OnwardID(from.ID, parent, b.Terms)}
}

// asks asks all five for one record by a hand-on of the letter.
func (r *referral) asks(t *testing.T, s *custodytest.Session, on abaton.Handed, want keeper.Outcome, why abaton.Reason) {
	t.Helper()
	q := r.release(r.sealed, 1)
	q.Patient, q.Grant, q.Onward = r.ana.ID, r.letter.ID(), on
	for x := range r.Keepers {
		r.mustAsk(t, s, x, q, want, why)
	}
}

// TestReferral (H7): what may be handed on opens for whom it was handed to; the
// ledger names the letter, the hand-on and who gave it.
func TestReferral(t *testing.T) {
	r := newReferral(t)
	ben := r.SignIn(t, r.ben)
	r.everywhere(t, ben, r.letter, keeper.Refused, abaton.ReasonNotFound) // the letter alone is not his
	toTeam := r.hands(t, r.doctor, r.letter.ID(), r.terms(r.team.Team))
	r.asks(t, ben, toTeam, keeper.Permitted, "")
	if e := r.last(t, 2); e.Actor != r.ben.ID || e.Grant != r.letter.ID() || e.Onward != toTeam || e.Behalf != (abaton.ActorID{}) {
		t.Errorf("entry: got %+v, want ben by the letter through the doctor", e)
	}
	toBen := r.hands(t, r.doctor, r.letter.ID(), r.terms(r.ben.ID))
	r.asks(t, ben, toBen, keeper.Permitted, "")
	r.asks(t, r.SignIn(t, r.doctor), toTeam, keeper.Refused, abaton.ReasonNotFound) // the giver has the letter itself
}

// TestReferralRefused (H7): whatever the giver signs, each keeper alone refuses
// what is wider than the letter, goes elsewhere or goes on again.
func TestReferralRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	r := newReferral(t)
	carl := custodytest.NewClinician(t, r.Set, r.org)
	r.Publish(t, carl.Inception)
	plain := r.gives(t, r.doctor.ID, time.Hour)
	ben := r.SignIn(t, r.ben)
	first := r.hands(t, r.doctor, r.letter.ID(), r.terms(r.ben.ID))
	change := func(f func(*grant.Grant)) *grant.Grant {
		g := r.terms(r.ben.ID)
		f(g)
		g.Sort()
		return g
	}
	program := custodytest.NewAgent(t, r.Set, r.org, abaton.RoleAgent, r.doctor.ID)
	r.Publish(t, program.Inception)
	for _, c := range []struct {
		name string
		asks *custodytest.Person
		on   abaton.Handed
	}{
		{"a line more", r.ben, r.hands(t, r.doctor, r.letter.ID(), change(func(g *grant.Grant) { g.Lines = append(g.Lines, abaton.Line{9}) }))},
		{"longer", r.ben, r.hands(t, r.doctor, r.letter.ID(), change(func(g *grant.Grant) { g.Expires++ }))},
		{"more records", r.ben, r.hands(t, r.doctor, r.letter.ID(), change(func(g *grant.Grant) { g.Quota++ }))},
		{"a purpose more", r.ben, r.hands(t, r.doctor, r.letter.ID(), change(func(g *grant.Grant) { g.Purposes = append(g.Purposes, abaton.Research) }))},
		{"another patient's", r.ben, r.hands(t, r.doctor, r.letter.ID(), change(func(g *grant.Grant) { g.Patient[0] ^= 1 }))},
		{"outside the team", carl, r.hands(t, r.doctor, r.letter.ID(), r.terms(carl.ID))},
		{"to another", carl, first},
		{"to a program", program, r.hands(t, r.doctor, r.letter.ID(), r.terms(program.ID))},
		{"a second time", carl, r.hands(t, r.ben, first.ID, r.terms(carl.ID))},
		{"by who was handed it", carl, r.hands(t, r.ben, r.letter.ID(), r.terms(carl.ID))},
		{"of a grant that stays", r.ben, r.hands(t, r.doctor, plain.ID(), r.terms(r.ben.ID))},
		{"of no log", r.ben, abaton.Handed{From: abaton.ActorID{9}, ID: first.ID}},
		{"of the patient's log", r.ben, abaton.Handed{From: r.ana.ID, ID: first.ID}},
		{"that is not there", r.ben, abaton.Handed{From: r.doctor.ID, ID: abaton.GrantID{9}}},
	} {
		t.Log(c.name)
		r.asks(t, r.SignIn(t, c.asks), c.on, keeper.Refused, abaton.ReasonNotFound)
	}
	q := r.release(r.sealed, 1)
	q.Patient, q.Grant, q.Onward = r.ana.ID, plain.ID(), r.hands(t, r.doctor, plain.ID(), r.terms(r.ben.ID))
	for x := range r.Keepers { // the patient allowed no hand-on of this one
		r.mustAsk(t, ben, x, q, keeper.Refused, abaton.ReasonNotFound)
	}
	r.asks(t, ben, first, keeper.Permitted, "")
}

// TestReferralEnds (H7): the patient, the giver and the giver's organisation each
// end it at once; so do the records it was given for.
func TestReferralEnds(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	for _, c := range []struct {
		name string
		end  func(t *testing.T, r *referral, on abaton.Handed)
		why  abaton.Reason
	}{
		{"the patient stops the letter", func(t *testing.T, r *referral, _ abaton.Handed) {
			r.Publish(t, r.ana.Event(&actor.Revoke{Grant: r.letter.ID()}))
		}, abaton.ReasonRevoked},
		{"the giver takes it back", func(t *testing.T, r *referral, on abaton.Handed) {
			r.Publish(t, r.doctor.Event(&actor.Revoke{Grant: on.ID}))
		}, abaton.ReasonRevoked},
		{"the patient bars the giver", func(t *testing.T, r *referral, _ abaton.Handed) {
			r.Publish(t, r.ana.Event(&actor.Bar{Actor: r.doctor.ID}))
		}, abaton.ReasonBarred},
		{"the patient bars who asks", func(t *testing.T, r *referral, _ abaton.Handed) {
			r.Publish(t, r.ana.Event(&actor.Bar{Actor: r.ben.ID}))
		}, abaton.ReasonBarred},
		{"the giver leaves", func(t *testing.T, r *referral, _ abaton.Handed) {
			r.Publish(t, r.org.Event(&actor.Bar{Actor: r.doctor.ID}))
		}, abaton.ReasonNotFound},
		{"the giver ends", func(t *testing.T, r *referral, _ abaton.Handed) {
			r.Publish(t, r.doctor.Event(new(actor.Stop)))
		}, abaton.ReasonNotFound},
		{"who asks leaves the team", func(t *testing.T, r *referral, _ abaton.Handed) {
			next := r.org.Team(1)
			next.Epoch, next.Public = 2, r.org.Team(2).Public
			r.Publish(t, r.org.Event(next))
		}, abaton.ReasonNotFound},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newReferral(t)
			s, on := r.SignIn(t, r.ben), r.hands(t, r.doctor, r.letter.ID(), r.terms(r.ben.ID))
			r.asks(t, s, on, keeper.Permitted, "")
			c.end(t, r, on)
			r.asks(t, s, on, keeper.Refused, c.why)
		})
	}
}

// TestReferralQuota (H7): what is opened by a hand-on counts in it and in the
// letter, whoever opens it.
func TestReferralQuota(t *testing.T) {
	r := newReferral(t)
	two, five := r.terms(r.ben.ID), r.terms(r.ben.ID)
	two.Quota = 2
	small, large := r.hands(t, r.doctor, r.letter.ID(), two), r.hands(t, r.doctor, r.letter.ID(), five)
	s := r.SignIn(t, r.ben)
	for range 2 {
		r.asks(t, s, small, keeper.Permitted, "")
	}
	r.asks(t, s, small, keeper.Refused, abaton.ReasonQuota)
	for range 3 { // five of the letter's five
		r.asks(t, s, large, keeper.Permitted, "")
	}
	r.asks(t, s, large, keeper.Refused, abaton.ReasonQuota)
	r.everywhere(t, r.SignIn(t, r.doctor), r.letter, keeper.Refused, abaton.ReasonQuota)
}

// TestReferralFromATeam (H7): a letter to a team is handed on by who has a seat
// in it, for as long as they have it.
func TestReferralFromATeam(t *testing.T) {
	r := newReferral(t)
	from := r.org.Team(2, r.doctor.ID)
	r.Publish(t, r.org.Event(from))
	r.letter = r.ana.Grant(from.Team, grant.Read, 5)
	r.letter.Onward = r.org.ID
	r.Publish(t, r.ana.Event(&actor.Granted{Grant: r.letter.Marshal()}))
	carl := custodytest.NewClinician(t, r.Set, r.org)
	r.Publish(t, carl.Inception)
	s := r.SignIn(t, r.ben)
	r.asks(t, s, r.hands(t, carl, r.letter.ID(), r.terms(r.ben.ID)), keeper.Refused, abaton.ReasonNotFound)
	on := r.hands(t, r.doctor, r.letter.ID(), r.terms(r.ben.ID))
	r.asks(t, s, on, keeper.Permitted, "")
	program := custodytest.NewAgent(t, r.Set, r.org, abaton.RoleAgent, r.doctor.ID) // of the house, and no person
	r.Publish(t, program.Inception)
	toProgram := r.hands(t, r.doctor, r.letter.ID(), r.terms(program.ID))
	r.asks(t, r.SignIn(t, program), toProgram, keeper.Refused, abaton.ReasonNotFound)
	next := r.org.Team(2)
	next.Epoch, next.Public = 2, r.org.Team(3).Public
	r.Publish(t, r.org.Event(next))
	r.asks(t, s, on, keeper.Refused, abaton.ReasonNotFound)
}

// TestOnwardOpensNothingElse: a request by a hand-on asks for records.
func TestOnwardOpensNothingElse(t *testing.T) {
	r := newReferral(t)
	on := r.hands(t, r.doctor, r.letter.ID(), r.terms(r.ben.ID))
	s := r.SignIn(t, r.ben)
	for _, q := range []session.Request{
		{Patient: r.ana.ID, Grant: r.letter.ID(), Onward: on, Mode: session.History, Purpose: abaton.PatientAccess},
		{Patient: r.ana.ID, Grant: r.letter.ID(), Onward: on, Mode: session.Unseal, Purpose: abaton.Treatment},
		{Patient: r.ana.ID, Onward: on, Mode: session.List, Purpose: abaton.Treatment, Lines: r.letter.Lines},
		{Patient: r.ana.ID, Grant: r.letter.ID(), Onward: abaton.Handed{From: on.From}, Mode: session.List, Purpose: abaton.Treatment, Lines: r.letter.Lines},
	} {
		if _, err := r.Ask(t.Context(), s, 1, q); reasonOf(err) != abaton.ReasonMalformed {
			t.Errorf("mode %d: got %v, want %q", q.Mode, err, abaton.ReasonMalformed)
		}
	}
}
