package abaton

import (
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
)

// ActorID names a patient, clinician, organisation, device, agent or keeper
// set: the hash of the inception event of its key log
// (PROTOCOL.md#actor). The zero ActorID names nobody.
type ActorID [32]byte

// KeyID is an Ed25519 public key (RFC 8032); a key is its own name.
type KeyID [32]byte

// BatchName names 1 to 64 records sealed together: SHA-256 of the HEAD bytes
// (PROTOCOL.md#head).
type BatchName [32]byte

// RecordName names one record: its batch and its place there, 0 to 63.
type RecordName struct {
	Batch BatchName
	Index uint16
}

// Line is an opaque name for one patient and one sensitivity category. It
// outlives the epochs of its segments (PROTOCOL.md#line).
type Line [16]byte

// SegmentID names one epoch of one line: the hash of its public key
// (PROTOCOL.md#segment).
type SegmentID [32]byte

// GrantID names a grant: the hash of its bytes (PROTOCOL.md#grant).
type GrantID [32]byte

// Handed names a grant handed on: in whose key log it stands, and which it is
// there (PROTOCOL.md#onward). The zero value names none.
type Handed struct {
	From ActorID `cbor:"1,keyasint"`
	ID   GrantID `cbor:"2,keyasint"`
}

// IsZero reports whether h names nothing.
func (h Handed) IsZero() bool { return h == Handed{} }

// Valid reports whether h names a whole thing, or nothing.
func (h Handed) Valid() bool {
	return h.IsZero() || h.From != (ActorID{}) && h.ID != (GrantID{})
}

// SessionID names a session: the hash of its statement
// (PROTOCOL.md#session).
type SessionID [32]byte

// KeeperIndex is the x-coordinate of a keeper in its set, 1 to n. Zero is no
// keeper.
type KeeperIndex uint8

// Category is the stable 16-byte name of a sensitivity category. Keepers
// never see one.
type Category [16]byte

// ErrName says that a text is not a name of the expected kind.
var ErrName = errors.New("not a valid name")

var nameEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Text prefixes, so that names of different kinds cannot be swapped by hand.
const (
	prefixActor   = "act1"
	prefixKey     = "key1"
	prefixBatch   = "bat1"
	prefixLine    = "lin1"
	prefixSegment = "seg1"
	prefixGrant   = "gra1"
	prefixSession = "ses1"
)

func format(prefix string, b []byte) string { return prefix + nameEncoding.EncodeToString(b) }

func parse(prefix, text string, into []byte) error {
	rest, ok := strings.CutPrefix(text, prefix)
	if !ok {
		return fmt.Errorf("parse %s name: %w", prefix, ErrName)
	}
	b, err := nameEncoding.DecodeString(rest)
	if err != nil || len(b) != len(into) || nameEncoding.EncodeToString(b) != rest {
		return fmt.Errorf("parse %s name: %w", prefix, ErrName)
	}
	copy(into, b)
	return nil
}

func (id ActorID) String() string   { return format(prefixActor, id[:]) }
func (id KeyID) String() string     { return format(prefixKey, id[:]) }
func (b BatchName) String() string  { return format(prefixBatch, b[:]) }
func (l Line) String() string       { return format(prefixLine, l[:]) }
func (id SegmentID) String() string { return format(prefixSegment, id[:]) }
func (id GrantID) String() string   { return format(prefixGrant, id[:]) }
func (id SessionID) String() string { return format(prefixSession, id[:]) }

// String is the batch name, a dot and the index.
func (r RecordName) String() string { return fmt.Sprintf("%s.%d", r.Batch, r.Index) }

// ParseActorID reads the text form of an ActorID; ErrName if it is none.
func ParseActorID(text string) (id ActorID, err error) {
	return id, parse(prefixActor, text, id[:])
}

// ParseKeyID reads the text form of a KeyID; ErrName if it is none.
func ParseKeyID(text string) (id KeyID, err error) { return id, parse(prefixKey, text, id[:]) }

// ParseBatchName reads the text form of a BatchName; ErrName if it is none.
func ParseBatchName(text string) (b BatchName, err error) {
	return b, parse(prefixBatch, text, b[:])
}

// ParseLine reads what Line.String wrote.
func ParseLine(text string) (l Line, err error) { return l, parse(prefixLine, text, l[:]) }

// ParseSessionID reads the text form of a SessionID; ErrName if it is none.
func ParseSessionID(text string) (id SessionID, err error) {
	return id, parse(prefixSession, text, id[:])
}

// ParseGrantID reads the text form of a GrantID; ErrName if it is none.
func ParseGrantID(text string) (id GrantID, err error) {
	return id, parse(prefixGrant, text, id[:])
}
