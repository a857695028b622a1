package custody

import (
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/wire"
)

// Budget bounds what one actor may open here, whatever it is granted. The
// zero Budget refuses everything.
type Budget struct {
	PatientsPerHour int
}

// counters are what this keeper counts per grant and per actor. Grant counts
// are durable; the hourly window is memory only and starts anew with the
// process, which the durable quota bounds.
type counters struct {
	renewals renewals
	used     map[abaton.GrantID]uint64
	opened   map[abaton.ActorID]map[abaton.ActorID]time.Time
}

func newCounters() counters {
	return counters{
		used:   make(map[abaton.GrantID]uint64),
		opened: make(map[abaton.ActorID]map[abaton.ActorID]time.Time),
	}
}

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

// within reports whether one more patient is within the actor's budget.
func (c *Core) within(actor, patient abaton.ActorID, now time.Time) bool {
	seen := c.counters.opened[actor]
	if _, again := seen[patient]; !again && len(seen) >= c.cfg.Budget.PatientsPerHour {
		for p, at := range seen {
			if now.Sub(at) >= time.Hour {
				delete(seen, p)
			}
		}
		return len(seen) < c.cfg.Budget.PatientsPerHour
	}
	return c.cfg.Budget.PatientsPerHour > 0
}

func (c *Core) opens(actor, patient abaton.ActorID, now time.Time) {
	if actor == patient {
		return // the own record has no budget
	}
	seen := c.counters.opened[actor]
	if seen == nil {
		seen = make(map[abaton.ActorID]time.Time)
		c.counters.opened[actor] = seen
	}
	seen[patient] = now
}
