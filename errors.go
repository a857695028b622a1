package abaton

import (
	"errors"
	"fmt"
)

// Errors a caller branches on. Across the wire they travel as a Reason; no
// code matches message text.
var (
	// ErrNotFound means not here or not yours; the two look the same.
	ErrNotFound = errors.New("not found")
	// ErrErased means the patient had it erased.
	ErrErased = errors.New("erased")
	// ErrUnavailable means too few keepers answered in time; try again.
	ErrUnavailable = errors.New("too few keepers answered")
	// ErrPending means accepted but not yet durable at the write quorum; the
	// outbox goes on trying.
	ErrPending = errors.New("accepted, not yet durable")
)

// Reason says which check refused, in a word that names no patient. The empty
// Reason is never sent.
type Reason string

// RefusedError is a refusal by a keeper or by the rule it applies.
type RefusedError struct {
	Reason Reason
}

func (e *RefusedError) Error() string { return "refused: " + string(e.Reason) }

// Refuse makes a RefusedError.
func Refuse(r Reason) error { return &RefusedError{Reason: r} }

// TooFewError says that fewer than the needed valid pieces or answers came.
type TooFewError struct {
	Have, Need int
}

func (e *TooFewError) Error() string {
	return fmt.Sprintf("too few valid answers: have %d, need %d", e.Have, e.Need)
}

// Is lets errors.Is(err, ErrUnavailable) hold.
func (e *TooFewError) Is(target error) bool { return target == ErrUnavailable }
