// Package audience says who can see a patient's record now, always as people:
// it follows the grants of a key log through teams, stand-ins, hand-ons and
// those who answer for programs, by the logs of all who take part.
//
//	a := audience.Of(patientLog, logOf, now)
//	for _, s := range a.Can { ... } // one line a person and grant
//
// It asks the same logs as the keepers do, but decides nothing: keepers also ask
// for a session, a device and the organisation's policy, so that it shows rather
// one too many than one too few. It knows names of actors only, and says nothing
// of what somebody has read already: that is the ledgers' to tell.
package audience

import (
	"bytes"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
)

// Logs looks up an actor's key log; nil where there is none here.
type Logs func(abaton.ActorID) *actor.State

// Why says why somebody who was given something cannot use it now. Empty for
// those who can.
type Why string

// The reasons, as words.
const (
	Barred     Why = "barred by the patient"
	Left       Why = "no member of the organisation now"
	Ended      Why = "ended"
	NoReader   Why = "in a role that does not read"
	Unanswered Why = "nobody answers for it now"
	Outside    Why = "not inside of where it may go"
	Unknown    Why = "not known here"
	Empty      Why = "nobody is in the team now"
)

// Seer is one person or program and one way by which they see the record.
type Seer struct {
	Actor     abaton.ActorID
	Kind      actor.Kind // zero: its log is not here
	Grant     abaton.GrantID
	Team      abaton.ActorID // in which team; zero for oneself
	InPlaceOf abaton.ActorID // for a shift; zero normally
	Onward    abaton.Handed  // who handed the grant on; zero normally
	AnswersTo abaton.ActorID // of a program: who answers for it
	Roles     []string       // at the organisation
	Lines     []abaton.Line
	From      int64 // unix seconds, inclusive
	Until     int64 // unix seconds, exclusive: the earliest end of all that it rests on
	Why       Why   // empty for who can
}

// Holder keeps a way into the record besides the patient's devices.
type Holder struct {
	Escrow abaton.GrantID
	Kind   actor.EscrowKind
	Actor  abaton.ActorID // zero: whoever has the paper
	Lines  []abaton.Line  // what it opens; none: all
	Need   int            // how many of them together, or clinicians of an emergency
}

// Audience is who can see a record.
type Audience struct {
	Can     []Seer // who can see it
	Cannot  []Seer // who was given something and cannot use it, and why
	Adds    []Seer // who can add to it without reading
	Holders []Holder
	Barred  map[abaton.ActorID]int64 // until when, unix seconds
}

// Of is who can see a patient's record.
func Of(patient *actor.State, logs Logs, now time.Time) Audience {
	v := view{patient: patient, logs: logs, now: now}
	for id, g := range patient.Grants() {
		switch {
		case now.Unix() >= g.Expires:
		case g.Actions&grant.Read == 0:
			v.out.Adds = append(v.out.Adds, v.seer(id, g))
		default:
			v.grant(id, g)
		}
	}
	v.escrows()
	v.out.Barred = patient.Bars(now)
	for _, list := range [][]Seer{v.out.Can, v.out.Cannot, v.out.Adds} {
		slices.SortFunc(list, order)
	}
	return v.out
}

func order(a, b Seer) int {
	for _, c := range []int{bytes.Compare(a.Grant[:], b.Grant[:]), bytes.Compare(a.Onward.ID[:], b.Onward.ID[:]),
		bytes.Compare(a.Actor[:], b.Actor[:]), bytes.Compare(a.InPlaceOf[:], b.InPlaceOf[:])} {
		if c != 0 {
			return c
		}
	}
	return 0
}

type view struct {
	patient *actor.State
	logs    Logs
	now     time.Time
	out     Audience
}

func (v *view) seer(id abaton.GrantID, g *grant.Grant) Seer {
	s := Seer{Actor: g.Grantee, Grant: id, Lines: g.Lines, From: g.NotBefore, Until: g.Expires}
	if st := v.log(g.Grantee); st != nil {
		s.Kind = st.Kind()
	}
	return s
}

// log is a log that counts.
func (v *view) log(id abaton.ActorID) *actor.State {
	if id == (abaton.ActorID{}) {
		return nil
	}
	if st := v.logs(id); st != nil && st.Live() {
		return st
	}
	return nil
}

// grant follows one grant to people, and what came of it.
func (v *view) grant(id abaton.GrantID, g *grant.Grant) {
	base := v.seer(id, g)
	for _, giver := range v.people(base) {
		v.add(giver)
		if g.Onward != (abaton.ActorID{}) && giver.InPlaceOf == (abaton.ActorID{}) && giver.Why == "" {
			v.handedOn(giver, g)
		}
	}
}

func (v *view) add(s Seer) {
	if s.Why == "" && v.bars(s) {
		s.Why = Barred
	}
	if s.Why != "" {
		v.out.Cannot = append(v.out.Cannot, s)
		return
	}
	v.out.Can = append(v.out.Can, s)
}

// bars reports whether the patient bars anybody who takes part.
func (v *view) bars(s Seer) bool {
	for _, id := range []abaton.ActorID{s.Actor, s.InPlaceOf, s.Onward.From} {
		if id == (abaton.ActorID{}) {
			continue
		}
		if v.patient.Barred(id, v.now) {
			return true
		}
		if st := v.log(id); st != nil && v.patient.Barred(st.Organisation(), v.now) {
			return true
		}
	}
	return false
}

// people are who base.Actor is: itself, or who is in the team of that name.
func (v *view) people(base Seer) []Seer {
	if v.log(base.Actor) != nil {
		return []Seer{v.alone(base)}
	}
	for _, org := range v.houses() {
		if t := org.Team(base.Actor); t != nil {
			return v.team(base, org, t)
		}
	}
	base.Why = Unknown
	return []Seer{base}
}

// houses are the organisations whose teams a patient's grants can name as far as
// is known here: the patient's own, and those of all who were given anything.
func (v *view) houses() (all []*actor.State) {
	ids := []abaton.ActorID{v.patient.Organisation()}
	for _, g := range v.patient.Grants() {
		for _, id := range []abaton.ActorID{g.Grantee, g.Onward} {
			st := v.log(id)
			if st == nil {
				continue
			}
			if st.Kind() == actor.Organisation {
				ids = append(ids, id)
			} else {
				ids = append(ids, st.Organisation())
			}
		}
	}
	seen := make(map[abaton.ActorID]bool)
	for _, id := range ids {
		if st := v.log(id); st != nil && !seen[id] {
			seen[id] = true
			all = append(all, st)
		}
	}
	return all
}

// alone is one actor, with what its organisation says of it now.
func (v *view) alone(s Seer) Seer {
	st := v.log(s.Actor)
	if st == nil {
		s.Why = Unknown
		return s
	}
	s.Kind = st.Kind()
	if st.Stopped() {
		s.Why = Ended
		return s
	}
	switch s.Kind {
	case actor.Patient:
		return s
	case actor.Clinician, actor.Device, actor.Agent:
		return v.member(s, st)
	}
	s.Why = NoReader // nobody signs in as an organisation
	return s
}

func (v *view) member(s Seer, st *actor.State) Seer {
	org := v.log(st.Organisation())
	var m *actor.Member
	if org != nil {
		m = org.Member(s.Actor, v.now)
	}
	if m == nil {
		s.Why = Left
		return s
	}
	s.Roles, s.AnswersTo, s.Until = m.Roles, m.Sponsor, min(s.Until, m.Expires)
	if !slices.ContainsFunc(m.Roles, reads) {
		s.Why = NoReader
	}
	if st.Kind() == actor.Agent && !v.answered(org, m.Sponsor) {
		s.Why = Unanswered
	}
	return s
}

func reads(name string) bool {
	role, known := abaton.RoleOf(name)
	return known && role.Reads
}

// answered reports whether somebody who is there now answers for a program.
func (v *view) answered(org *actor.State, by abaton.ActorID) bool {
	if m := org.Member(by, v.now); m != nil {
		return !m.Program()
	}
	st := v.log(by)
	return st != nil && st.Kind() == actor.Patient && !st.Stopped()
}

func (v *view) escrows() {
	for id, e := range v.patient.Escrows() {
		one := Holder{Escrow: id, Kind: e.Kind, Lines: e.Lines, Need: int(e.Need)}
		if len(e.Wraps) == 0 {
			v.out.Holders = append(v.out.Holders, one)
		}
		for _, w := range e.Wraps {
			one.Actor = w.Holder
			v.out.Holders = append(v.out.Holders, one)
		}
	}
	slices.SortFunc(v.out.Holders, func(a, b Holder) int {
		if a.Kind != b.Kind {
			return int(a.Kind) - int(b.Kind)
		}
		if c := bytes.Compare(a.Escrow[:], b.Escrow[:]); c != 0 {
			return c
		}
		return bytes.Compare(a.Actor[:], b.Actor[:])
	})
}
