package keeper

import "github.com/abaton-health/abaton"

// Bounds of an answer to QuerySteer.
const (
	// WordsMax is how many verdicts it tells, the newest.
	WordsMax = 1024
	// SignedInMax is how many sessions it tells, those that end last.
	SignedInMax = 4096
	// GrantedMax is how far patients who gave somebody something are counted.
	GrantedMax = 65536
)

// Steer is what one keeper tells an organisation's manager or security officer
// before a person decides (PROTOCOL.md#steer): of nobody but its own people.
type Steer struct {
	Words    []Word     `cbor:"1,keyasint"` // by when they end
	SignedIn []SignedIn `cbor:"2,keyasint"`
	// Of the one who was named; empty where nobody was.
	Counted []Figure `cbor:"3,keyasint"` // what counts now
	InCare  uint64   `cbor:"4,keyasint"` // patients opened with a known reason in the last 24 h
	Granted uint64   `cbor:"5,keyasint"` // patients who ever gave something to this one by name, at most GrantedMax
}

// Word is one verdict that this keeper took, until seven days after its end.
type Word struct {
	Keeper  abaton.KeeperIndex `cbor:"1,keyasint"` // whose word
	Kind    uint8              `cbor:"2,keyasint"` // contain.Kind
	Subject [32]byte           `cbor:"3,keyasint"`
	Level   uint8              `cbor:"4,keyasint"` // detect.Level
	Rules   uint32             `cbor:"5,keyasint"` // detect.Rules
	Proof   bool               `cbor:"6,keyasint"`
	Time    uint64             `cbor:"7,keyasint"` // unix seconds, of who says it
	Until   uint64             `cbor:"8,keyasint"` // exclusive
	Name    [32]byte           `cbor:"9,keyasint"`
	Entry   uint64             `cbor:"10,keyasint"` // where it stands in this keeper's ledger
	State   WordState          `cbor:"11,keyasint"`
	// Who, Figures: of the own verdicts alone, what was asked by whom and the
	// numbers that it went by.
	Who     abaton.ActorID `cbor:"12,keyasint"`
	Figures []Figure       `cbor:"13,keyasint"`
}

// WordState is whether a verdict counts. Zero is no state.
type WordState uint8

// The states of version 1.
const (
	WordStands WordState = 1
	WordEnded  WordState = 2 // its time is over, or another stands in its place
	WordLifted WordState = 3 // by an event of the organisation
	WordMuted  WordState = 4 // its keeper said too much, and counts no more
)

// Figure is one number that a rule went by (PROTOCOL.md#figure).
type Figure struct {
	Rule    uint8  `cbor:"1,keyasint"` // detect.Rule
	Measure uint8  `cbor:"2,keyasint"` // detect.Measure
	Count   uint32 `cbor:"3,keyasint"`
	Limit   uint32 `cbor:"4,keyasint"`
	Span    uint32 `cbor:"5,keyasint"` // seconds; 0 for none
}

// SignedIn is one session of the organisation that this keeper has admitted
// and that has not ended.
type SignedIn struct {
	Session abaton.SessionID `cbor:"1,keyasint"`
	Actor   abaton.ActorID   `cbor:"2,keyasint"`
	Device  abaton.ActorID   `cbor:"3,keyasint"` // zero for none
	Role    string           `cbor:"4,keyasint"`
	Behalf  abaton.ActorID   `cbor:"5,keyasint"` // in whose place; zero for nobody's
	Expires uint64           `cbor:"6,keyasint"` // unix seconds
}
