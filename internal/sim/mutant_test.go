package sim_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/abaton-health/abaton/internal/sim"
)

// mutantSeeds is how many seeds a mutant may live (RULINGS 28).
const mutantSeeds = 2000

// TestMutantsCaught: each rule broken on purpose is caught under its schedule,
// by a promise that the rule keeps.
func TestMutantsCaught(t *testing.T) {
	p := pool(t)
	for _, m := range sim.Mutants() {
		t.Run(m.String(), func(t *testing.T) {
			at, why := uint64(0), ""
			var mu sync.Mutex
			sweep(t, p, 1, mutantSeeds, func(seed uint64) sim.Plan { return sim.Directed(m, seed) }, func(seed uint64, r sim.Result) bool {
				mu.Lock()
				defer mu.Unlock()
				if r.Violation == nil {
					return true
				}
				if !slices.Contains(m.Breaks(), r.Violation.Invariant) {
					t.Errorf("seed %d: got %v, want one of %v", seed, r.Violation, m.Breaks())
					return false
				}
				if at == 0 || seed < at {
					at, why = seed, r.Violation.Invariant+": "+r.Violation.Text
				}
				return false
			})
			if at == 0 {
				t.Fatalf("not caught within %d seeds", mutantSeeds)
			}
			t.Logf("caught at seed %d by %s", at, why)
		})
	}
}

// TestSchedulesHoldUnbroken: the mutants' schedules break nothing while every
// rule is in force, so what catches a mutant is the mutant.
func TestSchedulesHoldUnbroken(t *testing.T) {
	p := pool(t)
	for _, m := range sim.Mutants() {
		t.Run(m.String(), func(t *testing.T) {
			sweep(t, p, 1, 10/slower, func(seed uint64) sim.Plan { return sim.Directed(m, seed).Unbroken() }, func(seed uint64, r sim.Result) bool {
				if r.Violation != nil {
					t.Errorf("seed %d: %v", seed, r.Violation)
				}
				return r.Violation == nil
			})
		})
	}
}

// TestOverBudgetIsSeen checks the checker: with two Byzantine keepers promises
// are broken, and it says so.
func TestOverBudgetIsSeen(t *testing.T) {
	p := pool(t)
	broken, count := 0, 30/slower
	sweep(t, p, 1, count, sim.OverBudget, func(_ uint64, r sim.Result) bool {
		if r.Violation != nil {
			broken++
		}
		return true
	})
	if broken < count/3 {
		t.Errorf("two Byzantine keepers: got %d of %d worlds broken, want at least a third", broken, count)
	}
	t.Logf("two Byzantine keepers: %d of %d worlds broken", broken, count)
}
