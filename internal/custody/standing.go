package custody

import (
	"errors"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/session"
)

// parties are the key logs that a session's standing is read from, as they
// are now. An organisation's is nil for patients and where this operator has
// not admitted it.
func (c *Core) parties(s *session.Session, now time.Time) (session.Check, error) {
	st := s.Statement()
	check := session.Check{Set: c.cfg.Set.ID(), Now: now}
	var bad error
	get := func(id abaton.ActorID) *actor.State {
		if id == (abaton.ActorID{}) {
			return nil
		}
		state, err := c.actors.get(id)
		bad = errors.Join(bad, err)
		return state
	}
	if check.Actor = get(st.Actor); check.Actor == nil {
		return check, bad
	}
	if c.admitted[st.Organisation] {
		check.Organisation = get(st.Organisation)
	}
	check.Device = get(st.Device)
	if home := check.Actor.Organisation(); home != st.Organisation && c.admitted[home] {
		check.Home = get(home)
	}
	if check.Organisation != nil {
		if m := check.Organisation.Member(st.Actor, now); m != nil {
			check.Sponsor = get(m.Sponsor)
		}
	}
	return check, bad
}

// asker is what standing found out about who asks, for the checks after it.
type asker struct {
	kind actor.Kind
	org  *actor.State // nil for patients
	role abaton.Role
	// only is the one patient whom an agent may ask about: its sponsor. Zero
	// for all others.
	only abaton.ActorID
}

// standing: session.Live has asked whether the organisation has the person as
// a member in this role. Who runs a place reads nobody's record, and a
// patient's app no other patient's.
func (v *verdict) standing() abaton.Reason {
	check, err := v.core.parties(v.r.Session, v.t.now)
	if err != nil {
		return v.broken(err)
	}
	v.asker = asker{kind: check.Actor.Kind(), org: check.Organisation}
	if v.asker.kind == actor.Patient {
		return ""
	}
	role, known := abaton.RoleOf(v.r.Session.Statement().Role)
	if v.left || check.Organisation == nil || !known || !role.Reads {
		return abaton.ReasonStanding
	}
	v.asker.role = role
	if check.Sponsor != nil && check.Sponsor.Kind() == actor.Patient {
		v.asker.only = check.Sponsor.Actor()
		if v.asker.only != v.r.Asked.Patient {
			return abaton.ReasonStanding
		}
	}
	return ""
}

// facts is what the patient's log and the organisation's say of this access.
func (v *verdict) facts() (grant.Facts, abaton.Reason) {
	st, q := v.r.Session.Statement(), v.r.Asked
	f := v.patient.Facts(actor.Asker{Actor: st.Actor, Organisation: st.Organisation, Behalf: st.Behalf}, q.Grant, v.used, v.t.now)
	if f.Grant == nil {
		return f, ""
	}
	if v.handed != nil {
		barred, err := v.barsGiver()
		if err != nil {
			return f, v.broken(err)
		}
		f.Barred = f.Barred || barred
		return f, ""
	}
	acts, reason := v.actsFor(f.Grant.Grantee)
	if reason != "" {
		return f, reason
	}
	if acts {
		f.ActsFor = f.Grant.Grantee
	} else if st.Behalf != (abaton.ActorID{}) {
		return f, abaton.ReasonGrant // in another's place nobody uses own grants
	}
	// A grant to a program is for a task, not for good (abaton.Roles).
	program := v.asker.kind == actor.Agent || v.asker.kind == actor.Device
	if life := time.Duration(f.Grant.Expires-f.Grant.NotBefore) * time.Second; program && life > v.asker.role.GrantLifeMax {
		return f, abaton.ReasonGrant
	}
	return f, ""
}

// actsFor reports whether a grant's grantee is a team that the asker is in
// now, by an own seat or by a colleague's for a shift.
func (v *verdict) actsFor(grantee abaton.ActorID) (bool, abaton.Reason) {
	st := v.r.Session.Statement()
	if v.asker.kind != actor.Clinician || v.asker.org == nil || v.asker.org.Team(grantee) == nil {
		return false, ""
	}
	colleague, err := v.colleague()
	if err != nil {
		return false, v.broken(err)
	}
	return v.asker.org.ActsFor(grantee, st.Actor, st.Behalf, colleague, v.t.now), ""
}

// colleague is the log of whose place the asker takes; nil normally.
func (v *verdict) colleague() (*actor.State, error) {
	behalf := v.r.Session.Statement().Behalf
	if behalf == (abaton.ActorID{}) {
		return nil, nil
	}
	return v.core.actors.get(behalf)
}

// mayAskFor reports whether who may ask which patients named a team: whoever
// is in it now, and whom somebody in it has handed the own place for a shift.
func (c *Core) mayAskFor(who, team abaton.ActorID, now time.Time) (bool, error) {
	for id := range c.admitted {
		org, err := c.actors.get(id)
		if err != nil {
			return false, err
		}
		if org == nil || org.Team(team) == nil {
			continue
		}
		if org.ActsFor(team, who, abaton.ActorID{}, nil, now) {
			return true, nil
		}
		for _, seat := range org.Team(team).Seats {
			colleague, err := c.actors.get(seat.Actor)
			if err != nil {
				return false, err
			}
			if org.ActsFor(team, who, seat.Actor, colleague, now) {
				return true, nil
			}
		}
	}
	return false, nil
}
