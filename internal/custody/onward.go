package custody

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
)

// onward reads, in the group's transaction, what the logs say of the hand-on
// that a request names: who gave it, on what terms, to whom. People alone ask by
// one; all of it is looked up as it is now (PROTOCOL.md#onward). What does not
// hold leaves the zero Onward, which refuses.
func (v *verdict) onward() abaton.Reason {
	q := v.r.Asked.Onward
	if q.IsZero() {
		return ""
	}
	v.handed = new(grant.Onward)
	parent, _ := v.patient.Grant(v.r.Asked.Grant)
	if parent == nil || v.asker.kind != actor.Clinician || v.asker.org == nil {
		return ""
	}
	giver, err := v.core.actors.get(q.From)
	if err != nil {
		return v.broken(err)
	}
	if giver == nil || !giver.Live() || giver.Kind() != actor.Clinician {
		return ""
	}
	h, takenBack, known := giver.Onward(q.ID)
	gives, err := v.gives(parent, giver)
	if err != nil {
		return v.broken(err)
	}
	if !known || h.Parent != v.r.Asked.Grant || !gives {
		return ""
	}
	used, err := v.core.used(q.ID)
	if err != nil {
		return v.broken(err)
	}
	handed := &grant.Onward{From: q.From, Terms: h.Terms, TakenBack: takenBack, Used: used}
	if parent.Grantee != q.From {
		handed.GivesFor = parent.Grantee
	}
	return v.handedTo(handed, parent)
}

// handedTo asks the log of the asker's organisation: is this one, in the place
// asked in, who it was handed to, inside of where it may go?
func (v *verdict) handedTo(handed *grant.Onward, parent *grant.Grant) abaton.Reason {
	acts, reason := v.actsFor(handed.Terms.Grantee)
	if reason != "" {
		return reason
	}
	st := v.r.Session.Statement()
	switch {
	case acts:
		handed.AsksFor = handed.Terms.Grantee
	case st.Behalf != (abaton.ActorID{}):
		return "" // in another's place nobody uses what was handed to them
	}
	colleague, err := v.core.colleague(st.Behalf)
	if err != nil {
		return v.broken(err)
	}
	handed.Within = v.asker.org.Inside(parent.Onward, st.Actor, st.Behalf, colleague, v.t.now)
	v.handed = handed
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

// handedFacts is what the patient's log says of the grant that was handed on; whom
// it names is for grant.DecideOnward.
func (v *verdict) handedFacts(line abaton.Line) (grant.Facts, abaton.Reason) {
	st := v.r.Session.Statement()
	f := v.patient.Facts(actor.Asker{Actor: st.Actor, Organisation: st.Organisation, Behalf: st.Behalf}, v.r.Asked.Grant, line, v.used, v.t.now)
	barred, err := v.barsGiver()
	if err != nil {
		return f, v.broken(err)
	}
	f.Barred = f.Barred || barred
	return f, ""
}

// barsGiver reports whether the patient bars who handed on, or their
// organisation.
func (v *verdict) barsGiver() (bool, error) {
	if v.handed.From == (abaton.ActorID{}) {
		return false, nil // refused all the same
	}
	giver, err := v.core.actors.get(v.handed.From)
	if err != nil || giver == nil {
		return true, err
	}
	return v.patient.Barred(v.handed.From, v.t.now) || v.patient.Barred(giver.Organisation(), v.t.now), nil
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
