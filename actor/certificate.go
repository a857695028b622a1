package actor

import (
	"errors"
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// Place is one slot of one log and the event that stands there.
type Place struct {
	Actor abaton.ActorID
	Seq   uint64
	Hash  Hash
}

// ballotForm is what a keeper signs under label wire.Vote.
type ballotForm struct {
	V     uint64         `cbor:"1,keyasint"`
	Set   abaton.ActorID `cbor:"2,keyasint"`
	Actor abaton.ActorID `cbor:"3,keyasint"`
	Seq   uint64         `cbor:"4,keyasint"`
	Hash  Hash           `cbor:"5,keyasint"`
}

func ballotBytes(set abaton.ActorID, p Place) []byte {
	return wire.Marshal(ballotForm{V: wire.Version, Set: set, Actor: p.Actor, Seq: p.Seq, Hash: p.Hash})
}

// Vote is one keeper's signature for the event at one place.
type Vote struct {
	X   abaton.KeeperIndex `cbor:"1,keyasint"`
	Sig []byte             `cbor:"2,keyasint"`
}

// SignVote signs for an event. A keeper calls it only with what Ballot.Cast
// allowed and after that is durable.
func SignVote(set abaton.ActorID, x abaton.KeeperIndex, k *key.Signing, p Place) Vote {
	return Vote{X: x, Sig: k.Sign(wire.Vote, ballotBytes(set, p))}
}

// VerifyVote reports whether v is a keeper's vote for p.
func (s *Set) VerifyVote(v Vote, p Place) bool {
	if v.X < 1 || int(v.X) > len(s.voters) {
		return false
	}
	body := ballotBytes(s.id, p)
	return slices.ContainsFunc(s.voters[v.X-1], func(id abaton.KeyID) bool {
		return key.Verify(id, wire.Vote, body, v.Sig)
	})
}

// Certificate is w votes for one place (PROTOCOL.md#certificate): the event
// counts, and no other ever will there.
type Certificate struct {
	V     uint64         `cbor:"1,keyasint"`
	Actor abaton.ActorID `cbor:"2,keyasint"`
	Seq   uint64         `cbor:"3,keyasint"`
	Hash  Hash           `cbor:"4,keyasint"`
	Votes []Vote         `cbor:"5,keyasint"` // sorted by X, unique
}

// NewCertificate gathers votes, one for each keeper.
func NewCertificate(p Place, votes []Vote) *Certificate {
	votes = slices.Clone(votes)
	slices.SortFunc(votes, func(a, b Vote) int { return int(a.X) - int(b.X) })
	votes = slices.CompactFunc(votes, func(a, b Vote) bool { return a.X == b.X })
	return &Certificate{V: wire.Version, Actor: p.Actor, Seq: p.Seq, Hash: p.Hash, Votes: votes}
}

// ParseCertificate reads a certificate strictly; ReasonMalformed. It verifies
// nothing.
func ParseCertificate(data []byte) (*Certificate, error) {
	var c Certificate
	if wire.Unmarshal(data, &c) != nil || c.V != wire.Version || len(c.Votes) > abaton.KeepersMax {
		return nil, malformed()
	}
	for i, v := range c.Votes {
		if v.X < 1 || i > 0 && c.Votes[i-1].X >= v.X {
			return nil, malformed()
		}
	}
	return &c, nil
}

// Marshal is the certificate's one encoding.
func (c *Certificate) Marshal() []byte { return wire.Marshal(c) }

// VotedBy reports whether a vote of keeper x is in the certificate.
func (c *Certificate) VotedBy(x abaton.KeeperIndex) bool {
	return slices.ContainsFunc(c.Votes, func(v Vote) bool { return v.X == x })
}

// SignedBy reports whether the vote of keeper x in the certificate is by this
// key, and not by one that x had before.
func (c *Certificate) SignedBy(x abaton.KeeperIndex, id abaton.KeyID, set abaton.ActorID) bool {
	return slices.ContainsFunc(c.Votes, func(v Vote) bool {
		return v.X == x && key.Verify(id, wire.Vote, ballotBytes(set, c.Place()), v.Sig)
	})
}

// Place is what the certificate is for.
func (c *Certificate) Place() Place { return Place{Actor: c.Actor, Seq: c.Seq, Hash: c.Hash} }

// Certified is a place whose certificate was verified.
type Certified struct{ place Place }

// Place is the certified place.
func (c Certified) Place() Place { return c.place }

// Verify checks the votes against the set; ReasonCertificate. It is the only
// cryptography of a certificate.
func (c *Certificate) Verify(s *Set) (Certified, error) {
	var voted [abaton.KeepersMax + 1]bool
	have := 0
	for _, v := range c.Votes {
		if int(v.X) >= len(voted) || voted[v.X] || !s.VerifyVote(v, c.Place()) {
			return Certified{}, abaton.Refuse(abaton.ReasonCertificate)
		}
		voted[v.X] = true
		have++
	}
	if s.W == 0 || have < int(s.W) {
		return Certified{}, abaton.Refuse(abaton.ReasonCertificate)
	}
	return Certified{place: c.Place()}, nil
}

// Reopen trusts a certificate that this keeper verified before it stored it.
// Never give it one from a peer.
func (c *Certificate) Reopen() Certified { return Certified{place: c.Place()} }

// ErrSplit says that two certificates stand for one slot: more keepers lie
// than the set bears.
var ErrSplit = errors.New("two certificates for one slot")

// Compare orders two certified places of one log: negative when b is longer,
// positive when a is, zero when they are the same. A caller that asked
// several keepers takes the longest certified answer. ErrSplit when the two
// contradict each other, ReasonActor when they are of different logs.
func Compare(a, b Certified) (int, error) {
	pa, pb := a.place, b.place
	switch {
	case pa.Actor != pb.Actor || pa.Actor == (abaton.ActorID{}):
		return 0, abaton.Refuse(abaton.ReasonActor)
	case pa.Seq == pb.Seq && pa.Hash != pb.Hash:
		return 0, ErrSplit
	case pa.Seq < pb.Seq:
		return -1, nil
	case pa.Seq > pb.Seq:
		return 1, nil
	}
	return 0, nil
}

// Longest is the longest of the certified answers that keepers gave for one
// log. It refuses with ReasonCertificate when there is none.
func Longest(answers []Certified) (best Certified, err error) {
	if len(answers) == 0 {
		return best, abaton.Refuse(abaton.ReasonCertificate)
	}
	best = answers[0]
	for _, c := range answers[1:] {
		order, err := Compare(best, c)
		if err != nil {
			return Certified{}, err
		}
		if order < 0 {
			best = c
		}
	}
	return best, nil
}
