package ledger

import (
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/wire"
)

// Equivocation proves that a ledger signed two trees of which neither
// contains the other. Two trees of one size with different roots are proof
// enough; for different sizes, two leaves shown at the same index are. Anyone
// can check it with the ledger's public key alone.
type Equivocation struct {
	Version uint64      `cbor:"1,keyasint"`
	A       []byte      `cbor:"2,keyasint"` // signed checkpoint
	B       []byte      `cbor:"3,keyasint"` // signed checkpoint, not smaller than A
	Index   uint64      `cbor:"4,keyasint"` // zero unless sizes differ
	LeafA   Leaf        `cbor:"5,keyasint"` // zero unless sizes differ
	PathA   []tlog.Hash `cbor:"6,keyasint"`
	LeafB   Leaf        `cbor:"7,keyasint"`
	PathB   []tlog.Hash `cbor:"8,keyasint"`
}

// Marshal is the canonical form.
func (e Equivocation) Marshal() []byte {
	e.Version = wire.Version
	return wire.Marshal(e)
}

// ParseEquivocation reads the canonical form. Verify decides what it is
// worth.
func ParseEquivocation(b []byte) (Equivocation, error) {
	if len(b) > abaton.ControlBodyMax {
		return Equivocation{}, refuse("equivocation", "length")
	}
	var e Equivocation
	if err := wire.Unmarshal(b, &e); err != nil {
		return Equivocation{}, refuse("equivocation", "form")
	}
	if e.Version != wire.Version {
		return Equivocation{}, refuse("equivocation", "version")
	}
	return e, nil
}

// Verify returns nil if and only if e proves that the holder of v's key
// signed contradicting trees of origin.
func (e Equivocation) Verify(origin string, v note.Verifier) error {
	a, err := VerifyCheckpoint(e.A, origin, v)
	if err != nil {
		return err
	}
	b, err := VerifyCheckpoint(e.B, origin, v)
	if err != nil {
		return err
	}
	if a.Size == b.Size {
		return e.sameSize(a, b)
	}
	if a.Size > b.Size {
		return refuse("equivocation", "order")
	}
	if err := VerifyInclusion(a, e.Index, e.LeafA, e.PathA); err != nil {
		return err
	}
	if err := VerifyInclusion(b, e.Index, e.LeafB, e.PathB); err != nil {
		return err
	}
	if e.LeafA == e.LeafB {
		return refuse("equivocation", "same-leaf")
	}
	return nil
}

func (e Equivocation) sameSize(a, b Checkpoint) error {
	if a.Root == b.Root {
		return refuse("equivocation", "same-tree")
	}
	if e.Index != 0 || e.LeafA != (Leaf{}) || e.LeafB != (Leaf{}) || len(e.PathA)+len(e.PathB) != 0 {
		return refuse("equivocation", "form")
	}
	return nil
}
