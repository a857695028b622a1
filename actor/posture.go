package actor

import (
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// PostureLifeMax bounds what an organisation says of a device.
const PostureLifeMax = 24 * time.Hour

// Level is how much an organisation knows of a device. Zero is nothing.
type Level uint8

// The levels of version 1.
const (
	Known    Level = iota + 1 // enrolled: a person's own, no lines of assurance level 3
	Managed                   // looked after by the organisation
	Attested                  // managed, and its key is certified by its hardware
)

// Posture is an organisation's word that a device is in order, for hours
// (PROTOCOL.md#posture). It is signed by a live key with the right Attest.
type Posture struct {
	V            uint64         `cbor:"1,keyasint"`
	Organisation abaton.ActorID `cbor:"2,keyasint"`
	Device       abaton.ActorID `cbor:"3,keyasint"`
	Level        Level          `cbor:"4,keyasint"`
	From         int64          `cbor:"5,keyasint"` // unix seconds, inclusive
	Until        int64          `cbor:"6,keyasint"` // unix seconds, exclusive, at most PostureLifeMax later
	Signer       abaton.KeyID   `cbor:"7,keyasint"`
}

// Sign makes the bytes a session carries; V and Signer are set.
func (p Posture) Sign(k *key.Signing) []byte {
	p.V, p.Signer = wire.Version, k.ID()
	return wire.Marshal(k.Seal(wire.Posture, wire.Marshal(p)))
}

// ParsePosture reads a posture and verifies its signature under the key it
// names; ReasonDevice if it is none. Whether that key may attest is the
// organisation's log's word.
func ParsePosture(data []byte) (*Posture, error) {
	var s wire.Signed
	var p Posture
	if wire.Unmarshal(data, &s) != nil || wire.Unmarshal(s.Body, &p) != nil || !p.valid() ||
		!key.Verify(p.Signer, wire.Posture, s.Body, s.Sig) {
		return nil, abaton.Refuse(abaton.ReasonDevice)
	}
	return &p, nil
}

func (p *Posture) valid() bool {
	return p.V == wire.Version && p.Organisation != (abaton.ActorID{}) && p.Device != (abaton.ActorID{}) &&
		p.Level >= Known && p.Level <= Attested && p.From >= 0 && p.Until > p.From && p.Until-p.From <= int64(PostureLifeMax/time.Second)
}

// Vouches reports whether this organisation stands behind a posture now: it is
// its own, in time, and the signer's key is live and may attest.
func (s *State) Vouches(p *Posture, now time.Time) bool {
	return p != nil && s.Live() && s.Kind() == Organisation && p.Organisation == s.actor && s.KeyRights(p.Signer)&Attest != 0 &&
		p.From <= now.Add(abaton.ClockSkewMax).Unix() && now.Unix() < p.Until
}
