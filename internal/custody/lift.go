package custody

import (
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/ledger"
)

// forgive: a lift has come into force. What was noted of the people whom its
// verdicts are about no longer counts, or the very next request would bring the
// same verdict again.
func (c *Core) forgive(t *tx, a *actor.Authentic) {
	b, ok := a.Body().(*actor.Lift)
	v := c.watching.vigils[a.Actor()]
	if !ok || v == nil {
		return
	}
	var people []contain.Subject
	for _, name := range b.Verdicts {
		if s, known := c.watching.ladder.About(contain.Name(name)); known && s.Kind == contain.KindPerson {
			people = append(people, s)
		}
	}
	t.after = append(t.after, func(*ledger.Group) {
		for _, s := range people {
			v.watch.Forgive(s.ID)
		}
	})
}
