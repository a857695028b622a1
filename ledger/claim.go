package ledger

import (
	"fmt"

	"golang.org/x/mod/sumdb/note"
)

// ShorterError says that this keeper once signed Claimed, and now holds a
// ledger (Held) that is shorter or different. It does not start.
type ShorterError struct {
	Held, Claimed Checkpoint
}

func (e *ShorterError) Error() string {
	return fmt.Sprintf("hold %q, but signed %q: %v", e.Held, e.Claimed, ErrShorter)
}

// Is lets errors.Is(err, ErrShorter) hold.
func (e *ShorterError) Is(target error) bool { return target == ErrShorter }

// CheckClaim compares the ledger with a checkpoint of it that a peer holds.
// Without a valid signature of this ledger's key, or for another origin, the
// claim is worth nothing and nil is returned: otherwise one bad peer could
// stop every keeper (PROTOCOL.md#ledger-claim). A *ShorterError means: do not start, do
// not append; recover under a new origin.
func (l *Log) CheckClaim(signed []byte) error {
	h, err := l.committed()
	if err != nil {
		return err
	}
	c, err := VerifyCheckpoint(signed, l.cfg.Origin, l.cfg.Verifier)
	if err != nil {
		return nil
	}
	return l.compare(h, c)
}

// compare checks that the tree of h begins with the tree of c.
func (l *Log) compare(h head, c Checkpoint) error {
	if c.Size > h.checkpoint.Size {
		return &ShorterError{Held: h.checkpoint, Claimed: c}
	}
	root, err := l.rootAt(c.Size)
	if err != nil {
		return err
	}
	if root != c.Root {
		held := Checkpoint{Origin: l.cfg.Origin, Size: c.Size, Root: root}
		return &ShorterError{Held: held, Claimed: c}
	}
	return nil
}

// KeepCosigned writes into w a checkpoint of this ledger that at least one of
// the peers vs cosigned. At the next Open it is the mark below which the
// ledger must not have fallen.
func (l *Log) KeepCosigned(w Writer, signed []byte, vs ...note.Verifier) error {
	h, err := l.committed()
	if err != nil {
		return err
	}
	c, err := VerifyCheckpoint(signed, l.cfg.Origin, l.cfg.Verifier)
	if err != nil {
		return err
	}
	if _, _, err := openNote(signed, vs...); err != nil {
		return err
	}
	if err := l.compare(h, c); err != nil {
		return err
	}
	w.Put([]byte{kindCosigned}, signed)
	return nil
}

// Cosigned is the checkpoint kept by KeepCosigned; nil if there is none.
func (l *Log) Cosigned() ([]byte, error) { return l.r.Get([]byte{kindCosigned}) }
