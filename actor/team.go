package actor

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// EventTeam is the kind of Team.
const EventTeam EventKind = 15

// Limits of a team.
const (
	// SeatsMax is how many members one team may have.
	SeatsMax = 64
	// TeamsMax is how many teams one organisation may have.
	TeamsMax = 1024
)

// Team says who works together (PROTOCOL.md#team). A patient's grant may name
// the team; keepers look up at every request who is in it. The newest event
// about a team holds, whole.
type Team struct {
	Team   abaton.ActorID         `cbor:"1,keyasint"` // TeamID of the organisation and the nonce
	Nonce  [grant.NonceBytes]byte `cbor:"2,keyasint"`
	Role   string                 `cbor:"3,keyasint"` // a seat counts only while its member has it; empty for any
	Epoch  uint32                 `cbor:"4,keyasint"` // of the team's key; 1 is the first
	Public []byte                 `cbor:"5,keyasint"` // box public key, 1,216 bytes
	Seats  []Seat                 `cbor:"6,keyasint"` // sorted by actor, unique
	// Delegable: a member may hand the own place on for a shift (Duty).
	Delegable bool `cbor:"7,keyasint"`
}

// Seat is one member's place and the team's seed sealed to it.
type Seat struct {
	Actor  abaton.ActorID `cbor:"1,keyasint"`
	Sealed []byte         `cbor:"2,keyasint"` // SealTeamSeed
}

// EventKind of Team (Body).
func (*Team) EventKind() EventKind { return EventTeam }

// TeamID names a team of an organisation. It stands where an actor can in a
// grant, and no key log has it.
func TeamID(organisation abaton.ActorID, nonce [grant.NonceBytes]byte) abaton.ActorID {
	return wire.Hash(wire.Team, organisation[:], nonce[:])
}

func (b *Team) validate() error {
	if len(b.Seats) > SeatsMax {
		return tooLarge()
	}
	if _, known := abaton.RoleOf(b.Role); !known && b.Role != "" {
		return malformed()
	}
	for i, s := range b.Seats {
		if s.Actor == (abaton.ActorID{}) || !sealedSeed(s.Sealed) || i > 0 && bytes.Compare(b.Seats[i-1].Actor[:], s.Actor[:]) >= 0 {
			return malformed()
		}
	}
	return valid(b.Team != (abaton.ActorID{}) && b.Nonce != ([grant.NonceBytes]byte{}) && b.Epoch >= 1 && len(b.Public) == key.BoxPublicBytes)
}

// sealedSeed reports whether text can be one seed sealed to one box.
func sealedSeed(text []byte) bool { return len(text) == key.BoxOverhead+len(key.Secret{}) }

func (b *Team) seat(who abaton.ActorID) *Seat {
	for i := range b.Seats {
		if b.Seats[i].Actor == who {
			return &b.Seats[i]
		}
	}
	return nil
}

// SealTeamSeed seals a team's seed to one member's box. It opens only as the
// seed of this team's key.
func SealTeamSeed(to key.BoxPublic, team abaton.ActorID, seed key.Secret) ([]byte, error) {
	public := key.BoxFromSeed(seed).Public()
	sealed, err := to.SealTo(wire.TeamSeed, teamContext(team, public.Bytes()), seed[:])
	if err != nil {
		return nil, fmt.Errorf("seal team seed: %w", err)
	}
	return sealed, nil
}

// TeamSeedOf is the other end of SealTeamSeed. It refuses a seed that is not
// the team's key: key.ErrBox.
func TeamSeedOf(own *key.Box, team abaton.ActorID, public, sealed []byte) (seed key.Secret, err error) {
	plain, err := own.OpenFrom(wire.TeamSeed, teamContext(team, public), sealed)
	if err != nil {
		return seed, fmt.Errorf("open team seed: %w", err)
	}
	if len(plain) != len(seed) || !bytes.Equal(key.BoxFromSeed(key.Secret(plain)).Public().Bytes(), public) {
		return seed, fmt.Errorf("open team seed: %w", key.ErrBox)
	}
	return key.Secret(plain), nil
}

// OpenTeamSeed is TeamSeedOf as the team's box.
func OpenTeamSeed(own *key.Box, team abaton.ActorID, public, sealed []byte) (*key.Box, error) {
	seed, err := TeamSeedOf(own, team, public, sealed)
	if err != nil {
		return nil, err
	}
	return key.BoxFromSeed(seed), nil
}

func teamContext(team abaton.ActorID, public []byte) []byte {
	return append(append([]byte(nil), team[:]...), public...)
}

// admitTeam: the first key is epoch 1; a later event keeps key and epoch and
// drops nobody, or brings the next epoch with a key never used before. So who
// loses a seat never has the team's present key.
func (s *State) admitTeam(b *Team, parents []*knot) error {
	last, used := s.teamOn(b.Team, parents)
	if last == nil {
		if b.Epoch != 1 {
			return abaton.Refuse(abaton.ReasonEpoch)
		}
		if len(s.teams) >= TeamsMax {
			return tooLarge()
		}
		return nil
	}
	if b.Epoch == last.Epoch && bytes.Equal(b.Public, last.Public) {
		for _, seat := range last.Seats {
			if b.seat(seat.Actor) == nil {
				return abaton.Refuse(abaton.ReasonEpoch)
			}
		}
		return nil
	}
	if b.Epoch != last.Epoch+1 || slices.ContainsFunc(used, func(p []byte) bool { return bytes.Equal(p, b.Public) }) {
		return abaton.Refuse(abaton.ReasonEpoch)
	}
	return nil
}

// teamOn is the newest event about a team up to parents, and every key it had.
func (s *State) teamOn(team abaton.ActorID, parents []*knot) (last *Team, used [][]byte) {
	e := s.teams[team]
	if e == nil {
		return nil, nil
	}
	var by *knot
	for _, g := range e.given {
		if g.by.vetoed || !s.within(g.by, parents) {
			continue
		}
		used = append(used, g.value.Public)
		if by == nil || g.by.replaces(by) {
			last, by = g.value, g.by
		}
	}
	return last, used
}

// Team is what the newest event says about a team; nil when the log has none.
func (s *State) Team(id abaton.ActorID) *Team {
	t, _ := s.teams[id].newest()
	return t
}

// Teams are the newest events about all teams, by name.
func (s *State) Teams() []*Team {
	var all []*Team
	for id := range s.teams {
		if t := s.Team(id); t != nil {
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b *Team) int { return bytes.Compare(a.Team[:], b.Team[:]) })
	return all
}

// Seated reports whether somebody is in a team now: seated, a member whose
// time runs, with the team's role if it has one, and not barred.
func (s *State) Seated(team, who abaton.ActorID, now time.Time) bool {
	t := s.Team(team)
	if t == nil || t.seat(who) == nil {
		return false
	}
	m := s.Member(who, now)
	return m != nil && (t.Role == "" || m.Holds(t.Role))
}

// SeatSeeds are the seeds of a team's keys sealed to one member, each with the
// key it belongs to, the newest first. Those of earlier epochs open what was
// given before the team's key moved on.
func (s *State) SeatSeeds(team, who abaton.ActorID) (seeds []TeamSeed) {
	e := s.teams[team]
	if e == nil {
		return nil
	}
	for _, g := range e.given {
		if seat := g.value.seat(who); seat != nil && g.by.effective() {
			seeds = append(seeds, TeamSeed{Epoch: g.value.Epoch, Public: g.value.Public, Sealed: seat.Sealed})
		}
	}
	slices.SortFunc(seeds, func(a, b TeamSeed) int {
		if a.Epoch != b.Epoch {
			return int(b.Epoch) - int(a.Epoch)
		}
		return bytes.Compare(a.Sealed, b.Sealed)
	})
	return slices.CompactFunc(seeds, func(a, b TeamSeed) bool { return a.Epoch == b.Epoch && bytes.Equal(a.Public, b.Public) })
}

// TeamSeed is one epoch's seed of a team, sealed to one member.
type TeamSeed struct {
	Epoch  uint32
	Public []byte
	Sealed []byte
}
