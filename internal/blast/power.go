package blast

import (
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
)

// Can is something besides reading that a thief can do.
type Can string

// What a thief can do (PROTOCOL.md#who-may-sign says which key).
const (
	CanAdd      Can = "add"       // write new records for patients, in the organisation's name
	CanBar      Can = "bar"       // bar staff and devices: a denial of service
	CanTakeOn   Can = "take-on"   // take on staff, devices and agents; change teams and policy
	CanVouch    Can = "vouch"     // call enrolled devices in order
	CanOwnLog   Can = "own-log"   // act for a patient: stop grants, erase, end ways back in
	CanGive     Can = "give"      // let others read what the thief can open
	CanHandOn   Can = "hand-on"   // hand on a patient's grant, where the patient allowed it
	CanCutOff   Can = "cut-off"   // take away what others were given, as a registrar
	CanState    Can = "state"     // state that a patient cannot decide or has died, or take that back
	CanClaim    Can = "claim"     // take over records in custody, as if their patients had come
	CanLogs     Can = "read-logs" // read who granted whom, by pseudonym
	CanWithhold Can = "withhold"  // keep back or falsify one keeper's answers
)

// Power is one of these, and how many patients it is about; zero where it is
// about none.
type Power struct {
	Can      Can
	Patients int
}

// Changes reports whether the power changes what stands in records.
func (p Power) Changes() bool { return p.Can == CanAdd || p.Can == CanOwnLog || p.Can == CanClaim }

func (w *World) powers(h *hold, besides []More) (all []Power) {
	add := func(c Can, patients int, has bool) {
		if has {
			all = append(all, Power{Can: c, Patients: patients})
		}
	}
	adds := w.adds(h)
	add(CanAdd, adds, adds > 0)
	manages := slices.ContainsFunc(w.houses, func(s *actor.State) bool { return h.manages[s.Actor()] > 0 })
	alarms := slices.ContainsFunc(w.houses, func(s *actor.State) bool { return h.alarms[s.Actor()] })
	attests := slices.ContainsFunc(w.houses, func(s *actor.State) bool { return h.attests[s.Actor()] })
	writes := slices.ContainsFunc(w.houses, func(s *actor.State) bool { return h.writes[s.Actor()] })
	add(CanBar, 0, manages || alarms)
	add(CanTakeOn, 0, w.makesStaff(h))
	add(CanVouch, 0, attests)
	own, gives := 0, 0
	for _, s := range w.owners {
		if s.Kind() == actor.Patient && h.passkeys[s.Actor()] {
			own++
			if h.roots[s.Actor()] && !s.Frozen() {
				gives++
			}
		}
	}
	add(CanOwnLog, own, own > 0)
	add(CanGive, gives, gives > 0)
	for _, m := range besides { // a root that is opened manages the log too
		add(CanClaim, m.Patients, m.Way == ByCustody && m.Patients > 0)
	}
	for _, p := range []Power{{CanHandOn, w.handsOn(h)}, {CanCutOff, w.narrows(h)}, {CanState, w.statesFor(h)}} {
		add(p.Can, p.Patients, p.Patients > 0)
	}
	logs := manages || alarms || attests || writes || len(h.keepers) > 0
	for _, signs := range []map[abaton.ActorID]bool{h.roots, h.devices} { // whose own signing key came along
		for id, has := range signs {
			logs = logs || has && w.log(id) != nil
		}
	}
	add(CanLogs, 0, logs)
	add(CanWithhold, 0, len(h.keepers) > 0)
	return all
}

// adds counts the patients for whom a stolen writer key still writes.
func (w *World) adds(h *hold) (patients int) {
	for _, owner := range w.owners {
		if owner.Kind() != actor.Patient {
			continue
		}
		deposits := slices.ContainsFunc(sorted(owner.Grants()), func(id abaton.GrantID) bool {
			g, _ := owner.Grant(id)
			if !h.writes[g.Grantee] {
				return false
			}
			return slices.ContainsFunc(g.Lines, func(line abaton.Line) bool {
				f := owner.Facts(actor.Asker{Actor: g.Grantee, Organisation: g.Grantee}, id, line, 0, w.f.Now)
				return grant.Decide(f, grant.Access{Actor: g.Grantee, Patient: owner.Actor(), Action: grant.Deposit,
					Purpose: g.Purposes[0], Line: line}, w.f.Now).Permit
			})
		})
		if deposits {
			patients++
		}
	}
	return patients
}
