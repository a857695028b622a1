// Package spread holds the forms in which sealed records rest and travel, and
// the mathematics that needs no key of theirs: HEAD and LOCK, the erasure
// code, secret sharing, the trees that bind every fragment and share, what a
// keeper checks before it accepts an upload, what it answers, and how a reader
// gathers answers and proves who lied.
//
//	checked, err := spread.Check(upload, shape, set, x) // a keeper, at ingest
//	piece, err := spread.MakePiece(stored, rows)        // a keeper, at release
//	g, err := spread.NewGather(name, rows, shape, set, entitled)
//	err = g.Add(x, pieceBytes)                          // a reader, per answer
//	found := g.Result()
//
// It protects nothing from reading: fragments are ciphertext and shares are
// one of two locks, and both leave this package as they came. It cannot open a
// record; that is package seal, which no keeper links. The forms are frozen
// with protocol version 1 (PROTOCOL.md#head, PROTOCOL.md#lock,
// PROTOCOL.md#upload, PROTOCOL.md#piece).
package spread

// Hash32 is a SHA-256 output that stands in a tree or a signed list.
type Hash32 = [32]byte
