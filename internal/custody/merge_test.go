package custody_test

import (
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/wire"
)

// TestSplitSlotIsClosedByAMerge: two devices append at once and the keepers
// split; nobody gets a certificate until a merge names both, and then both
// grants and the revocation hold.
func TestSplitSlotIsClosedByAMerge(t *testing.T) {
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 1)
	w.mustDeposit(t, sealed)
	other := *w.ana // a second device of hers, with the same log
	mine := w.ana.Event(&actor.Granted{Grant: w.ana.Grant(w.doctor.ID, grant.Read, 5).Marshal()})
	theirs := other.Event(&actor.Granted{Grant: w.ana.Grant(w.doctor.ID, grant.Read, 6).Marshal()})
	for x := range w.Keepers {
		first := mine
		if x > 2 {
			first = theirs
		}
		body := wire.Marshal(keeper.Events{V: 1, Events: [][]byte{first.Marshal()}})
		if _, err := w.Keepers[x].Call(t.Context(), keeper.RouteEvents, body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.TryPublish(t, mine); reasonOf(err) != abaton.ReasonSlot {
		t.Fatalf("a split slot: got %v, want %q", err, abaton.ReasonSlot)
	}
	if err := w.TryPublish(t, theirs); reasonOf(err) != abaton.ReasonSlot {
		t.Fatalf("a split slot: got %v, want %q", err, abaton.ReasonSlot)
	}
	w.Publish(t, w.ana.Merge(mine, theirs))
	w.Publish(t, w.ana.Event(&actor.Revoke{Grant: w.grant.ID()}))
	s := w.SignIn(t, w.doctor)
	for x := range w.Keepers {
		w.mustAsk(t, s, x, w.release(sealed, 1), keeper.Refused, abaton.ReasonRevoked)
	}
}

// TestKeyLogSurvivesARestart: what was voted and certified is read back.
func TestKeyLogSurvivesARestart(t *testing.T) {
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 1)
	w.mustDeposit(t, sealed)
	w.Publish(t, w.ana.Event(&actor.Revoke{Grant: w.grant.ID()}))
	w.Restart(t, 4, func() {})
	if got := w.Keepers[4].AwaitMode(t); got != "serving" {
		t.Fatalf("restarted keeper: got mode %q, want serving", got)
	}
	s := w.SignIn(t, w.doctor)
	w.mustAsk(t, s, 4, w.release(sealed, 1), keeper.Refused, abaton.ReasonRevoked)
	w.grant = w.ana.Grant(w.doctor.ID, grant.Read, 5)
	w.Publish(t, w.ana.Event(&actor.Granted{Grant: w.grant.Marshal()}))
	w.mustAsk(t, s, 4, w.release(sealed, 1), keeper.Permitted, "")
}

// TestWrongClockRefuses: a keeper whose clock is minutes off is heard by no
// peer, so its lease is gone and it refuses.
func TestWrongClockRefuses(t *testing.T) {
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 1)
	w.mustDeposit(t, sealed)
	s := w.SignIn(t, w.doctor)
	w.mustAsk(t, s, 5, w.release(sealed, 1), keeper.Permitted, "")
	w.Keepers[5].Ahead(5 * time.Minute)
	q := w.release(sealed, 1)
	q.Time = time.Now().Add(5 * time.Minute).Unix() // in time by the wrong clock
	w.mustAsk(t, s, 5, q, keeper.Refused, abaton.ReasonLease)
	q.Time = 0
	w.mustAsk(t, s, 1, q, keeper.Permitted, "") // one wrong clock stops nobody else
}
