package custody_test

import (
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/session"
)

// TestOpeningsOfOnePatientAreBounded: opening the same set again moves no other
// budget while the right lasts, and still ends somewhere; the same request again
// counts once.
func TestOpeningsOfOnePatientAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newShift(t)
	amy := w.colleague(t)
	s := w.signIn(t, w.ben)
	for n := range abaton.EmergencyPatientMax {
		q := w.opens(t, s, w.setID, nil)
		q.Nonce = [16]byte{1, byte(n)}
		for range 2 {
			if r := w.reason(t, s, 1, q); r != "" {
				t.Fatalf("opening %d: refused: %s", n+1, r)
			}
		}
	}
	w.mustAsk(t, s, 1, w.opens(t, s, w.setID, nil), keeper.Refused, abaton.ReasonBudget)
	w.Restart(t, 1, func() {})
	w.Keepers[1].AwaitMode(t)
	s = w.signIn(t, w.ben)
	w.mustAsk(t, s, 1, w.opens(t, s, w.setID, nil), keeper.Refused, abaton.ReasonBudget)
	other := w.signIn(t, amy)
	w.mustAsk(t, other, 1, w.opensBy(t, amy, other, w.setID, nil), keeper.Permitted, "")
}

// TestAnOfficersWordStands: no clinician undoes what a security officer called
// wrong; an officer does, and then a clinician's word is owed again.
func TestAnOfficersWordStands(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newShift(t)
	officer := custodytest.NewClinician(t, w.Set, w.org)
	officer.Role = abaton.RoleSecurityOfficer
	w.Publish(t, officer.Inception)
	w.employ(t, officer)
	rec := w.record(t, custodytest.EmergencySet)
	s, eve, office := w.signIn(t, w.ben), w.signIn(t, w.eve), w.signIn(t, officer)
	opening := w.mustAsk(t, s, 1, w.opens(t, s, w.setID, nil), keeper.Permitted, "").Request
	say := func(by *custodytest.Person, s *custodytest.Session, v session.Verdict, want abaton.Reason) {
		t.Helper()
		status := keeper.Permitted
		if want != "" {
			status = keeper.Refused
		}
		w.mustAsk(t, s, 1, w.confirms(t, by, s, opening, v), status, want)
	}
	say(officer, office, session.Right, abaton.ReasonSecond) // an officer is no second clinician
	say(w.eve, eve, session.Right, "")
	say(officer, office, session.Right, abaton.ReasonSecond)
	w.mustAsk(t, s, 1, w.reads(rec, w.setID), keeper.Permitted, "")
	say(officer, office, session.Wrong, "")
	if told := w.entries(t, 1, ledger.OpConfirm); told[len(told)-1].Actor != officer.ID || told[len(told)-1].Urgency != uint8(session.Wrong) {
		t.Error("history: the officer's word is not told")
	}
	for _, v := range []session.Verdict{session.Right, session.Wrong} {
		say(w.eve, eve, v, abaton.ReasonSecond)
	}
	w.Restart(t, 1, func() {})
	w.Keepers[1].AwaitMode(t)
	s, eve, office = w.signIn(t, w.ben), w.signIn(t, w.eve), w.signIn(t, officer)
	say(w.eve, eve, session.Right, abaton.ReasonSecond)
	w.mustAsk(t, s, 1, w.reads(rec, w.setID), keeper.Refused, abaton.ReasonExpired)
	w.mustAsk(t, s, 1, w.opens(t, s, w.setID, nil), keeper.Refused, abaton.ReasonUnconfirmed)
	if got, _ := w.told(t, w.ana.Manage, w.ana.ID); len(got) != 1 || got[0].Second != officer.ID || got[0].Verdict != uint8(session.Wrong) {
		t.Error("the patient is not told the officer's word")
	}

	say(officer, office, session.Right, "")
	w.mustAsk(t, s, 1, w.reads(rec, w.setID), keeper.Permitted, "")
	w.later(t, abaton.EmergencyConfirm+time.Minute)
	s, eve, office = w.signIn(t, w.ben), w.signIn(t, w.eve), w.signIn(t, officer)
	w.mustAsk(t, s, 1, w.opens(t, s, w.setID, nil), keeper.Refused, abaton.ReasonUnconfirmed)
	say(w.eve, eve, session.Right, "")
	w.mustAsk(t, s, 1, w.opens(t, s, w.setID, nil), keeper.Permitted, "")

	// The role opens nothing, also beforehand.
	ask := w.opensBy(t, officer, office, w.setID, nil)
	w.mustAsk(t, office, 1, ask, keeper.Refused, abaton.ReasonStanding)
	w.mustAsk(t, office, 1, w.reads(rec, w.setID), keeper.Refused, abaton.ReasonStanding)
	agreed := w.opens(t, s, w.wideID, nil)
	agreed.Approval = custodytest.Agree(t, officer, office, w.ana.ID, w.wideID, w.ben.ID, w.clock(), nil)
	w.mustAsk(t, s, 1, agreed, keeper.Refused, abaton.ReasonSecond)
}
