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
	check session.Check
	kind  actor.Kind
	org   *actor.State // nil for patients
}

// standing: session.Live has asked whether the organisation has the person as
// a member in this role. Who runs a place reads nobody's record, and a
// patient's app no other patient's. A security officer says what an emergency
// opening was, and nothing else.
func (v *verdict) standing() abaton.Reason {
	check, err := v.core.parties(v.r.Session, v.t.now)
	if err != nil {
		return v.broken(err)
	}
	v.asker = asker{check: check, kind: check.Actor.Kind(), org: check.Organisation}
	if v.asker.kind == actor.Patient {
		return ""
	}
	st := v.r.Session.Statement()
	if !v.left && v.r.Asked.Mode == session.Confirm && oversight(&st) {
		return "" // it opens nothing; mayAnswer asks of what
	}
	_, only, reads := check.Reads(&st)
	if v.left || !reads || only != (abaton.ActorID{}) && only != v.r.Asked.Patient {
		return abaton.ReasonStanding
	}
	return ""
}

// facts is what the patient's log and the organisation's say of this access to
// a line.
func (v *verdict) facts(line abaton.Line) (grant.Facts, abaton.Reason) {
	st := v.r.Session.Statement()
	colleague, err := v.core.colleague(st.Behalf)
	if err != nil {
		return grant.Facts{}, v.broken(err)
	}
	reading := v.reading(colleague)
	reading.Line = line
	return v.asker.check.Facts(&st, reading)
}

// actsFor reports whether a grantee is a team that the asker is in now, by an
// own seat or by a colleague's for a shift.
func (v *verdict) actsFor(grantee abaton.ActorID) (bool, abaton.Reason) {
	st := v.r.Session.Statement()
	colleague, err := v.core.colleague(st.Behalf)
	if err != nil {
		return false, v.broken(err)
	}
	return v.asker.check.ActsFor(&st, grantee, colleague), ""
}

// colleague is the log of whose place is taken; nil where nobody's is.
func (c *Core) colleague(behalf abaton.ActorID) (*actor.State, error) {
	if behalf == (abaton.ActorID{}) {
		return nil, nil
	}
	return c.actors.get(behalf)
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
