package custody

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
)

// onward reads, in the group's transaction, what the logs say of the hand-on
// that a request names: who gave it, on what terms, to whom. People alone ask by
// one; all of it is looked up as it is now (PROTOCOL.md#onward).
func (v *verdict) onward() abaton.Reason {
	q := v.r.Asked.Onward
	if q.IsZero() {
		return ""
	}
	v.handed = &grant.Onward{From: q.From}
	if v.asker.kind != actor.Clinician || v.asker.org == nil {
		return abaton.ReasonGrant
	}
	giver, err := v.core.actors.get(q.From)
	if err != nil {
		return v.broken(err)
	}
	if giver == nil || !giver.Live() || giver.Kind() != actor.Clinician {
		return abaton.ReasonGrant
	}
	h, takenBack, known := giver.Onward(q.ID)
	if !known || h.Parent != v.r.Asked.Grant {
		return abaton.ReasonGrant
	}
	v.handed.Terms, v.handed.TakenBack = h.Terms, takenBack
	if v.handed.Used, err = v.core.used(q.ID); err != nil {
		return v.broken(err)
	}
	return v.handedTo(giver)
}

// handedTo asks the organisations' logs: does the giver hold the patient's
// grant, and is the asker who it was handed to, inside of where it may go?
func (v *verdict) handedTo(giver *actor.State) abaton.Reason {
	parent, _ := v.patient.Grant(v.r.Asked.Grant)
	if parent == nil {
		return abaton.ReasonGrant
	}
	gives, err := v.gives(parent, giver)
	if err != nil {
		return v.broken(err)
	}
	if !gives {
		return abaton.ReasonGrant
	}
	if parent.Grantee != giver.Actor() {
		v.handed.GivesFor = parent.Grantee
	}
	acts, reason := v.actsFor(v.handed.Terms.Grantee)
	if reason != "" {
		return reason
	}
	st := v.r.Session.Statement()
	switch {
	case acts:
		v.handed.AsksFor = v.handed.Terms.Grantee
	case st.Behalf != (abaton.ActorID{}):
		return abaton.ReasonGrant // in another's place nobody uses what was handed to them
	}
	var colleague *actor.State
	if st.Behalf != (abaton.ActorID{}) {
		if colleague, err = v.core.actors.get(st.Behalf); err != nil {
			return v.broken(err)
		}
	}
	v.handed.Within = v.asker.org.Inside(parent.Onward, st.Actor, st.Behalf, colleague, v.t.now)
	return ""
}

// gives: the giver is in standing where the asker works or at home.
func (v *verdict) gives(parent *grant.Grant, giver *actor.State) (bool, error) {
	if v.asker.org.Gives(parent.Grantee, giver.Actor(), v.t.now) {
		return true, nil
	}
	if !v.core.admitted[giver.Organisation()] {
		return false, nil
	}
	home, err := v.core.actors.get(giver.Organisation())
	if err != nil || home == nil || !home.Live() {
		return false, err
	}
	return home.Gives(parent.Grantee, giver.Actor(), v.t.now), nil
}

// barsGiver reports whether the patient bars who handed on, or their
// organisation.
func (v *verdict) barsGiver() bool {
	if v.patient.Barred(v.handed.From, v.t.now) {
		return true
	}
	giver, err := v.core.actors.get(v.handed.From)
	return err != nil || giver == nil || v.patient.Barred(giver.Organisation(), v.t.now)
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
