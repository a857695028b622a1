package seal

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/wire"
)

// ErrEnvelope says that bytes are not an envelope and content in their one
// form.
var ErrEnvelope = errors.New("not a valid envelope")

// Kind says what a record's content is. The zero Kind is refused.
type Kind uint8

// The kinds of version 1.
const (
	KindResource  Kind = 1 // a FHIR resource, the client's exact bytes
	KindIndex     Kind = 2 // the Index of its batch
	KindCommit    Kind = 3 // a Commit of a transaction
	KindDirectory Kind = 4 // an entry of the organisation's directory
	KindPart      Kind = 5 // a part of a large object, in a batch of spread.PartClass
	KindObject    Kind = 6 // the Object that names a large object's parts
)

// Envelope says, inside the seal, what a record is (PROTOCOL.md#envelope). All
// fields are always present; the limits are those of check.
type Envelope struct {
	Patient     abaton.ActorID `cbor:"1,keyasint"`
	Line        abaton.Line    `cbor:"2,keyasint"`
	Kind        Kind           `cbor:"3,keyasint"`
	Type        string         `cbor:"4,keyasint"`
	ID          string         `cbor:"5,keyasint"`
	VersionID   string         `cbor:"6,keyasint"`
	LastUpdated uint64         `cbor:"7,keyasint"` // milliseconds since 1970-01-01T00:00Z
	Parents     []string       `cbor:"8,keyasint"` // version ids this one follows
	Person      abaton.ActorID `cbor:"9,keyasint"` // who acted; zero if nobody did
	Transaction []byte         `cbor:"10,keyasint"`
	Source      []byte         `cbor:"11,keyasint"` // key by which readers merge what was sealed twice
	Deleted     bool           `cbor:"12,keyasint"`
}

// Sizes of envelope fields, in bytes: FHIR ids have at most 64 characters, and
// the longest type name of R4 has 33.
const (
	TransactionBytes = 16
	SourceBytes      = 32
	ParentsMax       = 64
	nameBytesMax     = 64
)

func (e *Envelope) check() error {
	ok := e.Patient != abaton.ActorID{} && e.Line != abaton.Line{} &&
		e.Kind >= KindResource && e.Kind <= KindObject &&
		isName(e.Type) && isName(e.ID) && isName(e.VersionID) &&
		len(e.Parents) <= ParentsMax &&
		(len(e.Transaction) == 0 || len(e.Transaction) == TransactionBytes) &&
		(len(e.Source) == 0 || len(e.Source) == SourceBytes)
	for _, p := range e.Parents {
		ok = ok && p != "" && isName(p)
	}
	switch e.Kind {
	case KindResource, KindPart, KindObject:
		ok = ok && e.Type != "" && e.ID != "" && e.VersionID != ""
	}
	if !ok {
		return ErrEnvelope
	}
	return nil
}

// isName: CBOR text that is no UTF-8 would be sealed and never open again.
func isName(s string) bool { return len(s) <= nameBytesMax && utf8.ValidString(s) }

// Record is an envelope and the exact bytes a client gave.
type Record struct {
	Envelope Envelope
	Content  []byte
}

// raw is the envelope followed by the content: what is committed to.
func (r *Record) raw() []byte { return append(wire.Marshal(&r.Envelope), r.Content...) }

// parseRecord splits raw where the envelope ends.
func parseRecord(raw []byte) (r Record, err error) {
	n, ok := itemBytes(raw, abaton.DepthMax)
	if !ok || wire.Unmarshal(raw[:n], &r.Envelope) != nil || r.Envelope.check() != nil {
		return Record{}, fmt.Errorf("parse record: %w", ErrEnvelope)
	}
	r.Content = raw[n:]
	return r, nil
}

// itemBytes is the length of the CBOR item at the start of b, of definite
// lengths only and without tags (RFC 8949, section 3). It only finds the end;
// wire.Unmarshal judges what is inside.
func itemBytes(b []byte, depth int) (int, bool) {
	if len(b) == 0 || depth < 0 {
		return 0, false
	}
	major, value, n, ok := itemHead(b)
	if !ok {
		return 0, false
	}
	items := uint64(0)
	switch major {
	case 0, 1, 7:
		return n, true
	case 2, 3:
		if value > uint64(len(b)-n) {
			return 0, false
		}
		return n + int(value), true
	case 4:
		items = value
	case 5:
		items = 2 * min(value, abaton.ElementsMax+1)
	default:
		return 0, false
	}
	if items > 2*abaton.ElementsMax {
		return 0, false
	}
	for range items {
		size, ok := itemBytes(b[n:], depth-1)
		if !ok {
			return 0, false
		}
		n += size
	}
	return n, true
}

// itemHead reads major type and argument.
func itemHead(b []byte) (major byte, value uint64, n int, ok bool) {
	major, value = b[0]>>5, uint64(b[0]&31)
	if value < 24 {
		return major, value, 1, true
	}
	if value > 27 {
		return 0, 0, 0, false
	}
	size := 1 << (value - 24)
	if len(b) < 1+size {
		return 0, 0, 0, false
	}
	value = 0
	for _, c := range b[1 : 1+size] {
		value = value<<8 | uint64(c)
	}
	return major, value, 1 + size, true
}
