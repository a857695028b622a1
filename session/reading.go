package session

import (
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
)

// Stands reports, as nil, whether key logs let whoever a statement names be
// there now, wherever the signatures come from: Live without passkey, device
// signature, posture and time. Who computes what a session could do asks it;
// a keeper asks Live. ReasonActor, ReasonStanding, ReasonDevice.
func (c Check) Stands(st *Statement) error {
	if c.Actor == nil || !c.Actor.Live() || c.Actor.Actor() != st.Actor {
		return abaton.Refuse(abaton.ReasonActor)
	}
	if c.Actor.Kind() == actor.Patient {
		return st.ofPatient()
	}
	if !c.sits(st) {
		return abaton.Refuse(abaton.ReasonDevice)
	}
	return c.standing(st)
}

// ofPatient: a patient asks as nobody else.
func (st *Statement) ofPatient() error {
	if st.Organisation != (abaton.ActorID{}) || st.Role != "" || st.Device != (abaton.ActorID{}) || st.Behalf != (abaton.ActorID{}) {
		return abaton.Refuse(abaton.ReasonStanding)
	}
	return nil
}

// Reads reports whether who stands reads records at all, in which role, and
// for a patient's app whose record alone (else zero). Who runs a place reads
// nobody's. A patient reads in no role.
func (c Check) Reads(st *Statement) (role abaton.Role, only abaton.ActorID, ok bool) {
	if c.Actor == nil {
		return role, only, false
	}
	if c.Actor.Kind() == actor.Patient {
		return role, only, true
	}
	role, known := abaton.RoleOf(st.Role)
	if c.Organisation == nil || !known || !role.Reads {
		return abaton.Role{}, only, false
	}
	if c.Sponsor != nil && c.Sponsor.Kind() == actor.Patient {
		only = c.Sponsor.Actor()
	}
	return role, only, true
}

// ActsFor reports whether a grantee is a team that whoever the statement names
// is in now, by an own seat or by a colleague's for a shift. Colleague is the
// log of Statement.Behalf, nil without one.
func (c Check) ActsFor(st *Statement, grantee abaton.ActorID, colleague *actor.State) bool {
	if c.Actor == nil || c.Actor.Kind() != actor.Clinician || c.Organisation == nil || c.Organisation.Team(grantee) == nil {
		return false
	}
	return c.Organisation.ActsFor(grantee, st.Actor, st.Behalf, colleague, c.Now)
}

// person: a human being asks, and in nobody else's place.
func (c Check) person(st *Statement) bool {
	human := c.Actor != nil && (c.Actor.Kind() == actor.Clinician || c.Actor.Kind() == actor.Patient)
	return human && st.Behalf == (abaton.ActorID{})
}

// Reading is an access that a patient's log is asked about.
type Reading struct {
	Patient   *actor.State   // the log
	Colleague *actor.State   // log of Statement.Behalf; nil without one
	Grant     abaton.GrantID // zero: as the owner
	Line      abaton.Line
	Used      uint64   // records that the grant has opened
	Handing   *Handing // the hand-on it goes by; nil normally
}

// Facts is what the patient's log and the organisation's say of a reading by
// whoever stands: what grant.Decide decides on, or, by a hand-on and beside Onward,
// grant.DecideOnward. ReasonGrant where somebody uses an own grant in another's
// place, or a program one that is not for a task.
func (c Check) Facts(st *Statement, r Reading) (grant.Facts, abaton.Reason) {
	if r.Handing != nil {
		return c.handedFacts(st, r), ""
	}
	f := r.Patient.Facts(actor.Asker{Actor: st.Actor, Organisation: st.Organisation, Behalf: st.Behalf}, r.Grant, r.Line, r.Used, c.Now)
	f.Person = c.person(st)
	if f.Grant == nil {
		return f, ""
	}
	if c.ActsFor(st, f.Grant.Grantee, r.Colleague) {
		f.ActsFor = f.Grant.Grantee
	} else if st.Behalf != (abaton.ActorID{}) {
		return f, abaton.ReasonGrant // in another's place nobody uses own grants
	}
	// A grant to a program is for a task, not for good (abaton.Roles).
	role, _ := abaton.RoleOf(st.Role)
	program := c.Actor != nil && (c.Actor.Kind() == actor.Agent || c.Actor.Kind() == actor.Device)
	if life := time.Duration(f.Grant.Expires-f.Grant.NotBefore) * time.Second; program && life > role.GrantLifeMax {
		return f, abaton.ReasonGrant
	}
	return f, ""
}
