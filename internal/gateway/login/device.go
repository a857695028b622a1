package login

import (
	"fmt"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// Passkey signs a challenge on the person's device; *key.Passkey is the
// software one. Assert may ask the person and fails if they decline.
type Passkey interface {
	Credential() key.Credential
	Assert(challenge [32]byte) (*key.Assertion, error)
}

// Device is what the person's device knows and does not take from an offer.
type Device struct {
	Actor        abaton.ActorID // who signs in
	Organisation abaton.ActorID // the person's sponsor; zero for a patient
	Gateway      abaton.ActorID // the organisation whose gateway is meant
	Set          abaton.ActorID // the pinned keeper set
	Role         string         // empty for a patient
	Passkey      Passkey
	// At is the enrolled device a clinician sits at; nil for all others.
	At *At
	// Behalf is the colleague whose place a clinician takes for a shift; zero
	// normally.
	Behalf abaton.ActorID
	// Life is how long the session shall last; zero is PatientSessionMax for
	// a patient and ClinicianSessionMax for all others. More is refused by
	// the keepers.
	Life time.Duration
}

// At is an enrolled device: what it adds to a session that begins there.
type At struct {
	Device  abaton.ActorID
	Key     *key.Signing // with the right actor.DeviceRight in the device's log
	Posture []byte       // actor.Posture.Sign
}

// clockSlack starts a session a little in the past, so that a keeper whose
// clock is behind accepts it at once.
const clockSlack = 5 * time.Second

// Answer checks an offer against what the device knows, signs the statement
// and seals the seeds to the session. ErrLogin names the field that does not
// hold; other errors are the passkey's.
func Answer(o Offer, d Device, seeds []session.Bundle, now time.Time) (*Completion, error) {
	st, reply, err := d.statement(o, now)
	if err != nil {
		return nil, err
	}
	bytes := st.Marshal()
	id := session.Challenge(bytes)
	assertion, err := d.Passkey.Assert(id)
	if err != nil {
		return nil, fmt.Errorf("assert passkey: %w", err)
	}
	signed := session.Signed{Statement: bytes, Assertion: *assertion}
	if d.At != nil {
		signed.Device, signed.Posture = session.DeviceProof(d.At.Key, id), d.At.Posture
	}
	sealed, err := session.SealSeeds(reply, id, seeds)
	if err != nil {
		return nil, err
	}
	return &Completion{Offer: o.Offer, Statement: Encode(signed.Marshal()), Seeds: Encode(sealed)}, nil
}

// Add seals further seeds to a session that Answer began: the same offer, the
// completion it led to.
func Add(o Offer, c Completion, seeds []session.Bundle) (*More, error) {
	signed, err := parseSigned(c.Statement)
	if err != nil {
		return nil, err
	}
	reply, err := parseReply(o.Reply)
	if err != nil {
		return nil, err
	}
	sealed, err := session.SealSeeds(reply, session.Challenge(signed.Statement), seeds)
	if err != nil {
		return nil, err
	}
	return &More{Seeds: Encode(sealed)}, nil
}

func (d *Device) statement(o Offer, now time.Time) (*session.Statement, key.BoxPublic, error) {
	st := &session.Statement{V: wire.Version, Actor: d.Actor, Set: d.Set, Organisation: d.Organisation, Role: d.Role,
		Behalf: d.Behalf, Credential: d.Passkey.Credential(), NotBefore: now.Add(-clockSlack).Unix()}
	if d.At != nil {
		st.Device = d.At.Device
	}
	st.Expires = st.NotBefore + int64(d.life()/time.Second)
	reply, err := parseReply(o.Reply)
	if err != nil {
		return nil, reply, err
	}
	st.Reply = reply.Bytes()
	if st.Key, err = abaton.ParseKeyID(o.Session); err != nil {
		return nil, reply, fmt.Errorf("offer, session key: %w", ErrLogin)
	}
	nonce, err := Decode(o.Nonce)
	if err != nil || len(nonce) != grant.NonceBytes {
		return nil, reply, fmt.Errorf("offer, nonce: %w", ErrLogin)
	}
	copy(st.Nonce[:], nonce)
	for _, c := range o.Checkpoints {
		st.Checkpoints = append(st.Checkpoints, []byte(c))
	}
	return st, reply, d.agrees(o)
}

// agrees refuses an offer for another keeper set or another organisation's
// gateway than the device was sent to.
func (d *Device) agrees(o Offer) error {
	if set, err := abaton.ParseActorID(o.Set); err != nil || set != d.Set {
		return fmt.Errorf("offer, keeper set: %w", ErrLogin)
	}
	if org, err := abaton.ParseActorID(o.Organisation); err != nil || org != d.Gateway {
		return fmt.Errorf("offer, organisation: %w", ErrLogin)
	}
	return nil
}

func (d *Device) life() time.Duration {
	switch {
	case d.Life > 0:
		return d.Life
	case d.Organisation == (abaton.ActorID{}):
		return abaton.PatientSessionMax
	}
	return abaton.ClinicianSessionMax
}

func parseReply(text string) (key.BoxPublic, error) {
	b, err := Decode(text)
	if err == nil {
		var p key.BoxPublic
		if p, err = key.ParseBoxPublic(b); err == nil {
			return p, nil
		}
	}
	return key.BoxPublic{}, fmt.Errorf("offer, reply key: %w", ErrLogin)
}

func parseSigned(text string) (*session.Signed, error) {
	b, err := Decode(text)
	if err != nil {
		return nil, fmt.Errorf("completion, statement: %w", ErrLogin)
	}
	signed, err := session.ParseSigned(b)
	if err != nil {
		return nil, fmt.Errorf("completion, statement: %w", err)
	}
	return signed, nil
}
