package audience_test

import (
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/audience"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
)

// house is a clinic with all who may take part, at five keepers.
type house struct {
	*custodytest.Network
	org, ana *custodytest.Person
	people   map[string]*custodytest.Person
	net      *client.Network
}

func newHouse(t *testing.T) *house {
	t.Helper()
	set, ids := custodytest.NewSet(t, 5)
	org := custodytest.NewOrganisation(t, set)
	h := &house{org: org, ana: custodytest.NewPatient(t, set, org, 1), people: make(map[string]*custodytest.Person)}
	h.Network = custodytest.Start(t, set, ids, org.ID)
	h.Publish(t, org.Inception, h.ana.Inception)
	for _, name := range []string{"direct", "seated", "stand-in", "handed", "outside", "barred", "left", "clerk"} {
		h.people[name] = custodytest.NewClinician(t, set, org)
	}
	h.people["clerk"].Role = abaton.RoleAdministrator
	h.people["agent"] = custodytest.NewAgent(t, set, org, abaton.RoleAgent, h.people["direct"].ID)
	h.people["app"] = custodytest.NewAgent(t, set, org, abaton.RoleApp, h.ana.ID)
	h.people["orphan"] = custodytest.NewAgent(t, set, org, abaton.RoleAgent, h.people["left"].ID)
	for _, p := range h.people {
		h.Publish(t, p.Inception)
		h.Enrol(t, p)
	}
	keepers := make(map[abaton.KeeperIndex]client.Keeper)
	for x, k := range h.Keepers {
		keepers[x] = k
	}
	var err error
	if h.net, err = client.New(client.Config{Set: set, Keepers: keepers, Asker: org.Writer}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.net.Close)
	return h
}

func (h *house) gives(t *testing.T, to abaton.ActorID, change func(*grant.Grant)) *grant.Grant {
	t.Helper()
	g := h.ana.Grant(to, grant.Read, 1000)
	if change != nil {
		change(g)
	}
	h.Publish(t, h.ana.Event(&actor.Granted{Grant: g.Marshal()}))
	return g
}

func (h *house) handsOn(t *testing.T, from *custodytest.Person, parent *grant.Grant, to abaton.ActorID) {
	t.Helper()
	terms := *parent
	terms.Grantee, terms.Onward = to, abaton.ActorID{}
	h.Publish(t, from.Event(&actor.Onward{Parent: parent.ID(), Terms: terms.Marshal(), Wrap: make([]byte, key.BoxOverhead)}))
}

// log is what the keepers say.
func (h *house) log(t *testing.T) audience.Logs {
	return func(id abaton.ActorID) *actor.State {
		h.net.Refresh(id)
		st, err := h.net.Log(t.Context(), id)
		if err != nil {
			return nil
		}
		return st
	}
}

// TestAudienceIsWhoKeepersAnswer: who is said to see the record is answered by a
// keeper, and who is said not to is refused, each by the grant and in the place
// named; and nobody else is answered at all.
func TestAudienceIsWhoKeepersAnswer(t *testing.T) {
	h := newHouse(t)
	p := h.people
	team := h.org.Team(1, p["seated"].ID, p["barred"].ID)
	team.Delegable = true
	h.Publish(t, h.org.Event(team))
	letter := h.gives(t, p["direct"].ID, func(g *grant.Grant) { g.Onward = team.Team })
	toTeam := h.gives(t, team.Team, nil)
	for _, name := range []string{"left", "clerk", "agent", "app", "orphan"} {
		h.gives(t, p[name].ID, nil)
	}
	h.Publish(t, h.org.Event(h.org.Team(2, p["handed"].ID)))
	h.handsOn(t, p["direct"], letter, p["seated"].ID)
	h.handsOn(t, p["direct"], letter, p["outside"].ID)
	now := time.Now().Unix()
	h.Publish(t, p["seated"].Event(&actor.Duty{To: p["stand-in"].ID, Team: team.Team, From: now - 60, Until: now + 3600, Sealed: make([]byte, key.BoxOverhead+len(key.Secret{}))}))
	h.Publish(t, h.ana.Event(&actor.Bar{Actor: p["barred"].ID}), h.org.Event(&actor.Bar{Actor: p["left"].ID}))

	name := make(map[abaton.ActorID]string)
	for n, one := range p {
		name[one.ID] = n
	}
	a := audience.Of(h.log(t)(h.ana.ID), h.log(t), time.Now())
	can, cannot := make(map[string]int), make(map[string]audience.Why)
	for _, s := range a.Can {
		can[name[s.Actor]]++
		h.check(t, p[name[s.Actor]], s, true)
	}
	for _, s := range a.Cannot {
		cannot[name[s.Actor]] = s.Why
		h.check(t, p[name[s.Actor]], s, false)
	}
	for who, want := range map[string]int{"direct": 1, "seated": 2, "stand-in": 1, "agent": 1, "app": 1, "handed": 0, "outside": 0, "barred": 0, "left": 0, "clerk": 0, "orphan": 0} {
		if can[who] != want {
			t.Errorf("%s: got %d ways to see the record, want %d", who, can[who], want)
		}
	}
	for who, want := range map[string]audience.Why{"outside": audience.Outside, "barred": audience.Barred, "left": audience.Left,
		"clerk": audience.NoReader, "orphan": audience.Unanswered} {
		if cannot[who] != want {
			t.Errorf("%s cannot: got %q, want %q", who, cannot[who], want)
		}
	}
	if len(a.Adds) != 1 || a.Adds[0].Actor != h.org.ID {
		t.Errorf("who adds: got %+v, want the clinic", a.Adds)
	}
	if len(a.Barred) != 1 || a.Barred[p["barred"].ID] == 0 {
		t.Errorf("barred: got %v", a.Barred)
	}
	for _, s := range a.Can {
		if who := name[s.Actor]; who == "agent" && s.AnswersTo != p["direct"].ID || who == "app" && s.AnswersTo != h.ana.ID ||
			who == "stand-in" && s.InPlaceOf != p["seated"].ID {
			t.Errorf("%s: got %+v", who, s)
		}
	}
	h.check(t, p["handed"], audience.Seer{Actor: p["handed"].ID, Grant: toTeam.ID()}, false)
	h.check(t, p["handed"], audience.Seer{Actor: p["handed"].ID, Grant: letter.ID()}, false)
}

// check asks a keeper what somebody's device would ask.
func (h *house) check(t *testing.T, p *custodytest.Person, s audience.Seer, want bool) {
	t.Helper()
	p.Behalf = s.InPlaceOf
	defer func() { p.Behalf = abaton.ActorID{} }()
	q := session.Request{Patient: h.ana.ID, Grant: s.Grant, Onward: s.Onward, Mode: session.List, Purpose: abaton.Treatment,
		Lines: []abaton.Line{h.ana.Root.Line(custodytest.General)}}
	r, err := h.Ask(t.Context(), h.SignIn(t, p), 1, q)
	if got := err == nil && r.Outcome == keeper.Permitted; got != want {
		t.Errorf("the keeper answers %s: got %t (%v), want %t; said: %q", s.Actor, got, err, want, s.Why)
	}
}

// TestNobody: an empty audience is empty, and what cannot be followed is shown.
func TestNobody(t *testing.T) {
	h := newHouse(t)
	if a := audience.Of(h.log(t)(h.ana.ID), h.log(t), time.Now()); len(a.Can) != 0 || len(a.Cannot) != 0 || len(a.Holders) != 0 {
		t.Errorf("a record that nobody was given: got %+v", a)
	}
	h.gives(t, abaton.ActorID{9}, nil)
	a := audience.Of(h.log(t)(h.ana.ID), h.log(t), time.Now())
	if len(a.Can) != 0 || len(a.Cannot) != 1 || a.Cannot[0].Why != audience.Unknown {
		t.Errorf("a grant to somebody unknown: got %+v, want it shown", a)
	}
	empty := h.org.Team(7)
	h.Publish(t, h.org.Event(empty))
	h.gives(t, empty.Team, nil)
	a = audience.Of(h.log(t)(h.ana.ID), h.log(t), time.Now())
	if len(a.Can) != 0 || len(a.Cannot) != 2 {
		t.Errorf("a team of nobody: got %+v, want it shown", a)
	}
}
