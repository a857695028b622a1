package blast_test

import (
	"crypto/rand"
	"fmt"
	"math/bits"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/blast"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// house is an organisation with a physician at a device, and as many patients as
// a test needs, each with records in one line.
type house struct {
	*custodytest.Network
	t        *testing.T
	org, ben *custodytest.Person
	registry *custodytest.Person   // keeps the register; admitted by every keeper
	givers   []*custodytest.Person // who handed something on
	net      *client.Network
	writer   *client.Writer
	patients []*custodytest.Person
	ids      []abaton.ActorID // of everybody whose log is read
	served   map[abaton.ActorID]bool
}

const recordsEach = 2

func newHouse(t *testing.T) *house {
	t.Helper()
	set, identities := custodytest.NewSet(t, 5)
	h := &house{t: t, org: custodytest.NewOrganisation(t, set), registry: custodytest.NewOrganisation(t, set)}
	h.Network = custodytest.Start(t, set, identities, h.org.ID, h.registry.ID)
	h.ben = custodytest.NewClinician(t, set, h.org)
	h.Publish(t, h.org.Inception, h.ben.Inception)
	h.Enrol(t, h.ben)
	keepers := make(map[abaton.KeeperIndex]client.Keeper)
	for x, k := range h.Keepers {
		keepers[x] = k
	}
	var err error
	if h.net, err = client.New(client.Config{Set: set, Keepers: keepers, Asker: h.org.Writer}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.net.Close)
	box, err := client.OpenOutbox(t.TempDir(), key.Secret{1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { box.Close() })
	h.writer, err = h.net.NewWriter(client.WriterConfig{Outbox: box, Writer: h.org.Writer, Author: seal.Author{Actor: h.org.ID, Key: h.org.Writer}})
	if err != nil {
		t.Fatal(err)
	}
	h.ids = append(h.ids, h.org.ID, h.ben.ID, h.ben.Device.ID)
	return h
}

// patient is a new one with records in a line of a level.
func (h *house) patient(level uint8) *custodytest.Person {
	h.t.Helper()
	p := custodytest.NewPatient(h.t, h.Set, h.org, level)
	h.Publish(h.t, p.Inception)
	h.patients, h.ids = append(h.patients, p), append(h.ids, p.ID)
	h.write(p.ID, p.Root.Line(custodytest.General))
	return p
}

func (h *house) write(patient abaton.ActorID, line abaton.Line) {
	h.t.Helper()
	for i := range recordsEach {
		if _, err := h.writer.Put(h.t.Context(), client.Transaction{Writes: []client.Write{{Patient: patient, Line: line, Record: seal.Record{
			Envelope: seal.Envelope{Kind: seal.KindResource, Type: "Basic", ID: fmt.Sprint(i), VersionID: "1", LastUpdated: 1},
			Content:  []byte(`{"resourceType":"Basic"}`),
		}}}}); err != nil {
			h.t.Fatal(err)
		}
	}
}

// give puts a grant into a patient's log, changed before it is signed.
func (h *house) give(p *custodytest.Person, to abaton.ActorID, change func(*grant.Grant)) abaton.GrantID {
	h.t.Helper()
	g := p.Grant(to, grant.Read, 100)
	if change != nil {
		change(g)
	}
	h.Publish(h.t, p.Event(&actor.Granted{Grant: g.Marshal()}))
	return g.ID()
}

// world is what the key logs say now, with all records counted.
func (h *house) world() *blast.World {
	h.t.Helper()
	h.net.Refresh(h.ids...)
	logs, err := h.net.Logs(h.t.Context(), h.ids...)
	if err != nil {
		h.t.Fatal(err)
	}
	f := blast.Facts{Logs: logs, Counted: make(map[abaton.ActorID]bool), Set: h.Set, Now: time.Now(), Served: h.served}
	for _, p := range h.patients {
		seg := logs[p.ID].Segments(p.Root.Line(custodytest.General))[0] // there before any other epoch
		f.Batches = append(f.Batches, blast.Batch{Owner: p.ID, Line: seg.Line, Segment: seg.ID, Records: recordsEach})
		f.Counted[p.ID] = true
	}
	w, err := blast.New(f)
	if err != nil {
		h.t.Fatal(err)
	}
	return w
}

// opens is what really opens of a patient in a session of p, under every grant
// of the log, handed on or not, with all seeds and the passkey at hand: the keepers
// decide alone.
func (h *house) opens(p, patient *custodytest.Person) (records int) {
	return h.opensBy(p, patient, true)
}

func (h *house) opensBy(p, patient *custodytest.Person, touch bool) (records int) {
	h.t.Helper()
	s := h.SignIn(h.t, p)
	seed := grant.Seed{Line: patient.Root.Line(custodytest.General), Category: custodytest.General, Level: 1, Epoch: 1,
		Seed: patient.Root.SegmentSeed(custodytest.General, 1)}
	r, err := h.net.NewReader(client.Login{Signed: s.Signed, Key: s.Key, Reply: s.Reply,
		Bundles: []session.Bundle{{Patient: patient.ID, Seeds: []grant.Seed{seed}}}})
	if err != nil {
		h.t.Fatal(err)
	}
	defer r.Close()
	try := func(ask client.Ask) {
		ask.Patient, ask.Lines = patient.ID, []abaton.Line{seed.Line}
		if touch {
			ask.StepUp = h.touched(p, s, ask)
		}
		records = max(records, h.tries(r, ask))
	}
	try(client.Ask{Purpose: abaton.PatientAccess})
	for id, g := range h.grantsOf(patient) {
		for _, purpose := range g.Purposes {
			try(client.Ask{Grant: id, Purpose: purpose})
		}
		for _, giver := range h.givers {
			for _, on := range h.log(giver.ID).EverHandedOn() {
				try(client.Ask{Grant: id, Purpose: on.Terms.Purposes[0], Onward: abaton.Handed{From: giver.ID, ID: on.ID}})
			}
		}
	}
	return records
}

func (h *house) log(id abaton.ActorID) *actor.State {
	h.t.Helper()
	h.net.Refresh(id)
	log, err := h.net.Log(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return log
}

// grantsOf are all grants that a patient ever gave.
func (h *house) grantsOf(p *custodytest.Person) map[abaton.GrantID]*grant.Grant {
	h.t.Helper()
	all, log := make(map[abaton.GrantID]*grant.Grant), h.log(p.ID)
	for _, id := range log.EverGranted() {
		all[id], _ = log.Grant(id)
	}
	return all
}

// touched is a step-up over what is asked, by p's own passkey.
func (h *house) touched(p *custodytest.Person, s *custodytest.Session, ask client.Ask) *session.SignedStepUp {
	h.t.Helper()
	u := session.StepUp{V: wire.Version, Session: s.ID, Patient: ask.Patient, Lines: ask.Lines, Purpose: ask.Purpose, Time: time.Now().Unix()}
	rand.Read(u.Nonce[:])
	a, err := p.Passkey.Assert(u.Challenge())
	if err != nil {
		h.t.Fatal(err)
	}
	return &session.SignedStepUp{StepUp: u, Assertion: *a}
}

// tries asks for one record after the other, as a thief does whose quota ends.
func (h *house) tries(r *client.Reader, ask client.Ask) (records int) {
	list, err := r.List(h.t.Context(), ask)
	if err != nil {
		return 0
	}
	for i := range list.Batches {
		row := list.Batches[i].Rows()
		if got, err := r.Get(h.t.Context(), ask, row); err == nil && len(got.Records) == bits.OnesCount64(row.Records) {
			records += len(got.Records)
		}
	}
	return records
}

// TestAsKeepersDecide: for each way in which a log can say yes or no to a
// clinician, what is computed for a session is what five keepers let it open.
func TestAsKeepersDecide(t *testing.T) {
	var h *house
	var eve *custodytest.Person
	var team, other *actor.Team
	begin := func() { // each in a house of its own: the watch stops whoever tries them all
		h = newHouse(t)
		eve = custodytest.NewClinician(t, h.Set, h.org)
		h.Publish(t, eve.Inception)
		h.Enrol(t, eve)
		h.ids = append(h.ids, eve.ID, eve.Device.ID)
		team, other = h.org.Team(1, h.ben.ID), h.org.Team(2, eve.ID)
		h.Publish(t, h.org.Event(team))
		h.Publish(t, h.org.Event(other))
	}
	for _, c := range []struct {
		name  string
		level uint8
		gives func(p *custodytest.Person)
		want  int
	}{
		{"nothing", 1, func(*custodytest.Person) {}, 0},
		{"a grant", 1, func(p *custodytest.Person) { h.give(p, h.ben.ID, nil) }, recordsEach},
		{"to somebody else", 1, func(p *custodytest.Person) { h.give(p, eve.ID, nil) }, 0},
		{"to deposit", 1, func(p *custodytest.Person) {
			h.give(p, h.ben.ID, func(g *grant.Grant) { g.Actions = grant.Deposit })
		}, 0},
		{"that begins later", 1, func(p *custodytest.Person) {
			h.give(p, h.ben.ID, func(g *grant.Grant) { g.NotBefore, g.Expires = g.NotBefore+3600, g.Expires+7200 })
		}, 0},
		{"taken back", 1, func(p *custodytest.Person) {
			h.Publish(t, p.Event(&actor.Revoke{Grant: h.give(p, h.ben.ID, nil)}))
		}, 0},
		{"with a quota of one", 1, func(p *custodytest.Person) {
			h.give(p, h.ben.ID, func(g *grant.Grant) { g.Quota = 1 })
		}, 1},
		{"to a team", 1, func(p *custodytest.Person) { h.give(p, team.Team, nil) }, recordsEach},
		{"to another team", 1, func(p *custodytest.Person) { h.give(p, other.Team, nil) }, 0},
		{"to a team, and a bar", 1, func(p *custodytest.Person) {
			h.give(p, team.Team, nil)
			h.Publish(t, p.Event(&actor.Bar{Actor: h.ben.ID}))
		}, 0},
		{"and a bar of the organisation", 1, func(p *custodytest.Person) {
			h.give(p, h.ben.ID, nil)
			h.Publish(t, p.Event(&actor.Bar{Actor: h.org.ID}))
		}, 0},
		{"and a bar that ended", 1, func(p *custodytest.Person) {
			h.give(p, h.ben.ID, nil)
			h.Publish(t, p.Event(&actor.Bar{Actor: h.ben.ID, Until: 1}))
		}, recordsEach},
		{"of level 2", 2, func(p *custodytest.Person) { h.give(p, h.ben.ID, nil) }, recordsEach},
		{"of level 3, without a touch", 3, func(p *custodytest.Person) { h.give(p, h.ben.ID, nil) }, 0},
		{"for the patient's own purpose", 1, func(p *custodytest.Person) {
			h.give(p, h.ben.ID, func(g *grant.Grant) { g.Purposes = []abaton.Purpose{abaton.PatientAccess} })
		}, 0},
	} {
		begin()
		p := h.patient(c.level)
		c.gives(p)
		got := h.world().Reach(blast.Thing{Kind: blast.Session, Actor: h.ben.ID, Device: h.ben.Device.ID})
		computed := 0
		for _, o := range got.Opens {
			if o.Owner == p.ID {
				computed += o.Records
			}
		}
		if opened := h.opensBy(h.ben, p, false); opened != c.want || computed != c.want {
			t.Errorf("%s: %d records opened, %d were computed, want %d", c.name, opened, computed, c.want)
		}
	}
}

// TestThingsThatEnded: a lost device, somebody who left, somebody who stopped.
func TestThingsThatEnded(t *testing.T) {
	h := newHouse(t)
	p := h.patient(1)
	for name, ends := range map[string]func(who *custodytest.Person) actor.SignedEvent{
		"a device reported lost": func(who *custodytest.Person) actor.SignedEvent { return h.org.Event(&actor.Bar{Actor: who.Device.ID}) },
		"a device that stopped":  func(who *custodytest.Person) actor.SignedEvent { return who.Device.Event(&actor.Stop{}) },
		"somebody who left":      func(who *custodytest.Person) actor.SignedEvent { return h.org.Event(&actor.Bar{Actor: who.ID}) },
		"somebody who stopped":   func(who *custodytest.Person) actor.SignedEvent { return who.Event(&actor.Stop{}) },
	} {
		who := custodytest.NewClinician(t, h.Set, h.org)
		h.Publish(t, who.Inception)
		h.Enrol(t, who)
		h.ids = append(h.ids, who.ID, who.Device.ID)
		h.give(p, who.ID, nil)
		thing := blast.Thing{Kind: blast.Person, Actor: who.ID, Device: who.Device.ID}
		if r := h.world().Reach(thing); r.Patients != 1 || r.Records != recordsEach {
			t.Fatalf("%s, before: got %d patients and %d records, want 1 and %d", name, r.Patients, r.Records, recordsEach)
		}
		h.Publish(t, ends(who))
		if r := h.world().Reach(thing); r.Patients != 0 || r.Records != 0 {
			t.Errorf("%s: got %d patients and %d records, want none", name, r.Patients, r.Records)
		}
		if n := h.opens(who, p); n != 0 {
			t.Errorf("%s: %d records opened, want none", name, n)
		}
	}
}

// TestZeroThing: nothing stolen reaches nothing, in a world without logs too.
func TestZeroThing(t *testing.T) {
	empty, err := blast.New(blast.Facts{})
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t)
	h.give(h.patient(1), h.ben.ID, nil)
	for _, w := range []*blast.World{empty, h.world()} {
		for _, kind := range []blast.Kind{"", blast.Session, blast.Passkey, blast.Device, blast.Person, blast.ManageKey, blast.AlarmKey, blast.AttestKey,
			blast.Organisation, blast.TeamSeed, blast.Gateway, blast.Kit, blast.Authority, blast.Trustee, blast.Keeper} {
			r := w.Reach(blast.Thing{Kind: kind, Until: time.Now().Unix() + 3600})
			if r.Patients != 0 || r.Records != 0 || len(r.Opens) != 0 || len(r.More) != 0 {
				t.Errorf("%q of nobody: got %d patients, want none", kind, r.Patients)
			}
		}
	}
}

// TestCutAndSecond: the biggest cut is the grantee with the most patients; a
// thing beside another is told only if it adds.
func TestCutAndSecond(t *testing.T) {
	h := newHouse(t)
	team := h.org.Team(1, h.ben.ID)
	h.Publish(t, h.org.Event(team))
	h.give(h.patient(1), h.ben.ID, nil)
	h.give(h.patient(1), team.Team, nil)
	h.give(h.patient(1), team.Team, nil)
	w := h.world()
	whole := blast.Thing{Kind: blast.Person, Actor: h.ben.ID, Device: h.ben.Device.ID}
	cut, ok := w.BiggestCut(whole)
	if !ok || cut.Grantee != team.Team || cut.Patients != 1 || cut.Records != recordsEach {
		t.Errorf("biggest cut: got %+v, want the team's, one patient left", cut)
	}
	device := blast.Thing{Kind: blast.Device, Actor: h.ben.Device.ID, Held: []abaton.ActorID{h.ben.ID}}
	others := []blast.Thing{device, {Kind: blast.Keeper, Keeper: 1}, {Kind: blast.Gateway, Actor: h.org.ID}, {Kind: blast.TeamSeed, Actor: h.org.ID, Team: team.Team}}
	got := w.Seconds(others, blast.Thing{Kind: blast.Passkey, Actor: h.ben.ID})
	if len(got) != 1 || got[0].Kind != blast.Device || got[0].Patients != 3 || got[0].Things != 1 {
		t.Errorf("beside a passkey: got %+v, want the device alone, three patients", got)
	}
	if got := w.Seconds(others, whole); len(got) != 0 {
		t.Errorf("beside everything: got %+v, want nothing more", got)
	}
}

// TestSoloPractice: where one managing key decides, its thief takes on doctors
// and adds records; reading takes emergency sets or teams, of which there are
// none here.
func TestSoloPractice(t *testing.T) {
	h := newHouse(t)
	h.patient(1)
	r := h.world().Reach(blast.Thing{Kind: blast.ManageKey, Actor: h.org.ID})
	can := make(map[blast.Can]int)
	for _, p := range r.Powers {
		can[p.Can] = p.Patients
	}
	if _, takes := can[blast.CanTakeOn]; !takes || can[blast.CanAdd] != 1 || r.Patients != 0 {
		t.Errorf("one managing key of a solo practice: got %+v, want it to take on staff and add records for one patient", r.Powers)
	}
}
