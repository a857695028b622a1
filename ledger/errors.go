package ledger

import (
	"errors"
	"fmt"
)

// Errors a caller branches on.
var (
	// ErrAbsent means that the storage holds no ledger. Open never makes one:
	// a ledger that silently began again would hide all that was in it.
	ErrAbsent = errors.New("no ledger in this storage")
	// ErrCorrupt means that the stored ledger contradicts itself or its
	// signed checkpoint. The keeper stops; nothing is cut off or repaired
	// here.
	ErrCorrupt = errors.New("ledger is corrupt")
	// ErrUnsettled means that the group before was neither committed nor
	// aborted.
	ErrUnsettled = errors.New("the last group is not settled")
	// ErrPoisoned means that a group was aborted: what the storage holds is
	// unknown until the ledger is opened again.
	ErrPoisoned = errors.New("ledger must be opened again")
	// ErrShorter means that this keeper once signed a ledger longer than, or
	// different from, the one it holds now.
	ErrShorter = errors.New("ledger differs from a checkpoint this keeper signed")
	// ErrRedacted means that the entry was removed after its retention; its
	// leaf remains.
	ErrRedacted = errors.New("entry is redacted")
)

// CheckError says that an object from outside was refused, and by which
// check. Neither field holds anything from the object itself.
type CheckError struct {
	Object string // "entry", "checkpoint", "cosignature", ...
	Check  string // the check that refused it, one word or two
}

func (e *CheckError) Error() string { return e.Object + ": " + e.Check }

// ID is the form in which test vectors name the check: "object.check".
func (e *CheckError) ID() string { return e.Object + "." + e.Check }

func refuse(object, check string) error { return &CheckError{Object: object, Check: check} }

// CheckID is the ID of the CheckError inside err; "ok" for nil; empty for any
// other error.
func CheckID(err error) string {
	if err == nil {
		return "ok"
	}
	if c, found := errors.AsType[*CheckError](err); found {
		return c.ID()
	}
	return ""
}

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrCorrupt)
}
