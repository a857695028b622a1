package people_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/key"
)

// town is five real keepers and a folder of people.
type town struct {
	*people.World
	dir     string
	set     *actor.Set
	keepers *custodytest.Network
	org     *people.Person
}

func newTown(t *testing.T) *town {
	t.Helper()
	set, ids := custodytest.NewSet(t, 5)
	w := &town{dir: filepath.Join(t.TempDir(), "people"), set: set}
	var err error
	if w.World, err = people.Open(w.dir, set); err != nil {
		t.Fatal(err)
	}
	w.org, err = w.NewOrganisation("clinic", "Clinic", people.Gateway{Writer: key.NewSigning().ID(), Box: key.NewBox().Public()})
	if err != nil {
		t.Fatal(err)
	}
	w.keepers = custodytest.Start(t, set, ids, w.org.ID)
	if err := people.Introduce(t.Context(), w.net(t, w.org), w.org); err != nil {
		t.Fatalf("introduce organisation: %v", err)
	}
	return w
}

// net is the network as p's device sees it.
func (w *town) net(t *testing.T, p *people.Person) *client.Network {
	t.Helper()
	keepers := make(map[abaton.KeeperIndex]client.Keeper)
	for x, k := range w.keepers.Keepers {
		keepers[x] = k
	}
	n, err := client.New(client.Config{Set: w.set, Keepers: keepers, Asker: p.Manage})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

func TestPeopleOnDisk(t *testing.T) {
	w := newTown(t)
	ana, err := w.NewPatient("ana", "Ana Sample", []byte("source"), w.org)
	if err != nil {
		t.Fatal(err)
	}
	again, err := w.NewPatient("ana", "Another Ana", nil, w.org)
	if err != nil || again.Handle != "ana-2" {
		t.Fatalf("a second ana: got %q, %v, want ana-2", again.Handle, err)
	}
	for _, p := range []*people.Person{w.org, ana} {
		got, err := w.Load(p.Handle)
		if err != nil {
			t.Fatal(err)
		}
		if got.ID != p.ID || got.Kind != p.Kind || got.Sponsor != p.Sponsor || got.Name != p.Name || string(got.Event) != string(p.Event) ||
			got.Manage.ID() != p.Manage.ID() || got.Passkey.Credential() != p.Passkey.Credential() || string(got.Source) != string(p.Source) ||
			string(got.Public.Bytes()) != string(p.Public.Bytes()) || (got.Box == nil) != (p.Box == nil) ||
			got.Root.Line(fhir.General.ID()) != p.Root.Line(fhir.General.ID()) {
			t.Errorf("%s does not come back as it was saved", p.Handle)
		}
		info, err := os.Stat(filepath.Join(w.Dir(p.Handle), "keys"))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode of %s's keys: got %v, %v, want 0600", p.Handle, info.Mode(), err)
		}
	}
	if w.org.Box != nil {
		t.Error("the organisation's folder holds the gateway's private box key")
	}
	found, err := w.Find(ana.ID.String())
	if err != nil || found.Handle != "ana" {
		t.Errorf("find by name: got %v, want ana", err)
	}
	for _, nobody := range []string{"bob", "../ana", "", "Ana", abaton.ActorID{1}.String()} {
		if _, err := w.Find(nobody); !errors.Is(err, people.ErrNobody) {
			t.Errorf("find %q: got %v, want nobody", nobody, err)
		}
	}
	patients, err := w.All(actor.Patient)
	if err != nil || len(patients) != 2 || patients[0].Handle != "ana" {
		t.Errorf("patients: got %d, %v, want 2 by handle", len(patients), err)
	}
}

func TestDamagedPersonIsRefused(t *testing.T) {
	w := newTown(t)
	path := filepath.Join(w.Dir("clinic"), "keys")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{"cut": good[:len(good)-1], "longer": append(good[:len(good):len(good)], 0), "empty": {}} {
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Load("clinic"); err == nil || errors.Is(err, people.ErrNobody) {
			t.Errorf("%s: got %v, want it refused as damaged", name, err)
		}
		if _, err := w.All(0); err == nil {
			t.Errorf("%s: a list of people passes over a damaged one", name)
		}
	}
}

func TestGiveHoldStop(t *testing.T) {
	w := newTown(t)
	doctor, err := w.NewClinician("doctor", "Doctor", w.org)
	if err != nil {
		t.Fatal(err)
	}
	office, err := w.NewClinician("office", "Office", w.org)
	if err != nil {
		t.Fatal(err)
	}
	ana, err := w.NewPatient("ana", "Ana", nil, w.org, people.Importing(office))
	if err != nil {
		t.Fatal(err)
	}
	mine, theirs, offices := w.net(t, ana), w.net(t, doctor), w.net(t, office)
	for range 2 { // again has no effect
		if err := people.Introduce(t.Context(), mine, doctor, office, ana); err != nil {
			t.Fatalf("introduce: %v", err)
		}
	}
	held, err := office.Held(t.Context(), offices)
	if err != nil || len(held) != 1 || len(held[0].Seeds) != len(fhir.Categories())-1 {
		t.Fatalf("office: got %d grants, %v, want one of all but the psychotherapist's notes", len(held), err)
	}
	for _, s := range held[0].Seeds {
		if s.Category == fhir.PsychotherapyNotes.ID() {
			t.Error("an import may open a psychotherapist's notes")
		}
	}
	if held, err = doctor.Held(t.Context(), theirs); err != nil || len(held) != 0 {
		t.Fatalf("doctor before: got %d grants, %v, want none", len(held), err)
	}
	id, p, err := ana.Give(t.Context(), mine, people.Terms{To: doctor, Actions: grant.Read, Categories: []fhir.Category{fhir.General},
		Purpose: abaton.Treatment, Life: time.Hour, Quota: 10})
	if err != nil || !p.InForce {
		t.Fatalf("give: %+v, %v", p, err)
	}
	theirs.Refresh(ana.ID)
	held, err = doctor.Held(t.Context(), theirs)
	if err != nil || len(held) != 1 || held[0].Grant != id || held[0].Seeds[0].Seed != ana.Root.SegmentSeed(fhir.General.ID(), 1) {
		t.Fatalf("doctor holds %d grants, %v, want the one given, with its seed", len(held), err)
	}
	st, err := theirs.Log(t.Context(), ana.ID)
	if err != nil || !people.Reads(st, doctor, time.Now(), time.Minute) || people.Reads(st, doctor, time.Now(), 2*time.Hour) {
		t.Errorf("reads: got %v, want for an hour and not for two", err)
	}
	if _, err := ana.Stop(t.Context(), mine, id, true); err != nil {
		t.Fatalf("stop: %v", err)
	}
	theirs.Refresh(ana.ID)
	if held, err = doctor.HeldOf(t.Context(), theirs, ana.ID); err != nil || len(held) != 0 {
		t.Errorf("doctor after: got %d grants, %v, want none", len(held), err)
	}
}

// TestDirect reads the own record at the keepers with no gateway between, and
// shows that what is not given is refused.
func TestDirect(t *testing.T) {
	w := newTown(t)
	ana, err := w.NewPatient("ana", "Ana", nil, w.org)
	if err != nil {
		t.Fatal(err)
	}
	bob, err := w.NewPatient("bob", "Bob", nil, w.org)
	if err != nil {
		t.Fatal(err)
	}
	n := w.net(t, ana)
	if err := people.Introduce(t.Context(), n, ana, bob); err != nil {
		t.Fatal(err)
	}
	own, err := ana.Own(t.Context(), n)
	if err != nil || len(own.Seeds) != len(fhir.Categories()) {
		t.Fatalf("own: got %d seeds, %v, want one for each category", len(own.Seeds), err)
	}
	l, err := w.Direct(t.Context(), ana, n, own)
	if err != nil {
		t.Fatal(err)
	}
	r, err := n.NewReader(l)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ask := client.Ask{Patient: ana.ID, Purpose: abaton.PatientAccess, Lines: []abaton.Line{ana.Root.Line(fhir.General.ID())}}
	if _, err := r.List(t.Context(), ask); err != nil {
		t.Errorf("list the own record: %v", err)
	}
	if h, err := r.History(t.Context(), ana.ID); err != nil || len(h.Lines) == 0 {
		t.Errorf("own history: got %v, want the listing in it", err)
	}
	ask.Patient, ask.Lines[0] = bob.ID, bob.Root.Line(fhir.General.ID())
	if _, err := r.List(t.Context(), ask); err == nil {
		t.Error("ana listed bob's record, to which nobody gave access")
	}
}
