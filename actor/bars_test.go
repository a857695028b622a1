package actor_test

import (
	"slices"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
)

// TestLiftedBar: managers let back whom one of them suspended, once that is
// certified; nobody lets back who was barred for ever, and other bars hold.
func TestLiftedBar(t *testing.T) {
	w := newWorld(t)
	l := hospital(w)
	hour, day := w.now.Add(time.Hour), w.now.Add(24*time.Hour)
	short := l.add(&actor.Bar{Actor: ben, Until: hour.Unix()}, byKey("org"))
	long := l.add(&actor.Bar{Actor: ben, Until: day.Unix()}, byKey("org"))
	ever := l.add(&actor.Bar{Actor: carl}, byKey("org"))
	want := []actor.Hash{short.Hash(), long.Hash()}
	slices.SortFunc(want, func(a, b actor.Hash) int { return slices.Compare(a[:], b[:]) })
	if got := l.st.Liftable(ben, w.now); !slices.Equal(got, want) {
		t.Fatalf("can be lifted: got %d, want the two", len(got))
	}
	if got := l.st.Liftable(carl, w.now); got != nil {
		t.Errorf("barred for ever: got %d to be lifted, want none", len(got))
	}
	lift := func(names ...actor.Hash) *actor.Authentic {
		body := &actor.Lift{Why: actor.Mistaken}
		for _, n := range names {
			body.Verdicts = append(body.Verdicts, n)
		}
		slices.SortFunc(body.Verdicts, func(a, b [32]byte) int { return slices.Compare(a[:], b[:]) })
		a := w.authentic(l.event(body), byKey("org"), byKey("second"))
		l.take(a)
		return a
	}
	alone := signed(l.event(&actor.Lift{Verdicts: [][32]byte{long.Hash()}, Why: actor.Mistaken}), byKey("org"))
	if got := reason(admit(l, alone)); got != abaton.ReasonApprovals {
		t.Errorf("lifted by one of two managers: got %q, want %q", got, abaton.ReasonApprovals)
	}
	one := lift(long.Hash(), ever.Hash())
	if got := l.st.BarredUntil(ben, w.now); got != day.Unix() {
		t.Errorf("lifted and not certified: got barred until %d, want %d", got, day.Unix())
	}
	l.certify(one)
	if got := l.st.BarredUntil(ben, w.now); got != hour.Unix() {
		t.Errorf("one of two lifted: got barred until %d, want %d", got, hour.Unix())
	}
	if !l.st.Barred(carl, day) {
		t.Error("barred for ever: let back by a lift")
	}
	l.certify(lift(short.Hash()))
	if l.st.Barred(ben, w.now) || l.st.Liftable(ben, w.now) != nil {
		t.Error("both lifted: still barred")
	}
	if bars := l.st.Bars(w.now); len(bars) != 1 || bars[carl] == 0 {
		t.Errorf("bars: got %d, want the one that is for ever", len(bars))
	}
	l.add(&actor.Bar{Actor: ben, Until: hour.Unix()}, byKey("org"))
	if !l.st.Barred(ben, w.now) {
		t.Error("barred anew after a lift: not barred")
	}
}
