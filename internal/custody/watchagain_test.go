package custody_test

import (
	"context"
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
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// TestRestartForgetsNoPartialAnswer: a thief who asks for one record more than
// there is gets the others, and these count after a restart as before it.
func TestRestartForgetsNoPartialAnswer(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
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
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
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
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
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

// TestOneLyingKeeperStopsNoHouse: one other keeper's word about a whole
// organisation, or about a device that a ward shares, asks nothing of anybody.
func TestOneLyingKeeperStopsNoHouse(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newClinic(t, 1)
	sealed := w.seals(t, 1, 1)
	w.mustDeposit(t, sealed)
	s := w.SignIn(t, w.doctor)
	q := w.release(sealed, 1)
	for x, about := range map[abaton.KeeperIndex]contain.Subject{1: contain.Organisation(w.org.ID), 2: contain.Device(w.doctor.Device.ID)} {
		for _, level := range []detect.Level{detect.StepUp, detect.Throttle, detect.Quarantine} {
			w.mustTell(t, x, w.says(t, 4, about, level))
			if got := w.asks(t, s, x, q); got != "" {
				t.Errorf("%v of the %v: got %q, want released", level, about.Kind, got)
			}
		}
		w.mustTell(t, x, w.says(t, 5, about, detect.Quarantine))
		if got := w.asks(t, s, x, q); got != abaton.ReasonSuspended {
			t.Errorf("two keepers of the %v: got %q, want %q", about.Kind, got, abaton.ReasonSuspended)
		}
	}
}

// TestOneLyingKeeperStopsNoProgram: a program cannot step up, so that one
// keeper's word does not ask it to; two keepers' do.
func TestOneLyingKeeperStopsNoProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newClinic(t, 1)
	program := custodytest.NewAgent(t, w.Set, w.org, abaton.RoleAgent, w.eve.ID)
	w.Publish(t, program.Inception)
	g := w.charts[0].patient.Grant(program.ID, grant.Read, 100)
	g.Expires = g.NotBefore + 3600
	w.Publish(t, w.charts[0].patient.Event(&actor.Granted{Grant: g.Marshal()}))
	q := w.charts[0].release()
	q.Grant = g.ID()
	s := w.SignIn(t, program)
	w.mustTell(t, 1, w.says(t, 4, contain.Person(program.ID), detect.SuspendPerson))
	if got := w.asks(t, s, 1, q); got != "" {
		t.Errorf("one keeper's word: got %q, want released", got)
	}
	w.mustTell(t, 1, w.says(t, 5, contain.Person(program.ID), detect.StepUp))
	if got := w.asks(t, s, 1, q); got != abaton.ReasonStepUp {
		t.Errorf("two keepers' words: got %q, want %q", got, abaton.ReasonStepUp)
	}
}

// TestProofIsAboutWhoAsked: a lying keeper that holds a thief's own signed
// request for a made-up patient stops the thief with it, and not the ward whose
// computer the thief sat at.
func TestProofIsAboutWhoAsked(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newClinic(t, 2)
	honey, real := &w.charts[0], &w.charts[1]
	w.isHoney(t, honey)
	s := w.SignIn(t, w.thief)
	q := honey.release()
	q.V, q.Session, q.Time, q.Nonce = wire.Version, s.ID, time.Now().Unix(), [16]byte{1}
	evidence := (&contain.Evidence{Statement: s.Signed, Request: q.Sign(s.Key)}).Marshal()
	lie := func(about contain.Subject, level detect.Level) *contain.Said {
		said, err := contain.Sign(w.Keepers[4].Identity.Key, contain.Verdict{Keeper: 4, Organisation: w.org.ID, Subject: about, Level: level,
			Rules: detect.Of(detect.D9), Time: q.Time, Until: q.Time + 3600, Evidence: evidence})
		if err != nil {
			t.Fatal(err)
		}
		return said
	}
	w.mustTell(t, 1, lie(contain.Device(w.thief.Device.ID), detect.Quarantine), lie(contain.Person(w.eve.ID), detect.SuspendPerson))
	w.eve.Device = w.thief.Device
	eve := w.SignIn(t, w.eve)
	theirs := *w.world
	theirs.ana = real.patient
	if got := w.asks(t, eve, 1, theirs.touched(t, w.eve, eve, real.release())); got != "" {
		t.Errorf("a colleague at that computer: got %q, want released", got)
	}
	w.mustTell(t, 1, lie(contain.Person(w.thief.ID), detect.SuspendPerson))
	if got := w.asks(t, w.SignIn(t, w.thief), 1, real.release()); got != abaton.ReasonSuspended {
		t.Errorf("who asked: got %q, want %q", got, abaton.ReasonSuspended)
	}
}

// choosy is a peer that does not take what is said of sessions yet.
type choosy struct {
	calls int
	heard func(contain.Subject)
}

func (p *choosy) Call(_ context.Context, _ string, body []byte) ([]byte, error) {
	var m keeper.Verdicts
	if err := wire.Unmarshal(body, &m); err != nil {
		return nil, err
	}
	p.calls++
	r := keeper.Results{V: wire.Version}
	for _, b := range m.Verdicts {
		s, err := contain.Parse(b)
		if err != nil {
			return nil, err
		}
		if s.Subject.Kind == contain.KindSession {
			r.Results = append(r.Results, keeper.Result{Reason: abaton.ReasonActor})
			continue
		}
		r.Results = append(r.Results, keeper.Result{OK: []byte{}})
		p.heard(s.Subject)
	}
	return wire.Marshal(r), nil
}

// TestRefusedVerdictsHoldNoneUp: a house that a peer does not admit fills more
// than one message with verdicts which that peer will not take; what is said of
// others is told before these are tried again.
func TestRefusedVerdictsHoldNoneUp(t *testing.T) {
	w := newClinic(t, 0)
	var said []*contain.Said
	for i := range keeper.VerdictsMax + 1 {
		older := w.says(t, 1, contain.Session(abaton.SessionID{byte(i), 1}), detect.SuspendSession)
		older.Time -= 60
		said = append(said, older)
	}
	said = append(said, w.says(t, 1, contain.Person(w.thief.ID), detect.SuspendPerson))
	ctx, done := context.WithCancel(t.Context())
	p := &choosy{}
	p.heard = func(contain.Subject) { done() }
	w.Keepers[1].TellVerdicts(ctx, p, said...)
	if p.calls != 2 {
		t.Errorf("messages until all were told: got %d, want 2", p.calls)
	}
}

// TestRestartKeepsLateReasons: a reason that was told after the patients were
// opened counts after a restart as before it.
func TestRestartKeepsLateReasons(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newClinic(t, 6)
	s := w.SignIn(t, w.thief)
	at := time.Now()
	var late []relation.Entry
	for i := range 5 {
		if got := w.asks(t, s, 1, w.charts[i].release()); got != "" {
			t.Fatalf("patient %d: got %q, want released", i, got)
		}
		late = append(late, relation.Entry{Patient: w.charts[i].patient.ID, Whom: w.thief.ID, Kind: relation.Appointment, From: at.Unix() - 60, Until: at.Unix() + 3600})
	}
	message, err := relation.Sign(w.org.Writer, w.org.ID, at, late)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Keepers[1].Call(t.Context(), keeper.RouteRelations, message); err != nil {
		t.Fatal(err)
	}
	w.Restart(t, 1, func() {})
	w.Keepers[1].AwaitMode(t)
	if got := w.asks(t, s, 1, w.charts[5].release()); got != "" {
		t.Errorf("the first without a reason, after a restart: got %q, want released", got)
	}
}
