package blast_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/blast"
	"github.com/abaton-health/abaton/internal/careteam"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/internal/escrow"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
)

// sealedTeam is a team whose key opens something, with these members.
func (h *house) sealedTeam(members ...*custodytest.Person) *actor.Team {
	h.t.Helper()
	seed := key.NewSecret()
	team := &actor.Team{Epoch: 1, Public: key.BoxFromSeed(seed).Public().Bytes()}
	rand.Read(team.Nonce[:])
	team.Team = actor.TeamID(h.org.ID, team.Nonce)
	for _, m := range members {
		sealed, err := actor.SealTeamSeed(m.Box.Public(), team.Team, seed)
		if err != nil {
			h.t.Fatal(err)
		}
		team.Seats = append(team.Seats, actor.Seat{Actor: m.ID, Sealed: sealed})
	}
	h.Publish(h.t, h.org.Event(team))
	return team
}

// kept is a patient whose record a team keeps.
func (h *house) kept(team *actor.Team) (*custodytest.Person, abaton.GrantID) {
	h.t.Helper()
	root := key.NewSecret()
	p := custodytest.NewKept(h.t, h.Set, h.org, key.NewRoot(root), careteam.Key(root))
	box, err := key.ParseBoxPublic(team.Public)
	if err != nil {
		h.t.Fatal(err)
	}
	body, err := careteam.Keep(h.Set, p.ID, escrow.Payload{Root: root}, escrow.Holder{ID: team.Team, Box: box})
	if err != nil {
		h.t.Fatal(err)
	}
	event := p.Event(body)
	h.Publish(h.t, p.Inception, event)
	h.patients, h.ids = append(h.patients, p), append(h.ids, p.ID)
	h.write(p.ID, p.Root.Line(custodytest.General))
	return p, abaton.GrantID(actor.HashOf(event.Event))
}

// unkeeps is what one of the team opens of a record in custody.
func (h *house) unkeeps(p *custodytest.Person, id abaton.GrantID, team *actor.Team) int {
	h.t.Helper()
	box, err := actor.OpenTeamSeed(h.ben.Box, team.Team, team.Public, team.Seats[0].Sealed)
	if err != nil {
		h.t.Fatal(err)
	}
	s := h.SignIn(h.t, h.ben)
	r, err := h.net.NewReader(client.Login{Signed: s.Signed, Key: s.Key, Reply: s.Reply})
	if err != nil {
		h.t.Fatal(err)
	}
	defer r.Close()
	line := p.Root.Line(custodytest.General)
	ask := client.Ask{Patient: p.ID, Grant: id, Purpose: abaton.Treatment, Lines: []abaton.Line{line}}
	opened, err := careteam.Open(h.t.Context(), h.net, r, ask, box)
	if err != nil {
		return 0
	}
	r.AddSeeds(session.Bundle{Patient: p.ID, Grant: id, Seeds: []grant.Seed{{Line: line, Category: custodytest.General, Level: 1, Epoch: 1,
		Seed: key.NewRoot(opened.Root).SegmentSeed(custodytest.General, 1)}}})
	return h.tries(r, ask)
}

// TestCustody: records that a care team keeps are counted apart, for whoever has
// the team's key and a live place in it, and really open so.
func TestCustody(t *testing.T) {
	h := newHouse(t)
	team := h.sealedTeam(h.ben)
	p, id := h.kept(team)
	whole := blast.Thing{Kind: blast.Person, Actor: h.ben.ID, Device: h.ben.Device.ID}
	r := h.world().Reach(whole)
	if len(r.More) != 1 || r.More[0].Way != blast.ByCustody || r.More[0].Patients != 1 || r.More[0].Records != recordsEach ||
		r.More[0].PerDay != abaton.CustodyPersonMax || r.Patients != 0 {
		t.Errorf("one of the team: got %+v besides %d patients, want one in custody", r.More, r.Patients)
	}
	if n := h.unkeeps(p, id, team); n != recordsEach {
		t.Errorf("one of the team: %d records opened, want %d", n, recordsEach)
	}
	for name, thing := range map[string]blast.Thing{
		"the team's key": {Kind: blast.TeamSeed, Actor: h.org.ID, Team: team.Team},
		"a session":      {Kind: blast.Session, Actor: h.ben.ID, Device: h.ben.Device.ID},
		"a passkey":      {Kind: blast.Passkey, Actor: h.ben.ID},
	} {
		if r := h.world().Reach(thing); len(r.More) != 0 || r.Patients != 0 {
			t.Errorf("%s alone: got %+v, want nothing", name, r.More)
		}
	}
	h.Publish(t, h.org.Event(&actor.Bar{Actor: h.ben.ID, Until: time.Now().Unix() + 3600}))
	if r := h.world().Reach(whole); len(r.More) != 0 {
		t.Errorf("suspended: got %+v, want nothing", r.More)
	}
	if n := h.unkeeps(p, id, team); n != 0 {
		t.Errorf("suspended: %d records opened, want none", n)
	}
}

// TestEpochs: a grant brings the epochs that were there when it was given and
// those wrapped to its grantee since; records under another open for nobody
// but the owner.
func TestEpochs(t *testing.T) {
	h := newHouse(t)
	p := h.patient(1)
	h.give(p, h.ben.ID, nil)
	whole := blast.Thing{Kind: blast.Person, Actor: h.ben.ID, Device: h.ben.Device.ID}
	line := p.Root.Line(custodytest.General)
	announce := func(epoch uint32, wraps ...actor.SeedWrap) abaton.SegmentID {
		public := p.Root.Segment(custodytest.General, epoch).Public()
		h.Publish(t, p.Event(&actor.Epoch{Line: line, Level: 1, Epoch: epoch, Segment: public.Bytes(), Wraps: wraps}))
		return key.SegmentIDOf(public)
	}
	reaches := func(segments ...abaton.SegmentID) int {
		h.net.Refresh(h.ids...)
		logs, err := h.net.Logs(t.Context(), h.ids...)
		if err != nil {
			t.Fatal(err)
		}
		f := blast.Facts{Logs: logs, Now: time.Now(), Set: h.Set}
		for _, id := range segments {
			f.Batches = append(f.Batches, blast.Batch{Owner: p.ID, Line: line, Segment: id, Records: 1})
		}
		w, err := blast.New(f)
		if err != nil {
			t.Fatal(err)
		}
		return w.Reach(whole).Records
	}
	first := key.SegmentIDOf(p.Root.Segment(custodytest.General, 1).Public())
	second := announce(2)
	if n := reaches(first, second); n != 1 {
		t.Errorf("an epoch that was not wrapped: %d records, want the one from before", n)
	}
	public := p.Root.Segment(custodytest.General, 3).Public()
	wrap, err := actor.WrapEpoch(h.ben.ID, h.ben.Box.Public(), public,
		grant.Seed{Line: line, Category: custodytest.General, Level: 1, Epoch: 3, Seed: p.Root.SegmentSeed(custodytest.General, 3)})
	if err != nil {
		t.Fatal(err)
	}
	third := announce(3, wrap)
	if n := reaches(first, second, third); n != 2 {
		t.Errorf("an epoch that was wrapped: %d records, want the first and the third", n)
	}
}
