package actor_test

import (
	"fmt"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
)

// TestFullLog: a log has an end. What takes away is taken longer, and what a
// certificate stands for always.
func TestFullLog(t *testing.T) {
	w := newWorld(t)
	l := w.patient("ana")
	fill := func(to int) {
		for head := l.st.Heads()[0]; int(head.Seq)+1 < to; head = l.st.Heads()[0] {
			body := &actor.Bar{Actor: abaton.ActorID(seed(fmt.Sprint(head.Seq)))}
			a, err := actor.Reopen(actor.Signed(l.after(body, head), actor.Proof{Tag: 1, Body: proofBody(signing("ana").ID())}))
			if err != nil {
				t.Fatal(err)
			}
			if err := l.st.Apply(a); err != nil {
				t.Fatal(err)
			}
			l.certify(a)
		}
	}
	widens := func() abaton.Reason {
		return reason(admit(l, signed(l.event(l.granted(abaton.ActorID{7}, 1)), byKey("ana"))))
	}
	narrows := func() abaton.Reason {
		return reason(admit(l, signed(l.event(&actor.Revoke{Grant: abaton.GrantID{1}}), byKey("ana"))))
	}
	for _, c := range []struct {
		events          int
		widens, narrows abaton.Reason
	}{
		{abaton.LogEventsMax - 1, "", ""},
		{abaton.LogEventsMax, abaton.ReasonTooLarge, ""},
		{2*abaton.LogEventsMax - 1, abaton.ReasonTooLarge, ""},
		{2 * abaton.LogEventsMax, abaton.ReasonTooLarge, abaton.ReasonTooLarge},
	} {
		fill(c.events)
		if got := widens(); got != c.widens {
			t.Errorf("%d events, one that gives: got %q, want %q", c.events, got, c.widens)
		}
		if got := narrows(); got != c.narrows {
			t.Errorf("%d events, one that takes away: got %q, want %q", c.events, got, c.narrows)
		}
	}
}
