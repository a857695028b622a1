package keeper

import "github.com/abaton-health/abaton"

// VerdictsMax is how many verdicts one message may carry.
const VerdictsMax = 64

// Verdicts carries a keeper's signed verdicts to another
// (PROTOCOL.md#verdict). Each carries its own signature.
type Verdicts struct {
	V        uint8    `cbor:"1,keyasint"`
	Verdicts [][]byte `cbor:"2,keyasint"`
}

// HeldMax is how many of an organisation's people one answer names.
const HeldMax = 1024

// Held is whom a keeper holds back, and by whose word.
type Held struct {
	Kind     uint8                `cbor:"1,keyasint"` // contain.Kind
	Subject  [32]byte             `cbor:"2,keyasint"`
	Level    uint8                `cbor:"3,keyasint"` // detect.Level
	Rules    uint32               `cbor:"4,keyasint"` // detect.Rules
	By       []abaton.KeeperIndex `cbor:"5,keyasint"` // who say so, ascending
	Proof    bool                 `cbor:"6,keyasint"`
	Since    uint64               `cbor:"7,keyasint"` // unix seconds
	Until    uint64               `cbor:"8,keyasint"` // exclusive
	Verdicts [][32]byte           `cbor:"9,keyasint"` // their names, for a lift
}

// FoundMax is how many reasons one answer counts.
const FoundMax = 32

// Found is how often a keeper found one thing, ever: wrong with itself, or a sign
// of attack.
type Found struct {
	Reason abaton.Reason `cbor:"1,keyasint"`
	Count  uint64        `cbor:"2,keyasint"`
}
