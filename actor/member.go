package actor

import (
	"bytes"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
)

// EventMember is the kind of Member.
const EventMember EventKind = 14

// Limits of a member event.
const (
	// RolesMax is how many roles one member may have.
	RolesMax = 8
	// TrainingsMax is how many trainings one member event may name.
	TrainingsMax = 16
	// CourseBytesMax is the longest name of a course, in bytes.
	CourseBytesMax = 64
	// MemberLifeMax bounds a membership; it is renewed by a new event.
	MemberLifeMax = 366 * 24 * time.Hour
)

// Member says that an actor works for this organisation: as what, from when
// to when, and trained in what (PROTOCOL.md#member). The newest one about an
// actor holds. Keepers judge by their clock alone, so that a roster written
// later gives nothing for the past.
type Member struct {
	Actor     abaton.ActorID `cbor:"1,keyasint"`
	Roles     []string       `cbor:"2,keyasint"` // abaton.RoleOf, sorted, unique, 1 to RolesMax
	NotBefore int64          `cbor:"3,keyasint"` // unix seconds, inclusive
	Expires   int64          `cbor:"4,keyasint"` // unix seconds, exclusive, at most MemberLifeMax later
	Trained   []Training     `cbor:"5,keyasint"` // sorted by course, unique
	// Sponsor is who answers for the member: the agency that lends a locum,
	// the person behind an agent, or the patient whose app it is. Zero for
	// own staff and devices.
	Sponsor abaton.ActorID `cbor:"6,keyasint"`
}

// Training is a course that holds until a time.
type Training struct {
	Course string `cbor:"1,keyasint"` // a to z, 0 to 9 and hyphen
	Until  int64  `cbor:"2,keyasint"` // unix seconds, exclusive
}

// EventKind of Member (Body).
func (*Member) EventKind() EventKind { return EventMember }

func (b *Member) validate() error {
	if len(b.Roles) > RolesMax || len(b.Trained) > TrainingsMax {
		return tooLarge()
	}
	for _, r := range b.Roles {
		if _, known := abaton.RoleOf(r); !known {
			return malformed()
		}
	}
	for i, t := range b.Trained {
		if !word(t.Course) || t.Until <= 0 || i > 0 && b.Trained[i-1].Course >= t.Course {
			return malformed()
		}
	}
	ok := b.Actor != (abaton.ActorID{}) && b.Sponsor != b.Actor && len(b.Roles) > 0 && rising(b.Roles) &&
		b.NotBefore >= 0 && b.Expires > b.NotBefore && b.Expires-b.NotBefore <= int64(MemberLifeMax/time.Second)
	return valid(ok)
}

func rising(words []string) bool {
	for i := 1; i < len(words); i++ {
		if words[i-1] >= words[i] {
			return false
		}
	}
	return true
}

// word accepts one plain word: a to z, 0 to 9 and hyphen.
func word(text string) bool {
	plain := func(r rune) bool { return r == '-' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' }
	return text != "" && len(text) <= CourseBytesMax && !slices.ContainsFunc([]rune(text), func(r rune) bool { return !plain(r) })
}

// Holds reports whether the member has a role.
func (b *Member) Holds(role string) bool { return slices.Contains(b.Roles, role) }

// TrainedIn reports whether a course holds now.
func (b *Member) TrainedIn(course string, now time.Time) bool {
	for _, t := range b.Trained {
		if t.Course == course {
			return now.Unix() < t.Until
		}
	}
	return false
}

// Program reports whether no person can have any of the member's roles.
func (b *Member) Program() bool {
	for _, name := range b.Roles {
		if r, ok := abaton.RoleOf(name); !ok || r.Human {
			return false
		}
	}
	return true
}

// admitMember: an organisation is no member of itself, nobody is taken on for
// a time that is over, or for more than a year ahead.
func (s *State) admitMember(b *Member, now time.Time) error {
	switch {
	case b.Actor == s.actor:
		return abaton.Refuse(abaton.ReasonActor)
	case now.Unix() >= b.Expires:
		return abaton.Refuse(abaton.ReasonExpired)
	case b.Expires > now.Add(MemberLifeMax+abaton.ClockSkewMax).Unix():
		return abaton.Refuse(abaton.ReasonTime)
	}
	return nil
}

// Member is the membership of an actor that holds now: the newest event about
// it has begun, has not run out, and the organisation does not bar it. Nil
// when there is none.
func (s *State) Member(who abaton.ActorID, now time.Time) *Member {
	m, by := s.members[who].newest()
	if m == nil || s.Barred(who, now) {
		return nil
	}
	// A merge may vouch for an event that nobody judged: its time bounds it.
	last := min(m.Expires, by.a.event.Time+int64(MemberLifeMax/time.Second))
	if t := now.Unix(); t < m.NotBefore || t >= last {
		return nil
	}
	return m
}

// Members are the newest events about everybody this organisation ever took
// on, by name. Whether one holds now is Member's word.
func (s *State) Members() []*Member {
	var all []*Member
	for _, e := range s.members {
		if m, by := e.newest(); by != nil {
			all = append(all, m)
		}
	}
	slices.SortFunc(all, func(a, b *Member) int { return bytes.Compare(a.Actor[:], b.Actor[:]) })
	return all
}

// newest is the value of the last giver that counts. Where two stand at one
// place, the certified one does, else the one with the smaller hash.
func (e *entry[T]) newest() (value T, by *knot) {
	if e == nil {
		return value, nil
	}
	for _, g := range e.given {
		if g.by.effective() && (by == nil || g.by.replaces(by)) {
			by, value = g.by, g.value
		}
	}
	return value, by
}

func (n *knot) replaces(o *knot) bool {
	if n.seq() != o.seq() {
		return n.seq() > o.seq()
	}
	return n.before(o)
}
