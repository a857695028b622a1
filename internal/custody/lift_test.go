package custody_test

import (
	"slices"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/ledger"
)

// TestLiftOutlivesARestart: a person whose own organisation said that it was
// a mistake is not suspended again for the same reads when a keeper starts anew.
func TestLiftOutlivesARestart(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newClinic(t, 14)
	s := w.SignIn(t, w.thief)
	held := func(s *custodytest.Session, chart int) abaton.Reason {
		theirs := *w.world
		theirs.ana = w.charts[chart].patient
		return w.asks(t, s, 1, theirs.touched(t, w.thief, s, w.charts[chart].release()))
	}
	for i := range 12 {
		held(s, i)
	}
	if got := held(s, 12); got != abaton.ReasonSuspended {
		t.Fatalf("after twelve patients without a reason: got %q, want %q", got, abaton.ReasonSuspended)
	}
	var names [][32]byte
	for i := range w.Keepers[1].LedgerSize() {
		e, err := w.Keepers[1].EntryAt(i)
		if err != nil {
			t.Fatal(err)
		}
		if e.Op == ledger.OpContain {
			names = append(names, e.Request)
		}
	}
	slices.SortFunc(names, func(a, b [32]byte) int { return slices.Compare(a[:], b[:]) })
	w.Publish(t, w.org.Event(&actor.Lift{Verdicts: names, Why: actor.Mistaken}))
	if got := held(s, 12); got != "" {
		t.Errorf("lifted: got %q, want released", got)
	}
	w.Restart(t, 1, func() {})
	w.Keepers[1].AwaitMode(t)
	if got := held(w.SignIn(t, w.thief), 13); got != "" {
		t.Errorf("lifted, after a restart: got %q, want released", got)
	}
}

// TestHoneyAgain: what was lifted is found anew when it is done again.
func TestHoneyAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newClinic(t, 2)
	honey := &w.charts[0]
	w.isHoney(t, honey)
	verdicts := func() (names [][32]byte) {
		for i := range w.Keepers[1].LedgerSize() {
			e, err := w.Keepers[1].EntryAt(i)
			if err != nil {
				t.Fatal(err)
			}
			if e.Op == ledger.OpContain {
				names = append(names, e.Request)
			}
		}
		return names
	}
	s := w.SignIn(t, w.thief)
	for round := 1; round <= 2; round++ {
		before := len(verdicts())
		if got := w.asks(t, s, 1, honey.release()); got != abaton.ReasonSuspended {
			t.Errorf("round %d: got %q, want suspended", round, got)
		}
		if got := len(verdicts()) - before; got != 1 {
			t.Errorf("round %d: got %d verdicts, want 1", round, got)
		}
		w.Publish(t, w.org.Event(&actor.Lift{Verdicts: verdicts()[before:], Why: actor.Mistaken}))
		s = w.SignIn(t, w.thief)
	}
}
