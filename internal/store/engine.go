package store

import "errors"

// Errors of an Engine that a caller branches on.
var (
	// ErrAbsent says that nothing is kept under that key or name.
	ErrAbsent = errors.New("absent")
	// ErrLocked says that another process, or another part of this one, has
	// the folder open.
	ErrLocked = errors.New("another keeper has this folder open")
	// ErrPoisoned says that a write went wrong once, so what is on the disk
	// is unknown and this engine answers nothing more. Only a new process,
	// which reads what the disk really holds, may go on.
	ErrPoisoned = errors.New("store stopped after a failed write")
	// ErrClosed says that the engine was closed.
	ErrClosed = errors.New("store closed")
)

// Engine is an ordered byte store. All methods are safe for concurrent use.
//
// An engine never shows what is not yet durable: Get and Scan see exactly the
// batches whose Commit has succeeded or is about to return nil. Otherwise a
// second request could hand out a receipt for bytes that a power cut takes
// away.
type Engine interface {
	// Get returns a copy of the value, which the caller owns. ErrAbsent if
	// there is none.
	Get(key []byte) ([]byte, error)
	// Scan yields every pair with lower <= key < upper in ascending order of
	// the key bytes, as they were at one moment, until yield returns false.
	// A nil bound is open. Key and value are valid only during the yield and
	// must not be changed. A Scan inside a yield is allowed.
	Scan(lower, upper []byte, yield func(key, value []byte) bool) error
	// Commit applies the batch whole or not at all. When it returns nil the
	// batch is durable. Any error is final: the outcome is unknown and every
	// later call returns ErrPoisoned (a failed fsync may have thrown dirty
	// pages away, so trying again proves nothing). The batch may be reused
	// by the caller only after a nil error.
	Commit(b *Batch) error
	// Close ends the engine; later calls return ErrClosed.
	Close() error
}
