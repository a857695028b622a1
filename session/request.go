package session

import (
	"crypto/sha256"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// Mode is what a request asks for. Zero is no mode.
type Mode uint8

// The modes of version 1 (PROTOCOL.md#request).
const (
	Release Mode = iota + 1 // parcels
	Permit                  // full check and ledger entry, no bytes
	List                    // names of batches in lines
	History                 // the patient's disclosures
	Index                   // parcels of index records
	Parts                   // names of the batches in lines that are parts of large objects
	Unseal                  // this keeper's share of an escrow

	// Locks releases parcels under every lock held, those prepared too
	// (docs/protocol/record.md#re-lock).
	Locks Mode = 8
	// Confirm asks for nothing: it is a second clinician's word about an
	// emergency opening.
	Confirm Mode = 9
)

// RequestBytesMax is the largest signed request, in bytes.
const RequestBytesMax = 16 << 10

// Row names records of one batch.
type Row = actor.Row

// Request is one question to all keepers; they all get the same bytes
// (PROTOCOL.md#request).
type Request struct {
	V         uint64                 `cbor:"1,keyasint"`
	Session   abaton.SessionID       `cbor:"2,keyasint"`
	Patient   abaton.ActorID         `cbor:"3,keyasint"`
	Grant     abaton.GrantID         `cbor:"4,keyasint"` // zero asks as the owner; for Unseal the escrow
	Mode      Mode                   `cbor:"5,keyasint"`
	Purpose   abaton.Purpose         `cbor:"6,keyasint"`
	Rows      []Row                  `cbor:"7,keyasint"` // for Release, Permit, Index, Locks
	Lines     []abaton.Line          `cbor:"8,keyasint"` // for List and Parts
	Time      int64                  `cbor:"9,keyasint"` // unix seconds
	Nonce     [grant.NonceBytes]byte `cbor:"10,keyasint"`
	Cursor    uint64                 `cbor:"11,keyasint"`          // where List, Parts and History go on; else zero
	StepUp    []byte                 `cbor:"12,keyasint"`          // canonical SignedStepUp, or empty
	Emergency []byte                 `cbor:"13,keyasint"`          // canonical SignedEmergency: for Unseal of an emergency set; else empty
	Approval  []byte                 `cbor:"14,keyasint"`          // canonical SignedApproval: for Confirm, for Unseal beside Emergency, and for what the watch holds back
	Onward    abaton.Handed          `cbor:"15,keyasint,omitzero"` // by which hand-on of Grant; absent normally
}

// Sign makes the bytes a reader sends: the same to every keeper.
func (r *Request) Sign(k *key.Signing) []byte {
	return wire.Marshal(k.Seal(wire.Request, wire.Marshal(r)))
}

// Asked is a request as it came: parsed, its signature not yet verified.
type Asked struct {
	Request
	signed    wire.Signed
	hash      [32]byte
	stepUp    *SignedStepUp
	emergency *SignedEmergency
	approval  *SignedApproval
}

// ParseRequest reads a signed request strictly; ReasonMalformed or
// ReasonTooLarge. Authenticate verifies it.
func ParseRequest(data []byte) (*Asked, error) {
	if len(data) > RequestBytesMax {
		return nil, abaton.Refuse(abaton.ReasonTooLarge)
	}
	var a Asked
	if wire.Unmarshal(data, &a.signed) != nil || wire.Unmarshal(a.signed.Body, &a.Request) != nil {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	if err := a.validate(); err != nil {
		return nil, err
	}
	if len(a.Request.StepUp) > 0 {
		s, err := ParseStepUp(a.Request.StepUp)
		if err != nil {
			return nil, err
		}
		a.stepUp = s
	}
	if err := a.readEmergency(); err != nil {
		return nil, err
	}
	a.hash = sha256.Sum256(a.signed.Body)
	return &a, nil
}

func (r *Request) validate() error {
	if len(r.Rows) > abaton.RequestRowsMax || len(r.Lines) > abaton.LinesMax {
		return abaton.Refuse(abaton.ReasonTooLarge)
	}
	ok := r.V == wire.Version && r.Session != (abaton.SessionID{}) && r.Patient != (abaton.ActorID{}) &&
		r.Purpose.Valid() && r.Time >= 0 && r.Nonce != ([grant.NonceBytes]byte{}) &&
		r.modeFits() && r.onwardFits() && r.emergencyFits() && distinctRows(r.Rows) && distinctLines(r.Lines)
	if !ok {
		return abaton.Refuse(abaton.ReasonMalformed)
	}
	return nil
}

// modeFits: each mode has its own fields and no other's.
func (r *Request) modeFits() bool {
	switch r.Mode {
	case Release, Permit, Index, Locks:
		return len(r.Rows) > 0 && len(r.Lines) == 0 && r.Cursor == 0
	case List, Parts:
		return len(r.Rows) == 0 && len(r.Lines) > 0
	case History:
		return len(r.Rows) == 0 && len(r.Lines) == 0
	case Unseal, Confirm:
		return len(r.Rows) == 0 && len(r.Lines) == 0 && r.Cursor == 0 && r.Grant != (abaton.GrantID{})
	}
	return false
}

// onwardFits: a hand-on opens records of somebody else's, and nothing more.
func (r *Request) onwardFits() bool {
	switch r.Mode {
	case Release, Permit, Index, Locks, List, Parts:
		return r.Onward.IsZero() || r.Onward.Valid() && r.Grant != (abaton.GrantID{})
	}
	return r.Onward.IsZero()
}

func distinctRows(rows []Row) bool {
	seen := make(map[abaton.BatchName]struct{}, len(rows))
	for _, row := range rows {
		seen[row.Batch] = struct{}{}
		if row.Bits == 0 || row.Batch == (abaton.BatchName{}) {
			return false
		}
	}
	return len(seen) == len(rows)
}

func distinctLines(lines []abaton.Line) bool {
	seen := make(map[abaton.Line]struct{}, len(lines))
	for _, l := range lines {
		seen[l] = struct{}{}
		if l == (abaton.Line{}) {
			return false
		}
	}
	return len(seen) == len(lines)
}

// Bytes are the signed request as it came.
func (a *Asked) Bytes() []byte { return wire.Marshal(a.signed) }

// Hash names the request: SHA-256 of the signed body.
func (a *Asked) Hash() [32]byte { return a.hash }

// Authenticate checks that the session asked it, now: ReasonNoSession,
// ReasonSignature, ReasonTime. Replays are the nonce store's matter.
func (a *Asked) Authenticate(s *Session, now time.Time) error {
	if s == nil || a.Session != s.id {
		return abaton.Refuse(abaton.ReasonNoSession)
	}
	if !key.Verify(s.statement.Key, wire.Request, a.signed.Body, a.signed.Sig) {
		return abaton.Refuse(abaton.ReasonSignature)
	}
	return a.InTime(now)
}

// InTime is the stateful half of Authenticate for a request whose signature
// was verified before: ReasonTime.
func (a *Asked) InTime(now time.Time) error {
	skew := now.Unix() - a.Time
	if skew < 0 {
		skew = -skew
	}
	if skew > int64(abaton.ClockSkewMax/time.Second) {
		return abaton.Refuse(abaton.ReasonTime)
	}
	return nil
}
