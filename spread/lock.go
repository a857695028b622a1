package spread

import (
	"crypto/sha256"
	"math/bits"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// SetRef names the keeper set a lock is spread over and the shape it had.
type SetRef struct {
	_     struct{} `cbor:",toarray"`
	Set   abaton.ActorID
	Shape Hash32
}

// Lock is the locker-signed, versioned description of who can open a batch
// (PROTOCOL.md#lock). A new version changes the keys and never the body.
type Lock struct {
	Version  uint64           `cbor:"1,keyasint"`
	Batch    abaton.BatchName `cbor:"2,keyasint"`
	Segment  abaton.SegmentID `cbor:"3,keyasint"`
	Number   uint64           `cbor:"4,keyasint"` // the lock's version; the first is 1
	Set      SetRef           `cbor:"5,keyasint"`
	Kappa    []Hash32         `cbor:"6,keyasint"` // capsule fragment hash, by position
	Rho      []Hash32         `cbor:"7,keyasint"` // share root, by position
	Gone     uint64           `cbor:"8,keyasint"` // bitmap of erased records
	PrevLock Hash32           `cbor:"9,keyasint"` // SHA-256 of the previous LOCK; zero for the first
	Locker   abaton.KeyID     `cbor:"10,keyasint"`
}

// Bytes is the canonical form, what the locker signs.
func (l *Lock) Bytes() []byte { return wire.Marshal(l) }

// LockHash is SHA-256 of LOCK bytes: what receipts and the next lock name.
func LockHash(body []byte) Hash32 { return sha256.Sum256(body) }

// DecodeLock reads LOCK bytes and checks every field that can be checked
// alone. It does not check the signature; it refuses with ReasonMalformed.
func DecodeLock(body []byte) (*Lock, error) {
	l := new(Lock)
	if len(body) > lockBytesMax || wire.Unmarshal(body, l) != nil {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	named := l.Batch != abaton.BatchName{} && l.Segment != abaton.SegmentID{} &&
		l.Set.Set != abaton.ActorID{} && l.Locker != abaton.KeyID{}
	first := l.PrevLock == Hash32{} && l.Gone == 0
	ordered := l.Number == 1 && first || l.Number > 1 && l.PrevLock != Hash32{}
	sized := len(l.Kappa) == len(l.Rho) && len(l.Kappa) >= 2 && len(l.Kappa) <= abaton.KeepersMax
	if l.Version != wire.Version || !named || !ordered || !sized {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	return l, nil
}

// ParseLock is DecodeLock and the locker's signature (ReasonSignature).
// Whether that locker may lock is the caller's question.
func ParseLock(signed wire.Signed) (*Lock, error) {
	l, err := DecodeLock(signed.Body)
	if err != nil {
		return nil, err
	}
	if !key.Verify(l.Locker, wire.Lock, signed.Body, signed.Sig) {
		return nil, abaton.Refuse(abaton.ReasonSignature)
	}
	return l, nil
}

// Ctx binds everything under a lock to its batch, line, segment, version,
// keeper set and erased records (PROTOCOL.md#ctx).
func Ctx(line abaton.Line, l *Lock) Hash32 {
	return wire.Hash(wire.LockCtx, l.Batch[:], line[:], l.Segment[:], wire.U64(l.Number),
		l.Set.Set[:], l.Set.Shape[:], wire.U64(l.Gone))
}

// matches checks that l locks the batch name with this head.
func (l *Lock) matches(name abaton.BatchName, h *Head) bool {
	return l.Batch == name && len(l.Kappa) == int(h.Dims.N) && bits.Len64(l.Gone) <= int(h.Dims.M)
}

// lockedBy checks that a first lock is the writer's own: another party could
// otherwise lock a copied HEAD to a segment of its choice.
func (l *Lock) lockedBy(h *Head) bool { return l.Number > 1 || l.Locker == h.Writer }

// spreadOver checks that l and h are for this keeper set and shape.
func (l *Lock) spreadOver(h *Head, set abaton.ActorID, shape Shape) bool {
	return l.Set.Set == set && l.Set.Shape == shape.Hash() && h.Dims.N == shape.N && h.Dims.K == shape.K
}

// lockBytesMax is above the longest LOCK: 2 hashes for each of KeepersMax.
const lockBytesMax = 2048
