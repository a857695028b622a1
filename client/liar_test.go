package client_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// proven checks that x and nobody else is named, with a proof that holds by
// itself and the keeper's own signature under the bytes.
func (w *world) proven(faults []client.Fault, x abaton.KeeperIndex, reason abaton.Reason) {
	w.t.Helper()
	if len(faults) == 0 {
		w.t.Fatalf("keeper %d lied: got no fault", x)
	}
	for _, f := range faults {
		if f.Party != spread.KeeperParty || f.Keeper != x || f.Reason != reason {
			w.t.Fatalf("got a fault of party %d keeper %d (%s), want keeper %d (%s)", f.Party, f.Keeper, f.Reason, x, reason)
		}
		p, err := spread.ParseFault(f.Proof)
		if err != nil || p.Verify() != nil {
			w.t.Fatalf("proof against keeper %d does not hold: %v", x, err)
		}
		if _, err := client.VerifyFault(w.keepers.Set, f); err != nil {
			w.t.Fatalf("fault of keeper %d with its signed reply: %v", x, err)
		}
	}
}

// TestLiarNamed is T1 for each keeper: one lies, the record opens, the liar is
// named with a proof and nobody else is.
func TestLiarNamed(t *testing.T) {
	lies := []struct {
		name   string
		change func(*keeper.Reply)
		reason abaton.Reason
	}{
		{"fragment", flipFragment, abaton.ReasonFragment},
		{"share", flipShare, abaton.ReasonShare},
		{"other batch", func(r *keeper.Reply) {
			changePieces(r, func(p *spread.Piece) { p.Head.Body[len(p.Head.Body)-1] ^= 1 })
		}, abaton.ReasonMalformed},
		{"garbage", func(r *keeper.Reply) {
			for i := range r.Pieces {
				r.Pieces[i] = []byte{1, 2, 3}
			}
		}, abaton.ReasonMalformed},
	}
	w := newWorld(t)
	tx := w.writes(general, "a", 4)
	w.put(w.writer(t.TempDir()), tx)
	for _, lie := range lies {
		for x := abaton.KeeperIndex(1); x <= 5; x++ {
			r, l, ask := w.reader()
			w.lie(x, l, func(reply *keeper.Reply) {
				if len(reply.Pieces) > 0 {
					lie.change(reply)
				}
			})
			dead := x%5 + 1
			w.cut(dead) // and one is away
			c, err := r.Chart(t.Context(), ask)
			if err != nil {
				t.Fatalf("%s by keeper %d: %v", lie.name, x, err)
			}
			w.check(c, tx)
			asked := w.wires[x].count(keeper.RouteRequest) > 0
			if len(c.Faults) > 0 || asked && dead != x {
				if len(c.Faults) > 0 {
					w.proven(c.Faults, x, lie.reason)
				}
			}
			w.mend(x, dead)
		}
	}
}

// TestLiarNamedForCertain asks with exactly three keepers left besides the
// liar, so that the liar's piece is always among those asked for.
func TestLiarNamedForCertain(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t)
	tx := w.writes(general, "a", 4)
	w.put(w.writer(t.TempDir()), tx)
	for x := abaton.KeeperIndex(1); x <= 5; x++ {
		r, l, ask := w.reader()
		w.lie(x, l, flipFragment)
		list, err := r.List(t.Context(), ask)
		if err != nil {
			t.Fatalf("list: %v", err)
		}
		rest := []abaton.KeeperIndex{x%5 + 1, (x+1)%5 + 1, (x+2)%5 + 1}
		for _, y := range rest {
			w.wires[y].set(func(c *cable) { c.delay = client.HedgeTest }) // the liar answers first
		}
		w.cut((x+3)%5 + 1)
		got, err := r.Get(t.Context(), ask, list.Batches[0].Rows())
		if err != nil || len(got.Records) != 4 {
			t.Fatalf("keeper %d lies, one is away: %d records, %v", x, len(got.Records), err)
		}
		w.proven(got.Faults, x, abaton.ReasonFragment)
		w.mend(1, 2, 3, 4, 5)
	}
}

// TestForgedReplies: what a keeper did not sign, or does not speak of this
// request, or is not covered by its ledger, counts for nothing.
func TestForgedReplies(t *testing.T) {
	forgeries := []struct {
		name   string
		change func(*keeper.Reply)
	}{
		{"other keeper", func(r *keeper.Reply) { r.Keeper = r.Keeper%5 + 1 }},
		{"other request", func(r *keeper.Reply) { r.Request[0] ^= 1 }},
		{"entry beyond the checkpoint", func(r *keeper.Reply) { r.Entry = 1 << 40 }},
		{"no checkpoint", func(r *keeper.Reply) { r.Checkpoint = nil }},
		{"no outcome", func(r *keeper.Reply) { r.Outcome = 0 }},
		{"refused without a reason", func(r *keeper.Reply) { r.Outcome, r.Reason = keeper.Refused, "" }},
		{"version", func(r *keeper.Reply) { r.V = 2 }},
	}
	w := newWorld(t)
	tx := w.writes(general, "a", 2)
	w.put(w.writer(t.TempDir()), tx)
	for _, f := range forgeries {
		r, l, ask := w.reader()
		for x := abaton.KeeperIndex(1); x <= 3; x++ {
			w.lie(x, l, f.change)
		}
		if c, err := r.Chart(t.Context(), ask); err == nil {
			t.Errorf("%s at three keepers: got %d records, want too few answers", f.name, len(c.Records))
		}
		w.mend(1)
		c, err := r.Chart(t.Context(), ask)
		if err != nil {
			t.Fatalf("%s at two keepers: %v", f.name, err)
		}
		w.check(c, tx)
		w.mend(2, 3)
	}
}

// TestUnsealedReplies: bytes that are not a sealed reply to this session.
func TestUnsealedReplies(t *testing.T) {
	w := newWorld(t)
	tx := w.writes(general, "a", 2)
	w.put(w.writer(t.TempDir()), tx)
	garbage := [][]byte{nil, {0}, wire.Marshal(keeper.SealedReply{V: 1, Keeper: 1, Sealed: make([]byte, 64)})}
	for _, g := range garbage {
		r, _, ask := w.reader()
		w.wires[1].set(func(c *cable) {
			c.tap = func(route string, body []byte, next func([]byte) ([]byte, error)) ([]byte, error) {
				if route == keeper.RouteRequest {
					return g, nil
				}
				return next(body)
			}
		})
		c, err := r.Chart(t.Context(), ask)
		if err != nil {
			t.Fatalf("garbage from one keeper: %v", err)
		}
		w.check(c, tx)
		w.mend(1)
	}
}

// TestSlowKeepersHedged: two keepers hang; the read does not.
func TestSlowKeepersHedged(t *testing.T) {
	w := newWorld(t)
	tx := w.writes(general, "a", 4)
	w.put(w.writer(t.TempDir()), tx)
	for _, slow := range [][2]abaton.KeeperIndex{{1, 2}, {2, 4}, {3, 5}} {
		r, _, ask := w.reader()
		for _, x := range slow {
			w.wires[x].set(func(c *cable) { c.delay = time.Hour })
		}
		c, err := r.Chart(t.Context(), ask)
		if err != nil {
			t.Fatalf("keepers %v hang: %v", slow, err)
		}
		w.check(c, tx)
		w.mend(slow[0], slow[1])
	}
}

// TestSessionForgotten: a keeper that lost its memory gets the statement again.
func TestSessionForgotten(t *testing.T) {
	w := newWorld(t)
	tx := w.writes(general, "a", 2)
	w.put(w.writer(t.TempDir()), tx)
	r, _, ask := w.reader()
	if _, err := r.Chart(t.Context(), ask); err != nil {
		t.Fatalf("chart: %v", err)
	}
	for x := abaton.KeeperIndex(1); x <= 5; x++ {
		var forgot atomic.Bool
		w.wires[x].set(func(c *cable) {
			c.tap = func(route string, body []byte, next func([]byte) ([]byte, error)) ([]byte, error) {
				if route == keeper.RouteRequest && forgot.CompareAndSwap(false, true) {
					return nil, abaton.Refuse(abaton.ReasonNoSession)
				}
				return next(body)
			}
		})
	}
	c, err := r.Chart(t.Context(), ask)
	if err != nil {
		t.Fatalf("chart at keepers that forgot the session: %v", err)
	}
	w.check(c, tx)
}
