package careteam_test

import (
	"crypto/rand"
	"errors"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/careteam"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/internal/escrow"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/session"
)

// guardian is an organisation with one person in the team that keeps a part.
type guardian struct {
	org, person *custodytest.Person
	team        *actor.Team
	custody     abaton.GrantID
}

// archive is a duty chart with two guardians: the clinic that wrote it, and a
// retention trustee.
type archive struct {
	*custodytest.Network
	clinic, trustee *guardian
	net             *client.Network
	chart           abaton.ActorID
	line            abaton.Line
	ana             *custodytest.Person // whom it is about
	rows            []client.Row
}

func newArchive(t *testing.T) *archive {
	t.Helper()
	set, ids := custodytest.NewSet(t, 5)
	w := &archive{clinic: &guardian{org: custodytest.NewOrganisation(t, set)}, trustee: &guardian{org: custodytest.NewOrganisation(t, set)}}
	w.Network = custodytest.Start(t, set, ids, w.clinic.org.ID, w.trustee.org.ID)
	for _, g := range []*guardian{w.clinic, w.trustee} {
		g.person = custodytest.NewClinician(t, set, g.org)
		w.Publish(t, g.org.Inception, g.person.Inception)
		w.Enrol(t, g.person)
		g.seat(t, w)
	}
	keepers := make(map[abaton.KeeperIndex]client.Keeper)
	for x, k := range w.Keepers {
		keepers[x] = k
	}
	var err error
	if w.net, err = client.New(client.Config{Set: w.Set, Keepers: keepers, Asker: w.clinic.org.Writer}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.net.Close)
	w.ana = custodytest.NewPatient(t, set, w.clinic.org, 1)
	w.Publish(t, w.ana.Inception)
	w.Enrol(t, w.ana)
	w.copies(t)
	return w
}

func (g *guardian) seat(t *testing.T, w *archive) {
	t.Helper()
	seed := key.NewSecret()
	g.team = &actor.Team{Epoch: 1, Public: key.BoxFromSeed(seed).Public().Bytes()}
	rand.Read(g.team.Nonce[:])
	g.team.Team = actor.TeamID(g.org.ID, g.team.Nonce)
	sealed, err := actor.SealTeamSeed(g.person.Box.Public(), g.team.Team, seed)
	if err != nil {
		t.Fatal(err)
	}
	g.team.Seats = []actor.Seat{{Actor: g.person.ID, Sealed: sealed}}
	w.Publish(t, g.org.Event(g.team))
}

func (g *guardian) as(t *testing.T) careteam.Guardian {
	t.Helper()
	box, err := key.ParseBoxPublic(g.team.Public)
	if err != nil {
		t.Fatal(err)
	}
	return careteam.Guardian{Organisation: g.org.ID, Team: escrow.Holder{ID: g.team.Team, Box: box}}
}

// copies makes the duty chart and writes into it; its root is gone afterwards.
func (w *archive) copies(t *testing.T) {
	t.Helper()
	root := key.NewSecret()
	chart := custodytest.NewKept(t, w.Set, w.clinic.org, key.NewRoot(root), careteam.Key(root))
	w.chart, w.line = chart.ID, chart.Root.Line(custodytest.General)
	parts, err := careteam.KeepDuty(w.Set, chart.ID, w.ana.ID, root, w.clinic.as(t), w.trustee.as(t))
	if err != nil {
		t.Fatal(err)
	}
	w.Publish(t, chart.Inception)
	for i, g := range []*guardian{w.clinic, w.trustee} {
		event := chart.Event(parts[i])
		w.Publish(t, event)
		g.custody = abaton.GrantID(actor.HashOf(event.Event))
	}
	// A duty chart has no passkey; the test's people always begin with one.
	w.Publish(t, chart.Event(&actor.CredentialRemove{Name: chart.Passkey.Public().Credential()}))
	box, err := client.OpenOutbox(t.TempDir(), key.Secret{1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { box.Close() })
	wr, err := w.net.NewWriter(client.WriterConfig{Outbox: box, Writer: w.clinic.org.Writer, Author: seal.Author{Actor: w.clinic.org.ID, Key: w.clinic.org.Writer}})
	if err != nil {
		t.Fatal(err)
	}
	written, err := wr.Put(t.Context(), client.Transaction{Writes: []client.Write{{Patient: chart.ID, Line: w.line, Record: seal.Record{
		Envelope: seal.Envelope{Kind: seal.KindResource, Type: "Basic", ID: "a", VersionID: "1", LastUpdated: 1},
		Content:  []byte(`{"resourceType":"Basic"}`),
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	w.rows = []client.Row{{Batch: written.Batches[0], Records: 1}}
}

// opens is one guardian's person opening that guardian's part.
func (w *archive) opens(t *testing.T, g *guardian) (*client.Reader, key.Secret) {
	t.Helper()
	box, err := actor.OpenTeamSeed(g.person.Box, g.team.Team, g.team.Public, g.team.Seats[0].Sealed)
	if err != nil {
		t.Fatal(err)
	}
	s := w.SignIn(t, g.person)
	r, err := w.net.NewReader(client.Login{Signed: s.Signed, Key: s.Key, Reply: s.Reply})
	if err != nil {
		t.Fatal(err)
	}
	p, err := careteam.Open(t.Context(), w.net, r, w.ask(g), box)
	if err != nil {
		t.Fatal(err)
	}
	return r, p.Root
}

func (w *archive) ask(g *guardian) client.Ask {
	return client.Ask{Patient: w.chart, Grant: g.custody, Purpose: abaton.Legal, Lines: []abaton.Line{w.line}}
}

// reads counts what a reader opens with a root.
func (w *archive) reads(t *testing.T, r *client.Reader, g *guardian, root key.Secret) int {
	t.Helper()
	r.AddSeeds(session.Bundle{Patient: w.chart, Grant: g.custody, Seeds: []grant.Seed{{Line: w.line, Category: custodytest.General, Level: 1, Epoch: 1,
		Seed: key.NewRoot(root).SegmentSeed(custodytest.General, 1)}}})
	chart, err := r.Chart(t.Context(), w.ask(g))
	if err != nil {
		return 0
	}
	return len(chart.Records)
}

// TestDutyCopy (H14): what a clinic must keep is opened by two people of two
// organisations together, each let in and ledgered by three keepers, and by
// neither alone; nothing that the patient has opens or destroys it; and erasing
// it takes both as well (H15).
func TestDutyCopy(t *testing.T) {
	w := newArchive(t)
	clinic, one := w.opens(t, w.clinic)
	if n := w.reads(t, clinic, w.clinic, one); n != 0 {
		t.Fatalf("the clinic alone: opened %d records, want none", n)
	}
	trustee, two := w.opens(t, w.trustee)
	if n := w.reads(t, trustee, w.trustee, two); n != 0 {
		t.Fatalf("the trustee alone: opened %d records, want none", n)
	}
	for _, part := range []key.Secret{one, two} {
		if _, err := w.net.Erase(t.Context(), client.KeyHand(w.chart, careteam.Key(part)), w.rows...); err == nil {
			t.Error("one part alone erases: got in force, want refused")
		}
	}
	root := careteam.JoinDuty(one, two)
	reader, _ := w.opens(t, w.clinic)
	if n := w.reads(t, reader, w.clinic, root); n != 1 {
		t.Fatalf("both together: opened %d records, want the one", n)
	}
	if p, err := w.net.Erase(t.Context(), client.KeyHand(w.chart, careteam.Key(root)), w.rows...); err != nil || !p.InForce {
		t.Fatalf("both together erase: in force %v, %v", p.InForce, err)
	}
	w.isTold(t)
	reader, _ = w.opens(t, w.clinic)
	if n := w.reads(t, reader, w.clinic, root); n != 0 {
		t.Errorf("after the erasure: opened %d records, want none", n)
	}
	w.isOwned(t, root)
}

// isTold: the keepers show the patient both openings and what was read, and
// show nobody else's history; the same team opens nothing for treatment.
func (w *archive) isTold(t *testing.T) {
	t.Helper()
	s := w.SignIn(t, w.ana)
	r, err := w.net.NewReader(client.Login{Signed: s.Signed, Key: s.Key, Reply: s.Reply})
	if err != nil {
		t.Fatal(err)
	}
	h, err := r.History(t.Context(), w.chart)
	if err != nil {
		t.Fatalf("the patient asks who opened the duty copy: %v", err)
	}
	seen := make(map[abaton.ActorID]bool)
	for _, l := range h.Lines {
		if l.Purpose == abaton.Legal {
			seen[l.Actor] = true
		}
	}
	if !seen[w.clinic.person.ID] || !seen[w.trustee.person.ID] {
		t.Errorf("told: got %d of the two who opened it", len(seen))
	}
	for _, other := range []abaton.ActorID{w.clinic.person.ID, w.clinic.org.ID} {
		if _, err := r.History(t.Context(), other); err == nil {
			t.Error("another log's history: got it, want refused")
		}
	}
	g := w.clinic
	box, err := actor.OpenTeamSeed(g.person.Box, g.team.Team, g.team.Public, g.team.Seats[0].Sealed)
	if err != nil {
		t.Fatal(err)
	}
	in := w.SignIn(t, g.person)
	reader, err := w.net.NewReader(client.Login{Signed: in.Signed, Key: in.Key, Reply: in.Reply})
	if err != nil {
		t.Fatal(err)
	}
	for _, why := range []abaton.Purpose{abaton.Treatment, abaton.Operations} {
		ask := w.ask(g)
		ask.Purpose = why
		if _, err := careteam.Open(t.Context(), w.net, reader, ask, box); err == nil {
			t.Errorf("opened for %s: got it, want only for a complaint", why)
		}
	}
}

// isOwned: a log with a passkey is somebody's own, and tells nobody else.
func (w *archive) isOwned(t *testing.T, root key.Secret) {
	t.Helper()
	passkey, err := key.NewPasskey(w.Set.RelyingParty)
	if err != nil {
		t.Fatal(err)
	}
	body := &actor.CredentialAdd{Credential: actor.Credential{Public: passkey.Public(), Class: actor.Bound}}
	if _, err := w.net.Append(t.Context(), client.KeyHand(w.chart, careteam.Key(root)), body); err != nil {
		t.Fatal(err)
	}
	s := w.SignIn(t, w.ana)
	r, err := w.net.NewReader(client.Login{Signed: s.Signed, Key: s.Key, Reply: s.Reply})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.History(t.Context(), w.chart); err == nil {
		t.Error("the history of somebody's own log: got it, want refused")
	}
}

// TestDutyTakesTwo: both parts in one hand are refused, and so is no root.
func TestDutyTakesTwo(t *testing.T) {
	w := newArchive(t)
	a, b := w.clinic.as(t), w.trustee.as(t)
	for name, c := range map[string]struct {
		root  key.Secret
		about abaton.ActorID
		b     careteam.Guardian
		want  error
	}{
		"about nobody":     {key.NewSecret(), abaton.ActorID{}, b, careteam.ErrNobodyTold},
		"about itself":     {key.NewSecret(), w.chart, b, careteam.ErrNobodyTold},
		"one team":         {key.NewSecret(), w.ana.ID, careteam.Guardian{Organisation: b.Organisation, Team: a.Team}, careteam.ErrOneTeam},
		"one organisation": {key.NewSecret(), w.ana.ID, careteam.Guardian{Organisation: a.Organisation, Team: b.Team}, careteam.ErrOneTeam},
		"no root":          {key.Secret{}, w.ana.ID, b, key.ErrKey},
	} {
		if _, err := careteam.KeepDuty(w.Set, w.chart, c.about, c.root, a, c.b); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	if root := key.NewSecret(); careteam.JoinDuty(careteam.JoinDuty(root, key.Secret{1}), key.Secret{1}) != root {
		t.Error("two parts do not give the root")
	}
}
