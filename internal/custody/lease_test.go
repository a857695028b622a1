package custody_test

import (
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/keeper"
)

// TestCutOffKeeperRefuses: a keeper that has heard no peer for a lease answers
// nothing, whatever it was told before.
func TestCutOffKeeperRefuses(t *testing.T) {
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 1)
	w.mustDeposit(t, sealed)
	s := w.SignIn(t, w.doctor)
	w.mustAsk(t, s, 5, w.release(sealed, 1), keeper.Permitted, "")
	for x := abaton.KeeperIndex(1); x <= 4; x++ {
		w.Keepers[x].Down(true)
	}
	w.Keepers[5].Ahead(abaton.LeaseMax + time.Second) // a lease later
	w.mustAsk(t, s, 5, w.release(sealed, 1), keeper.Refused, abaton.ReasonLease)
}

// TestStatementOfYesterdayRefused: a session statement names checkpoints that
// nobody could know before; with old ones, or none of this network, it opens
// no session.
func TestStatementOfYesterdayRefused(t *testing.T) {
	w := newWorld(t, 1)
	later := abaton.CheckpointAgeMax + time.Minute
	old := w.SignInAt(t, w.doctor, time.Now().Add(later)) // signed now, to be used later
	for x := range w.Keepers {
		w.Keepers[x].Ahead(later)
	}
	for x := range w.Keepers {
		if _, err := w.Keepers[x].Call(t.Context(), keeper.RouteSession, old.Signed); reasonOf(err) != abaton.ReasonSession {
			t.Errorf("keeper %d: a statement made long before its session: got %v, want %q", x, err, abaton.ReasonSession)
		}
		w.Keepers[x].Ahead(0)
	}
	elsewhere := newWorld(t, 1)
	elsewhere.doctor, elsewhere.Set = w.doctor, w.Set
	if _, err := w.Keepers[1].Call(t.Context(), keeper.RouteSession, elsewhere.SignIn(t, w.doctor).Signed); reasonOf(err) != abaton.ReasonSession {
		t.Errorf("checkpoints of another network: got %v, want %q", err, abaton.ReasonSession)
	}
}

// TestSessionIsBoundToItsPerson: with a stolen session a thief asks as that
// person and under that person's grants, and as nobody else.
func TestSessionIsBoundToItsPerson(t *testing.T) {
	w := newWorld(t, 1)
	sealed := w.seals(t, 1, 1)
	w.mustDeposit(t, sealed)
	other := *w
	other.grant = w.ana.Grant(w.org.ID, grant.Read, 10)
	stolen := w.SignIn(t, w.doctor)
	w.mustAsk(t, stolen, 1, other.release(sealed, 1), keeper.Refused, abaton.ReasonNotFound)
	q := w.release(sealed, 1)
	q.Grant = abaton.GrantID{} // as if the owner asked
	w.mustAsk(t, stolen, 1, q, keeper.Refused, abaton.ReasonNotFound)
}
