package blast

import (
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
)

// nobody is whom a thief takes on: no log has this name.
var nobody = abaton.ActorID{1}

// madeMembers is what the grants to a team, what was handed on to it and what it
// keeps open for a new member of it.
func (w *World) madeMembers(org *actor.State, team abaton.ActorID, into *gain) {
	for _, owner := range w.owners {
		for _, id := range sorted(owner.Grants()) {
			if lines := w.madeLines(org, team, owner, id); len(lines) > 0 {
				into.add(owner, lines)
				into.m.Wait, into.m.PerDay = 0, 0
			}
		}
		if lines := w.madeKept(team, owner); len(lines) > 0 {
			into.add(owner, lines)
			into.m.Wait = 0
			if into.m.PerDay != 0 {
				into.m.PerDay = max(into.m.PerDay, abaton.CustodyOrganisationMax)
			}
		}
	}
}

// madeLines are the lines that a grant opens for a new member of a team.
func (w *World) madeLines(org *actor.State, team abaton.ActorID, owner *actor.State, id abaton.GrantID) (lines []abaton.Line) {
	g, _ := owner.Grant(id)
	for _, line := range g.Lines {
		f := owner.Facts(actor.Asker{Actor: nobody, Organisation: org.Actor()}, id, line, 0, w.f.Now)
		a := grant.Access{Actor: nobody, Patient: owner.Actor(), Action: grant.Read, Purpose: g.Purposes[0], Line: line}
		direct := f
		direct.ActsFor, direct.Person = team, true
		if grant.Decide(direct, a, w.f.Now).Permit || w.madeOnward(org, team, owner, id, f, a) {
			lines = append(lines, line)
		}
	}
	return lines
}

// madeOnward: the grant was handed on to the team. Whoever takes on staff seats
// them in every team of the house where the grant may go.
func (w *World) madeOnward(org *actor.State, team abaton.ActorID, owner *actor.State, id abaton.GrantID, f grant.Facts, a grant.Access) bool {
	g := f.Grant
	return slices.ContainsFunc(w.handed[id], func(h *handing) bool {
		if !h.live || h.Terms.Grantee != team || !w.gives(g.Grantee, h.giver) ||
			owner.Barred(h.giver.Actor(), w.f.Now) || owner.Barred(h.giver.Organisation(), w.f.Now) {
			return false
		}
		on := grant.Onward{From: h.giver.Actor(), Terms: h.Terms, GivesFor: g.Grantee, AsksFor: team,
			Within: g.Onward == org.Actor() || org.Team(g.Onward) != nil}
		a.Purpose = h.Terms.Purposes[0]
		return grant.DecideOnward(f, on, a, w.f.Now).Permit
	})
}

// madeKept are the lines of a record that the team keeps.
func (w *World) madeKept(team abaton.ActorID, owner *actor.State) (lines []abaton.Line) {
	if owner.Frozen() {
		return nil
	}
	for _, e := range owner.Escrows() {
		if e.Kind != actor.EscrowCustody || !slices.ContainsFunc(e.Wraps, func(half actor.HalfWrap) bool { return half.Holder == team }) {
			continue
		}
		for _, line := range unshielded(owner, linesOf(owner)) {
			if len(e.Lines) == 0 || slices.Contains(e.Lines, line) {
				lines = append(lines, line)
			}
		}
	}
	return lines
}
