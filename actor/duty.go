package actor

import (
	"time"

	"github.com/abaton-health/abaton"
)

// EventDuty is the kind of Duty.
const EventDuty EventKind = 17

// DutyLifeMax bounds what one shift hands on.
const DutyLifeMax = 24 * time.Hour

// Duty hands a clinician's place in a team to a colleague for one shift
// (PROTOCOL.md#duty). It stands in the log of whoever gives it, and takes two
// acts: this event, and a session of the colleague that names whose place it
// takes. The newest one for the same colleague and team holds. Only places in
// delegable teams can be handed on, and only by who has a seat: what came by
// a duty goes no further.
type Duty struct {
	To     abaton.ActorID `cbor:"1,keyasint"`
	Team   abaton.ActorID `cbor:"2,keyasint"`
	From   int64          `cbor:"3,keyasint"` // unix seconds, inclusive
	Until  int64          `cbor:"4,keyasint"` // unix seconds, exclusive, at most DutyLifeMax later
	Sealed []byte         `cbor:"5,keyasint"` // the team's seed sealed to To (SealTeamSeed)
}

// EventKind of Duty (Body).
func (*Duty) EventKind() EventKind { return EventDuty }

func (b *Duty) validate() error {
	return valid(b.To != (abaton.ActorID{}) && b.Team != (abaton.ActorID{}) && b.To != b.Team && b.From >= 0 &&
		b.Until > b.From && b.Until-b.From <= int64(DutyLifeMax/time.Second) && sealedSeed(b.Sealed))
}

// post names one duty: whom to, in which team.
type post struct{ to, team abaton.ActorID }

// admitDuty: nobody takes the own place. One that has run out already gives
// nothing, and so ends the one before it.
func (s *State) admitDuty(b *Duty) error {
	if b.To == s.actor {
		return abaton.Refuse(abaton.ReasonActor)
	}
	return nil
}

// Duty is what this clinician has handed to a colleague in a team; nil unless
// it holds now. Whether either of them may is the organisation's log's word.
func (s *State) Duty(to, team abaton.ActorID, now time.Time) *Duty {
	d, by := s.duties[post{to: to, team: team}].newest()
	if by == nil || s.stopped {
		return nil
	}
	if t := now.Unix(); t < d.From || t >= d.Until {
		return nil
	}
	return d
}

// Duties are the newest duties of each post that have not ended, in no order.
func (s *State) Duties(now time.Time) (all []*Duty) {
	for _, e := range s.duties {
		if d, by := e.newest(); by != nil && !s.stopped && now.Unix() < d.Until {
			all = append(all, d)
		}
	}
	return all
}

// ActsFor reports whether a member may use grants to a team: by the own seat,
// or for a shift in the place of a colleague who has one (behalf, with
// that colleague's log). Everything is looked up as it is now.
func (s *State) ActsFor(team, who, behalf abaton.ActorID, colleague *State, now time.Time) bool {
	if behalf == (abaton.ActorID{}) {
		return s.Seated(team, who, now)
	}
	if colleague == nil || !colleague.Live() || colleague.actor != behalf || who == behalf {
		return false
	}
	t, m := s.Team(team), s.Member(who, now)
	return t != nil && t.Delegable && m != nil && (t.Role == "" || m.Holds(t.Role)) &&
		s.Seated(team, behalf, now) && colleague.Duty(who, team, now) != nil
}
