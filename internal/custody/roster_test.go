package custody_test

import (
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/relation"
	"github.com/abaton-health/abaton/key"
)

// onDuty is a duty from one time to another, in hours from now.
func onDuty(who abaton.ActorID, from, until float64) relation.Entry {
	at := func(hours float64) int64 { return time.Now().Add(time.Duration(hours * float64(time.Hour))).Unix() }
	return relation.Entry{Patient: who, Kind: relation.Duty, From: at(from), Until: at(until)}
}

// TestOffShift: of whom rosters are told is off shift beyond two hours around
// each duty, also on leave; nobody else is, and nobody by a removed key's word.
func TestOffShift(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newRelations(t)
	k := w.Keepers[1]
	want := func(name string, who, behalf abaton.ActorID, organisation abaton.ActorID, off bool) {
		t.Helper()
		got, err := k.OffShiftOf(organisation, who, behalf)
		if err != nil || (got == "true") != off {
			t.Errorf("%s: got %s, %v; want %v", name, got, err, off)
		}
	}
	none := abaton.ActorID{}
	want("no rosters", w.doctor.ID, none, w.org.ID, false)
	thief := key.NewSigning()
	add := w.org.Event(&actor.KeyAdd{Key: actor.Key{ID: thief.ID(), Rights: actor.Write}})
	add.Proofs = append(add.Proofs, actor.ByKey(thief, add.Event))
	w.Publish(t, add)
	later := onDuty(w.doctor.ID, 3, 11)
	if got := w.tells(t, 1, w.org.Writer, time.Now(), later); got[0] != "" {
		t.Fatal(got)
	}
	want("three hours before", w.doctor.ID, none, w.org.ID, true)
	want("in a colleague's place", w.doctor.ID, w.eve.ID, w.org.ID, false)
	want("for another house", w.doctor.ID, none, w.registry.ID, false)
	want("a colleague without rosters", w.eve.ID, none, w.org.ID, false)
	if got := w.tells(t, 1, thief, time.Now(), onDuty(w.doctor.ID, -1, 2)); got[0] != "" {
		t.Fatal(got)
	}
	want("on call by another key", w.doctor.ID, none, w.org.ID, false)
	w.Publish(t, w.org.Event(&actor.KeyRemove{ID: thief.ID()}))
	want("that key removed", w.doctor.ID, none, w.org.ID, true)
	for _, at := range []struct {
		name  string
		ahead time.Duration
		off   bool
	}{
		{"less than two hours before", 70 * time.Minute, false}, {"at work", 5 * time.Hour, false},
		{"less than two hours after", 12*time.Hour + 50*time.Minute, false}, {"two hours after", 13*time.Hour + time.Minute, true},
		{"on leave", 30 * 24 * time.Hour, true}, {"long gone", 32 * 24 * time.Hour, false},
	} {
		k.Ahead(at.ahead)
		want(at.name, w.doctor.ID, none, w.org.ID, at.off)
	}
	k.Ahead(0)
	later.Until = later.From
	if got := w.tells(t, 1, w.org.Writer, time.Now().Add(time.Second), later); got[0] != "" {
		t.Fatal(got)
	}
	want("taken back", w.doctor.ID, none, w.org.ID, false)
}

// TestOffShiftIsAsked: a keeper asks who is off shift for the passkey, for a
// patient without a reason, and nobody else.
func TestOffShiftIsAsked(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newClinic(t, 1)
	house := &relations{world: w.world}
	in, eve := w.SignIn(t, w.thief), w.SignIn(t, w.eve)
	want := func(name string, got, want abaton.Reason) {
		t.Helper()
		if got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if got := house.tells(t, 1, w.org.Writer, time.Now(), onDuty(w.thief.ID, -30, -20)); got[0] != "" {
		t.Fatal(got)
	}
	q := w.charts[0].release()
	want("off shift", w.asks(t, in, 1, q), abaton.ReasonStepUp)
	want("without rosters", w.asks(t, eve, 1, q), "")
	theirs := *w.world
	theirs.ana = w.charts[0].patient
	want("off shift, touched", w.asks(t, in, 1, theirs.touched(t, w.thief, in, q)), "")
	want("at a keeper that was not told", w.asks(t, in, 2, q), "")
	related := stands(relation.HandOver, w.charts[0].patient.ID, w.thief.ID)
	if got := house.tells(t, 1, w.org.Writer, time.Now(), related); got[0] != "" {
		t.Fatal(got)
	}
	want("off shift, handed over", w.asks(t, w.SignIn(t, w.thief), 1, q), "")
}
