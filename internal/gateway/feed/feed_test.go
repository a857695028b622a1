package feed_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/gateway/feed"
	"github.com/abaton-health/abaton/internal/relation"
	"github.com/abaton-health/abaton/key"
)

var (
	org    = abaton.ActorID{1}
	ana    = abaton.ActorID{2}
	doctor = abaton.ActorID{3}
	ward   = abaton.ActorID{4}
	writer = key.SigningFromSeed(key.Secret{1})
	three  = []abaton.KeeperIndex{1, 2, 3}
)

// thing is what an entry is about.
type thing struct {
	patient, whom abaton.ActorID
	kind          relation.Kind
	from          int64
}

// keepers hold what they are told as real ones do; some are down, or do not know
// a patient.
type keepers struct {
	mu      sync.Mutex
	down    map[abaton.KeeperIndex]bool
	strange map[abaton.ActorID]bool
	held    map[abaton.KeeperIndex]map[thing]relation.Entry
	times   map[abaton.KeeperIndex][]int64
}

func newKeepers() *keepers {
	k := &keepers{down: make(map[abaton.KeeperIndex]bool), strange: make(map[abaton.ActorID]bool),
		held: make(map[abaton.KeeperIndex]map[thing]relation.Entry), times: make(map[abaton.KeeperIndex][]int64)}
	for _, x := range three {
		k.held[x] = make(map[thing]relation.Entry)
	}
	return k
}

func (k *keepers) TellRelations(_ context.Context, x abaton.KeeperIndex, message []byte, entries int) ([]abaton.Reason, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.down[x] {
		return nil, abaton.ErrUnavailable
	}
	told, err := relation.Parse(message)
	if err != nil || len(told.Entries) != entries || told.Organisation != org || told.Key != writer.ID() || told.InTime(time.Now()) != nil {
		return nil, errors.New("not a statement of this feed")
	}
	k.times[x] = append(k.times[x], told.Time)
	reasons := make([]abaton.Reason, entries)
	for i, e := range told.Entries {
		if k.strange[e.Patient] {
			reasons[i] = abaton.ReasonNotFound
			continue
		}
		k.held[x][thing{e.Patient, e.Whom, e.Kind, e.From}] = e
	}
	return reasons, nil
}

// related reports whether keeper x would find a reason now.
func (k *keepers) related(x abaton.KeeperIndex, patient, whom abaton.ActorID) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now().Unix()
	for e := range maps.Values(k.held[x]) {
		if e.Patient == patient && e.Whom == whom && e.From <= now && now < e.Until {
			return true
		}
	}
	return false
}

func (k *keepers) set(f func()) { k.mu.Lock(); defer k.mu.Unlock(); f() }

func open(t *testing.T, k *keepers, path string) *feed.Feed {
	t.Helper()
	f, err := feed.Open(feed.Config{Organisation: org, Key: writer, Keepers: three, Network: k, Path: path, Secret: key.Secret{9}})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func stay(now time.Time) feed.Meeting {
	return feed.Meeting{Kind: relation.Admission, Start: now.Unix(), Open: true}
}

// TestEveryKeeperIsTold: at once, in another second each time, and what is taken
// back too.
func TestEveryKeeperIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeepers()
		f := open(t, k, filepath.Join(t.TempDir(), "r"))
		name := feed.NameOf(ana, "Encounter", "e")
		f.Note(name, ana, stay(time.Now()), []abaton.ActorID{ward, doctor, ward})
		synctest.Wait()
		for _, x := range three {
			if !k.related(x, ana, doctor) || !k.related(x, ana, ward) || f.Lag(x) != 0 {
				t.Errorf("keeper %d: not told at once", x)
			}
		}
		f.Note(name, ana, stay(time.Now()), []abaton.ActorID{ward}) // the doctor is not of it any more
		time.Sleep(time.Second)
		synctest.Wait()
		for _, x := range three {
			if k.related(x, ana, doctor) || !k.related(x, ana, ward) {
				t.Errorf("keeper %d: doctor %t, ward %t; want the ward alone", x, k.related(x, ana, doctor), k.related(x, ana, ward))
			}
		}
		f.Note(name, ana, feed.Meeting{Off: true}, nil)
		time.Sleep(time.Second)
		synctest.Wait()
		for _, x := range three {
			if k.related(x, ana, ward) {
				t.Errorf("keeper %d: what was cancelled stands", x)
			}
			for i := 1; i < len(k.times[x]); i++ {
				if k.times[x][i] <= k.times[x][i-1] {
					t.Errorf("keeper %d: times %v, want each later than the one before", x, k.times[x])
				}
			}
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestAKeeperThatIsAway hears everything when it is back; the lag is its own.
func TestAKeeperThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeepers()
		k.down[2] = true
		f := open(t, k, filepath.Join(t.TempDir(), "r"))
		for i := range 2000 { // four messages
			f.Note(feed.NameOf(abaton.ActorID{7, byte(i >> 8), byte(i)}, "Encounter", "e"), abaton.ActorID{7, byte(i >> 8), byte(i)}, stay(time.Now()), []abaton.ActorID{ward})
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if len(k.held[1]) != 2000 || len(k.held[2]) != 0 {
			t.Errorf("got %d and %d told, want 2000 and none", len(k.held[1]), len(k.held[2]))
		}
		if f.Lag(1) != 0 || f.Lag(2) < 10*time.Second {
			t.Errorf("lag: got %v and %v, want none and 10 s", f.Lag(1), f.Lag(2))
		}
		k.set(func() { k.down[2] = false })
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if len(k.held[2]) != 2000 || f.Lag(2) != 0 {
			t.Errorf("back: got %d told, lag %v; want all", len(k.held[2]), f.Lag(2))
		}
		f.Close()
	})
}

// TestToldAgain: after a start, to a keeper that lost its disk, and of a stay that
// goes on beyond what one entry may run.
func TestToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, path := newKeepers(), filepath.Join(t.TempDir(), "r")
		f := open(t, k, path)
		name := feed.NameOf(ana, "Encounter", "e")
		f.Note(name, ana, stay(time.Now()), []abaton.ActorID{ward})
		f.Note(feed.NameOf(ana, "Encounter", "f"), ana, stay(time.Now()), []abaton.ActorID{doctor})
		f.Note(feed.NameOf(ana, "Encounter", "f"), ana, feed.Meeting{Off: true}, nil)
		f.Close() // at once: what was noted is kept all the same
		k.set(func() { clear(k.held[1]); clear(k.held[2]); clear(k.held[3]) })
		f = open(t, k, path)
		time.Sleep(time.Second)
		synctest.Wait()
		for _, x := range three {
			if !k.related(x, ana, ward) || k.related(x, ana, doctor) {
				t.Errorf("keeper %d after a start: got %t, %t; want the stay alone", x, k.related(x, ana, ward), k.related(x, ana, doctor))
			}
		}
		k.set(func() { clear(k.held[3]) })
		time.Sleep(12*time.Hour + time.Second)
		synctest.Wait()
		if !k.related(3, ana, ward) {
			t.Error("a keeper that lost its disk is not told within twelve hours")
		}
		for range 200 { // days
			time.Sleep(24 * time.Hour)
			synctest.Wait()
			if !k.related(1, ana, ward) {
				t.Fatal("an open stay is not renewed")
			}
		}
		f.Note(name, ana, feed.Meeting{Kind: relation.Admission, Start: time.Now().Add(-200 * 24 * time.Hour).Unix()}, []abaton.ActorID{ward}) // finished, without an end
		time.Sleep(6 * 24 * time.Hour)
		synctest.Wait()
		if !k.related(1, ana, ward) {
			t.Error("no reason six days after the end")
		}
		time.Sleep(2 * 24 * time.Hour)
		synctest.Wait()
		if k.related(1, ana, ward) {
			t.Error("a reason eight days after the end")
		}
		f.Close()
	})
}

// TestAPatientNotYetKnown is told again.
func TestAPatientNotYetKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeepers()
		k.strange[ana] = true
		f := open(t, k, filepath.Join(t.TempDir(), "r"))
		f.Note(feed.NameOf(ana, "Encounter", "e"), ana, stay(time.Now()), []abaton.ActorID{ward})
		time.Sleep(time.Minute)
		k.set(func() { k.strange[ana] = false })
		time.Sleep(time.Minute)
		synctest.Wait()
		if !k.related(1, ana, ward) {
			t.Error("not told again")
		}
		k.set(func() { k.strange[ana] = true; clear(k.times) })
		f.Note(feed.NameOf(ana, "Encounter", "e"), ana, stay(time.Now()), []abaton.ActorID{ward, doctor})
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := len(k.times[1]); n != 10 || f.Lag(1) != 0 {
			t.Errorf("told %d times of a patient nobody knows, lag %v; want ten tries and none", n, f.Lag(1))
		}
		f.Close()
	})
}

// TestTheFile holds no name, and a damaged one costs what came after, not the
// gateway.
func TestTheFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, path := newKeepers(), filepath.Join(t.TempDir(), "r")
		f := open(t, k, path)
		for i := range 3 {
			f.Note(feed.NameOf(ana, "Encounter", string(rune('a'+i))), abaton.ActorID{0xaa, 0xbb, 0xcc, 0xdd, byte(i)}, stay(time.Now()), []abaton.ActorID{ward})
			synctest.Wait()
		}
		f.Close()
		data, err := os.ReadFile(path)
		if err != nil || bytes.Contains(data, []byte{0xaa, 0xbb, 0xcc, 0xdd}) || bytes.Contains(data, ward[:]) {
			t.Fatalf("%v; the file tells a pseudonym", err)
		}
		for cut, want := range map[int]int{0: 3, 1: 2, len(data) / 2: 1, len(data): 0} {
			if err := os.WriteFile(path, data[:len(data)-cut], 0o600); err != nil {
				t.Fatal(err)
			}
			f := open(t, k, path)
			if got := f.Standing(); got != want {
				t.Errorf("%d bytes cut: got %d, want %d", cut, got, want)
			}
			f.Note(feed.NameOf(ana, "Encounter", "z"), ana, stay(time.Now()), []abaton.ActorID{doctor})
			f.Close()
			f = open(t, k, path)
			if got := f.Standing(); got != want+1 {
				t.Errorf("%d bytes cut, then one more: got %d, want %d", cut, got, want+1)
			}
			f.Close()
		}
		if f, err := feed.Open(feed.Config{Organisation: org, Key: writer, Keepers: three, Network: k, Path: path, Secret: key.Secret{8}}); err != nil || f.Standing() != 0 {
			t.Errorf("with another key: got %v; want an empty feed", err)
		} else {
			f.Close()
		}
	})
}

func TestOpenNeedsEverything(t *testing.T) {
	right := feed.Config{Organisation: org, Key: writer, Keepers: three, Network: newKeepers(), Path: filepath.Join(t.TempDir(), "r"), Secret: key.Secret{9}}
	for name, change := range map[string]func(*feed.Config){
		"organisation": func(c *feed.Config) { c.Organisation = abaton.ActorID{} }, "key": func(c *feed.Config) { c.Key = nil },
		"keepers": func(c *feed.Config) { c.Keepers = nil }, "network": func(c *feed.Config) { c.Network = nil },
		"path": func(c *feed.Config) { c.Path = "" }, "secret": func(c *feed.Config) { c.Secret = key.Secret{} },
	} {
		c := right
		change(&c)
		if f, err := feed.Open(c); err == nil {
			f.Close()
			t.Errorf("without %s: got a feed", name)
		}
	}
}

// TestConcerns: the visits of years ago are not looked up.
func TestConcerns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := open(t, newKeepers(), filepath.Join(t.TempDir(), "r"))
		defer f.Close()
		name, now := feed.NameOf(ana, "Encounter", "e"), time.Now()
		old := feed.Meeting{Kind: relation.Admission, Start: now.Add(-400 * 24 * time.Hour).Unix(), End: now.Add(-399 * 24 * time.Hour).Unix()}
		if f.Concerns(name, old) {
			t.Error("a visit of last year concerns keepers")
		}
		f.Note(name, ana, old, []abaton.ActorID{doctor})
		if f.Standing() != 0 {
			t.Error("a visit of last year is kept")
		}
		if !f.Concerns(name, stay(now)) {
			t.Error("a stay concerns nobody")
		}
		f.Note(name, ana, stay(now), []abaton.ActorID{doctor})
		if !f.Concerns(name, old) {
			t.Error("the end of a stay that was told concerns nobody")
		}
	})
}

// TestRead: what each type of resource says, and what says nothing.
func TestRead(t *testing.T) {
	at := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC).Unix()
	pract := []feed.Party{{Type: "Practitioner", ID: "p"}}
	for _, c := range []struct {
		name, text string
		want       feed.Meeting
		ok         bool
	}{
		{"appointment", `{"resourceType":"Appointment","status":"booked","start":"2026-11-22T10:00:00+01:00","end":"2026-11-22T10:15:00+01:00","participant":[{"actor":{"reference":"Practitioner/p"}},{"actor":{"reference":"Patient/x"}},{"actor":{"display":"nobody"}}]}`,
			feed.Meeting{Kind: relation.Appointment, With: pract, Start: at, End: at + 900}, true},
		{"appointment without a time", `{"resourceType":"Appointment","status":"booked"}`, feed.Meeting{Kind: relation.Appointment}, false},
		{"appointment proposed", `{"resourceType":"Appointment","status":"proposed","start":"2026-11-22T09:00:00Z"}`, feed.Meeting{Kind: relation.Appointment, Start: at}, false},
		{"appointment cancelled", `{"resourceType":"Appointment","status":"cancelled"}`, feed.Meeting{Kind: relation.Appointment, Off: true}, true},
		{"encounter", `{"resourceType":"Encounter","status":"in-progress","period":{"start":"2026-11-22T09:00:00Z"},"participant":[{"individual":{"type":"Practitioner","identifier":{"system":"urn:s","value":"7"}}}],"location":[{"location":{"reference":"Location/w"},"status":"active"},{"location":{"reference":"Location/old"},"status":"completed"}]}`,
			feed.Meeting{Kind: relation.Admission, With: []feed.Party{{Type: "Practitioner", Code: fhir.Code{System: "urn:s", Value: "7"}}, {Type: "Location", ID: "w"}}, Start: at, Open: true}, true},
		{"encounter over", `{"resourceType":"Encounter","status":"finished","period":{"start":"2026-11-22T09:00:00Z","end":"2026-11-22T10:00:00Z"}}`, feed.Meeting{Kind: relation.Admission, Start: at, End: at + 3600}, true},
		{"encounter planned", `{"resourceType":"Encounter","status":"planned","period":{"start":"2026-11-22T09:00:00Z"}}`, feed.Meeting{Kind: relation.Admission, Start: at}, true},
		{"encounter in error", `{"resourceType":"Encounter","status":"entered-in-error"}`, feed.Meeting{Kind: relation.Admission, Off: true}, true},
		{"encounter of unknown status", `{"resourceType":"Encounter","status":"unknown"}`, feed.Meeting{Kind: relation.Admission}, false},
		{"order", `{"resourceType":"ServiceRequest","status":"active","authoredOn":"2026-11-22T09:00:00Z","requester":{"reference":"PractitionerRole/r"},"performer":[{"reference":"Practitioner/p"}]}`,
			feed.Meeting{Kind: relation.Order, With: []feed.Party{{Type: "PractitionerRole", ID: "r"}, pract[0]}, Start: at}, true},
		{"referral", `{"resourceType":"ServiceRequest","status":"active","category":[{"coding":[{"code":"3457005"}]}]}`, feed.Meeting{Kind: relation.Referral}, true},
		{"order revoked", `{"resourceType":"ServiceRequest","status":"revoked"}`, feed.Meeting{Kind: relation.Order, Off: true}, true},
		{"order drafted", `{"resourceType":"ServiceRequest","status":"draft"}`, feed.Meeting{Kind: relation.Order}, false},
		{"episode", `{"resourceType":"EpisodeOfCare","status":"active","period":{"start":"2026-11-22T09:00:00Z"},"careManager":{"reference":"Practitioner/p"},"team":[{"reference":"CareTeam/t"}]}`,
			feed.Meeting{Kind: relation.Admission, With: []feed.Party{pract[0], {Type: "CareTeam", ID: "t"}}, Start: at, Open: true}, true},
		{"episode over", `{"resourceType":"EpisodeOfCare","status":"finished"}`, feed.Meeting{Kind: relation.Admission}, true},
		{"team", `{"resourceType":"CareTeam","status":"active","identifier":[{"system":"urn:abaton:actor","value":"t"}],"participant":[{"member":{"reference":"Practitioner/p"}},{"member":{"reference":"RelatedPerson/k"}}]}`,
			feed.Meeting{Kind: relation.Admission, With: []feed.Party{{Code: fhir.Code{System: "urn:abaton:actor", Value: "t"}}, pract[0]}, Open: true}, true},
		{"team proposed", `{"resourceType":"CareTeam","status":"proposed"}`, feed.Meeting{Kind: relation.Admission}, false},
		{"of another server", `{"resourceType":"EpisodeOfCare","status":"active","careManager":{"reference":"https://x.test/Practitioner/p"}}`, feed.Meeting{Kind: relation.Admission, Open: true}, true},
		{"anything else", `{"resourceType":"Observation","status":"final"}`, feed.Meeting{}, false},
	} {
		r, err := fhir.ParseResource([]byte(c.text))
		if err != nil {
			t.Fatal(err)
		}
		got, ok := feed.Read(r)
		if ok != c.ok || got.Kind != c.want.Kind || got.Start != c.want.Start || got.End != c.want.End || got.Open != c.want.Open ||
			got.Off != c.want.Off || !slices.Equal(got.With, c.want.With) {
			t.Errorf("%s: got %+v, %t; want %+v, %t", c.name, got, ok, c.want, c.ok)
		}
	}
}

// TestReadIsBounded: a resource with a thousand participants names the first of
// them.
func TestReadIsBounded(t *testing.T) {
	text := []byte(`{"resourceType":"Appointment","status":"booked","start":"2026-11-22T09:00:00Z","participant":[{"actor":{"reference":"Practitioner/p"}}`)
	text = append(append(text, bytes.Repeat([]byte(`,{"actor":{"reference":"Practitioner/p"}}`), 999)...), "]}"...)
	r, err := fhir.ParseResource(text)
	if err != nil {
		t.Fatal(err)
	}
	if m, ok := feed.Read(r); !ok || len(m.With) != 64 {
		t.Errorf("got %d parties, %t; want 64", len(m.With), ok)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"resourceType":"Encounter","status":"in-progress","period":{"start":"2026-11-22"},"participant":[{"individual":{"reference":"Practitioner/p"}}]}`))
	f.Add([]byte(`{"resourceType":"ServiceRequest","status":"active","category":[{"coding":[{"code":"3457005"}]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := fhir.ParseResource(text)
		if err != nil {
			return
		}
		if m, ok := feed.Read(r); ok && (m.Kind.Life() == 0 || m.Start < 0 || m.Open && m.Off) {
			t.Errorf("got %+v", m)
		}
	})
}

// FuzzFrame: what rests in the file is read strictly, whoever sealed it.
func FuzzFrame(f *testing.F) {
	f.Add(feed.FrameBody(feed.NameOf(ana, "Encounter", "e"), stay(time.Unix(1, 0))))
	path := filepath.Join(f.TempDir(), "r")
	f.Fuzz(func(t *testing.T, body []byte) {
		if n, damaged, err := feed.ReadFrames(path, key.Secret{9}, [][]byte{body}); err != nil || (n == 1) == damaged {
			t.Errorf("got %d frames, damaged %t, %v", n, damaged, err)
		}
	})
}
