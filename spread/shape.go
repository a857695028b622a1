package spread

import (
	"errors"
	"fmt"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/wire"
)

// ErrShape says that a Shape is not one that version 1 allows.
var ErrShape = errors.New("not a valid shape of a keeper set")

// Shape is how a keeper set spreads records: N keepers, any K fragments give
// the body, any T shares give the second lock. X holds the keepers'
// x-coordinates in ascending order; a keeper's position in X is its place in
// the erasure code and in every list of n things. The zero Shape is invalid.
type Shape struct {
	_       struct{} `cbor:",toarray"`
	N, K, T uint8
	X       []abaton.KeeperIndex
}

// FiveKeepers is the shape of version 1: five keepers, three of each.
func FiveKeepers() Shape {
	return Shape{N: 5, K: 3, T: 3, X: []abaton.KeeperIndex{1, 2, 3, 4, 5}}
}

// Validate returns ErrShape unless 2 <= K, T <= N <= KeepersMax and X is
// strictly ascending from at least 1. K and T of 1 are refused: one keeper
// alone would hold the body or the second lock.
func (s Shape) Validate() error {
	if s.N > abaton.KeepersMax || s.K < 2 || s.K > s.N || s.T < 2 || s.T > s.N || len(s.X) != int(s.N) {
		return fmt.Errorf("shape counts: %w", ErrShape)
	}
	last := abaton.KeeperIndex(0)
	for _, x := range s.X {
		if x <= last {
			return fmt.Errorf("shape coordinates: %w", ErrShape)
		}
		last = x
	}
	return nil
}

// Hash is H("abaton/v1/shape", u8 n, u8 t, u8 x...) (PROTOCOL.md#shape). K is
// not in it: it stands in HEAD, because it belongs to the body.
func (s Shape) Hash() Hash32 {
	b := []byte{s.N, s.T}
	for _, x := range s.X {
		b = append(b, byte(x))
	}
	return wire.Hash(wire.Shape, b)
}

// Position is x's place in X, from 0; false if x is no keeper of the set.
func (s Shape) Position(x abaton.KeeperIndex) (int, bool) {
	for p, have := range s.X {
		if have == x {
			return p, true
		}
	}
	return 0, false
}
