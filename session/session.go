// Package session says who asks: a statement that a passkey signed for a
// short time, requests signed by the session's own key, and replies that only
// the session can open.
//
//	s, err := session.Authenticate(signed, rp)          // once: all the cryptography
//	err = s.Admit(check)                                // credential, lifetime, checkpoints
//	r, err := session.ParseRequest(bytes)
//	err = r.Authenticate(s, now)                        // session key, time
//	c, enc, err := session.OpenChannel(s, x)            // keeper's side
//	sealed, err := c.SealReply(r.Hash(), reply)
//
// There is no password, no issuer and nothing a thief of a keeper could use
// elsewhere: a request replayed to other keepers brings replies sealed to the
// session. It does not protect a device whose owner unlocks it for the thief,
// and it keeps no nonce store; the keeper does. The form is frozen with
// protocol version 1 (PROTOCOL.md#session).
package session

import (
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// Limits of a statement.
const (
	// CheckpointsMax is how many checkpoints one statement may name.
	CheckpointsMax = 5
	// CheckpointBytesMax is the largest signed note, in bytes.
	CheckpointBytesMax = 2048
	// RoleBytesMax is the longest role, in bytes.
	RoleBytesMax = 32
	// SignedBytesMax is the largest signed statement, in bytes.
	SignedBytesMax = 24 << 10
)

// Statement is what a passkey signs to begin a session
// (PROTOCOL.md#session).
type Statement struct {
	V            uint64                 `cbor:"1,keyasint"`
	Actor        abaton.ActorID         `cbor:"2,keyasint"`
	Credential   key.Credential         `cbor:"3,keyasint"` // the passkey that signs
	Key          abaton.KeyID           `cbor:"4,keyasint"` // signs the requests
	Reply        []byte                 `cbor:"5,keyasint"` // box public key, 1,216 bytes
	NotBefore    int64                  `cbor:"6,keyasint"` // unix seconds, inclusive
	Expires      int64                  `cbor:"7,keyasint"` // unix seconds, exclusive
	Set          abaton.ActorID         `cbor:"8,keyasint"`
	Checkpoints  [][]byte               `cbor:"9,keyasint"` // signed notes
	Nonce        [grant.NonceBytes]byte `cbor:"10,keyasint"`
	Organisation abaton.ActorID         `cbor:"11,keyasint"` // zero for patients
	Role         string                 `cbor:"12,keyasint"` // empty for patients
	Device       abaton.ActorID         `cbor:"13,keyasint"` // where a clinician sits; zero for all others
	Behalf       abaton.ActorID         `cbor:"14,keyasint"` // whose place a clinician takes for a shift; zero normally
}

// Marshal is the statement's one encoding.
func (st *Statement) Marshal() []byte { return wire.Marshal(st) }

// Challenge is what the passkey signs: the session's name.
func Challenge(statement []byte) abaton.SessionID { return wire.Hash(wire.Session, statement) }

// Signed is a statement's bytes, the assertion over their hash and, where the
// statement names a device, the device's word and the organisation's about it.
type Signed struct {
	_         struct{} `cbor:",toarray"`
	Statement []byte
	Assertion key.Assertion
	Device    []byte // DeviceProof, or empty
	Posture   []byte // actor.Posture.Sign, or empty
}

// Marshal is the signed statement's one encoding.
func (s *Signed) Marshal() []byte { return wire.Marshal(s) }

// ParseSigned reads a signed statement strictly; ReasonMalformed or
// ReasonTooLarge. It verifies nothing.
func ParseSigned(data []byte) (*Signed, error) {
	if len(data) > SignedBytesMax {
		return nil, abaton.Refuse(abaton.ReasonTooLarge)
	}
	var s Signed
	if wire.Unmarshal(data, &s) != nil {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	return &s, nil
}

// Session is a statement whose form and assertion hold. Whether its
// credential is live is Admit's question. It does not change.
type Session struct {
	id        abaton.SessionID
	statement Statement
	reply     key.BoxPublic
	count     uint32         // of the assertion; see Count
	class     actor.Class    // what the assertion claims; Live compares
	device    abaton.KeyID   // that signed for the device; zero without one
	posture   *actor.Posture // nil without a device
}

// Authenticate checks form and assertion and keeps no state; rp is where the
// assertion must come from: the keeper set's relying party, or the
// organisation's for its own staff. ReasonMalformed, ReasonTooLarge,
// ReasonSession, ReasonDevice.
func Authenticate(signed *Signed, rp key.RelyingParty) (*Session, error) {
	s := &Session{id: Challenge(signed.Statement)}
	if wire.Unmarshal(signed.Statement, &s.statement) != nil {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	if err := s.statement.validate(); err != nil {
		return nil, err
	}
	if signed.Assertion.Credential() != s.statement.Credential || signed.Assertion.Verify(s.id, rp) != nil {
		return nil, abaton.Refuse(abaton.ReasonSession)
	}
	s.class, s.count = actor.ClassOf(&signed.Assertion), signed.Assertion.Count()
	var err error
	if s.reply, err = key.ParseBoxPublic(s.statement.Reply); err != nil {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	if err := s.readDevice(signed); err != nil {
		return nil, err
	}
	return s, nil
}

func (st *Statement) validate() error {
	if len(st.Checkpoints) > CheckpointsMax || len(st.Role) > RoleBytesMax {
		return abaton.Refuse(abaton.ReasonTooLarge)
	}
	for _, c := range st.Checkpoints {
		if len(c) > CheckpointBytesMax {
			return abaton.Refuse(abaton.ReasonTooLarge)
		}
	}
	ok := st.V == wire.Version && st.Actor != (abaton.ActorID{}) && st.Key != (abaton.KeyID{}) &&
		len(st.Reply) == key.BoxPublicBytes && st.NotBefore >= 0 && st.Expires > st.NotBefore &&
		st.Set != (abaton.ActorID{}) && len(st.Checkpoints) > 0 && st.Nonce != ([grant.NonceBytes]byte{}) &&
		plain(st.Role)
	if !ok {
		return abaton.Refuse(abaton.ReasonMalformed)
	}
	return nil
}

// plain accepts the characters of a role: a to z, 0 to 9 and hyphen.
func plain(role string) bool {
	for _, r := range role {
		if r != '-' && (r < 'a' || r > 'z') && (r < '0' || r > '9') {
			return false
		}
	}
	return true
}

// ID names the session.
func (s *Session) ID() abaton.SessionID { return s.id }

// Statement is what was signed. Its slices are not to be changed.
func (s *Session) Statement() Statement { return s.statement }

// Count is the passkey's signature counter when the session began; zero where
// it keeps none.
func (s *Session) Count() uint32 { return s.count }

// Reply is where replies are sealed to.
func (s *Session) Reply() key.BoxPublic { return s.reply }

// Check is what Admit asks of the keeper.
type Check struct {
	// Actor is the log of the statement's actor, nil when unknown.
	Actor *actor.State
	// Organisation is the log of the statement's organisation, nil when
	// unknown or not admitted by this operator. Not asked for patients.
	Organisation *actor.State
	// Device is the log of the statement's device, nil when unknown or none
	// is named.
	Device *actor.State
	// Home is the log of the organisation that the actor came in by, nil when
	// unknown or not admitted here. Asked for where another one takes it on.
	Home *actor.State
	// Sponsor is the log of who answers for an agent, by its membership; nil
	// when unknown or none is named.
	Sponsor *actor.State
	// Set is this keeper's set.
	Set abaton.ActorID
	// Now is this keeper's clock.
	Now time.Time
	// Fresh is the ledger's judgement of the checkpoints: this keeper's own
	// at most CheckpointAgeMax old at notBefore, or those of two others that
	// it has cosigned (RULINGS 21). Nil refuses.
	Fresh func(checkpoints [][]byte, notBefore time.Time) bool
}

// Admit decides whether a session may begin: ReasonKeeperSet, ReasonSession,
// ReasonActor, ReasonCredential, ReasonDevice, ReasonStanding. A keeper calls it once and
// then Live at every request.
func (s *Session) Admit(c Check) error {
	if c.Set == (abaton.ActorID{}) || s.statement.Set != c.Set {
		return abaton.Refuse(abaton.ReasonKeeperSet)
	}
	if err := s.Live(c); err != nil {
		return err
	}
	if c.Fresh == nil || !c.Fresh(s.statement.Checkpoints, time.Unix(s.statement.NotBefore, 0)) {
		return abaton.Refuse(abaton.ReasonSession)
	}
	return nil
}

// Live decides whether an admitted session still holds: it has not ended, its
// credential is live and of the class it was enrolled with, and the organisation still stands behind the person.
// Check.Fresh is not asked. ReasonSession, ReasonActor, ReasonCredential,
// ReasonDevice, ReasonStanding.
func (s *Session) Live(c Check) error {
	if c.Actor == nil || !c.Actor.Live() || c.Actor.Actor() != s.statement.Actor {
		return abaton.Refuse(abaton.ReasonActor)
	}
	if !s.inTime(c.Actor.Kind(), c.Now) {
		return abaton.Refuse(abaton.ReasonSession)
	}
	class := c.Actor.CredentialClass(s.statement.Credential)
	if class == 0 || class != s.class || c.Actor.SetID() != s.statement.Set {
		return abaton.Refuse(abaton.ReasonCredential)
	}
	if c.Actor.Kind() == actor.Patient {
		return s.statement.ofPatient()
	}
	if class != actor.Bound { // it cannot leave its device
		return abaton.Refuse(abaton.ReasonCredential)
	}
	if !s.deviceHolds(c) {
		return abaton.Refuse(abaton.ReasonDevice)
	}
	return c.standing(&s.statement)
}

func (s *Session) inTime(kind actor.Kind, now time.Time) bool {
	longest := abaton.ClinicianSessionMax
	switch kind {
	case actor.Patient:
		longest = abaton.PatientSessionMax
	case actor.Clinician, actor.Device, actor.Agent:
	default:
		return false // an organisation is nobody who could look at anything
	}
	nbf, exp := s.statement.NotBefore, s.statement.Expires
	return exp-nbf <= int64(longest/time.Second) && now.Unix() < exp &&
		nbf <= now.Add(abaton.ClockSkewMax).Unix()
}
