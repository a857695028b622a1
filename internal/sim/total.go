package sim

import (
	"fmt"
	"runtime"
	"strings"
	"time"
)

// Total sums up many worlds.
type Total struct {
	Seeds, Broken int
	Events        uint64
	Virtual       time.Duration
	Struck        [faultKinds]int // how often each fault struck
	Met           [faultKinds]int // in how many worlds
	Done          Counts
}

// Add one world.
func (t *Total) Add(r Result) {
	t.Seeds++
	if r.Violation != nil {
		t.Broken++
	}
	t.Events += r.Events
	t.Virtual += r.Virtual
	for f, n := range r.Struck {
		t.Struck[f] += n
		if n > 0 {
			t.Met[f]++
		}
	}
	d, o := &t.Done, r.Done
	d.Acked, d.Opened, d.Refused, d.Listed = d.Acked+o.Acked, d.Opened+o.Opened, d.Refused+o.Refused, d.Listed+o.Listed
	d.InForce, d.Merged, d.Erased, d.Histories = d.InForce+o.InForce, d.Merged+o.Merged, d.Erased+o.Erased, d.Histories+o.Histories
	d.Releases, d.Quarantines = d.Releases+o.Releases, d.Quarantines+o.Quarantines
	d.Relocked, d.Healed = d.Relocked+o.Relocked, d.Healed+o.Healed
}

// Line is what a results file keeps of a run that took so long.
func (t *Total) Line(took time.Duration) string {
	var b strings.Builder
	s := took.Seconds()
	fmt.Fprintf(&b, "sim: %d seeds, %d broken, %.0f seeds/s, %.0f events/s, %.1f s on %d processors, %.0f h of virtual time\n",
		t.Seeds, t.Broken, float64(t.Seeds)/s, float64(t.Events)/s, s, runtime.GOMAXPROCS(0), t.Virtual.Hours())
	d := t.Done
	fmt.Fprintf(&b, "sim: acknowledged %d, in force %d (merges %d), erased %d, listed %d, opened %d, refused %d, histories %d, releases %d, quarantines %d, locked anew %d, reads that met a re-lock half way %d\n",
		d.Acked, d.InForce, d.Merged, d.Erased, d.Listed, d.Opened, d.Refused, d.Histories, d.Releases, d.Quarantines, d.Relocked, d.Healed)
	b.WriteString("sim: faults struck (in worlds):")
	for f, n := range t.Struck {
		fmt.Fprintf(&b, " %s %d (%d)", Fault(f), n, t.Met[f])
	}
	return b.String()
}
