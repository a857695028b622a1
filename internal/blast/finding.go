package blast

import (
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
)

// stated is what a patient's log says of the patient's life, or would say once a
// thief has stated a case or taken one back.
type stated struct {
	frozen bool
	open   grant.Case
}

// turns are the states into which a thief can bring a patient's log, besides the
// one it is in: a registrar's keys and a physician's state a case, whoever stated
// one takes it back, and so does the patient's own device.
func (w *World) turns(h *hold, owner *actor.State) (all []stated) {
	if owner.Kind() != actor.Patient {
		return nil
	}
	now := stated{owner.Frozen(), owner.Stated(w.f.Now)}
	add := func(s stated) {
		if s != now && !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	if w.takesBack(h, owner) {
		add(stated{})
	}
	for _, c := range []grant.Case{grant.Incapacity, grant.Death} {
		if w.states(h, owner, c) && !(owner.Frozen() && c == grant.Incapacity) {
			add(stated{frozen: c == grant.Death, open: c})
		}
	}
	return all
}

// takesBack: all that is stated and stands.
func (w *World) takesBack(h *hold, owner *actor.State) bool {
	return h.signs(owner.Actor()) || !slices.ContainsFunc(owner.Findings(w.f.Now), func(f actor.Stating) bool {
		return !f.Ended && !w.governs(h, f.Finding.Registrar)
	})
}

func (w *World) governs(h *hold, id abaton.ActorID) bool {
	org := w.log(id)
	return org != nil && org.Kind() == actor.Organisation && h.governs(org)
}

// states: a registrar of the log and a physician that it names, who gain nothing
// by it (PROTOCOL.md#finding).
func (w *World) states(h *hold, owner *actor.State, c grant.Case) bool {
	right := actor.SaysIncapacity
	if c == grant.Death {
		right = actor.SaysDeath
	}
	return slices.ContainsFunc(owner.Registrars(w.f.Now), func(r *actor.Registrar) bool {
		return r.May&right != 0 && w.governs(h, r.Registrar) && !gains(owner, c, r.Registrar) &&
			slices.ContainsFunc(w.people, func(p *actor.State) bool {
				return h.signs(p.Actor()) && !p.Stopped() && !gains(owner, c, p.Actor()) && w.cosigns(r, p.Actor())
			})
	})
}

// cosigns: somebody is a physician whom the registrar states with, of another
// house than its own.
func (w *World) cosigns(r *actor.Registrar, physician abaton.ActorID) bool {
	return slices.ContainsFunc(w.houses, func(house *actor.State) bool {
		m := house.Member(physician, w.f.Now)
		return house.Actor() != r.Registrar && m != nil && m.Holds(abaton.RolePhysician) &&
			(slices.Contains(r.With, physician) || slices.Contains(r.With, house.Actor()))
	})
}

// gains: a grant for the case is this one's own.
func gains(owner *actor.State, c grant.Case, who abaton.ActorID) bool {
	for _, g := range owner.Grants() {
		if g.When == c && g.Grantee == who {
			return true
		}
	}
	return false
}

// narrows counts the patients of whom one managing key of a registrar takes away
// what others were given.
func (w *World) narrows(h *hold) (patients int) {
	for _, owner := range w.owners {
		if slices.ContainsFunc(owner.Registrars(w.f.Now), func(r *actor.Registrar) bool {
			return r.May&actor.SaysNarrow != 0 && h.manages[r.Registrar] > 0
		}) {
			patients++
		}
	}
	return patients
}

// statesFor counts the patients about whom a thief can state a case, or take one
// back.
func (w *World) statesFor(h *hold) (patients int) {
	for _, owner := range w.owners {
		if len(w.turns(h, owner)) > 0 {
			patients++
		}
	}
	return patients
}

// turned adds what opens besides, once a thief has changed what is stated.
func (w *World) turned(h *hold, askers []*asker, owner *actor.State, cut func(abaton.ActorID) bool, into *gain) {
	turns := w.turns(h, owner)
	if len(turns) == 0 {
		return
	}
	for _, a := range askers {
		for _, r := range w.rights(a, owner, cut) {
			for _, line := range r.lines {
				if w.opens(a, owner, r, line, nil) || !slices.ContainsFunc(turns, func(s stated) bool { return w.opens(a, owner, r, line, &s) }) {
					continue
				}
				if epochs := w.epochs(a.seeds, owner, line); len(epochs) > 0 {
					into.addEpochs(owner, line, epochs)
				}
			}
		}
	}
}
