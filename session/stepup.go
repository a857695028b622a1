package session

import (
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// StepUpMax is how old a step-up may be when it is used.
const StepUpMax = 5 * time.Minute

// StepUp is what a passkey signs again before lines of assurance level 3 are
// opened: these lines, this purpose, now (PROTOCOL.md#step-up).
type StepUp struct {
	V       uint64                 `cbor:"1,keyasint"`
	Session abaton.SessionID       `cbor:"2,keyasint"`
	Patient abaton.ActorID         `cbor:"3,keyasint"`
	Lines   []abaton.Line          `cbor:"4,keyasint"`
	Purpose abaton.Purpose         `cbor:"5,keyasint"`
	Time    int64                  `cbor:"6,keyasint"` // unix seconds
	Nonce   [grant.NonceBytes]byte `cbor:"7,keyasint"`
}

// Challenge is what the passkey signs.
func (u *StepUp) Challenge() [32]byte { return wire.Hash(wire.StepUp, wire.Marshal(u)) }

// SignedStepUp is a step-up and the assertion over its hash.
type SignedStepUp struct {
	_         struct{} `cbor:",toarray"`
	StepUp    StepUp
	Assertion key.Assertion
}

// Marshal is what a request carries in its field 12.
func (u *SignedStepUp) Marshal() []byte { return wire.Marshal(u) }

// ParseStepUp reads a step-up strictly; ReasonMalformed. It verifies nothing:
// keepers do (Asked.SteppedUp).
func ParseStepUp(data []byte) (*SignedStepUp, error) {
	var u SignedStepUp
	if wire.Unmarshal(data, &u) != nil || u.StepUp.V != wire.Version || !u.StepUp.Purpose.Valid() ||
		u.StepUp.Time < 0 || !distinctLines(u.StepUp.Lines) ||
		len(u.StepUp.Lines) == 0 || len(u.StepUp.Lines) > abaton.LinesMax {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	return &u, nil
}

// SteppedUp reports, as nil, ReasonStepUp or ReasonCloned, whether the request carries an
// assertion by the session's own credential, at most StepUpMax old, over all
// these lines and the request's purpose.
func (a *Asked) SteppedUp(s *Session, rp key.RelyingParty, lines []abaton.Line, now time.Time) error {
	u := a.stepUp
	if u == nil || s == nil || len(lines) == 0 || !u.StepUp.fits(a, s, now) || !u.StepUp.covers(lines) {
		return abaton.Refuse(abaton.ReasonStepUp)
	}
	if u.Assertion.Credential() != s.statement.Credential || actor.ClassOf(&u.Assertion) != s.class ||
		u.Assertion.Verify(u.StepUp.Challenge(), rp) != nil {
		return abaton.Refuse(abaton.ReasonStepUp)
	}
	return s.counted(&u.Assertion)
}

func (u *StepUp) fits(a *Asked, s *Session, now time.Time) bool {
	t := now.Unix()
	return u.Session == s.id && a.Session == s.id && u.Patient == a.Patient && u.Purpose == a.Purpose &&
		t-u.Time <= int64(StepUpMax/time.Second) && u.Time-t <= int64(abaton.ClockSkewMax/time.Second)
}

func (u *StepUp) covers(lines []abaton.Line) bool {
	signed := make(map[abaton.Line]struct{}, len(u.Lines))
	for _, l := range u.Lines {
		signed[l] = struct{}{}
	}
	for _, l := range lines {
		if _, ok := signed[l]; !ok {
			return false
		}
	}
	return true
}

// SteppedUpAt is when the step-up that the request carries was signed, in unix
// seconds, by the signer's clock. Whether it holds is SteppedUp's question.
func (a *Asked) SteppedUpAt() (at int64, carried bool) {
	if a.stepUp == nil {
		return 0, false
	}
	return a.stepUp.StepUp.Time, true
}
