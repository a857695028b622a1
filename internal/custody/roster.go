package custody

import (
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/relation"
)

// What organisations tell of who is on duty (PROTOCOL.md#roster).
const (
	// rosterSlack is how long before and after a duty somebody may well be at
	// work.
	rosterSlack = 2 * time.Hour
	// rosterKept is how long a duty is remembered after its end, so that who is
	// on leave is known to be on rosters.
	rosterKept = 31 * 24 * time.Hour
)

// offShift reports whether a clinician is known to be on rosters and is neither
// on duty now nor about to be, and takes nobody's place. It is false where an
// organisation tells no rosters, or none of this person.
func (c *Core) offShift(who opener, at time.Time) (bool, error) {
	if who.behalf != (abaton.ActorID{}) || !c.admitted[who.organisation] {
		return false, nil
	}
	all, err := c.relationsOf(who.actor, who.organisation)
	if err != nil || len(all) == 0 {
		return false, err
	}
	org, err := c.actors.get(who.organisation)
	if err != nil || org == nil {
		return false, err
	}
	now, slack, rostered := at.Unix(), int64(rosterSlack/time.Second), false
	for i := range all {
		s := &all[i]
		if s.kind != relation.Duty || s.until <= s.from || s.over(now) || !s.kind.SaidBy(org.KeyRights(s.key)) {
			continue
		}
		if s.from-slack <= now && now < s.until+slack {
			return false, nil
		}
		rostered = true
	}
	return rostered, nil
}
