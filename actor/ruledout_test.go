package actor_test

import (
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
)

// TestWhatTheCertifiedLogRulesOut: a return is made anew only when the one before
// can get no certificate any more; that stays so, and never holds of one that
// counts.
func TestWhatTheCertifiedLogRulesOut(t *testing.T) {
	r := newReturning(t)
	begun := r.begin(t)
	base := r.st.Heads()[0]
	back := r.back(base)
	tell := func(when string, a *actor.Authentic, want bool) {
		t.Helper()
		if got := r.st.RulesOut(a); got != want {
			t.Errorf("%s: got ruled out %v, want %v", when, got, want)
		}
	}
	tell("not known, its parent waits", back, false)
	r.certify(begun)
	tell("after the end", back, false)
	rival := r.w.authentic(r.after(&actor.Bar{Actor: abaton.ActorID{1}}, base), byKey("ana"))
	r.take(rival)
	tell("beside one without a certificate", back, false)
	r.apply(back)
	tell("known, beside one without a certificate", back, false)
	r.certify(rival)
	tell("its place went to another", back, true)
	tell("the other", rival, false)
	tell("before the end", begun, false)
	next := r.back(placeOf(rival))
	tell("after the new end", next, false)
	tell("after the lost one", r.back(placeOf(back)), true)
	merge := r.w.authentic(r.after(&actor.Merge{}, r.st.Heads()...), byKey("ana"))
	r.take(merge)
	r.certify(merge)
	tell("covered by a merge", back, true)
	tell("beside the merge", next, true)
	tell("after the merge", r.back(r.st.Heads()[0]), false)
	if other := newWorld(t).patient("bo"); other.st.RulesOut(back) || new(actor.State).RulesOut(back) {
		t.Error("another log, or none: got ruled out")
	}
}
