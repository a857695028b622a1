package blast

import (
	"math"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/policy"
	"github.com/abaton-health/abaton/session"
)

// asker is one session that the thief has or can begin.
type asker struct {
	st        session.Statement
	check     session.Check
	colleague *actor.State
	only      abaton.ActorID // whose record alone an app reads; zero for all others
	touch     bool           // the passkey is at hand: step-ups, emergencies
	until     int64          // unix seconds
	seeds     seeds          // what the session itself was lent; of one that is begun, what the thief holds
	acts      map[abaton.ActorID]bool
	permitted map[ruling]bool // what the policy said before
}

// ruling is what one decision of a policy depends on, of one asker at one time.
type ruling struct {
	mode       policy.Mode
	purpose    abaton.Purpose
	level      uint8
	from, till int64 // of the grant
}

// names reports whether a grantee can stand for the asker at all.
func (a *asker) names(grantee abaton.ActorID) bool {
	acts, known := a.acts[grantee]
	if !known {
		acts = grantee == a.st.Actor || a.check.ActsFor(&a.st, grantee, a.colleague)
		a.acts[grantee] = acts
	}
	return acts
}

// seeds are what opens lock one.
type seeds struct {
	roots map[abaton.ActorID]bool
	boxes map[abaton.ActorID]bool
	live  bool // only of grants that hold now: what is lent at a sign-in
}

// askers are the sessions of a hold that keepers would let stand.
func (w *World) askers(h *hold) (all []*asker) {
	for _, t := range h.sessions {
		lent := seeds{roots: map[abaton.ActorID]bool{t.Actor: true}, live: true,
			boxes: w.withTeams(map[abaton.ActorID]bool{t.Actor: true})}
		for _, a := range w.sessionsOf(t.Actor, map[abaton.ActorID]bool{t.Device: true}) {
			if t.Role != "" && a.st.Role != t.Role || a.st.Behalf != t.Behalf {
				continue
			}
			a.seeds, a.until, a.touch = lent, before(a.until, t.Until), h.passkeys[t.Actor]
			all = append(all, a)
		}
	}
	for who, has := range h.passkeys {
		if !has {
			continue
		}
		for _, a := range w.sessionsOf(who, h.devices) {
			a.touch, a.seeds = true, seeds{roots: h.roots, boxes: h.boxes}
			all = append(all, a)
		}
	}
	return all
}

// before is the earlier end; zero is none.
func before(a, b int64) int64 {
	if b == 0 {
		return a
	}
	return min(a, b)
}

// sessionsOf are all ways in which an actor can sign in at these devices.
func (w *World) sessionsOf(who abaton.ActorID, devices map[abaton.ActorID]bool) (all []*asker) {
	own := w.log(who)
	if own == nil || own.Stopped() {
		return nil
	}
	if own.Kind() == actor.Patient {
		return w.standing(&asker{st: session.Statement{Actor: who}, until: math.MaxInt64})
	}
	for _, org := range w.houses {
		m := org.Member(who, w.f.Now)
		if m == nil {
			continue
		}
		for _, role := range m.Roles {
			for _, device := range w.seatsAt(own, org, devices) {
				for _, behalf := range w.places(who) {
					st := session.Statement{Actor: who, Organisation: org.Actor(), Role: role, Device: device, Behalf: behalf}
					all = append(all, w.standing(&asker{st: st, until: m.Expires})...)
				}
			}
		}
	}
	return all
}

// seatsAt are the devices of the house that a clinician can use; a program
// needs none.
func (w *World) seatsAt(own, org *actor.State, devices map[abaton.ActorID]bool) (all []abaton.ActorID) {
	if own.Kind() != actor.Clinician {
		return []abaton.ActorID{{}}
	}
	for id := range devices {
		if d := w.log(id); d != nil && d.Organisation() == org.Actor() {
			all = append(all, id)
		}
	}
	return all
}

// places are in whose place somebody can stand: nobody's, and those of the
// colleagues who handed theirs on.
func (w *World) places(who abaton.ActorID) []abaton.ActorID {
	all := []abaton.ActorID{{}}
	for _, c := range w.people {
		for _, d := range c.Duties(w.f.Now) {
			if d.To == who && w.f.Now.Unix() >= d.From {
				all = append(all, c.Actor())
				break
			}
		}
	}
	return all
}

// standing is the asker, if keepers would let it stand and read.
func (w *World) standing(a *asker) []*asker {
	st := &a.st
	a.check = session.Check{Actor: w.log(st.Actor), Organisation: w.log(st.Organisation), Device: w.log(st.Device), Now: w.f.Now}
	if home := a.check.Actor.Organisation(); home != st.Organisation {
		a.check.Home = w.log(home)
	}
	if org := a.check.Organisation; org != nil {
		if m := org.Member(st.Actor, w.f.Now); m != nil {
			a.check.Sponsor = w.log(m.Sponsor)
		}
	}
	if a.check.Actor.Kind() == actor.Clinician && !bound(a.check.Actor) {
		return nil // its passkey can leave its device: keepers refuse it
	}
	_, only, reads := a.check.Reads(st)
	if a.check.Stands(st) != nil || !reads {
		return nil
	}
	a.only, a.colleague = only, w.log(st.Behalf)
	a.acts, a.permitted = make(map[abaton.ActorID]bool), make(map[ruling]bool)
	return []*asker{a}
}

func bound(s *actor.State) bool {
	for _, class := range s.LiveCredentials() {
		if class == actor.Bound {
			return true
		}
	}
	return false
}

// own: the asker is the owner.
func (a *asker) own(owner *actor.State) bool {
	return a.st.Actor == owner.Actor() && a.check.Actor.Kind() == actor.Patient
}

// permits decides as a keeper does: a reading of one line by one right, for a
// purpose. Patients ask as such and answer to no house, whosever the record is.
func (w *World) permits(a *asker, owner *actor.State, r right, purpose abaton.Purpose, line abaton.Line, as *stated) bool {
	person := a.check.Actor.Kind() == actor.Patient
	if person != (purpose == abaton.PatientAccess) || a.only != (abaton.ActorID{}) && a.only != owner.Actor() {
		return false
	}
	level := levelOf(owner, line)
	if level >= actor.LevelMax && !a.own(owner) && !a.touch {
		return false
	}
	reading := session.Reading{Patient: owner, Colleague: a.colleague, Grant: r.grant, Line: line, Handing: w.through(r.through)}
	facts, reason := a.check.Facts(&a.st, reading)
	if reason != "" {
		return false
	}
	if as != nil {
		facts.Frozen, facts.Stated = as.frozen, as.open
	}
	access := grant.Access{Actor: a.st.Actor, Patient: owner.Actor(), Action: grant.Read, Purpose: purpose, Line: line}
	d := grant.Decision{}
	if r.through == nil {
		d = grant.Decide(facts, access, w.f.Now)
	} else {
		d = grant.DecideOnward(facts, a.check.Onward(&a.st, reading), access, w.f.Now)
	}
	return d.Permit && (person || w.policyPermits(a, policy.Release, purpose, level, facts.Grant))
}

// levelOf: a line without a level is the strictest.
func levelOf(owner *actor.State, line abaton.Line) uint8 {
	if seg, ok := owner.Newest(line); ok {
		return seg.Level
	}
	return actor.LevelMax
}

// policyPermits: the organisation's policy takes nothing away. A thief asks
// while the device's posture holds and touches the passkey when it must.
func (w *World) policyPermits(a *asker, mode policy.Mode, purpose abaton.Purpose, level uint8, g *grant.Grant) bool {
	if a.check.Organisation == nil {
		return false
	}
	name := ruling{mode: mode, purpose: purpose, level: level}
	if g != nil {
		name.from, name.till = g.NotBefore, g.Expires
	}
	permit, known := a.permitted[name]
	if !known {
		permit = w.policyDecides(a, mode, purpose, level, g)
		a.permitted[name] = permit
	}
	return permit
}

func (w *World) policyDecides(a *asker, mode policy.Mode, purpose abaton.Purpose, level uint8, g *grant.Grant) bool {
	org, now := a.check.Organisation, w.f.Now.Unix()
	f := &policy.Facts{Kind: policy.KindOf(a.check.Actor.Kind()), Organisation: a.st.Organisation.String(), Mode: mode, Purpose: purpose,
		Level: int64(max(level, 1)), Now: now, OnCall: a.st.Behalf != (abaton.ActorID{}), Roles: []string{a.st.Role}}
	if m := org.Member(a.st.Actor, w.f.Now); m != nil && len(m.Trained) > 0 {
		f.Training = make(map[string]int64, len(m.Trained))
		for _, t := range m.Trained {
			f.Training[t.Course] = t.Until
		}
	}
	if a.st.Device != (abaton.ActorID{}) {
		f.Device = &policy.DeviceFacts{Enrolled: true, Level: int64(actor.Managed), Posture: now + int64(actor.PostureLifeMax.Seconds())}
	}
	if g != nil {
		f.Grant = &policy.GrantFacts{NotBefore: g.NotBefore, Expires: g.Expires}
	}
	if a.touch {
		f.StepUp = new(int64)
	}
	return policy.Decide(w.policies[org.Actor()], f).Permit
}
