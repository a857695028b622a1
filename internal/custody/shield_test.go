package custody_test

import (
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// shields raises a line of ana's to the level of what is between two people.
func (w *world) shields(t *testing.T, c abaton.Category) {
	t.Helper()
	w.Publish(t, w.ana.Event(&actor.Epoch{Line: w.ana.Root.Line(c), Level: grant.Shielded, Epoch: 2,
		Segment: w.ana.Root.Segment(c, 2).Public().Bytes()}))
}

// touched is the request with a fresh touch over its line.
func (w *world) touched(t *testing.T, by *custodytest.Person, s *custodytest.Session, q session.Request) session.Request {
	t.Helper()
	u := session.StepUp{V: wire.Version, Session: s.ID, Patient: q.Patient, Lines: []abaton.Line{w.ana.Root.Line(custodytest.General)},
		Purpose: q.Purpose, Time: time.Now().Unix(), Nonce: [16]byte{1}}
	a, err := by.Passkey.Assert(u.Challenge())
	if err != nil {
		t.Fatal(err)
	}
	q.StepUp = (&session.SignedStepUp{StepUp: u, Assertion: *a}).Marshal()
	return q
}

// refusesToGive tries to give a grant; no keeper votes for it, and the log stands
// where it stood.
func (w *world) refusesToGive(t *testing.T, what string, g *grant.Grant) {
	t.Helper()
	event := w.ana.Unsigned(&actor.Granted{Grant: g.Marshal()})
	if got := reasonOf(w.TryPublish(t, actor.Signed(event, actor.ByKey(w.ana.Manage, event)))); got != abaton.ReasonGrant {
		t.Errorf("%s: got %q, want %q", what, got, abaton.ReasonGrant)
	}
}

// TestOnlyYouAndMe (H19, R68): the notes of a psychotherapy open for their
// patient and for the one person to whom the patient gave them alone. No team,
// program or organisation can be given them at all, and no colleague, stand-in or
// administrator gets in beside.
func TestOnlyYouAndMe(t *testing.T) {
	w := newWard(t, grant.Shielded)
	w.Publish(t, w.ana.Event(w.ana.Line(custodytest.Sensitive, 2)))
	team := w.org.Team(1, w.doctor.ID, w.ben.ID)
	w.Publish(t, w.org.Event(team))
	app := custodytest.NewAgent(t, w.Set, w.org, abaton.RoleAgent, w.doctor.ID)
	w.Publish(t, app.Inception)

	with := func(change func(*grant.Grant)) *grant.Grant {
		g := w.ana.Grant(w.ben.ID, grant.Read, 10)
		change(g)
		g.Sort()
		return g
	}
	w.refusesToGive(t, "to a team", with(func(g *grant.Grant) { g.Grantee = team.Team }))
	w.refusesToGive(t, "to a program", with(func(g *grant.Grant) { g.Grantee = app.ID }))
	w.refusesToGive(t, "to an organisation", with(func(g *grant.Grant) { g.Grantee = w.org.ID }))
	w.refusesToGive(t, "to nobody who is known", with(func(g *grant.Grant) { g.Grantee = abaton.ActorID{9} }))
	w.refusesToGive(t, "among other lines", with(func(g *grant.Grant) { g.Lines = append(g.Lines, w.ana.Root.Line(custodytest.Sensitive)) }))
	w.refusesToGive(t, "to bill", with(func(g *grant.Grant) { g.Purposes = []abaton.Purpose{abaton.Payment} }))
	w.refusesToGive(t, "to deposit and read, for research", with(func(g *grant.Grant) {
		g.Actions, g.Purposes = grant.Read|grant.Deposit, []abaton.Purpose{abaton.Research}
	}))

	// The doctor has such a grant from the beginning (newWorld).
	q := w.release(w.sealed, 1)
	s := w.SignIn(t, w.doctor)
	w.everywhere(t, s, w.grant, keeper.Refused, abaton.ReasonStepUp)
	for x := range w.Keepers {
		w.mustAsk(t, s, x, w.touched(t, w.doctor, s, q), keeper.Permitted, "")
	}
	own := w.release(w.sealed, 1)
	own.Grant, own.Purpose = abaton.GrantID{}, abaton.PatientAccess
	w.mustAsk(t, w.SignIn(t, w.ana), 1, own, keeper.Permitted, "")

	colleague := w.SignIn(t, w.ben)
	w.mustAsk(t, colleague, 1, w.touched(t, w.ben, colleague, q), keeper.Refused, abaton.ReasonNotFound)
	boss := custodytest.NewClinician(t, w.Set, w.org)
	boss.Role = abaton.RoleAdministrator
	w.Publish(t, boss.Inception)
	chair := w.SignIn(t, boss)
	w.mustAsk(t, chair, 1, w.touched(t, boss, chair, q), keeper.Refused, abaton.ReasonStanding)
}

// TestShieldedLater: what was given before a line was shielded opens it no more,
// but where it was one person's alone; the level never falls again.
func TestShieldedLater(t *testing.T) {
	w := newWard(t, 1)
	team := w.org.Team(1, w.doctor.ID, w.ben.ID)
	w.Publish(t, w.org.Event(team))
	ours := w.gives(t, team.Team, time.Hour)
	s := w.SignIn(t, w.doctor)
	w.everywhere(t, s, ours, keeper.Permitted, "")
	program := custodytest.NewAgent(t, w.Set, w.org, abaton.RoleAgent, w.doctor.ID)
	w.Publish(t, program.Inception)
	task := w.gives(t, program.ID, 23*time.Hour)
	agent := w.SignIn(t, program)
	w.everywhere(t, agent, task, keeper.Permitted, "")
	w.shields(t, custodytest.General)
	q := w.touched(t, w.doctor, s, w.release(w.sealed, 1))
	q.Grant = ours.ID()
	for x := range w.Keepers {
		w.mustAsk(t, s, x, q, keeper.Refused, abaton.ReasonNotFound)
	}
	q = w.touched(t, program, agent, w.release(w.sealed, 1))
	q.Grant = task.ID()
	for x := range w.Keepers {
		w.mustAsk(t, agent, x, q, keeper.Refused, abaton.ReasonNotFound)
	}
	w.mustAsk(t, s, 1, w.touched(t, w.doctor, s, w.release(w.sealed, 1)), keeper.Permitted, "")
	lower := w.ana.Unsigned(&actor.Epoch{Line: w.ana.Root.Line(custodytest.General), Level: 2, Epoch: 3,
		Segment: w.ana.Root.Segment(custodytest.General, 3).Public().Bytes()})
	if got := reasonOf(w.TryPublish(t, actor.Signed(lower, actor.ByKey(w.ana.Manage, lower)))); got != abaton.ReasonEpoch {
		t.Errorf("a lower level: got %q, want %q", got, abaton.ReasonEpoch)
	}
}

// TestShieldedInAnEmergency: no emergency set may hold a shielded line, and one
// that was made before opens nothing of it; nor does a care team's custody.
func TestShieldedInAnEmergency(t *testing.T) {
	p := newPractice(t)
	p.pass(custodytest.Wait)
	rec := p.record(t, custodytest.EmergencySet)
	ben, eve := p.signIn(t, p.ben), p.signIn(t, p.eve)
	p.mustAsk(t, ben, 1, p.opens(t, ben, p.setID, nil), keeper.Permitted, "")
	p.mustAsk(t, ben, 1, p.reads(rec, p.setID), keeper.Permitted, "")
	p.mustAsk(t, eve, 1, p.unseal(), keeper.Permitted, "")
	p.mustAsk(t, eve, 1, p.readsKept(rec), keeper.Permitted, "")
	p.shields(t, custodytest.EmergencySet)
	p.mustAsk(t, ben, 1, p.reads(rec, p.setID), keeper.Refused, abaton.ReasonNotFound)
	p.mustAsk(t, eve, 1, p.readsKept(rec), keeper.Refused, abaton.ReasonNotFound)
	again := *p.set
	event := p.ana.Unsigned(&again)
	if got := reasonOf(p.TryPublish(t, actor.Signed(event, actor.ByKey(p.ana.Manage, event)))); got != abaton.ReasonGrant {
		t.Errorf("an emergency set of a shielded line: got %q, want %q", got, abaton.ReasonGrant)
	}
}

// TestNothingMovesToAnotherLine (R05): a record stays in the line it was written
// to. Its HEAD names the line and has the writer's signature; a lock, first or
// anew, goes to that line's own segments and no other's, whoever signs it. What
// is to become less sensitive is written anew by its author, where the patient
// lets it be written, and the patient erases the old one: two signatures.
func TestNothingMovesToAnotherLine(t *testing.T) {
	w := newWard(t, grant.Shielded)
	w.Publish(t, w.ana.Event(w.ana.Line(custodytest.Sensitive, 1)))
	notes, plain := w.ana.Root.Line(custodytest.General), w.ana.Root.Line(custodytest.Sensitive)

	// The writer's own signature on a HEAD that names another line is another
	// record, and the patient has not let it be written there.
	tame := func(line abaton.Line, segment abaton.Category) *seal.Sealed {
		t.Helper()
		s, err := seal.Seal(seal.Batch{
			Patient: w.ana.ID, Line: line, Segment: w.ana.Root.Segment(segment, 1).Public(), Set: w.Set.ID(),
			Shape: spread.FiveKeepers(), Writer: w.org.Writer, Seq: 7, Hour: uint32(time.Now().Unix() / 3600),
			Author:  seal.Author{Actor: w.org.ID, Key: w.org.Writer},
			Records: []seal.Record{{Envelope: seal.Envelope{Patient: w.ana.ID, Line: line, Kind: seal.KindResource, Type: "Basic", ID: "a", VersionID: "2", LastUpdated: 2}, Content: []byte(`{"resourceType":"Basic"}`)}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for what, c := range map[string]struct {
		sealed *seal.Sealed
		want   abaton.Reason
	}{
		"the line of the notes under the plain line's segment": {tame(notes, custodytest.Sensitive), abaton.ReasonEpoch},
		"the plain line under the segment of the notes":        {tame(plain, custodytest.General), abaton.ReasonEpoch},
		"the plain line, where nobody may write":               {tame(plain, custodytest.Sensitive), abaton.ReasonGrant},
	} {
		for x, r := range w.deposits(t, c.sealed) {
			if r.Reason != c.want {
				t.Errorf("%s, keeper %d: got %q, want %q", what, x, r.Reason, c.want)
			}
		}
	}

	// The patient's own lock anew, in form and signed, to a segment of the plain line.
	made := w.newLock(t, w.sealed, 1, func(r *seal.Relocking) {
		r.Segment = w.ana.Root.Segment(custodytest.Sensitive, 1).Public()
	})
	for x := range w.Keepers {
		if got := w.prepares(t, x, made, nil); got.Reason != abaton.ReasonEpoch {
			t.Errorf("keeper %d: a lock to another line's segment: got %q, want %q", x, got.Reason, abaton.ReasonEpoch)
		}
	}

	// How it is done: the patient lets the author write there, the author writes,
	// the patient erases.
	g := w.ana.Grant(w.org.ID, grant.Deposit, 10)
	g.Lines = []abaton.Line{plain}
	w.Publish(t, w.ana.Event(&actor.Granted{Grant: g.Marshal()}))
	w.mustDeposit(t, tame(plain, custodytest.Sensitive))
	w.Publish(t, w.ana.Event(&actor.Erase{Rows: []actor.Row{{Batch: w.sealed.Name, Bits: 3}}}))
	own := w.release(w.sealed, 1)
	own.Grant, own.Purpose = abaton.GrantID{}, abaton.PatientAccess
	r := w.mustAsk(t, w.SignIn(t, w.ana), 1, own, keeper.Permitted, "")
	if p, err := spread.ParsePiece(r.Pieces[0]); err != nil || p.Rows[0].State != spread.RowErased {
		t.Errorf("the old record: got %v, want it erased", err)
	}
}
