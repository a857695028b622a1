package custody

import (
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/wire"
)

// toldMax is how many openings a patient's notice holds: the newest, and never
// without one of each set that still stands.
const toldMax = 64

// told is an emergency opening as the patient's notice has it.
type told struct {
	Opener  abaton.ActorID `cbor:"1,keyasint"`
	Opening emergency      `cbor:"2,keyasint"`
}

func noticeName(patient abaton.ActorID) string { return "opened/" + string(patient[:]) }

// notice is what this keeper tells a patient and the patient's helpers of
// emergency openings, oldest first.
func (c *Core) notice(t *tx, patient abaton.ActorID) (all []told, err error) {
	b, err := c.noted(t, noticeName(patient))
	if err != nil || len(b) == 0 {
		return nil, err
	}
	return all, wire.Unmarshal(b, &all)
}

// tellPatient adds an opening to the notice. What is left out first is about
// sets that have ended: a set that still stands and was opened is one to burn.
func (v *verdict) tellPatient(who abaton.ActorID, o *emergency) {
	all, err := v.core.notice(v.t, o.Patient)
	if err != nil {
		v.t.err = err
		return
	}
	all = append(all, told{who, *o})
	for i := 0; len(all) > toldMax && i < len(all)-1; {
		_, ended := v.patient.Escrow(all[i].Opening.Escrow)
		later := slices.ContainsFunc(all[i+1:], func(n told) bool { return n.Opening.Escrow == all[i].Opening.Escrow })
		if ended || later {
			all = slices.Delete(all, i, i+1)
			continue
		}
		i++
	}
	v.core.jot(v.t, noticeName(o.Patient), wire.Marshal(all))
}

// amendNotice notes a second clinician's word in the patient's notice too.
func (c *Core) amendNotice(t *tx, o *emergency) {
	all, err := c.notice(t, o.Patient)
	if err != nil {
		t.err = err
		return
	}
	for i := range all {
		if all[i].Opening.Request == o.Request {
			all[i].Opening = *o
			c.jot(t, noticeName(o.Patient), wire.Marshal(all))
			return
		}
	}
}

// tellOpenings answers who opened what in emergencies. A patient's are told to
// the patient and to the patient's helpers; a clinician's to the clinician, and
// those for an organisation to its managers and its security officers.
// Anything else refuses the whole question.
func (c *Core) tellOpenings(t *tx, q *keeper.Query, asker *actor.State) Output {
	if len(q.Actors) == 0 {
		return refused(abaton.ReasonMalformed)
	}
	var out Output
	for _, id := range q.Actors {
		subject, err := c.actors.get(id)
		if err != nil {
			return t.fail(err)
		}
		var all []keeper.Opening
		switch {
		case subject == nil:
			return refused(abaton.ReasonCredential)
		case subject.Kind() == actor.Patient:
			if id != asker.Actor() && !helps(subject, asker.Actor()) {
				return refused(abaton.ReasonCredential)
			}
			all, err = c.toldOf(t, id)
		default:
			organisation, may, e := c.oversees(asker, q.Key, id, t.now)
			if e != nil {
				return t.fail(e)
			}
			if !may {
				return refused(abaton.ReasonCredential)
			}
			all, err = c.openedBy(t, id, organisation)
		}
		if err != nil {
			return t.fail(err)
		}
		out.Openings = append(out.Openings, all...)
	}
	if len(out.Openings) > keeper.OpeningsMax {
		return refused(abaton.ReasonTooLarge)
	}
	return out
}

// helps reports whether the patient chose somebody as helper.
func helps(patient *actor.State, who abaton.ActorID) bool {
	for _, e := range patient.Escrows() {
		if e.Kind == actor.EscrowTrustees && slices.ContainsFunc(e.Wraps, func(w actor.HalfWrap) bool { return w.Holder == who }) {
			return true
		}
	}
	return false
}

// oversees says for which organisation the asker may see what somebody opened;
// zero is for all, of the clinician's own.
func (c *Core) oversees(asker *actor.State, by abaton.KeyID, who abaton.ActorID, now time.Time) (organisation abaton.ActorID, may bool, err error) {
	if asker.Actor() == who {
		return organisation, true, nil
	}
	if asker.Kind() == actor.Organisation {
		return asker.Actor(), asker.KeyRights(by)&actor.Manage != 0, nil
	}
	org, err := c.actors.get(asker.Organisation())
	if err != nil || org == nil || !org.Live() || asker.Kind() != actor.Clinician {
		return organisation, false, err
	}
	m := org.Member(asker.Actor(), now)
	return org.Actor(), m != nil && m.Holds(abaton.RoleSecurityOfficer), nil
}

func (c *Core) toldOf(t *tx, patient abaton.ActorID) (out []keeper.Opening, err error) {
	all, err := c.notice(t, patient)
	for i := range all {
		out = append(out, all[i].Opening.tell(all[i].Opener))
	}
	return out, err
}

func (c *Core) openedBy(t *tx, who, organisation abaton.ActorID) (out []keeper.Opening, err error) {
	all, err := c.openings(t, who)
	for i := range all {
		if organisation == (abaton.ActorID{}) || all[i].Organisation == organisation {
			out = append(out, all[i].tell(who))
		}
	}
	return out, err
}

// tell is an opening in the words of the protocol.
func (o *emergency) tell(who abaton.ActorID) keeper.Opening {
	return keeper.Opening{Request: o.Request, Patient: o.Patient, Escrow: o.Escrow, Opener: who, Organisation: o.Organisation,
		Device: o.Device, Time: uint64(max(o.Time, 0)), Urgency: uint8(o.Urgency), Loud: o.Loud, Verdict: uint8(o.Verdict), Second: o.Second}
}
