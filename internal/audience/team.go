package audience

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
)

// team is who is in a team now, and who stands in for them.
func (v *view) team(base Seer, org *actor.State, t *actor.Team) (all []Seer) {
	base.Team = t.Team
	for _, seat := range t.Seats {
		if !org.Seated(t.Team, seat.Actor, v.now) {
			continue
		}
		one := base
		one.Actor = seat.Actor
		one = v.alone(one)
		all = append(all, one)
		if t.Delegable {
			all = append(all, v.standIns(base, org, seat.Actor)...)
		}
	}
	if len(all) == 0 {
		base.Why = Empty
		all = append(all, base)
	}
	return all
}

// standIns are the colleagues to whom somebody's place was handed for a shift.
func (v *view) standIns(base Seer, org *actor.State, place abaton.ActorID) (all []Seer) {
	colleague := v.log(place)
	if colleague == nil {
		return nil
	}
	for _, d := range colleague.Duties(v.now) {
		m := org.Member(d.To, v.now)
		if d.Team != base.Team || m == nil {
			continue
		}
		one := base
		one.Actor, one.InPlaceOf, one.Roles = d.To, place, m.Roles
		one.From, one.Until = max(base.From, d.From), min(base.Until, d.Until, m.Expires)
		if st := v.log(d.To); st != nil {
			one.Kind = st.Kind()
		}
		if v.now.Unix() >= d.From && !org.ActsFor(base.Team, d.To, place, colleague, v.now) {
			one.Why = Outside
		}
		all = append(all, one)
	}
	return all
}

// handedOn follows what somebody handed on of a grant.
func (v *view) handedOn(giver Seer, parent *grant.Grant) {
	st := v.log(giver.Actor)
	if st == nil || giver.Kind != actor.Clinician {
		return
	}
	for _, h := range st.Onwards(giver.Grant, v.now) {
		base := Seer{Actor: h.Terms.Grantee, Grant: giver.Grant, Onward: abaton.Handed{From: giver.Actor, ID: h.ID}, Lines: h.Terms.Lines,
			From: max(giver.From, h.Terms.NotBefore), Until: min(giver.Until, h.Terms.Expires)}
		for _, one := range v.people(base) {
			if one.Why == "" && (!parent.Narrower(h.Terms) || one.Kind != actor.Clinician || !v.inside(parent.Onward, one)) {
				one.Why = Outside
			}
			v.add(one)
		}
	}
}

// inside reports whether somebody is where a grant may go.
func (v *view) inside(onward abaton.ActorID, s Seer) bool {
	for _, org := range v.houses() {
		if org.Inside(onward, s.Actor, s.InPlaceOf, v.log(s.InPlaceOf), v.now) {
			return true
		}
	}
	return false
}
