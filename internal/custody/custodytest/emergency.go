package custodytest

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// Categories of the lines that the tests of emergencies use besides General.
var (
	EmergencySet = abaton.Category{15: 2}
	Sensitive    = abaton.Category{15: 3}
)

// Line announces a line of a patient at a level.
func (p *Person) Line(c abaton.Category, level uint8) actor.Body {
	e := p.epoch(c, level, 1)
	return &e
}

// NewKept makes a patient as an importer does for a care team: manage signs for
// the log, and the passkey is one that nobody keeps.
func NewKept(t testing.TB, set *actor.Set, org *Person, root key.Root, manage *key.Signing) *Person {
	p := newPerson(t, set)
	p.Sponsor, p.Root, p.Manage = org.ID, root, manage
	deposit := p.Grant(org.ID, grant.Deposit, 1<<20)
	deposit.Patient = abaton.ActorID{}
	p.incept(&actor.Inception{
		Kind: actor.Patient, Organisation: org.ID, Invitation: org.Invite(actor.Patient),
		Lines: []actor.Epoch{p.epoch(General, 1, 1)}, Grants: []actor.Granted{{Grant: deposit.Marshal()}},
	})
	return p
}

// Touch is what an emergency clinician's passkey signs at a time; change may
// make it wrong before it is signed. Nil changes nothing.
func Touch(t testing.TB, by *Person, s *Session, patient abaton.ActorID, escrow abaton.GrantID, at time.Time, change func(*session.Emergency)) []byte {
	t.Helper()
	m := session.Emergency{V: wire.Version, Session: s.ID, Patient: patient, Escrow: escrow, Purpose: abaton.Emergency,
		Urgency: session.CannotSpeak, Time: at.Unix()}
	rand.Read(m.Nonce[:])
	if change != nil {
		change(&m)
	}
	a, err := by.Passkey.Assert(m.Challenge())
	if err != nil {
		t.Fatal(err)
	}
	return (&session.SignedEmergency{Emergency: m, Assertion: *a}).Marshal()
}

// Agree is what a second clinician's passkey signs about opener's opening of an
// escrow, which change may make another. Nil changes nothing: beforehand, right.
func Agree(t testing.TB, by *Person, s *Session, patient abaton.ActorID, escrow abaton.GrantID, opener abaton.ActorID, at time.Time, change func(*session.Approval)) []byte {
	t.Helper()
	p := session.Approval{V: wire.Version, Session: s.ID, Patient: patient, Escrow: escrow, Opener: opener, Verdict: session.Right, Time: at.Unix()}
	rand.Read(p.Nonce[:])
	if change != nil {
		change(&p)
	}
	a, err := by.Passkey.Assert(p.Challenge())
	if err != nil {
		t.Fatal(err)
	}
	return (&session.SignedApproval{Approval: p, Assertion: *a}).Marshal()
}
