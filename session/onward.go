package session

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
)

// Handing is a hand-on by which a reading goes, and the logs beside the
// patient's that it is judged from (PROTOCOL.md#onward).
type Handing struct {
	Named abaton.Handed
	Giver *actor.State // the log of Named.From; nil where there is none
	Home  *actor.State // the log of the giver's organisation; nil where the operator has not admitted it
	Used  uint64       // records that the hand-on has opened
}

// Onward is what the logs say now of the hand-on that a reading goes by: who gave
// it, on what terms, to whom. People alone read by one, and in another's place
// nobody uses what was handed to them. What does not hold gives the zero Onward,
// which grant.DecideOnward refuses.
func (c Check) Onward(st *Statement, r Reading) (out grant.Onward) {
	h := r.Handing
	parent, _ := r.Patient.Grant(r.Grant)
	if h == nil || parent == nil || !c.handedTo(st) || !c.hands(parent, h) {
		return out
	}
	handed, takenBack, known := h.Giver.Onward(h.Named.ID)
	if !known || handed.Parent != r.Grant {
		return out
	}
	acts := c.ActsFor(st, handed.Terms.Grantee, r.Colleague)
	if !acts && st.Behalf != (abaton.ActorID{}) {
		return out
	}
	out = grant.Onward{From: h.Named.From, Terms: handed.Terms, TakenBack: takenBack, Used: h.Used}
	if parent.Grantee != h.Named.From {
		out.GivesFor = parent.Grantee
	}
	if acts {
		out.AsksFor = handed.Terms.Grantee
	}
	out.Within = c.Organisation.Inside(parent.Onward, st.Actor, st.Behalf, r.Colleague, c.Now)
	return out
}

// handedTo: a clinician of a house asks.
func (c Check) handedTo(st *Statement) bool {
	return c.Actor != nil && c.Actor.Kind() == actor.Clinician && c.Organisation != nil && c.Actor.Actor() == st.Actor
}

// hands: the giver is a live clinician in standing where the asker works or at
// home, and the patient's grant is theirs.
func (c Check) hands(parent *grant.Grant, h *Handing) bool {
	g := h.Giver
	if g == nil || !g.Live() || g.Actor() != h.Named.From || g.Kind() != actor.Clinician {
		return false
	}
	if c.Organisation.Gives(parent.Grantee, g.Actor(), c.Now) {
		return true
	}
	home := h.Home
	return home != nil && home.Live() && home.Actor() == g.Organisation() && home.Gives(parent.Grantee, g.Actor(), c.Now)
}

// handedFacts is what the patient's log says of the grant that was handed on; to
// whom it was is for grant.DecideOnward. Who bars the giver, or the giver's house,
// bars what they hand on.
func (c Check) handedFacts(st *Statement, r Reading) grant.Facts {
	f := r.Patient.Facts(actor.Asker{Actor: st.Actor, Organisation: st.Organisation, Behalf: st.Behalf}, r.Grant, r.Line, r.Used, c.Now)
	if g := r.Handing.Giver; g != nil {
		f.Barred = f.Barred || r.Patient.Barred(g.Actor(), c.Now) || r.Patient.Barred(g.Organisation(), c.Now)
	}
	return f
}
