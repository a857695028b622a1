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
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// ward is a world with a record in it and a second clinician.
type ward struct {
	*world
	ben    *custodytest.Person
	sealed *seal.Sealed
}

func newWard(t *testing.T, level uint8) *ward {
	t.Helper()
	w := &ward{world: newWorld(t, level)}
	w.ben = custodytest.NewClinician(t, w.Set, w.org)
	w.Publish(t, w.ben.Inception)
	w.sealed = w.seals(t, 1, 2)
	w.mustDeposit(t, w.sealed)
	return w
}

// gives lets somebody, or a team, read for an hour.
func (w *ward) gives(t *testing.T, to abaton.ActorID, life time.Duration) *grant.Grant {
	t.Helper()
	g := w.ana.Grant(to, grant.Read, 1000)
	g.Expires = g.NotBefore + int64(life/time.Second)
	w.Publish(t, w.ana.Event(&actor.Granted{Grant: g.Marshal()}))
	return g
}

// everywhere asks each of the five keepers, in the open session, for what the
// grant covers.
func (w *ward) everywhere(t *testing.T, s *custodytest.Session, g *grant.Grant, want keeper.Outcome, why abaton.Reason) {
	t.Helper()
	q := w.release(w.sealed, 1)
	q.Grant, q.Patient = g.ID(), g.Patient
	for x := range w.Keepers {
		w.mustAsk(t, s, x, q, want, why)
	}
}

// nowhere is everywhere for what is refused before it is ledgered.
func (w *ward) nowhere(t *testing.T, s *custodytest.Session, g *grant.Grant, why abaton.Reason) {
	t.Helper()
	q := w.release(w.sealed, 1)
	q.Grant = g.ID()
	for x := range w.Keepers {
		size := w.Keepers[x].LedgerSize()
		if _, err := w.Ask(t.Context(), s, x, q); reasonOf(err) != why {
			t.Errorf("keeper %d: got %v, want %q", x, err, why)
		}
		if got := w.Keepers[x].LedgerSize(); got != size {
			t.Errorf("keeper %d: a request nobody may make is in the ledger", x)
		}
	}
}

// last is the newest opening of ana's record in a keeper's ledger.
func (w *ward) last(t *testing.T, x abaton.KeeperIndex) ledger.Entry {
	t.Helper()
	r := w.mustAsk(t, w.SignIn(t, w.ana), x, session.Request{Patient: w.ana.ID, Mode: session.History, Purpose: abaton.PatientAccess}, keeper.Permitted, "")
	for i := len(r.Disclosures) - 1; i >= 0; i-- {
		e, err := ledger.ParseEntry(r.Disclosures[i].Entry)
		if err != nil {
			t.Fatal(err)
		}
		if e.Op == ledger.OpRelease {
			return e
		}
	}
	t.Fatal("no opening in the ledger")
	return ledger.Entry{}
}

// TestTeamWithLiveMembership (H5): a grant to a team is whoever's is in it
// now; each opening names the person, the device and the role.
func TestTeamWithLiveMembership(t *testing.T) {
	w := newWard(t, 1)
	team := w.org.Team(1, w.doctor.ID, w.ben.ID)
	w.Publish(t, w.org.Event(team))
	g := w.gives(t, team.Team, time.Hour)
	anna, ben := w.SignIn(t, w.doctor), w.SignIn(t, w.ben)
	w.everywhere(t, anna, g, keeper.Permitted, "")
	w.everywhere(t, ben, g, keeper.Permitted, "")
	if e := w.last(t, 2); e.Actor != w.ben.ID || e.Device != w.ben.Device.ID || e.Role != abaton.RolePhysician || e.Grant != g.ID() || e.Behalf != (abaton.ActorID{}) {
		t.Errorf("entry: got %+v, want ben, his device and role", e)
	}
	carl := custodytest.NewClinician(t, w.Set, w.org)
	w.Publish(t, carl.Inception)
	w.everywhere(t, w.SignIn(t, carl), g, keeper.Refused, abaton.ReasonNotFound)
	// Ben drops out of the team: its key moves on, and he is refused in the
	// session he has.
	next := w.org.Team(1, w.doctor.ID)
	next.Epoch, next.Public = 2, w.org.Team(2).Public
	w.Publish(t, w.org.Event(next))
	w.everywhere(t, ben, g, keeper.Refused, abaton.ReasonNotFound)
	w.everywhere(t, anna, g, keeper.Permitted, "")
	// Anna loses the role that the team asks for.
	nurses := *next
	nurses.Role = abaton.RoleNurse
	w.Publish(t, w.org.Event(&nurses))
	w.everywhere(t, anna, g, keeper.Refused, abaton.ReasonNotFound)
}

// TestBarBeatsTeam (H35): whom the patient bars is refused, whatever team this
// one is in, and so is whoever stands in for that one.
func TestBarBeatsTeam(t *testing.T) {
	w := newWard(t, 1)
	team := w.org.Team(1, w.doctor.ID, w.ben.ID)
	team.Delegable = true
	w.Publish(t, w.org.Event(team))
	g := w.gives(t, team.Team, time.Hour)
	anna, ben := w.SignIn(t, w.doctor), w.SignIn(t, w.ben)
	w.everywhere(t, anna, g, keeper.Permitted, "")
	w.Publish(t, w.ana.Event(&actor.Bar{Actor: w.doctor.ID}))
	w.everywhere(t, anna, g, keeper.Refused, abaton.ReasonBarred)
	w.everywhere(t, ben, g, keeper.Permitted, "")
	w.Publish(t, w.doctor.Event(w.duty(w.ben, team)))
	w.ben.Behalf = w.doctor.ID
	w.everywhere(t, w.SignIn(t, w.ben), g, keeper.Refused, abaton.ReasonBarred)
}

func (w *ward) duty(to *custodytest.Person, team *actor.Team) *actor.Duty {
	now := time.Now().Unix()
	return &actor.Duty{To: to.ID, Team: team.Team, From: now - 60, Until: now + 3600, Sealed: make([]byte, key.BoxOverhead+len(key.Secret{}))}
}

// TestOnCallSwap (H6): two acts hand a place on, the entry names both, nobody
// hands it further, and the shift ends.
func TestOnCallSwap(t *testing.T) {
	w := newWard(t, 1)
	team := w.org.Team(1, w.doctor.ID)
	team.Delegable = true
	w.Publish(t, w.org.Event(team))
	g := w.gives(t, team.Team, time.Hour)
	own := w.SignIn(t, w.ben)
	w.Enrol(t, w.doctor)
	w.everywhere(t, own, g, keeper.Refused, abaton.ReasonNotFound)
	w.Publish(t, w.doctor.Event(w.duty(w.ben, team)))
	w.everywhere(t, own, g, keeper.Refused, abaton.ReasonNotFound) // one act is not enough
	w.ben.Behalf = w.doctor.ID
	s := w.SignIn(t, w.ben)
	w.everywhere(t, s, g, keeper.Permitted, "")
	if e := w.last(t, 3); e.Actor != w.ben.ID || e.Behalf != w.doctor.ID {
		t.Errorf("entry: got actor %s for %s, want ben in the doctor's place", e.Actor, e.Behalf)
	}
	direct := w.gives(t, w.ben.ID, time.Hour)
	w.everywhere(t, s, direct, keeper.Refused, abaton.ReasonNotFound) // own grants take an own session
	// Ben cannot hand on what was handed to him.
	carl := custodytest.NewClinician(t, w.Set, w.org)
	w.Publish(t, carl.Inception, w.ben.Event(w.duty(carl, team)))
	carl.Behalf = w.ben.ID
	w.everywhere(t, w.SignIn(t, carl), g, keeper.Refused, abaton.ReasonNotFound)
	// The end of the shift, as each keeper's clock sees it.
	over := w.duty(w.ben, team)
	over.Until = over.From + 30
	w.Publish(t, w.doctor.Event(over))
	w.everywhere(t, s, g, keeper.Refused, abaton.ReasonNotFound)
	w.Publish(t, w.doctor.Event(w.duty(w.ben, team)))
	w.everywhere(t, s, g, keeper.Permitted, "")
	fixed := *team
	fixed.Delegable = false
	w.Publish(t, w.org.Event(&fixed))
	w.everywhere(t, s, g, keeper.Refused, abaton.ReasonNotFound)
}

// TestStaffLeaves (H34): one event, and the open session is refused by all
// five, in their ledgers; a suspension ends by itself.
func TestStaffLeaves(t *testing.T) {
	w := newWard(t, 1)
	s := w.SignIn(t, w.doctor)
	w.everywhere(t, s, w.grant, keeper.Permitted, "")
	w.Publish(t, w.org.Event(&actor.Bar{Actor: w.doctor.ID, Until: time.Now().Unix() - 1}))
	w.everywhere(t, s, w.grant, keeper.Permitted, "")
	w.Publish(t, w.org.Event(&actor.Bar{Actor: w.doctor.ID, Until: time.Now().Unix() + 3600}))
	w.everywhere(t, s, w.grant, keeper.Refused, abaton.ReasonStanding)
	w.Publish(t, w.org.Event(&actor.Bar{Actor: w.doctor.ID}))
	w.Publish(t, w.org.Event(w.org.Member(w.doctor.ID, abaton.RolePhysician)))
	w.everywhere(t, s, w.grant, keeper.Refused, abaton.ReasonStanding)
}

// TestRoleIsTakenAway: the newest word of the organisation counts at the next
// request; who runs the place reads nothing.
func TestRoleIsTakenAway(t *testing.T) {
	w := newWard(t, 1)
	s := w.SignIn(t, w.doctor)
	w.everywhere(t, s, w.grant, keeper.Permitted, "")
	w.Publish(t, w.org.Event(w.org.Member(w.doctor.ID, abaton.RoleAdministrator)))
	w.everywhere(t, s, w.grant, keeper.Refused, abaton.ReasonStanding)
	for _, role := range []string{abaton.RoleAdministrator, abaton.RoleSecurityOfficer} {
		w.Publish(t, w.org.Event(w.org.Member(w.doctor.ID, role)))
		w.doctor.Role = role
		w.everywhere(t, w.SignIn(t, w.doctor), w.grant, keeper.Refused, abaton.ReasonStanding)
	}
}

// TestLostDevice (H33): the alarm key alone ends a device at all five; the
// same person at another device goes on.
func TestLostDevice(t *testing.T) {
	w := newWard(t, 1)
	s := w.SignIn(t, w.doctor)
	w.everywhere(t, s, w.grant, keeper.Permitted, "")
	lost := w.doctor.Device
	w.Publish(t, w.org.EventBy(w.org.Alarm, &actor.Bar{Actor: lost.ID}))
	w.nowhere(t, s, w.grant, abaton.ReasonDevice)
	for x := range w.Keepers {
		if _, err := w.Ask(t.Context(), w.SignIn(t, w.doctor), x, w.release(w.sealed, 1)); reasonOf(err) != abaton.ReasonDevice {
			t.Errorf("keeper %d, a new session at the lost device: got %v, want %q", x, err, abaton.ReasonDevice)
		}
	}
	w.doctor.Device = custodytest.NewDevice(t, w.Set, w.org)
	w.Publish(t, w.doctor.Device.Inception)
	fresh := w.SignIn(t, w.doctor)
	w.everywhere(t, fresh, w.grant, keeper.Permitted, "")
	// Whoever holds the device can end it too.
	w.Publish(t, w.doctor.Device.EventBy(w.doctor.Device.Writer, new(actor.Stop)))
	w.nowhere(t, fresh, w.grant, abaton.ReasonDevice)
}

// TestDeviceOfTheHouse (R24, R25): the right person at a device that is not
// enrolled, or is another house's, or of which nothing good is known.
func TestDeviceOfTheHouse(t *testing.T) {
	w := newWard(t, 3)
	w.Enrol(t, w.doctor)
	own := w.doctor.Device
	w.doctor.Device = custodytest.NewDevice(t, w.Set, w.org) // nobody knows it
	w.nowhere(t, w.SignIn(t, w.doctor), w.grant, abaton.ReasonDevice)
	w.doctor.Device = own
	w.nowhere(t, w.SignInAt(t, w.doctor, time.Now().Add(-3*time.Hour)), w.grant, abaton.ReasonSession)
	w.doctor.Level = actor.Known // a person's own: nothing of level 3
	s := w.SignIn(t, w.doctor)
	w.everywhere(t, s, w.grant, keeper.Refused, abaton.ReasonDevice)
}

// TestAgents (H26): a program asks while a person answers for it, for as long
// as a task takes.
func TestAgents(t *testing.T) {
	w := newWard(t, 1)
	w.Enrol(t, w.ben)
	agent := custodytest.NewAgent(t, w.Set, w.org, abaton.RoleAgent, w.ben.ID)
	intake := custodytest.NewAgent(t, w.Set, w.org, abaton.RoleIntake, w.ben.ID)
	app := custodytest.NewAgent(t, w.Set, w.org, abaton.RoleApp, w.ana.ID)
	w.Publish(t, agent.Inception, intake.Inception, app.Inception)
	task, long := w.gives(t, agent.ID, 24*time.Hour), w.gives(t, agent.ID, 24*time.Hour+time.Second)
	s := w.SignIn(t, agent)
	w.everywhere(t, s, task, keeper.Permitted, "")
	w.everywhere(t, s, long, keeper.Refused, abaton.ReasonNotFound)
	forIntake := w.gives(t, intake.ID, 300*24*time.Hour)
	in := w.SignIn(t, intake)
	w.everywhere(t, in, forIntake, keeper.Permitted, "")
	// A patient's app asks about that patient alone.
	forApp := w.gives(t, app.ID, 90*24*time.Hour)
	a := w.SignIn(t, app)
	w.everywhere(t, a, forApp, keeper.Permitted, "")
	eve := custodytest.NewPatient(t, w.Set, w.org, 1)
	g := eve.Grant(app.ID, grant.Read, 10)
	w.Publish(t, eve.Inception)
	g.Patient = eve.ID
	w.Publish(t, eve.Event(&actor.Granted{Grant: g.Marshal()}))
	w.everywhere(t, a, g, keeper.Refused, abaton.ReasonStanding)
	// Who answers for the programs leaves.
	w.Publish(t, w.org.Event(&actor.Bar{Actor: w.ben.ID}))
	w.everywhere(t, s, task, keeper.Refused, abaton.ReasonStanding)
	w.everywhere(t, in, forIntake, keeper.Refused, abaton.ReasonStanding)
	w.everywhere(t, a, forApp, keeper.Permitted, "")
}

// TestLocum (H8): an agency lends a clinician, the hospital takes this one on
// at a device of its own; either can end it.
func TestLocum(t *testing.T) {
	set, ids := custodytest.NewSet(t, 5)
	agency := custodytest.NewOrganisation(t, set)
	w := &ward{world: &world{org: custodytest.NewOrganisation(t, set)}}
	w.doctor, w.ana = custodytest.NewClinician(t, set, agency), custodytest.NewPatient(t, set, w.org, 1)
	w.doctor.Role = abaton.RoleLocum
	w.Network = custodytest.Start(t, set, ids, w.org.ID, agency.ID)
	w.Publish(t, agency.Inception, w.org.Inception, w.doctor.Inception, w.ana.Inception)
	w.sealed = w.seals(t, 1, 1)
	w.mustDeposit(t, w.sealed)
	g := w.gives(t, w.doctor.ID, time.Hour)
	w.doctor.Lend(t, set, w.org)
	s := w.SignIn(t, w.doctor)
	for x := range w.Keepers { // the agency does not say so yet
		if _, err := w.Ask(t.Context(), s, x, w.release(w.sealed, 1)); reasonOf(err) != abaton.ReasonStanding {
			t.Fatalf("keeper %d, without the agency: got %v, want %q", x, err, abaton.ReasonStanding)
		}
	}
	w.Publish(t, agency.Event(agency.Member(w.doctor.ID, abaton.RoleLocum)))
	w.everywhere(t, s, g, keeper.Permitted, "")
	if e := w.last(t, 1); e.Organisation != w.org.ID || e.Role != abaton.RoleLocum {
		t.Errorf("entry: got %s as %q, want the hospital's locum", e.Organisation, e.Role)
	}
	w.Publish(t, agency.Event(&actor.Bar{Actor: w.doctor.ID, Until: time.Now().Unix() + 3600}))
	w.everywhere(t, s, g, keeper.Refused, abaton.ReasonStanding)
}

// TestWhoMayAskForATeam: which patients named a team is for those in it.
func TestWhoMayAskForATeam(t *testing.T) {
	w := newWard(t, 1)
	team := w.org.Team(1, w.doctor.ID)
	team.Delegable = true
	w.Enrol(t, w.doctor)
	w.Enrol(t, w.ben)
	w.Publish(t, w.org.Event(team))
	w.gives(t, team.Team, time.Hour)
	granted := func(k *key.Signing) ([]abaton.ActorID, error) {
		q := keeper.Query{V: wire.Version, Kind: keeper.QueryGranted, Actors: []abaton.ActorID{team.Team}, Time: uint64(time.Now().Unix()), Key: k.ID()}
		answer, err := w.Keepers[1].Call(t.Context(), keeper.RouteQuery, wire.Marshal(k.Seal(wire.Query, wire.Marshal(q))))
		if err != nil {
			return nil, err
		}
		var signed keeper.Signed
		var s keeper.Statements
		if wire.Unmarshal(answer, &signed) != nil || wire.Unmarshal(signed.Body, &s) != nil {
			t.Fatal("not an answer")
		}
		return s.Actors, nil
	}
	if got, err := granted(w.doctor.Manage); err != nil || len(got) != 1 || got[0] != w.ana.ID {
		t.Errorf("a member asks: got %v, %v, want ana", got, err)
	}
	for name, k := range map[string]*key.Signing{"a colleague": w.ben.Manage, "the patient": w.ana.Manage, "the organisation": w.org.Manage} {
		if _, err := granted(k); reasonOf(err) != abaton.ReasonCredential {
			t.Errorf("%s asks: got %v, want %q", name, err, abaton.ReasonCredential)
		}
	}
	w.Publish(t, w.doctor.Event(w.duty(w.ben, team)))
	if got, err := granted(w.ben.Manage); err != nil || len(got) != 1 {
		t.Errorf("a stand-in asks: got %v, %v, want ana", got, err)
	}
}
