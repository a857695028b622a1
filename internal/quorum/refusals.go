package quorum

import "github.com/abaton-health/abaton"

// Passing reports whether a refusal speaks of the keeper's own trouble, so
// that the same bytes may be accepted later: it counts as silence, never as a
// judgement on the message.
func Passing(r abaton.Reason) bool {
	switch r {
	case abaton.ReasonNoSession, abaton.ReasonTime, abaton.ReasonClock, abaton.ReasonLease,
		abaton.ReasonQuarantine, abaton.ReasonStorage, abaton.ReasonParent,
		abaton.ReasonActor, abaton.ReasonRoute:
		return true
	}
	return false
}

// refusals holds the latest refusal of each keeper.
type refusals struct {
	who     Keepers // whose latest answer is a lasting refusal
	reasons [abaton.KeepersMax + 1]abaton.Reason
}

func (r *refusals) note(x abaton.KeeperIndex, reason abaton.Reason) {
	if x > abaton.KeepersMax {
		return
	}
	r.reasons[x] = reason
	if reason == "" || Passing(reason) {
		r.who = r.who.Without(x)
		return
	}
	r.who = r.who.With(x)
}

func (r *refusals) forget(x abaton.KeeperIndex) { r.note(x, "") }

// majority is the reason most keepers of who gave; of equals the first in the
// order of keepers, so that the same answers always say the same.
func (r *refusals) majority() (best abaton.Reason) {
	most := 0
	for x := range r.who.Each {
		count := 0
		for y := range r.who.Each {
			if r.reasons[y] == r.reasons[x] {
				count++
			}
		}
		if count > most {
			best, most = r.reasons[x], count
		}
	}
	return best
}
