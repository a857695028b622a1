package keeper

import "github.com/abaton-health/abaton"

// RepairKind is what a keeper that lost pieces asks another. The zero kind is
// refused.
type RepairKind uint8

// The steps of a repair (PROTOCOL.md#repair).
const (
	RepairBatches RepairKind = 1 // which batches of one patient
	RepairPieces  RepairKind = 2 // fragments, capsules and what is signed
	RepairParts   RepairKind = 3 // the weighted share, cut into a part for each of t keepers
	RepairSums    RepairKind = 4 // the sum of the parts that others cut
	RepairGone    RepairKind = 5 // leaves of erased shares
)

// Repair is one question. It is signed under wire.Peer by the key that the
// keeper set has now at Keeper, and answered for that place alone.
type Repair struct {
	V       uint8                `cbor:"1,keyasint"`
	Kind    RepairKind           `cbor:"2,keyasint"`
	Keeper  abaton.KeeperIndex   `cbor:"3,keyasint"`  // who asks
	Patient abaton.ActorID       `cbor:"4,keyasint"`  // kinds 1 to 4
	Rows    []RepairRow          `cbor:"5,keyasint"`  // kinds 2 to 4: 1 to 64, batches unique
	From    []abaton.KeeperIndex `cbor:"6,keyasint"`  // kinds 3, 4: t others, ascending
	Run     [16]byte             `cbor:"7,keyasint"`  // random; the same in the steps of one repair
	Parts   [][]byte             `cbor:"8,keyasint"`  // kind 4: a box from each of From
	After   abaton.BatchName     `cbor:"9,keyasint"`  // kind 1: where to go on
	Index   uint64               `cbor:"10,keyasint"` // kind 5: where to go on
	Time    uint64               `cbor:"11,keyasint"`
}

// RepairRow names records of one batch under one LOCK.
type RepairRow struct {
	_     struct{} `cbor:",toarray"`
	Batch abaton.BatchName
	Lock  [32]byte // SHA-256 of LOCK's body
	Bits  uint64   // records that are not erased
}

// Repaired answers a Repair.
type Repaired struct {
	V     uint8          `cbor:"1,keyasint"`
	Rows  []RepairRow    `cbor:"2,keyasint"` // kind 1, by batch name
	More  bool           `cbor:"3,keyasint"` // kinds 1, 2, 5: ask again for the rest
	Items []RepairPiece  `cbor:"4,keyasint"` // kind 2: of the first rows
	Boxes [][]byte       `cbor:"5,keyasint"` // kind 3: one to each of From; kind 4: one to the asker
	Gone  []RepairedLeaf `cbor:"6,keyasint"` // kind 5
}

// RepairPiece is what one keeper holds of one batch, without its shares.
type RepairPiece struct {
	_         struct{} `cbor:",toarray"`
	Head      []byte   // wire.Signed
	Lock      []byte   // wire.Signed
	Capsule   []byte   // this keeper's fragment
	Leaves    [][32]byte
	Fragments []RepairFragment // for each bit asked for
	Gone      []RepairedLeaf   // of the asker's erased shares, as it handed them over
}

// RepairFragment is one record's fragment.
type RepairFragment struct {
	_      struct{} `cbor:",toarray"`
	Length uint32   // of the code word
	Bytes  []byte
}

// RepairedLeaf is the leaf of a share that was erased, and its path under rho.
type RepairedLeaf struct {
	_       struct{} `cbor:",toarray"`
	Patient abaton.ActorID
	Batch   abaton.BatchName
	Record  uint8
	Leaf    [32]byte
	Path    [][32]byte
}
