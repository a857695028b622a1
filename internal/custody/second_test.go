package custody_test

import (
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/internal/detect"
	"github.com/abaton-health/abaton/internal/relation"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
)

// heldDoctor is a suspended doctor, the doctor's patient, and a colleague whom
// keeper 1 knows.
type heldDoctor struct {
	*clinic
	q       session.Request // names a grant to the doctor: related
	doctors *custodytest.Session
	eves    *custodytest.Session
}

func newHeldDoctor(t *testing.T, patients int) *heldDoctor {
	t.Helper()
	w := &heldDoctor{clinic: newClinic(t, patients)}
	sealed := w.seals(t, 1, 1)
	w.mustDeposit(t, sealed)
	w.mustTell(t, 1, w.says(t, 4, contain.Person(w.doctor.ID), detect.SuspendPerson), w.says(t, 5, contain.Person(w.doctor.ID), detect.SuspendPerson))
	w.q, w.doctors = w.release(sealed, 1), w.SignIn(t, w.doctor)
	w.eves = w.begins(t, w.eve)
	return w
}

// begins signs somebody in, and keeper 1 knows the session.
func (w *heldDoctor) begins(t *testing.T, who *custodytest.Person) *custodytest.Session {
	t.Helper()
	s := w.SignIn(t, who)
	if _, err := w.Keepers[1].Call(t.Context(), keeper.RouteSession, s.Signed); err != nil {
		t.Fatal(err)
	}
	return s
}

// agreed is the request with by's word in the session s, which change may spoil.
func (w *heldDoctor) agreed(t *testing.T, by *custodytest.Person, s *custodytest.Session, at time.Time, change func(*session.Approval)) session.Request {
	t.Helper()
	q := w.q
	q.Approval = custodytest.Agree(t, by, s, q.Patient, q.Grant, w.doctor.ID, at, func(p *session.Approval) {
		if p.Opening = w.doctors.ID; change != nil {
			change(p)
		}
	})
	return q
}

// TestNobodyElsesWord: each word that is not a second clinician's own, fresh and
// about this very session, patient and grant opens nothing.
func TestNobodyElsesWord(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newHeldDoctor(t, 1)
	now := time.Now()
	again := w.begins(t, w.doctor)
	borrowed := *w.eve
	borrowed.Device = w.doctor.Device
	signs := *w.eve // the doctor's passkey in the colleague's session
	signs.Passkey = w.doctor.Passkey
	officer := custodytest.NewClinician(t, w.Set, w.org)
	officer.Role = abaton.RoleSecurityOfficer
	w.Publish(t, officer.Inception)
	w.Enrol(t, officer)
	for _, c := range []struct {
		name string
		q    session.Request
		s    *custodytest.Session
	}{
		{"alone, with a touch", w.touched(t, w.doctor, w.doctors, w.q), w.doctors},
		{"one's own, in another session", w.agreed(t, w.doctor, again, now, nil), w.doctors},
		{"one's own passkey in the colleague's session", w.agreed(t, &signs, w.eves, now, nil), w.doctors},
		{"a colleague's at the same computer", w.agreed(t, w.eve, w.begins(t, &borrowed), now, nil), w.doctors},
		{"in a session that this keeper does not know", w.agreed(t, w.eve, w.SignIn(t, w.eve), now, nil), w.doctors},
		{"in a session that does not exist", w.agreed(t, w.eve, w.eves, now, func(p *session.Approval) { rand.Read(p.Session[:]) }), w.doctors},
		{"given to another session of the doctor's", w.agreed(t, w.eve, w.eves, now, nil), again},
		{"given beforehand, to no session", w.agreed(t, w.eve, w.eves, now, func(p *session.Approval) { p.Opening = [32]byte{} }), w.doctors},
		{"no", w.agreed(t, w.eve, w.eves, now, func(p *session.Approval) { p.Verdict = session.Wrong }), w.doctors},
		{"about another patient", w.agreed(t, w.eve, w.eves, now, func(p *session.Approval) { p.Patient = w.charts[0].patient.ID }), w.doctors},
		{"about another grant", w.agreed(t, w.eve, w.eves, now, func(p *session.Approval) { p.Escrow = w.charts[0].grant.ID() }), w.doctors},
		{"given to somebody else", w.agreed(t, w.eve, w.eves, now, func(p *session.Approval) { p.Opener = w.thief.ID }), w.doctors},
		{"too old", w.agreed(t, w.eve, w.eves, now.Add(-session.StepUpMax-2*time.Second), nil), w.doctors},
		{"of the future", w.agreed(t, w.eve, w.eves, now.Add(abaton.ClockSkewMax+10*time.Second), nil), w.doctors},
		{"a security officer's", w.agreed(t, officer, w.begins(t, officer), now, nil), w.doctors},
	} {
		if got := w.asks(t, c.s, 1, c.q); got != abaton.ReasonSuspended {
			t.Errorf("%s: got %q, want %q", c.name, got, abaton.ReasonSuspended)
		}
	}
	if got := w.asks(t, w.doctors, 1, w.agreed(t, w.eve, w.eves, now, nil)); got != "" {
		t.Fatalf("the colleague's: got %q, want released", got)
	}
}

// TestTheWordIsAskedForEachTime: what was agreed to serves for its life, in every
// reading mode, and a request without it does not.
func TestTheWordIsAskedForEachTime(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newHeldDoctor(t, 1)
	word := w.agreed(t, w.eve, w.eves, time.Now(), nil)
	list := word
	list.Mode, list.Rows, list.Lines = session.List, nil, []abaton.Line{w.ana.Root.Line(custodytest.General)}
	permit := word
	permit.Mode = session.Permit
	for i, q := range []session.Request{word, list, permit, word} {
		if got := w.asks(t, w.doctors, 1, q); got != "" {
			t.Errorf("with it, request %d of mode %d: got %q, want released", i, q.Mode, got)
		}
		q.Approval = nil
		if got := w.asks(t, w.doctors, 1, q); got != abaton.ReasonSuspended {
			t.Errorf("without it, request %d of mode %d: got %q, want %q", i, q.Mode, got, abaton.ReasonSuspended)
		}
	}
}

// TestWhoeverIsHeldBackAgreesToNothing: short of a suspension a colleague may
// agree, for one keeper alone can slow anybody down.
func TestWhoeverIsHeldBackAgreesToNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newHeldDoctor(t, 1)
	said := func(about contain.Subject, level detect.Level, by ...abaton.KeeperIndex) {
		for _, x := range by {
			w.mustTell(t, 1, w.says(t, x, about, level))
		}
	}
	with := func() session.Request { return w.agreed(t, w.eve, w.eves, time.Now(), nil) }
	said(contain.Person(w.eve.ID), detect.SuspendPerson, 4) // one lies
	if got := w.asks(t, w.doctors, 1, with()); got != "" {
		t.Errorf("one keeper holds the colleague back: got %q, want released", got)
	}
	said(contain.Person(w.eve.ID), detect.Throttle, 5)
	if got := w.asks(t, w.doctors, 1, with()); got != "" {
		t.Errorf("the colleague is slowed down: got %q, want released", got)
	}
	said(contain.Session(w.eves.ID), detect.SuspendSession, 2, 3)
	if got := w.asks(t, w.doctors, 1, with()); got != abaton.ReasonSuspended {
		t.Errorf("the colleague's session is suspended: got %q, want %q", got, abaton.ReasonSuspended)
	}
	w.eves = w.begins(t, w.eve)
	if got := w.asks(t, w.doctors, 1, with()); got != "" {
		t.Errorf("the colleague signs in anew: got %q, want released", got)
	}
	w.Publish(t, w.ana.Event(&actor.Bar{Actor: w.eve.ID}))
	if got := w.asks(t, w.doctors, 1, with()); got != abaton.ReasonSuspended {
		t.Errorf("the patient bars the colleague: got %q, want %q", got, abaton.ReasonSuspended)
	}
}

// TestOnlyPatientsInCare: a word opens no patient without a reason, nor one who
// is made up.
func TestOnlyPatientsInCare(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newHeldDoctor(t, 1)
	strange := &w.charts[0]
	team := w.org.Team(2, w.thief.ID, w.eve.ID, w.doctor.ID)
	w.Publish(t, w.org.Event(team))
	given := strange.patient.Grant(team.Team, grant.Read, 1000)
	w.Publish(t, strange.patient.Event(&actor.Granted{Grant: given.Marshal()}))
	w.q = strange.release()
	w.q.Grant = given.ID()
	with := func() session.Request { return w.agreed(t, w.eve, w.eves, time.Now(), nil) }
	if got := w.asks(t, w.doctors, 1, with()); got != abaton.ReasonSuspended {
		t.Errorf("no reason: got %q, want %q", got, abaton.ReasonSuspended)
	}
	at := time.Now().Unix()
	tells := func(by *key.Signing, e relation.Entry) {
		message, err := relation.Sign(by, w.org.ID, time.Now(), []relation.Entry{e})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Keepers[1].Call(t.Context(), keeper.RouteRelations, message); err != nil {
			t.Fatal(err)
		}
	}
	tells(w.org.Writer, relation.Entry{Patient: strange.patient.ID, Whom: w.doctor.ID, Kind: relation.Admission, From: at - 60, Until: at + 3600})
	if got := w.asks(t, w.doctors, 1, with()); got != "" {
		t.Errorf("admitted to the doctor: got %q, want released", got)
	}
	tells(w.org.Manage, relation.MakeHoney(strange.patient.Manage, strange.patient.ID, w.org.ID, at-60, at+3600))
	if got := w.asks(t, w.doctors, 1, with()); got != abaton.ReasonSuspended {
		t.Errorf("made up: got %q, want %q", got, abaton.ReasonSuspended)
	}
}

// TestBothNamesAreInTheEntry: the second clinician's name stands in the entry, so
// that the patient and the officer see both.
func TestBothNamesAreInTheEntry(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newHeldDoctor(t, 0)
	if got := w.asks(t, w.doctors, 1, w.agreed(t, w.eve, w.eves, time.Now(), nil)); got != "" {
		t.Fatalf("agreed: got %q, want released", got)
	}
	var seconds []abaton.ActorID
	for i := range w.Keepers[1].LedgerSize() {
		e, err := w.Keepers[1].EntryAt(i)
		if err != nil {
			t.Fatal(err)
		}
		if e.Second != (abaton.ActorID{}) {
			seconds = append(seconds, e.Second)
		}
	}
	if !slices.Equal(seconds, []abaton.ActorID{w.eve.ID}) {
		t.Errorf("second clinicians in the ledger: got %d, want the colleague alone", len(seconds))
	}
}
