package key

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/wire"
)

// Root is the secret from which all segment keys of one actor derive, one
// generation of it (PROTOCOL.md#root). It never leaves the patient's device.
type Root struct {
	prk Secret
}

// NewRoot takes 32 random bytes as the root of a generation.
func NewRoot(secret Secret) Root {
	return Root{prk: Extract([]byte(wire.Root), secret[:])}
}

// Line is the opaque name of category's line, the same in every epoch.
func (r Root) Line(category abaton.Category) (l abaton.Line) {
	s := r.prk.derive(wire.LineID, category[:])
	copy(l[:], s[:])
	return l
}

// SegmentSeed is the private seed of category's segment in epoch.
func (r Root) SegmentSeed(category abaton.Category, epoch uint32) Secret {
	return r.prk.derive(wire.SegmentSeed, category[:], wire.U32(epoch))
}

// BoxSeed is the private seed of the box for what others seal to this actor,
// where the root is all that its devices keep.
func (r Root) BoxSeed() Secret { return r.prk.derive(wire.BoxSeed) }

// ManageSeed is the seed of the signing key that manages the actor's log, where
// the root is all that its devices keep.
func (r Root) ManageSeed() Secret { return r.prk.derive(wire.ManageSeed) }

// Segment is the key pair of category's segment in epoch.
func (r Root) Segment(category abaton.Category, epoch uint32) *Box {
	return BoxFromSeed(r.SegmentSeed(category, epoch))
}

// SegmentIDOf names a segment by its public key.
func SegmentIDOf(public BoxPublic) abaton.SegmentID {
	return wire.Hash(wire.SegmentID, public.bytes[:])
}
