package custody

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/session"
)

// onward reads, in the group's transaction, the logs that the hand-on of a request
// is judged from; session.Check.Onward judges them (PROTOCOL.md#onward).
func (v *verdict) onward() abaton.Reason {
	named := v.r.Asked.Onward
	if named.IsZero() {
		return ""
	}
	giver, err := v.core.actors.get(named.From)
	if err != nil {
		return v.broken(err)
	}
	home, err := v.home(giver)
	if err != nil {
		return v.broken(err)
	}
	used, err := v.core.used(named.ID)
	if err != nil {
		return v.broken(err)
	}
	st := v.r.Session.Statement()
	colleague, err := v.core.colleague(st.Behalf)
	if err != nil {
		return v.broken(err)
	}
	v.handing = &session.Handing{Named: named, Giver: giver, Home: home, Used: used}
	handed := v.asker.check.Onward(&st, v.reading(colleague))
	v.handed = &handed
	return ""
}

// home is the log of the giver's organisation, where this operator admitted it.
func (v *verdict) home(giver *actor.State) (*actor.State, error) {
	if giver == nil || !v.core.admitted[giver.Organisation()] {
		return nil, nil
	}
	return v.core.actors.get(giver.Organisation())
}

// reading is the request as session.Check is asked about it, without a line.
func (v *verdict) reading(colleague *actor.State) session.Reading {
	return session.Reading{Patient: v.patient, Colleague: colleague, Grant: v.r.Asked.Grant, Used: v.used, Handing: v.handing}
}

// count adds to what a grant and, if it was handed on, the hand-on has opened.
func (v *verdict) count(records uint64) {
	v.used += records
	if v.handed != nil {
		v.handed.Used += records
	}
}

// useOnward notes what the hand-on has opened.
func (v *verdict) useOnward() {
	if v.handed != nil {
		v.core.use(v.t, v.r.Asked.Onward.ID, v.handed.Used)
	}
}
