package keeper

// VerdictsMax is how many verdicts one message may carry.
const VerdictsMax = 64

// Verdicts carries a keeper's signed verdicts to another
// (PROTOCOL.md#verdict). Each carries its own signature.
type Verdicts struct {
	V        uint8    `cbor:"1,keyasint"`
	Verdicts [][]byte `cbor:"2,keyasint"`
}
