package spread

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/wire"
)

// FragmentHash is F_ij: keeper x's fragment of record j (PROTOCOL.md#body).
func FragmentHash(x abaton.KeeperIndex, j uint16, fragment []byte) Hash32 {
	return wire.Hash(wire.Fragment, []byte{byte(x)}, wire.U16(j), fragment)
}

// BodyLeaf is leaf_j: the length of the code word and all n fragment hashes,
// by position.
func BodyLeaf(j uint16, length uint32, fragments []Hash32) Hash32 {
	flat := make([]byte, 0, 10+32*len(fragments))
	flat = append(flat, wire.U16(j)...)
	flat = append(flat, wire.U64(uint64(length))...)
	for i := range fragments {
		flat = append(flat, fragments[i][:]...)
	}
	return leafHash(wire.BodyLeaf, flat)
}

// CapsuleHash is kappa_i: keeper x's fragment of the capsule
// (PROTOCOL.md#capsule).
func CapsuleHash(ctx Hash32, x abaton.KeeperIndex, fragment []byte) Hash32 {
	return wire.Hash(wire.Capsule, ctx[:], []byte{byte(x)}, fragment)
}

// ShareLeaf is keeper x's leaf for its share of record j
// (PROTOCOL.md#shares).
func ShareLeaf(ctx Hash32, x abaton.KeeperIndex, j uint16, share [32]byte) Hash32 {
	return leafHash(wire.ShareLeaf, ctx[:], []byte{byte(x)}, wire.U16(j), share[:])
}

// GoneLeaf stands for the share of a record that the lock says is erased.
func GoneLeaf(ctx Hash32, x abaton.KeeperIndex, j uint16) Hash32 {
	return leafHash(wire.ShareGone, ctx[:], []byte{byte(x)}, wire.U16(j))
}
