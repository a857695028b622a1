package spread

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// Dims are the sizes of a batch: M records, N fragments a record, any K of
// which suffice.
type Dims struct {
	_       struct{} `cbor:",toarray"`
	M, N, K uint8
}

// Class says what a batch holds, as far as a list must know it without opening
// anything (PROTOCOL.md#class).
type Class uint8

// The classes of version 1.
const (
	// Ordinary batches are a chart's records. They have no class field.
	Ordinary Class = 0
	// PartClass is one part of a large object: it is listed and opened by
	// itself, never with a chart.
	PartClass Class = 1
)

// Head is the immutable, writer-signed description of a batch
// (PROTOCOL.md#head).
type Head struct {
	Version    uint64           `cbor:"1,keyasint"`
	Patient    abaton.ActorID   `cbor:"2,keyasint"`
	Line       abaton.Line      `cbor:"3,keyasint"`
	Nonce      [16]byte         `cbor:"4,keyasint"`
	Dims       Dims             `cbor:"5,keyasint"`
	Dictionary Hash32           `cbor:"6,keyasint"` // SHA-256 of the dictionary; zero = none
	BodyRoot   Hash32           `cbor:"7,keyasint"`
	Writer     abaton.KeyID     `cbor:"8,keyasint"`
	Seq        uint64           `cbor:"9,keyasint"`  // per (writer, patient, line)
	PrevHead   abaton.BatchName `cbor:"10,keyasint"` // the batch name under the writer's previous seq; zero = none
	Hour       uint32           `cbor:"11,keyasint"` // hours since 1970-01-01T00:00Z
	Class      Class            `cbor:"12,keyasint,omitempty"`
}

// Bytes is the canonical form, what the writer signs.
func (h *Head) Bytes() []byte { return wire.Marshal(h) }

// NameOf is the name of the batch whose HEAD is body.
func NameOf(body []byte) abaton.BatchName { return sha256.Sum256(body) }

// DecodeHead reads HEAD bytes and checks every field that can be checked
// alone. It does not check the signature; it refuses with ReasonMalformed.
func DecodeHead(body []byte) (*Head, error) {
	h := new(Head)
	if len(body) > headBytesMax || wire.Unmarshal(body, h) != nil {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	d := h.Dims
	sized := d.M >= 1 && d.M <= abaton.BatchRecordsMax && d.K >= 2 && d.K <= d.N && d.N <= abaton.KeepersMax
	named := h.Patient != abaton.ActorID{} && h.Line != abaton.Line{} && h.Writer != abaton.KeyID{}
	classed := h.Class == Ordinary || h.Class == PartClass && d.M == 1
	if h.Version != wire.Version || !sized || !named || !classed {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	return h, nil
}

// ParseHead is DecodeHead and the writer's signature (ReasonSignature).
// Whether that writer may write is the caller's question.
func ParseHead(signed wire.Signed) (*Head, error) {
	h, err := DecodeHead(signed.Body)
	if err != nil {
		return nil, err
	}
	if !key.Verify(h.Writer, wire.Head, signed.Body, signed.Sig) {
		return nil, abaton.Refuse(abaton.ReasonSignature)
	}
	return h, nil
}

// headBytesMax is above the longest HEAD, whose fields are all of fixed size.
const headBytesMax = 512

// ClassOf is the class of a signed HEAD in its canonical form (wire.Signed)
// that was verified before: it looks at the field alone, for lists that pass
// over thousands of parts. False for bytes that are no such HEAD.
func ClassOf(signed []byte) (Class, bool) {
	const fields, classField = 0xab, 12 // a map of eleven; one more has the class last
	body, ok := firstBytes(signed)
	switch {
	case !ok || len(body) < 3:
		return 0, false
	case body[0] == fields:
		return Ordinary, true
	case body[0] == fields+1 && body[len(body)-2] == classField && body[len(body)-1] == byte(PartClass):
		return PartClass, true
	}
	return 0, false
}

// firstBytes is the first element of an array of two, a byte string of 24 to
// 65,535 bytes (RFC 8949, section 3).
func firstBytes(signed []byte) ([]byte, bool) {
	if len(signed) < 4 || signed[0] != 0x82 {
		return nil, false
	}
	rest, n := signed[3:], int(signed[2])
	switch signed[1] {
	case 0x58:
	case 0x59:
		rest, n = signed[4:], int(binary.BigEndian.Uint16(signed[2:]))
	default:
		return nil, false
	}
	if n > len(rest) {
		return nil, false
	}
	return rest[:n], true
}
