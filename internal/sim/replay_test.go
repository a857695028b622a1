package sim_test

import (
	"testing"

	"github.com/abaton-health/abaton/internal/sim"
)

// TestSameSeedSameLife: a seed has one trace, whatever keys and names the
// pool's people and batches happen to have, so that it replays anywhere.
func TestSameSeedSameLife(t *testing.T) {
	a, b := pool(t), pool(t)
	for seed := uint64(1); seed <= 40/slower; seed++ {
		one, two := sim.Run(a, sim.NewPlan(seed), nil), sim.Run(b, sim.NewPlan(seed), nil)
		if one.Trace != two.Trace || one.Events != two.Events {
			t.Errorf("seed %d: got trace %x after %d events, then %x after %d", seed, one.Trace, one.Events, two.Trace, two.Events)
		}
	}
}
