package actor_test

import (
	"encoding/binary"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
)

// TestFull: a log has an end, and what takes away is taken longer.
func TestFull(t *testing.T) {
	for _, c := range []struct {
		events int
		kind   actor.EventKind
		want   bool
	}{
		{abaton.LogEventsMax - 1, actor.EventGrant, false},
		{abaton.LogEventsMax, actor.EventGrant, true},
		{abaton.LogEventsMax, actor.EventMerge, true},
		{abaton.LogEventsMax, actor.EventRevoke, false},
		{2*abaton.LogEventsMax - 1, actor.EventRevoke, false},
		{2 * abaton.LogEventsMax, actor.EventRevoke, true},
	} {
		if got := actor.Full(c.events, c.kind); got != c.want {
			t.Errorf("event of kind %d for a log of %d: full %t, want %t", c.kind, c.events, got, c.want)
		}
	}
}

// TestFullLog: a log that is full gives nothing more and still takes away.
func TestFullLog(t *testing.T) {
	if testing.Short() {
		t.Skip("makes a log of 16,384 events")
	}
	w := newWorld(t)
	l := w.patient("ana")
	proof := actor.Proof{Tag: 1, Body: proofBody(signing("ana").ID())}
	for head := l.st.Heads()[0]; head.Seq+1 < abaton.LogEventsMax; {
		body := new(actor.Bar)
		binary.BigEndian.PutUint64(body.Actor[:], head.Seq+1)
		a, err := actor.Reopen(actor.Signed(l.after(body, head), proof))
		if err != nil {
			t.Fatal(err)
		}
		if err := l.st.Apply(a); err != nil {
			t.Fatal(err)
		}
		l.certify(a)
		head = placeOf(a)
	}
	if got := reason(admit(l, signed(l.event(l.granted(abaton.ActorID{7}, 1)), byKey("ana")))); got != abaton.ReasonTooLarge {
		t.Errorf("an event that gives: got %q, want %q", got, abaton.ReasonTooLarge)
	}
	if got := reason(admit(l, signed(l.event(&actor.Revoke{Grant: abaton.GrantID{1}}), byKey("ana")))); got != "" {
		t.Errorf("an event that takes away: got %q, want admitted", got)
	}
}
