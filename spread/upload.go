package spread

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// CapsuleBytes is the length of a capsule: the encapsulation and the sealed
// author box (author id, signature, GCM tag).
const CapsuleBytes = key.EncBytes + 32 + key.SignatureBytes + TagBytes

// Upload is what a writer hands one keeper: the whole batch or nothing, since
// a root cannot be checked in part (PROTOCOL.md#upload).
type Upload struct {
	Version uint64             `cbor:"1,keyasint"`
	Head    wire.Signed        `cbor:"2,keyasint"`
	Lock    wire.Signed        `cbor:"3,keyasint"`
	X       abaton.KeeperIndex `cbor:"4,keyasint"`
	Capsule []byte             `cbor:"5,keyasint"` // this keeper's fragment
	Rows    []UploadRow        `cbor:"6,keyasint"` // one for each record
}

// UploadRow is one record's part of an upload.
type UploadRow struct {
	_        struct{} `cbor:",toarray"`
	Length   uint32   // of the code word, in bytes
	Fragment []byte
	Share    [32]byte
	Others   []Hash32 // fragment hashes of the other keepers, by position
}

// Bytes is the canonical form.
func (u *Upload) Bytes() []byte { return wire.Marshal(u) }

// ParseUpload reads the canonical form; it refuses with ReasonMalformed or
// ReasonTooLarge. What it holds is checked by Check.
func ParseUpload(data []byte) (*Upload, error) {
	if len(data) > abaton.DepositBodyMax {
		return nil, abaton.Refuse(abaton.ReasonTooLarge)
	}
	u := new(Upload)
	if wire.Unmarshal(data, u) != nil || u.Version != wire.Version {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	return u, nil
}

// SealUpload boxes u to its keeper's long-term key, for the outbox and for
// the way there: several plain uploads on one disk are lock two of all that is
// in flight (PROTOCOL.md#piece-box).
func SealUpload(u *Upload, set abaton.ActorID, keeper key.BoxPublic) ([]byte, error) {
	return keeper.SealTo(wire.PieceBox, boxContext(set, u.X), u.Bytes())
}

// OpenUpload opens what SealUpload made for the keeper x of set; it refuses
// with ReasonMalformed or ReasonTooLarge.
func OpenUpload(sealed []byte, set abaton.ActorID, x abaton.KeeperIndex, box *key.Box) (*Upload, error) {
	if len(sealed) > abaton.DepositBodyMax {
		return nil, abaton.Refuse(abaton.ReasonTooLarge)
	}
	data, err := box.OpenFrom(wire.PieceBox, boxContext(set, x), sealed)
	if err != nil {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	return ParseUpload(data)
}

func boxContext(set abaton.ActorID, x abaton.KeeperIndex) []byte {
	return append(append([]byte(nil), set[:]...), byte(x))
}
