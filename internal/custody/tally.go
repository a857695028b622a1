package custody

import (
	"maps"
	"sync"

	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/internal/detect"
	"github.com/abaton-health/abaton/ledger"
)

// Tally counts what the watch of one keeper did since it started, for metrics: no
// subject, no organisation.
type Tally struct {
	Verdicts map[TallyKey]uint64     // durable ones, by who said it, level and rule; one with two rules counts for each
	Held     map[detect.Level]uint64 // subjects held back now, by level
	Lifts    uint64                  // verdicts that organisations lifted
	Silent   uint64                  // peers that say nothing now
}

// TallyKey is what verdicts are counted by.
type TallyKey struct {
	Own   bool // this keeper's own word, else heard from another
	Level detect.Level
	Rule  detect.Rule
}

// tally is a Tally that the deciding loop writes and metrics read.
type tally struct {
	mu  sync.Mutex
	now Tally
}

func newTally() *tally {
	return &tally{now: Tally{Verdicts: make(map[TallyKey]uint64), Held: make(map[detect.Level]uint64)}}
}

func (t *tally) change(f func(*Tally)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(&t.now)
}

// countVerdict counts a verdict once it is durable.
func (c *Core) countVerdict(t *tx, said *contain.Said) {
	t.after = append(t.after, func(*ledger.Group) {
		c.watching.tally.change(func(n *Tally) {
			for r := range detect.Rule(32) {
				if said.Rules.Has(r) {
					n.Verdicts[TallyKey{said.Keeper == c.cfg.Index, said.Level, r}]++
				}
			}
		})
	})
}

// countHeld counts who is held back now, and who of the peers is silent.
func (c *Core) countHeld(now int64) {
	held := c.watching.ladder.Levels(now, c.lifted)
	silent := uint64(0)
	for _, is := range c.watching.silent {
		if is {
			silent++
		}
	}
	c.watching.tally.change(func(n *Tally) { n.Held, n.Silent = held, silent })
}

// Watched counts what the watch did.
func (k *Keeper) Watched() Tally {
	t := k.core.watching.tally
	t.mu.Lock()
	defer t.mu.Unlock()
	out := t.now
	out.Verdicts, out.Held = maps.Clone(out.Verdicts), maps.Clone(out.Held)
	return out
}
