package actor

import (
	"bytes"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
)

// EventOnward is the kind of Onward.
const EventOnward EventKind = 22

// Onward hands a patient's grant on, once, as far as the grant allows
// (PROTOCOL.md#onward). It stands in the log of whoever the grant is to, or of
// somebody in the team that it is to. Its terms are in the form of a grant and
// may only narrow the patient's; whether they do, keepers decide at every
// request from both logs. It gives nothing alone.
type Onward struct {
	Parent abaton.GrantID `cbor:"1,keyasint"` // the patient's grant
	Terms  []byte         `cbor:"2,keyasint"` // grant.Grant: to whom, what, why, until when, how much
	Wrap   []byte         `cbor:"3,keyasint"` // the seeds sealed to the grantee of Terms (grant.WrapOnward)
}

// EventKind of Onward (Body).
func (*Onward) EventKind() EventKind { return EventOnward }

func (b *Onward) validate() error {
	if len(b.Wrap) > WrapBytesMax {
		return tooLarge()
	}
	g, err := grant.Parse(b.Terms)
	if err != nil {
		return err
	}
	return valid(b.Parent != (abaton.GrantID{}) && len(b.Wrap) >= key.BoxOverhead && g.Patient != (abaton.ActorID{}) &&
		g.Actions == grant.Read && g.Onward == (abaton.ActorID{}))
}

// id names the hand-on in the log of who hands on.
func (b *Onward) id(from abaton.ActorID) abaton.GrantID {
	return grant.OnwardID(from, b.Parent, b.Terms)
}

// terms are the hand-on's, of a body that was parsed.
func (b *Onward) terms() *grant.Grant {
	g, err := grant.Parse(b.Terms)
	if err != nil {
		panic("actor: a parsed body holds valid terms")
	}
	return g
}

// admitOnward: nobody hands on to themselves, what was taken back does not come
// again, and what has run out gives nothing. The same hand-on twice is one.
func (s *State) admitOnward(b *Onward, now time.Time) error {
	g := b.terms()
	if g.Grantee == s.actor {
		return abaton.Refuse(abaton.ReasonGrant)
	}
	if e := s.onwards[b.id(s.actor)]; e != nil && len(e.removed) > 0 {
		return abaton.Refuse(abaton.ReasonRevoked)
	}
	if now.Unix() >= g.Expires {
		return abaton.Refuse(abaton.ReasonExpired)
	}
	return nil
}

// HandedOn is one hand-on of this log.
type HandedOn struct {
	ID     abaton.GrantID
	Parent abaton.GrantID // the patient's grant
	Terms  *grant.Grant
	Wrap   []byte
}

// Onward is a hand-on of this log and whether it was taken back. False when the
// log does not (yet) give it, or its owner has ended.
func (s *State) Onward(id abaton.GrantID) (h HandedOn, takenBack, ok bool) {
	e := s.onwards[id]
	if e == nil || s.stopped {
		return h, false, false
	}
	b, ok := e.first()
	if !ok {
		return h, false, false
	}
	return HandedOn{ID: id, Parent: b.Parent, Terms: b.terms(), Wrap: b.Wrap}, len(e.removed) > 0, true
}

// Onwards are the hand-ons that have not ended, of one grant of a patient or,
// with the zero name, of all, by name.
func (s *State) Onwards(parent abaton.GrantID, now time.Time) (all []HandedOn) {
	for id := range s.onwards {
		h, takenBack, ok := s.Onward(id)
		if ok && !takenBack && now.Unix() < h.Terms.Expires && (parent == abaton.GrantID{} || h.Parent == parent) {
			all = append(all, h)
		}
	}
	slices.SortFunc(all, func(a, b HandedOn) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return all
}

// Gives reports whether somebody may hand on what a grant to grantee allows, as
// this organisation's log says it now: a member who reads, to whom the grant is,
// or who has an own seat in the team that it is to.
func (s *State) Gives(grantee, from abaton.ActorID, now time.Time) bool {
	m := s.Member(from, now)
	if m == nil || !slices.ContainsFunc(m.Roles, readsAsPerson) {
		return false
	}
	return grantee == from || s.Seated(grantee, from, now)
}

func readsAsPerson(name string) bool {
	role, known := abaton.RoleOf(name)
	return known && role.Human && role.Reads
}

// Inside reports whether a member is inside of what a grant names as Onward: of
// this organisation, or in that team of it, by an own seat or a colleague's.
func (s *State) Inside(onward, who, behalf abaton.ActorID, colleague *State, now time.Time) bool {
	if onward == (abaton.ActorID{}) || s.Member(who, now) == nil {
		return false
	}
	return onward == s.actor || s.Team(onward) != nil && s.ActsFor(onward, who, behalf, colleague, now)
}
