package blast

import (
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/session"
)

// handing is one hand-on of a patient's grant, wherever it leads.
type handing struct {
	actor.HandedOn
	giver *actor.State
	live  bool // not taken back, not run out
}

// handings are the hand-ons of all clinicians, by the grant handed on.
func (w *World) handings() map[abaton.GrantID][]*handing {
	all := make(map[abaton.GrantID][]*handing)
	for _, giver := range w.people {
		for _, h := range giver.EverHandedOn() {
			_, takenBack, known := giver.Onward(h.ID)
			live := known && !takenBack && w.f.Now.Unix() < h.Terms.Expires
			all[h.Parent] = append(all[h.Parent], &handing{HandedOn: h, giver: giver, live: live})
		}
	}
	return all
}

// handed names the hand-on as requests do; zero for none.
func (h *handing) handed() abaton.Handed {
	if h == nil {
		return abaton.Handed{}
	}
	return abaton.Handed{From: h.giver.Actor(), ID: h.ID}
}

// through is the hand-on as session.Check is asked about it; nil for none.
func (w *World) through(h *handing) *session.Handing {
	if h == nil {
		return nil
	}
	return &session.Handing{Named: h.handed(), Giver: h.giver, Home: w.log(h.giver.Organisation())}
}

// handsOn counts the patients whose grant a thief can hand on: it signs in the log
// of whom the grant is to, or of one in the team, and has what the grant brought.
func (w *World) handsOn(h *hold) (patients int) {
	for _, owner := range w.owners {
		if slices.ContainsFunc(sorted(owner.Grants()), func(id abaton.GrantID) bool { return w.mayHandOn(h, owner, id) }) {
			patients++
		}
	}
	return patients
}

func (w *World) mayHandOn(h *hold, owner *actor.State, id abaton.GrantID) bool {
	g, _ := owner.Grant(id)
	if g.Onward == (abaton.ActorID{}) || !h.boxes[g.Grantee] {
		return false
	}
	return slices.ContainsFunc(w.people, func(giver *actor.State) bool {
		return h.signs(giver.Actor()) && !giver.Stopped() && w.gives(g.Grantee, giver) && w.wouldGive(owner, id, g, giver)
	})
}

// signs: a live passkey or a key of this log is at hand.
func (h *hold) signs(who abaton.ActorID) bool { return h.passkeys[who] || h.roots[who] }

func (w *World) gives(grantee abaton.ActorID, giver *actor.State) bool {
	return slices.ContainsFunc(w.houses, func(org *actor.State) bool { return org.Gives(grantee, giver.Actor(), w.f.Now) })
}

// wouldGive: the patient's grant opens some line to the giver now that may go on.
func (w *World) wouldGive(owner *actor.State, id abaton.GrantID, g *grant.Grant, giver *actor.State) bool {
	return slices.ContainsFunc(g.Lines, func(line abaton.Line) bool {
		f := owner.Facts(actor.Asker{Actor: giver.Actor(), Organisation: giver.Organisation()}, id, line, 0, w.f.Now)
		f.ActsFor = g.Grantee
		a := grant.Access{Actor: giver.Actor(), Patient: owner.Actor(), Action: grant.Read, Purpose: g.Purposes[0], Line: line}
		return f.Level < grant.Shielded && grant.Decide(f, a, w.f.Now).Permit
	})
}
