package custody

import (
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/wire"
)

// counters are what this keeper counts per grant. They are durable.
type counters struct {
	renewals renewals
	used     map[abaton.GrantID]uint64
}

func newCounters() counters { return counters{used: make(map[abaton.GrantID]uint64)} }

// countersMax bounds the counts held in memory; others are read again.
const countersMax = 1 << 16

// trim drops counts that are durable: those the group has not moved.
func (n *counters) trim(t *tx) {
	for id := range n.used {
		if !slices.Contains(t.used, id) {
			delete(n.used, id)
		}
	}
}

func usedName(id abaton.GrantID) string { return "used/" + string(id[:]) }

// used is how many records a grant has opened or deposited here.
func (c *Core) used(id abaton.GrantID) (uint64, error) {
	if n, ok := c.counters.used[id]; ok {
		return n, nil
	}
	// Only counts that move are held: a request may name any grant.
	return countAt(c.store, usedName(id))
}

// use sets a grant's count with the group.
func (c *Core) use(t *tx, id abaton.GrantID, n uint64) {
	if len(c.counters.used) >= countersMax {
		c.counters.trim(t)
	}
	c.counters.used[id] = n
	t.used = append(t.used, id)
	c.store.PutMeta(&t.change, usedName(id), wire.U64(n))
}
