package actor

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/wire"
)

// Kind is what an actor is. Zero is no kind.
type Kind uint8

// The kinds of actors of version 1 (PROTOCOL.md#actor-kinds).
const (
	Patient Kind = iota + 1
	Clinician
	Organisation
	Device
	Agent
	KeeperSet
)

// Valid reports whether k is a kind that version 1 knows.
func (k Kind) Valid() bool { return k >= Patient && k <= KeeperSet }

// EventKind is what an event does. Zero is no kind.
type EventKind uint8

// The kinds of events of version 1 (PROTOCOL.md#event-kinds).
const (
	EventInception EventKind = iota + 1
	EventKeyAdd
	EventKeyRemove
	EventCredentialAdd
	EventCredentialRemove
	EventEpoch
	EventGrant
	EventRevoke
	EventBar
	EventErase
	EventMerge
	EventSetChange
	EventOrigins
)

// EventPolicy publishes an organisation's policy.
const EventPolicy EventKind = 16

// Kinds 14 to 18 and 22 stand with their bodies.
const (
	EventEscrow EventKind = iota + 19
	EventRecover
	EventVeto
)

// Valid reports whether k is a kind that version 1 knows.
func (k EventKind) Valid() bool { return bodyOf(k) != nil }

// Narrows reports whether an event of this kind gives nothing: it applies on
// receipt, without a certificate, and holds on any branch (RULINGS 17).
func Narrows(k EventKind) bool {
	switch k {
	case EventKeyRemove, EventCredentialRemove, EventRevoke, EventBar, EventErase, EventStop,
		EventRecover, EventVeto, EventFinding:
		return true
	}
	return false
}

// Hash is the hash of one event (PROTOCOL.md#event).
type Hash [32]byte

// ParentsMax is how many heads one merge may name.
const ParentsMax = 16

// Event is one link of a key log (PROTOCOL.md#event).
type Event struct {
	V     uint64         `cbor:"1,keyasint"`
	Actor abaton.ActorID `cbor:"2,keyasint"` // zero in an inception
	Seq   uint64         `cbor:"3,keyasint"` // 0 in an inception, else 1 + the highest parent's
	Prev  []Hash         `cbor:"4,keyasint"` // none, one, or two and more sorted (merge)
	Kind  EventKind      `cbor:"5,keyasint"`
	Time  int64          `cbor:"6,keyasint"` // unix seconds, the signer's clock
	Body  []byte         `cbor:"7,keyasint"` // canonical CBOR of the kind's body
}

// SignedEvent is an event's bytes and the proofs over their hash. The proofs
// are not part of any name: signatures can be made twice.
type SignedEvent struct {
	_      struct{} `cbor:",toarray"`
	Event  []byte
	Proofs []Proof
}

// Marshal is the signed event's one encoding.
func (se SignedEvent) Marshal() []byte { return wire.Marshal(se) }

// ParseSigned reads a signed event strictly; ReasonMalformed or
// ReasonTooLarge. It verifies nothing.
func ParseSigned(data []byte) (se SignedEvent, err error) {
	if len(data) > signedBytesMax {
		return se, abaton.Refuse(abaton.ReasonTooLarge)
	}
	if wire.Unmarshal(data, &se) != nil {
		return SignedEvent{}, abaton.Refuse(abaton.ReasonMalformed)
	}
	return se, nil
}

// HashOf is the hash of an event's bytes: what proofs and certificates name.
func HashOf(event []byte) Hash { return wire.Hash(wire.Event, event) }

// IDOf names an actor by the bytes of its inception event.
func IDOf(inception []byte) abaton.ActorID { return wire.Hash(wire.Actor, inception) }

// New makes the bytes of an event that continues the log after parents. Zero
// parents make an inception. Body is one of this package's bodies.
func New(actor abaton.ActorID, seq uint64, prev []Hash, time int64, body Body) []byte {
	e := Event{V: wire.Version, Actor: actor, Seq: seq, Prev: prev, Kind: body.EventKind(), Time: time, Body: wire.Marshal(body)}
	return wire.Marshal(e)
}

// NewInception makes the bytes of the first event of a log.
func NewInception(time int64, body *Inception) []byte {
	return New(abaton.ActorID{}, 0, nil, time, body)
}

// chained reports whether the event's place in a log is well formed.
func (e *Event) chained() bool {
	if e.Kind == EventInception {
		return e.Actor == (abaton.ActorID{}) && e.Seq == 0 && len(e.Prev) == 0
	}
	if e.Actor == (abaton.ActorID{}) || e.Seq == 0 {
		return false
	}
	if e.Kind == EventMerge {
		return len(e.Prev) >= 2 && len(e.Prev) <= ParentsMax && ascending(e.Prev)
	}
	return len(e.Prev) == 1
}
