package custody_test

import (
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/internal/detect"
	"github.com/abaton-health/abaton/internal/relation"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/session"
)

// TestRestartForgetsNoPartialAnswer: a thief who asks for one record more than
// there is gets the others, and these count after a restart as before it.
func TestRestartForgetsNoPartialAnswer(t *testing.T) {
	w := newClinic(t, 8)
	s := w.SignIn(t, w.thief)
	partly := func(c *chart) session.Request {
		q := c.release()
		q.Rows[0].Bits = 3 // the batch has one record
		return q
	}
	for i := range 5 {
		r, err := w.Ask(t.Context(), s, 1, partly(&w.charts[i]))
		if err != nil || len(r.Pieces) != 1 || r.Reason != abaton.ReasonNotFound {
			t.Fatalf("patient %d: got %v, want one piece, and the other not found", i, err)
		}
	}
	w.Restart(t, 1, func() {})
	w.Keepers[1].AwaitMode(t)
	if got := w.asks(t, s, 1, partly(&w.charts[5])); got != abaton.ReasonStepUp {
		t.Errorf("the sixth patient after a restart: got %q, want %q", got, abaton.ReasonStepUp)
	}
}

// TestRestartCountsNoRenewal: at a desk left open the gateway renews what was
// opened there. That is not the person coming back to it, nor is it after the
// keeper started anew.
func TestRestartCountsNoRenewal(t *testing.T) {
	w := newClinic(t, 3)
	desk := w.SignIn(t, w.thief)
	if got := w.asks(t, desk, 1, w.charts[0].release()); got != "" {
		t.Fatalf("at the desk: got %q, want released", got)
	}
	at := time.Now()
	message, err := relation.Sign(w.org.Writer, w.org.ID, at, []relation.Entry{
		{Patient: w.charts[1].patient.ID, Whom: w.thief.ID, Kind: relation.Appointment, From: at.Unix() - 60, Until: at.Unix() + 3600}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Keepers[1].Call(t.Context(), keeper.RouteRelations, message); err != nil {
		t.Fatal(err)
	}
	w.thief.Device = custodytest.NewDevice(t, w.Set, w.org)
	w.Publish(t, w.thief.Device.Inception)
	next := w.SignIn(t, w.thief)
	if got := w.asks(t, next, 1, w.charts[1].release()); got != "" {
		t.Fatalf("at the next desk, a patient with an appointment: got %q, want released", got)
	}
	renewal := w.charts[0].release()
	renewal.Mode = session.Permit
	if got := w.asks(t, desk, 1, renewal); got != "" {
		t.Fatalf("renewal: got %q, want permitted", got)
	}
	w.Restart(t, 1, func() {})
	w.Keepers[1].AwaitMode(t)
	if got := w.asks(t, next, 1, w.charts[2].release()); got != "" {
		t.Errorf("at the next desk, after a restart: got %q, want released", got)
	}
}

// TestSuspendedAgreeToNothing: two stolen people, both suspended, do not open
// the door for each other by way of an emergency.
func TestSuspendedAgreeToNothing(t *testing.T) {
	w := newShift(t)
	rec := w.record(t, custodytest.EmergencySet)
	c := &clinic{world: w.world}
	ben, eve := w.signIn(t, w.ben), w.signIn(t, w.eve)
	if _, err := w.Keepers[1].Call(t.Context(), keeper.RouteSession, eve.Signed); err != nil {
		t.Fatal(err)
	}
	w.mustAsk(t, ben, 1, w.opens(t, ben, w.setID, nil), keeper.Permitted, "")
	told := w.entries(t, 1, ledger.OpEmergency)
	opening := told[len(told)-1].Request
	suspend := func(who abaton.ActorID) {
		for _, x := range []abaton.KeeperIndex{4, 5} {
			said, err := contain.Sign(w.Keepers[x].Identity.Key, contain.Verdict{Keeper: x, Organisation: w.org.ID, Subject: contain.Person(who),
				Level: detect.SuspendPerson, Rules: detect.Of(detect.D1), Time: w.clock().Unix(), Until: w.clock().Unix() + 3600})
			if err != nil {
				t.Fatal(err)
			}
			c.mustTell(t, 1, said)
		}
	}
	w.mustAsk(t, eve, 1, w.confirms(t, w.eve, eve, opening, session.Right), keeper.Permitted, "")
	suspend(w.ben.ID)
	w.mustAsk(t, ben, 1, w.reads(rec, w.setID), keeper.Permitted, "")
	suspend(w.eve.ID)
	for _, verdict := range []session.Verdict{session.Right, session.Wrong} {
		w.mustAsk(t, eve, 1, w.confirms(t, w.eve, eve, opening, verdict), keeper.Refused, abaton.ReasonSecond)
	}
	w.mustAsk(t, ben, 1, w.reads(rec, w.setID), keeper.Refused, abaton.ReasonSuspended)
	again := w.opens(t, ben, w.setID, nil)
	again.Approval = custodytest.Agree(t, w.eve, eve, w.ana.ID, w.setID, w.ben.ID, w.clock(), nil)
	w.mustAsk(t, ben, 1, again, keeper.Refused, abaton.ReasonSecond)
}
