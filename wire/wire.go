// Package wire is the one form in which signed objects travel and rest:
// strict deterministic CBOR (RFC 8949, section 4.2.1), labelled hashes and
// the registry of labels.
//
//	b, err := wire.Marshal(v)        // one encoding per meaning
//	err = wire.Unmarshal(b, &v)      // refuses every other one
//	h := wire.Hash(wire.Actor, b)    // SHA-256(label || 0x00 || b)
//
// It signs nothing and keeps no secret. The form is frozen with protocol
// version 1 (PROTOCOL.md#encoding).
package wire

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"github.com/fxamacker/cbor/v2"

	"github.com/abaton-health/abaton"
)

// Version is the protocol version every object carries as field 1.
const Version = 1

// ErrMalformed means the bytes are not the one canonical form of the object.
var ErrMalformed = errors.New("malformed or non-canonical CBOR")

var modes = sync.OnceValues(func() (cbor.EncMode, cbor.DecMode) {
	encOptions := cbor.CoreDetEncOptions()
	encOptions.NilContainers = cbor.NilContainerAsEmpty
	encOptions.TagsMd = cbor.TagsForbidden
	enc, err := encOptions.EncMode()
	if err != nil {
		panic("wire: encoding options are fixed and valid: " + err.Error())
	}
	dec, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		MaxNestedLevels:   abaton.DepthMax,
		MaxArrayElements:  abaton.ElementsMax,
		MaxMapPairs:       abaton.ElementsMax,
		UTF8:              cbor.UTF8RejectInvalid,
		IntDec:            cbor.IntDecConvertNone,
	}.DecMode()
	if err != nil {
		panic("wire: decoding options are fixed and valid: " + err.Error())
	}
	return enc, dec
})

// Marshal encodes v canonically. It panics on types that cannot be encoded: a
// mistake of the programmer, never of a peer.
func Marshal(v any) []byte {
	enc, _ := modes()
	b, err := enc.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("wire: type %T cannot be encoded", v))
	}
	return b
}

// Unmarshal decodes data into v and refuses unknown or missing fields,
// duplicate keys, indefinite lengths, tags, trailing bytes, deep nesting and
// any form that Marshal would not have made. The error is ErrMalformed.
func Unmarshal(data []byte, v any) error {
	enc, dec := modes()
	if err := dec.Unmarshal(data, v); err != nil {
		return ErrMalformed
	}
	again, err := enc.Marshal(v)
	if err != nil || !bytes.Equal(again, data) {
		return ErrMalformed
	}
	return nil
}

// Hash is SHA-256(label || 0x00 || parts...). Every part but the last must be
// of fixed length (PROTOCOL.md#hashing).
func Hash(label Label, parts ...[]byte) (sum [32]byte) {
	h := sha256.New()
	h.Write([]byte(label))
	h.Write([]byte{0})
	for _, p := range parts {
		h.Write(p)
	}
	h.Sum(sum[:0])
	return sum
}

// Message is what a signature under label covers: label || 0x00 || body.
func Message(label Label, body []byte) []byte {
	m := make([]byte, 0, len(label)+1+len(body))
	m = append(m, label...)
	m = append(m, 0)
	return append(m, body...)
}

// U16 is v in big-endian order.
func U16(v uint16) []byte { return []byte{byte(v >> 8), byte(v)} }

// U32 is v in big-endian order.
func U32(v uint32) []byte { return []byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)} }

// U64 is v in big-endian order.
func U64(v uint64) []byte {
	return []byte{byte(v >> 56), byte(v >> 48), byte(v >> 40), byte(v >> 32), byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}
}

// Signed is a body and an Ed25519 signature over its label and bytes; the
// body names the key.
type Signed struct {
	_    struct{} `cbor:",toarray"`
	Body []byte
	Sig  []byte
}
