package careteam_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
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

// practice has a migrated patient whose record its team keeps.
type practice struct {
	*custodytest.Network
	org, eve *custodytest.Person
	patient  abaton.ActorID
	team     *actor.Team
	net      *client.Network
	custody  abaton.GrantID
	line     abaton.Line
}

const records = 5

func newPractice(t *testing.T) *practice {
	t.Helper()
	set, ids := custodytest.NewSet(t, 5)
	w := &practice{org: custodytest.NewOrganisation(t, set)}
	w.eve = custodytest.NewClinician(t, set, w.org)
	w.Network = custodytest.Start(t, set, ids, w.org.ID)
	w.Publish(t, w.org.Inception, w.eve.Inception)
	w.Enrol(t, w.eve)
	seed := key.NewSecret()
	w.team = &actor.Team{Epoch: 1, Public: key.BoxFromSeed(seed).Public().Bytes()}
	rand.Read(w.team.Nonce[:])
	w.team.Team = actor.TeamID(w.org.ID, w.team.Nonce)
	sealed, err := actor.SealTeamSeed(w.eve.Box.Public(), w.team.Team, seed)
	if err != nil {
		t.Fatal(err)
	}
	w.team.Seats = []actor.Seat{{Actor: w.eve.ID, Sealed: sealed}}
	w.Publish(t, w.org.Event(w.team))
	keepers := make(map[abaton.KeeperIndex]client.Keeper)
	for x, k := range w.Keepers {
		keepers[x] = k
	}
	if w.net, err = client.New(client.Config{Set: w.Set, Keepers: keepers, Asker: w.org.Writer}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.net.Close)
	w.imports(t)
	return w
}

// imports makes the patient and the record; nothing of the root outlives it.
func (w *practice) imports(t *testing.T) {
	t.Helper()
	root := key.NewSecret()
	ana := custodytest.NewKept(t, w.Set, w.org, key.NewRoot(root), careteam.Key(root))
	w.patient, w.line = ana.ID, ana.Root.Line(custodytest.General)
	team, err := key.ParseBoxPublic(w.team.Public)
	if err != nil {
		t.Fatal(err)
	}
	e, err := careteam.Keep(w.Set, ana.ID, escrow.Payload{Root: root}, escrow.Holder{ID: w.team.Team, Box: team})
	if err != nil {
		t.Fatal(err)
	}
	event := ana.Event(e)
	w.Publish(t, ana.Inception, event)
	w.custody = abaton.GrantID(actor.HashOf(event.Event))
	box, err := client.OpenOutbox(t.TempDir(), key.Secret{1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { box.Close() })
	wr, err := w.net.NewWriter(client.WriterConfig{Outbox: box, Writer: w.org.Writer, Author: seal.Author{Actor: w.org.ID, Key: w.org.Writer}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range records {
		if _, err := wr.Put(t.Context(), client.Transaction{Writes: []client.Write{{Patient: ana.ID, Line: w.line, Record: seal.Record{
			Envelope: seal.Envelope{Kind: seal.KindResource, Type: "Basic", ID: fmt.Sprint(i), VersionID: "1", LastUpdated: 1},
			Content:  []byte(`{"resourceType":"Basic"}`),
		}}}}); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *practice) reader(t *testing.T, p *custodytest.Person, bundles ...session.Bundle) *client.Reader {
	t.Helper()
	s := w.SignIn(t, p)
	r, err := w.net.NewReader(client.Login{Signed: s.Signed, Key: s.Key, Reply: s.Reply, Bundles: bundles})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (w *practice) ask() client.Ask {
	return client.Ask{Patient: w.patient, Grant: w.custody, Purpose: abaton.Treatment, Lines: []abaton.Line{w.line}}
}

// opens is Eve opening the root, and her reader with what it gives.
func (w *practice) opens(t *testing.T) (*client.Reader, key.Secret) {
	t.Helper()
	box, err := actor.OpenTeamSeed(w.eve.Box, w.team.Team, w.team.Public, w.team.Seats[0].Sealed)
	if err != nil {
		t.Fatal(err)
	}
	r := w.reader(t, w.eve)
	p, err := careteam.Open(t.Context(), w.net, r, w.ask(), key.NewBox(), box)
	if err != nil {
		t.Fatal(err)
	}
	r.AddSeeds(session.Bundle{Patient: w.patient, Grant: w.custody, Seeds: []grant.Seed{w.seed(p.Root, 1)}})
	return r, p.Root
}

func (w *practice) seed(root key.Secret, epoch uint32) grant.Seed {
	return grant.Seed{Line: w.line, Category: custodytest.General, Level: 1, Epoch: epoch,
		Seed: key.NewRoot(root).SegmentSeed(custodytest.General, epoch)}
}

// patient is the patient's new device, with a root of its own.
type device struct {
	*custodytest.Person
	root   key.Secret
	locker *key.Signing
}

func (w *practice) newDevice(t *testing.T) *device {
	t.Helper()
	passkey, err := key.NewPasskey(custodytest.RelyingParty)
	if err != nil {
		t.Fatal(err)
	}
	return &device{Person: &custodytest.Person{ID: w.patient, Passkey: passkey}, root: key.NewSecret(), locker: key.NewSigning()}
}

func (w *practice) handover(t *testing.T, kept key.Secret, d *device) careteam.Handover {
	return careteam.Handover{
		Patient: w.patient, Custody: w.custody, Kept: kept, Passkey: actor.Credential{Public: d.Passkey.Public(), Class: actor.Bound},
		Hand: client.PasskeyHand(w.patient, d.Passkey), Locker: d.locker, Root: key.NewRoot(d.root),
		Categories: map[abaton.Category]uint8{custodytest.General: 1},
		SignIn:     func(context.Context) (*client.Reader, error) { return w.reader(t, d.Person), nil },
	}
}

// TestClaim: the team reads; the patient takes the record over; afterwards the
// patient reads all of it, and the old root, its seeds and the team nothing.
func TestClaim(t *testing.T) {
	w := newPractice(t)
	r, kept := w.opens(t)
	if chart, err := r.Chart(t.Context(), w.ask()); err != nil || len(chart.Records) != records {
		t.Fatalf("the team reads: got %v, want %d records", err, records)
	}
	if _, _, ok := careteam.Of(w.state(t)); !ok {
		t.Error("status: got the patient's own, want in custody")
	}
	d := w.newDevice(t)
	h := w.handover(t, kept, d)
	var heard []client.Relocked
	h.Progress = func(at client.Relocked) { heard = append(heard, at) }
	at, err := careteam.Hand(t.Context(), w.net, h)
	if err != nil || !at.Complete() || at.Done != records || at.Of != records {
		t.Fatalf("hand over: got %+v, %v, want all %d locked anew", at, err, records)
	}
	if len(heard) < 2 || heard[0].Done != 0 || heard[0].Of != records {
		t.Errorf("progress: got %+v, want it to begin with 0 of %d", heard, records)
	}
	own := w.reader(t, d.Person, session.Bundle{Patient: w.patient, Seeds: []grant.Seed{w.seed(d.root, 2)}})
	mine := client.Ask{Patient: w.patient, Purpose: abaton.PatientAccess, Lines: []abaton.Line{w.line}}
	if chart, err := own.Chart(t.Context(), mine); err != nil || len(chart.Records) != records || len(chart.Missing) != 0 {
		t.Errorf("the patient reads: got %v, want %d records", err, records)
	}
	if _, err := r.Chart(t.Context(), w.ask()); err == nil {
		t.Error("the team after the claim: got a chart, want refused")
	}
	if _, err := careteam.Open(t.Context(), w.net, w.reader(t, w.eve), w.ask()); err == nil {
		t.Error("the team opens the root again: got it, want refused")
	}
	// The old root in a thief's hands, beside the patient's own session: what
	// keepers release opens with none of its seeds, of any epoch.
	old := w.reader(t, d.Person, session.Bundle{Patient: w.patient, Seeds: []grant.Seed{w.seed(kept, 1), w.seed(kept, 2), w.seed(kept, 3)}})
	chart, err := old.Chart(t.Context(), mine)
	if err == nil && len(chart.Records) != 0 {
		t.Errorf("the old root: opened %d records, want none", len(chart.Records))
	}
	// And its key signs nothing any more.
	if _, err := w.net.Append(t.Context(), client.KeyHand(w.patient, careteam.Key(kept)), &actor.Bar{Actor: w.eve.ID}); err == nil {
		t.Error("the custody's key signs after the claim: got in force, want refused")
	}
	if _, _, ok := careteam.Of(w.state(t)); ok {
		t.Error("status: got in custody, want the patient's own")
	}
	again, err := careteam.Hand(t.Context(), w.net, h)
	if err != nil || !again.Complete() || again.Done != records {
		t.Errorf("again: got %+v, %v, want nothing to do", again, err)
	}
}

func (w *practice) state(t *testing.T) *actor.State {
	t.Helper()
	w.net.Refresh(w.patient)
	s, err := w.net.Log(t.Context(), w.patient)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestClaimLeavesNothingBehind: a line of a category that the handover does not
// name stops it before any record is locked; it says why.
func TestClaimLeavesNothingBehind(t *testing.T) {
	w := newPractice(t)
	_, kept := w.opens(t)
	h := w.handover(t, kept, w.newDevice(t))
	h.Categories = map[abaton.Category]uint8{custodytest.Sensitive: 1}
	if _, err := careteam.Hand(t.Context(), w.net, h); !errors.Is(err, client.ErrNoSeed) {
		t.Errorf("hand over: got %v, want %v", err, client.ErrNoSeed)
	}
}

// TestOpenTakesTheTeam: whoever has no box of the team opens nothing.
func TestOpenTakesTheTeam(t *testing.T) {
	w := newPractice(t)
	if _, err := careteam.Open(t.Context(), w.net, w.reader(t, w.eve), w.ask(), key.NewBox()); !errors.Is(err, key.ErrBox) {
		t.Errorf("without the team's box: got %v, want %v", err, key.ErrBox)
	}
	stranger := custodytest.NewClinician(t, w.Set, w.org)
	w.Publish(t, stranger.Inception)
	w.Enrol(t, stranger)
	box, err := actor.OpenTeamSeed(w.eve.Box, w.team.Team, w.team.Public, w.team.Seats[0].Sealed)
	if err != nil {
		t.Fatal(err)
	}
	var refused *abaton.RefusedError
	if _, err := careteam.Open(t.Context(), w.net, w.reader(t, stranger), w.ask(), box); !errors.As(err, &refused) || refused.Reason != abaton.ReasonGrant {
		t.Errorf("a stolen team key, by somebody who is not in the team: got %v, want %q", err, abaton.ReasonGrant)
	}
}

func TestKeepRefusesNoRoot(t *testing.T) {
	w := newPractice(t)
	if _, err := careteam.Keep(w.Set, w.patient, escrow.Payload{}, escrow.Holder{ID: w.team.Team, Box: key.NewBox().Public()}); err == nil {
		t.Error("custody of nothing: got an event, want an error")
	}
}
