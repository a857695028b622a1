package spread

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// Rekey is what a locker hands one keeper to replace a LOCK: the same bodies,
// new keys (PROTOCOL.md#re-lock). A keeper stores it beside the old one until
// a commit with enough receipts arrives.
type Rekey struct {
	Version uint64             `cbor:"1,keyasint"`
	Lock    wire.Signed        `cbor:"2,keyasint"`
	X       abaton.KeeperIndex `cbor:"3,keyasint"`
	Capsule []byte             `cbor:"4,keyasint"` // this keeper's fragment
	Shares  [][32]byte         `cbor:"5,keyasint"` // one for each record; zero where gone
}

// Bytes is the canonical form.
func (r *Rekey) Bytes() []byte { return wire.Marshal(r) }

// ParseRekey reads the canonical form; it refuses with ReasonMalformed or
// ReasonTooLarge. What it holds is checked by CheckRekey.
func ParseRekey(data []byte) (*Rekey, error) {
	if len(data) > abaton.ControlBodyMax {
		return nil, abaton.Refuse(abaton.ReasonTooLarge)
	}
	r := new(Rekey)
	if wire.Unmarshal(data, r) != nil || r.Version != wire.Version {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	return r, nil
}

// SealRekey boxes what carries a rekey to its keeper's long-term key: it holds
// shares (PROTOCOL.md#rekey-box).
func SealRekey(message []byte, set abaton.ActorID, x abaton.KeeperIndex, keeper key.BoxPublic) ([]byte, error) {
	return keeper.SealTo(wire.RekeyBox, boxContext(set, x), message)
}

// OpenRekey opens what SealRekey made for the keeper x of set; it refuses with
// ReasonMalformed or ReasonTooLarge.
func OpenRekey(sealed []byte, set abaton.ActorID, x abaton.KeeperIndex, box *key.Box) ([]byte, error) {
	if len(sealed) > abaton.ControlBodyMax {
		return nil, abaton.Refuse(abaton.ReasonTooLarge)
	}
	message, err := box.OpenFrom(wire.RekeyBox, boxContext(set, x), sealed)
	if err != nil {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	return message, nil
}

// CheckRekey checks r against what keeper x stores: the HEAD, the LOCK being
// replaced and erased, its tombstones for the batch, which must equal the new
// lock's. It gives the new lock and its ctx. Whether the locker has re-lock
// right and whether the segment is the line's newest epoch are the caller's
// questions.
func CheckRekey(r *Rekey, head, previous wire.Signed, erased uint64, shape Shape, set abaton.ActorID, x abaton.KeeperIndex) (*Lock, Hash32, error) {
	position, ok := shape.Position(x)
	if shape.Validate() != nil || !ok || r.X != x {
		return nil, Hash32{}, abaton.Refuse(abaton.ReasonKeeperSet)
	}
	h, err := DecodeHead(head.Body)
	if err != nil {
		return nil, Hash32{}, err
	}
	old, err := DecodeLock(previous.Body)
	if err != nil {
		return nil, Hash32{}, err
	}
	l, err := ParseLock(r.Lock)
	if err != nil {
		return nil, Hash32{}, err
	}
	if !l.matches(NameOf(head.Body), h) || l.Number != old.Number+1 || l.PrevLock != LockHash(previous.Body) ||
		len(r.Shares) != int(h.Dims.M) || len(r.Capsule) != FragmentBytes(CapsuleBytes, h.Dims.K) {
		return nil, Hash32{}, abaton.Refuse(abaton.ReasonMalformed)
	}
	if !l.spreadOver(h, set, shape) {
		return nil, Hash32{}, abaton.Refuse(abaton.ReasonKeeperSet)
	}
	if l.Gone != erased || old.Gone&^l.Gone != 0 {
		return nil, Hash32{}, abaton.Refuse(abaton.ReasonErased)
	}
	ctx := Ctx(h.Line, l)
	if CapsuleHash(ctx, x, r.Capsule) != l.Kappa[position] {
		return nil, Hash32{}, abaton.Refuse(abaton.ReasonCapsule)
	}
	leaves, ok := rekeyLeaves(r, ctx, l.Gone)
	if !ok || Root(leaves) != l.Rho[position] {
		return nil, Hash32{}, abaton.Refuse(abaton.ReasonShare)
	}
	return l, ctx, nil
}

// rekeyLeaves gives the share leaves, and false if a gone record has a share.
func rekeyLeaves(r *Rekey, ctx Hash32, gone uint64) ([]Hash32, bool) {
	leaves := make([]Hash32, len(r.Shares))
	for j, share := range r.Shares {
		if gone>>j&1 == 0 {
			leaves[j] = ShareLeaf(ctx, r.X, uint16(j), share)
			continue
		}
		if share != [32]byte{} {
			return nil, false
		}
		leaves[j] = GoneLeaf(ctx, r.X, uint16(j))
	}
	return leaves, true
}
