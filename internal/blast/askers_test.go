package blast_test

import (
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/blast"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/key"
)

// computed is how many records of a patient a reach counts.
func computed(r *blast.Reach, patient abaton.ActorID) (records int) {
	for _, o := range r.Opens {
		if o.Owner == patient {
			records += o.Records
		}
	}
	return records
}

// TestPolicyTakesAway: what the organisation's policy refuses now is not
// counted, and a policy that has run out refuses all.
func TestPolicyTakesAway(t *testing.T) {
	h := newHouse(t)
	p := h.patient(1)
	h.give(p, h.ben.ID, nil)
	whole := blast.Thing{Kind: blast.Person, Actor: h.ben.ID, Device: h.ben.Device.ID}
	now := time.Now().Unix()
	h.Publish(t, h.org.Event(h.org.Member(abaton.ActorID{9, 9}, abaton.RoleSecurityOfficer)))
	for version, c := range []struct {
		text string
		want int
	}{
		{`permit (principal is Person, action, resource);`, recordsEach},
		{`permit (principal is Person, action, resource) when { context.purpose == "HOPERAT" };`, 0},
		{`permit (principal is Person, action, resource) when { context has device && context.device.level >= 2 };`, recordsEach},
	} {
		h.Publish(t, h.org.Event(&actor.Policy{Version: uint64(version + 1), NotBefore: now - 60, Expires: now + 3600,
			Text: []byte("@id(\"one\")\n@why(\"For this test.\")\n" + c.text), Simulation: [32]byte{1}}))
		got, opened := computed(h.world().Reach(whole), p.ID), h.opens(h.ben, p)
		if got != c.want || opened != c.want {
			t.Errorf("version %d: %d records opened, %d were computed, want %d", version+1, opened, got, c.want)
		}
	}
}

// TestPrograms: an agent reads by grants for a task while somebody answers for
// it; a patient's app that patient's record alone.
func TestPrograms(t *testing.T) {
	h := newHouse(t)
	own, other := h.patient(1), h.patient(1)
	agent := custodytest.NewAgent(t, h.Set, h.org, abaton.RoleAgent, h.ben.ID)
	app := custodytest.NewAgent(t, h.Set, h.org, abaton.RoleApp, own.ID)
	h.Publish(t, agent.Inception, app.Inception)
	h.Enrol(t, agent)
	h.Enrol(t, app)
	h.ids = append(h.ids, agent.ID, app.ID)
	long := h.patient(1)
	h.give(other, agent.ID, nil)
	h.give(long, agent.ID, func(g *grant.Grant) { g.Expires = g.NotBefore + int64((25 * time.Hour).Seconds()) })
	h.give(own, app.ID, nil)
	h.give(other, app.ID, nil)
	check := func(when string, p, patient *custodytest.Person, want int) {
		t.Helper()
		got, opened := computed(h.world().Reach(blast.Thing{Kind: blast.Person, Actor: p.ID}), patient.ID), h.opens(p, patient)
		if got != want || opened != want {
			t.Errorf("%s: %d records opened, %d were computed, want %d", when, opened, got, want)
		}
	}
	check("an agent with a task", agent, other, recordsEach)
	check("an agent with a grant for longer than a task", agent, long, 0)
	check("a patient's app, the own patient", app, own, recordsEach)
	check("a patient's app, another patient", app, other, 0)
	h.Publish(t, h.org.Event(&actor.Bar{Actor: h.ben.ID}))
	check("an agent whose sponsor left", agent, other, 0)
}

// TestInAnothersPlace: for a shift, what the colleague's seat opens, and not
// what the colleague was given alone.
func TestInAnothersPlace(t *testing.T) {
	h := newHouse(t)
	eve := custodytest.NewClinician(t, h.Set, h.org)
	h.Publish(t, eve.Inception)
	h.Enrol(t, eve)
	h.ids = append(h.ids, eve.ID, eve.Device.ID)
	team := h.org.Team(1, eve.ID)
	team.Delegable = true
	h.Publish(t, h.org.Event(team))
	teams, alone, mine := h.patient(1), h.patient(1), h.patient(1)
	h.give(teams, team.Team, nil)
	h.give(alone, eve.ID, nil)
	h.give(mine, h.ben.ID, nil)
	now := time.Now().Unix()
	h.Publish(t, eve.Event(&actor.Duty{To: h.ben.ID, Team: team.Team, From: now - 60, Until: now + 3600, Sealed: make([]byte, key.BoxOverhead+len(key.Secret{}))}))
	standIn := *h.ben
	standIn.Behalf = eve.ID
	session := blast.Thing{Kind: blast.Session, Actor: h.ben.ID, Device: h.ben.Device.ID, Behalf: eve.ID}
	for _, c := range []struct {
		name    string
		patient *custodytest.Person
		want    int
	}{{"the team's", teams, recordsEach}, {"the colleague's alone", alone, 0}, {"the own, in another's place", mine, 0}} {
		got, opened := computed(h.world().Reach(session), c.patient.ID), h.opens(&standIn, c.patient)
		if got != c.want || opened != c.want {
			t.Errorf("%s: %d records opened, %d were computed, want %d", c.name, opened, got, c.want)
		}
	}
	whole := h.world().Reach(blast.Thing{Kind: blast.Person, Actor: h.ben.ID, Device: h.ben.Device.ID})
	if whole.Patients != 2 {
		t.Errorf("everything of the stand-in: got %d patients, want the team's and the own", whole.Patients)
	}
}
