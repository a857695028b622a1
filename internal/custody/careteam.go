package custody

import (
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
)

// decideEscrow decides a read under an escrow that the patient's log gives: of
// an emergency set by whoever opened it, of a record in custody by its team.
func (v *verdict) decideEscrow(e *actor.Escrow, ended bool, line abaton.Line) abaton.Reason {
	if ended {
		return abaton.ReasonRevoked
	}
	if level := v.patient.Level(line); level == 0 || level >= grant.Shielded {
		return abaton.ReasonGrant // what is shielded is nobody's in an emergency, and no team's
	}
	reason := abaton.ReasonGrant
	switch e.Kind {
	case actor.EscrowEmergency:
		reason = v.mayRead(e, line)
	case actor.EscrowCustody:
		reason = v.keepsFor(e)
		if reason == "" && len(e.Lines) > 0 && !slices.Contains(e.Lines, line) {
			reason = abaton.ReasonGrant
		}
	}
	if reason == "" {
		v.asking(line)
	}
	return reason
}

// keepsFor: the asker is in a team that keeps the record, as its organisation's
// log says now, and treats or runs the practice; a duty copy opens for a complaint
// or liability alone. The patient's bar holds.
func (v *verdict) keepsFor(e *actor.Escrow) abaton.Reason {
	q := v.r.Asked
	if v.barred() || v.patient.Barred(v.r.Session.Statement().Behalf, v.t.now) {
		return abaton.ReasonBarred
	}
	duty := e.Told() != (abaton.ActorID{})
	if duty != (q.Purpose == abaton.Legal) || !duty && q.Purpose != abaton.Treatment && q.Purpose != abaton.Operations {
		return abaton.ReasonPurpose
	}
	for _, w := range e.Wraps {
		acts, reason := v.actsFor(w.Holder)
		if reason != "" {
			return reason
		}
		if acts {
			return ""
		}
	}
	return abaton.ReasonGrant
}

// unsealCustody: one of the team, within the day's budgets of the person and of
// the organisation (PROTOCOL.md#custody).
func (v *verdict) unsealCustody(e *actor.Escrow) abaton.Reason {
	if reason := v.keepsFor(e); reason != "" || v.repeat != nil {
		return reason
	}
	for _, b := range v.custodyBudgets() {
		within, err := v.core.hasRoom(v.t, b.name, b.max, v.t.now)
		if err != nil {
			return v.broken(err)
		}
		if !within {
			return abaton.ReasonBudget
		}
	}
	return ""
}

func (v *verdict) custodyBudgets() []budget {
	st := v.r.Session.Statement()
	name := func(id abaton.ActorID) string { return "custodies/" + string(id[:]) }
	return []budget{
		{name(st.Actor), abaton.CustodyPersonMax},
		{name(st.Organisation), abaton.CustodyOrganisationMax},
	}
}

func (v *verdict) noteCustody() {
	for _, b := range v.custodyBudgets() {
		v.core.spend(v.t, b.name, v.t.now)
	}
}
