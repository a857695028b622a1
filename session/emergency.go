package session

import (
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// Urgency is why a clinician opens a record in an emergency. Zero is no reason.
type Urgency uint8

// The reasons of version 1 (PROTOCOL.md#emergency).
const (
	CannotSpeak   Urgency = iota + 1 // unconscious or cannot speak
	LifeInDanger                     // immediate danger to the patient's life
	OtherInDanger                    // danger to another person
	InWords                          // in the clinician's own words, sealed to the patient
)

// String is the word for u in screens and reports; the patient reads it.
func (u Urgency) String() string {
	switch u {
	case CannotSpeak:
		return "unconscious or cannot speak"
	case LifeInDanger:
		return "immediate danger to life"
	case OtherInDanger:
		return "danger to another person"
	case InWords:
		return "in own words"
	}
	return "unknown"
}

// Emergency is what a passkey signs to open a set of lines in an emergency:
// whose, which, why, now (PROTOCOL.md#emergency). It is asked anew for every
// opening and lives for abaton.EmergencyTouchMax.
type Emergency struct {
	V       uint64                 `cbor:"1,keyasint"`
	Session abaton.SessionID       `cbor:"2,keyasint"`
	Patient abaton.ActorID         `cbor:"3,keyasint"`
	Escrow  abaton.GrantID         `cbor:"4,keyasint"` // names the lines
	Purpose abaton.Purpose         `cbor:"5,keyasint"` // abaton.Emergency
	Urgency Urgency                `cbor:"6,keyasint"`
	Words   []byte                 `cbor:"7,keyasint"` // SealWords for InWords, else empty
	Sole    bool                   `cbor:"8,keyasint"` // no other clinician is there: a bar does not hold, and the ledger says so
	Time    int64                  `cbor:"9,keyasint"` // unix seconds
	Nonce   [grant.NonceBytes]byte `cbor:"10,keyasint"`
}

// Challenge is what the passkey signs.
func (m *Emergency) Challenge() [32]byte { return wire.Hash(wire.Emergency, wire.Marshal(m)) }

// SignedEmergency is an emergency statement and the assertion over its hash.
type SignedEmergency struct {
	_         struct{} `cbor:",toarray"`
	Emergency Emergency
	Assertion key.Assertion
}

// Marshal is what a request carries in its field 13.
func (m *SignedEmergency) Marshal() []byte { return wire.Marshal(m) }

// Verdict is what a second clinician says of an emergency opening. Zero is
// none.
type Verdict uint8

// The verdicts of version 1.
const (
	Right Verdict = iota + 1 // it was, or would be, right to open
	Wrong                    // it was not: whoever opened opens nothing more
)

// Approval is what a second clinician's passkey signs about an emergency
// opening: beforehand, where the set is wider than what every emergency
// opens, or afterwards; or about what the watch holds back: that one session
// reads under one grant (PROTOCOL.md#approval).
type Approval struct {
	V       uint64                 `cbor:"1,keyasint"`
	Session abaton.SessionID       `cbor:"2,keyasint"` // the second clinician's own
	Patient abaton.ActorID         `cbor:"3,keyasint"`
	Escrow  abaton.GrantID         `cbor:"4,keyasint"`
	Opener  abaton.ActorID         `cbor:"5,keyasint"`
	Opening [32]byte               `cbor:"6,keyasint"` // hash of the request that opened; zero beforehand; of what is held back the session that asks
	Verdict Verdict                `cbor:"7,keyasint"` // Right, but afterwards
	Time    int64                  `cbor:"8,keyasint"` // unix seconds
	Nonce   [grant.NonceBytes]byte `cbor:"9,keyasint"`
}

// Challenge is what the passkey signs.
func (p *Approval) Challenge() [32]byte { return wire.Hash(wire.Approval, wire.Marshal(p)) }

// SignedApproval is an approval and the assertion over its hash.
type SignedApproval struct {
	_         struct{} `cbor:",toarray"`
	Approval  Approval
	Assertion key.Assertion
}

// Marshal is what a request carries in its field 14.
func (p *SignedApproval) Marshal() []byte { return wire.Marshal(p) }

// Bounds of a reason in own words.
const (
	// WordsMin is how many words such a reason has at least.
	WordsMin = 10
	// wordsBytes is what every such reason is padded to: its length says
	// nothing.
	wordsBytes = 512
	// WordsSealedBytes is the length of a sealed one.
	WordsSealedBytes = key.BoxOverhead + wordsBytes
)

// ErrWords says that a reason in own words has fewer than WordsMin words or
// more than 510 bytes.
var ErrWords = errors.New("a reason in own words has at least 10 words and at most 510 bytes")

// SealWords seals a reason to the patient; keepers see that there is one.
func SealWords(patient key.BoxPublic, id abaton.SessionID, words string) ([]byte, error) {
	if len(strings.Fields(words)) < WordsMin || len(words) > wordsBytes-2 {
		return nil, ErrWords
	}
	padded := binary.BigEndian.AppendUint16(make([]byte, 0, wordsBytes), uint16(len(words)))
	padded = append(padded, words...)
	return patient.SealTo(wire.SaidInWords, id[:], padded[:wordsBytes])
}

// OpenWords is the other end of SealWords; key.ErrBox when it is not for this
// box or not from this session.
func OpenWords(own *key.Box, id abaton.SessionID, sealed []byte) (string, error) {
	padded, err := own.OpenFrom(wire.SaidInWords, id[:], sealed)
	if err != nil {
		return "", err
	}
	if len(padded) != wordsBytes || int(binary.BigEndian.Uint16(padded)) > wordsBytes-2 {
		return "", key.ErrBox
	}
	return string(padded[2 : 2+binary.BigEndian.Uint16(padded)]), nil
}

// emergencyFits: what belongs to an emergency stands in no other request.
func (r *Request) emergencyFits() bool {
	switch r.Mode {
	case Unseal:
		return len(r.Approval) == 0 || len(r.Emergency) > 0
	case Confirm:
		return len(r.Emergency) == 0 && len(r.Approval) > 0
	case Release, Permit, Index, List, Parts: // a second clinician may agree to what the watch holds back
		return len(r.Emergency) == 0
	}
	return len(r.Emergency) == 0 && len(r.Approval) == 0
}

func (a *Asked) readEmergency() error {
	if len(a.Request.Emergency) > 0 {
		a.emergency = new(SignedEmergency)
		if wire.Unmarshal(a.Request.Emergency, a.emergency) != nil || !a.emergency.Emergency.valid() {
			return abaton.Refuse(abaton.ReasonMalformed)
		}
	}
	if len(a.Request.Approval) > 0 {
		p, err := ParseApproval(a.Request.Approval)
		if err != nil {
			return err
		}
		a.approval = p
	}
	return nil
}

// ParseApproval reads an approval strictly; ReasonMalformed. It verifies
// nothing: keepers do (Asked.Agrees).
func ParseApproval(data []byte) (*SignedApproval, error) {
	var p SignedApproval
	if wire.Unmarshal(data, &p) != nil || !p.Approval.valid() {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	return &p, nil
}

func (m *Emergency) valid() bool {
	words := 0
	if m.Urgency == InWords {
		words = WordsSealedBytes
	}
	return m.V == wire.Version && m.Urgency >= CannotSpeak && m.Urgency <= InWords && len(m.Words) == words &&
		m.Purpose == abaton.Emergency && m.Time >= 0 && m.Nonce != ([grant.NonceBytes]byte{})
}

func (p *Approval) valid() bool {
	return p.V == wire.Version && (p.Verdict == Right || p.Verdict == Wrong && p.Opening != ([32]byte{})) &&
		p.Time >= 0 && p.Nonce != ([grant.NonceBytes]byte{})
}

// Opens is the emergency statement of a request, and whether it holds: by the
// session's own passkey, at most abaton.EmergencyTouchMax old, over this
// patient, this set and this purpose. ReasonStepUp, ReasonCloned.
func (a *Asked) Opens(s *Session, rp key.RelyingParty, now time.Time) (*Emergency, error) {
	if a.emergency == nil || s == nil {
		return nil, abaton.Refuse(abaton.ReasonStepUp)
	}
	m := &a.emergency.Emergency
	fits := m.Session == s.id && a.Session == s.id && m.Patient == a.Patient && m.Escrow == a.Grant && m.Purpose == a.Purpose &&
		within(m.Time, abaton.EmergencyTouchMax, now)
	if !fits || !s.asserted(&a.emergency.Assertion, m.Challenge(), rp) {
		return nil, abaton.Refuse(abaton.ReasonStepUp)
	}
	if err := s.counted(&a.emergency.Assertion); err != nil {
		return nil, err
	}
	return m, nil
}

// Said is the emergency statement that a request carries, nil without one.
// Opens has yet to judge it.
func (a *Asked) Said() *Emergency {
	if a.emergency == nil {
		return nil
	}
	return &a.emergency.Emergency
}

// Answered is the approval that a request carries, nil without one. Agrees has
// yet to judge it.
func (a *Asked) Answered() *Approval {
	if a.approval == nil {
		return nil
	}
	return &a.approval.Approval
}

// Second is whose session a request's approval names; false without one.
func (a *Asked) Second() (id abaton.SessionID, ok bool) {
	if a.approval == nil {
		return id, false
	}
	return a.approval.Approval.Session, true
}

// Agrees is the approval of a request, and whether it holds: by the passkey of
// the session it names, which is another person's than the opener's, about
// this patient and set or grant, at most StepUpMax old. Whether that session may
// approve is the keeper's question. ReasonSecond, ReasonCloned.
func (a *Asked) Agrees(second *Session, rp key.RelyingParty, now time.Time) (*Approval, error) {
	if a.approval == nil || second == nil {
		return nil, abaton.Refuse(abaton.ReasonSecond)
	}
	p := &a.approval.Approval
	fits := p.Session == second.id && p.Patient == a.Patient && p.Escrow == a.Grant && p.Opener != second.statement.Actor &&
		p.about(a) && within(p.Time, StepUpMax, now)
	if !fits || !second.asserted(&a.approval.Assertion, p.Challenge(), rp) {
		return nil, abaton.Refuse(abaton.ReasonSecond)
	}
	if err := second.counted(&a.approval.Assertion); err != nil {
		return nil, err
	}
	return p, nil
}

// about reports whether an approval is about this request: an opening that was,
// one that is to be, or what this very session reads. So a word for what is held
// back serves no other session of the same person, a stolen one for example.
func (p *Approval) about(a *Asked) bool {
	switch a.Mode {
	case Confirm:
		return p.Opening != [32]byte{}
	case Unseal:
		return p.Opening == [32]byte{}
	}
	return p.Opening == a.Session && p.Verdict == Right
}

// within reports whether a time is at most so old, and not from the future
// beyond what clocks may differ by.
func within(t int64, age time.Duration, now time.Time) bool {
	at := now.Unix()
	return at-t <= int64(age/time.Second) && t-at <= int64(abaton.ClockSkewMax/time.Second)
}

// counted refuses an assertion made in the session whose counter is not above
// the one that began it, unless the authenticator keeps none: two devices hold
// the passkey. ReasonCloned.
func (s *Session) counted(by *key.Assertion) error {
	if n := by.Count(); (n != 0 || s.count != 0) && n <= s.count {
		return abaton.Refuse(abaton.ReasonCloned)
	}
	return nil
}

// asserted reports whether the session's own passkey signed the challenge.
func (s *Session) asserted(by *key.Assertion, challenge [32]byte, rp key.RelyingParty) bool {
	return by.Credential() == s.statement.Credential && actor.ClassOf(by) == s.class && by.Verify(challenge, rp) == nil
}
