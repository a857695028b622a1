package session

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
)

// standing: whoever is no patient acts for an organisation that has it as a
// member now, in a role that it has and that fits what it is.
func (c Check) standing(st *Statement) error {
	org := c.Organisation
	if org == nil || !org.Live() || org.Kind() != actor.Organisation || org.Actor() != st.Organisation {
		return abaton.Refuse(abaton.ReasonStanding)
	}
	m := org.Member(st.Actor, c.Now)
	role, known := abaton.RoleOf(st.Role)
	if m == nil || !known || !m.Holds(st.Role) || role.Human != (c.Actor.Kind() == actor.Clinician) {
		return abaton.Refuse(abaton.ReasonStanding)
	}
	if !c.lent(st, m) || !c.answered(m) {
		return abaton.Refuse(abaton.ReasonStanding)
	}
	if st.Behalf != (abaton.ActorID{}) && (c.Actor.Kind() != actor.Clinician || org.Member(st.Behalf, c.Now) == nil) {
		return abaton.Refuse(abaton.ReasonStanding)
	}
	return nil
}

// lent: an actor works for the organisation it came in by or, for a time, for
// another: then both have it as a member, and the other names the first.
func (c Check) lent(st *Statement, m *actor.Member) bool {
	home := c.Actor.Organisation()
	if home == st.Organisation {
		return true
	}
	return c.Actor.Kind() == actor.Clinician && m.Sponsor == home && c.Home != nil && c.Home.Live() &&
		c.Home.Kind() == actor.Organisation && c.Home.Actor() == home && c.Home.Member(st.Actor, c.Now) != nil
}

// answered: somebody who is there now answers for an agent: a person of the
// organisation, or the patient whose app it is. Where own staff names a
// sponsor, that one must be there too.
func (c Check) answered(m *actor.Member) bool {
	switch {
	case m.Sponsor == c.Actor.Organisation(): // lent: Home was asked
		return c.Actor.Kind() == actor.Clinician
	case m.Sponsor == (abaton.ActorID{}):
		return c.Actor.Kind() != actor.Agent
	}
	if by := c.Organisation.Member(m.Sponsor, c.Now); by != nil {
		return !by.Program()
	}
	return c.Actor.Kind() == actor.Agent && c.Sponsor != nil && c.Sponsor.Live() && !c.Sponsor.Stopped() &&
		c.Sponsor.Actor() == m.Sponsor && c.Sponsor.Kind() == actor.Patient
}
