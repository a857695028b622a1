package sim_test

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"time"

	"github.com/abaton-health/abaton/internal/sim"
)

var (
	seed   = flag.Uint64("seed", 1, "first seed of TestSim")
	seeds  = flag.Int("seeds", 300/slower, "how many seeds TestSim runs")
	stage  = flag.Int("stage", 0, "play the schedule of this mutant")
	broken = flag.Bool("broken", false, "with its rule broken")
	events = flag.Bool("events", false, "tell every event of the worlds")
)

func pool(t testing.TB) *sim.Pool {
	t.Helper()
	p, err := sim.NewPool()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// sweep runs plans on all processors until f says stop.
func sweep(t *testing.T, p *sim.Pool, first uint64, count int, plan func(uint64) sim.Plan, f func(uint64, sim.Result) (goOn bool)) {
	t.Helper()
	var mu sync.Mutex
	next, stop := 0, false
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				over := stop || i >= count
				mu.Unlock()
				if over {
					return
				}
				var tell io.Writer
				if *events {
					tell = os.Stdout
				}
				r := sim.Run(p, plan(first+uint64(i)), tell)
				mu.Lock()
				stop = !f(first+uint64(i), r) || stop
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

// plan is the world of a seed as the flags want it.
func plan(seed uint64) sim.Plan {
	switch {
	case *stage == 0:
		return sim.NewPlan(seed)
	case *broken:
		return sim.Directed(sim.Mutant(*stage), seed)
	}
	return sim.Directed(sim.Mutant(*stage), seed).Unbroken()
}

func TestSim(t *testing.T) {
	debug.SetGCPercent(1600) // worlds are short and throw much away
	p := pool(t)
	var total sim.Total
	began := time.Now()
	sweep(t, p, *seed, *seeds, plan, func(s uint64, r sim.Result) bool {
		total.Add(r)
		if r.Violation != nil {
			t.Errorf("seed %d: %v", s, r.Violation)
		}
		return total.Broken < 8
	})
	fmt.Println(total.Line(time.Since(began)))
}
