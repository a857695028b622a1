package custody

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/wire"
)

// A finding is something wrong with this keeper itself that somebody must look
// at. Counts are durable: a restart does not hide them.

// findable are the reasons a keeper finds against itself.
func findable() []abaton.Reason {
	return []abaton.Reason{abaton.ReasonClock, abaton.ReasonQuarantine}
}

func findingName(r abaton.Reason) string { return "finding/" + string(r) }

// find counts a finding with the group.
func (c *Core) find(t *tx, r abaton.Reason) {
	n, err := countAt(c.store, findingName(r))
	if err != nil {
		t.err = err
		return
	}
	c.store.PutMeta(&t.change, findingName(r), wire.U64(n+1))
}

// Findings are how often this keeper found what wrong with itself, ever.
func (k *Keeper) Findings() (map[abaton.Reason]uint64, error) {
	out := make(map[abaton.Reason]uint64)
	for _, r := range findable() {
		n, err := countAt(k.store, findingName(r))
		if err != nil {
			return nil, err
		}
		out[r] = n
	}
	return out, nil
}
