package spread

import (
	"errors"
	"fmt"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/wire"
)

// Gather collects keepers' answers about one batch until the records asked
// for can be opened, and keeps proofs of who lied (PROTOCOL.md#gathering). It
// needs no key and does no I/O; it is not safe for concurrent use.
type Gather struct {
	name     abaton.BatchName
	rows     uint64
	shape    Shape
	set      abaton.ActorID
	entitled func(*Head, *Lock) error
	code     *Code
	seen     verified
	answers  []*answer // in order of arrival; one a keeper
	heard    map[abaton.KeeperIndex]bool
	bodies   map[uint16]*body
	faults   []Fault
	proven   map[string]bool
}

// ErrHeard says that a keeper has already answered in this Gather.
var ErrHeard = errors.New("this keeper has already answered")

// NewGather starts gathering the records in bitmap rows of batch name, over
// the keeper set with that shape. entitled decides whether HEAD's writer and
// LOCK's locker may have signed them; a nil entitled is refused.
func NewGather(name abaton.BatchName, rows uint64, shape Shape, set abaton.ActorID, entitled func(*Head, *Lock) error) (*Gather, error) {
	if err := shape.Validate(); err != nil {
		return nil, err
	}
	if rows == 0 || name == (abaton.BatchName{}) || set == (abaton.ActorID{}) || entitled == nil {
		return nil, fmt.Errorf("start gathering: %w", abaton.Refuse(abaton.ReasonMalformed))
	}
	code, err := NewCode(shape.N, shape.K)
	if err != nil {
		return nil, err
	}
	return &Gather{
		name: name, rows: rows, shape: shape, set: set, entitled: entitled, code: code, seen: newVerified(),
		heard: make(map[abaton.KeeperIndex]bool), bodies: make(map[uint16]*body), proven: make(map[string]bool),
	}, nil
}

// Add takes keeper x's piece as it came; the bytes are kept as evidence and
// must not be changed. An error means that the piece does not count; if that
// can be proven against the keeper, Faults has the proof.
func (g *Gather) Add(x abaton.KeeperIndex, piece []byte) error {
	if _, ok := g.shape.Position(x); !ok {
		return fmt.Errorf("add piece: %w", abaton.Refuse(abaton.ReasonKeeperSet))
	}
	if g.heard[x] {
		return ErrHeard
	}
	g.heard[x] = true
	q := question{name: g.name, set: g.set, shape: g.shape, x: x}
	a, err := q.inspect(piece, g.seen)
	if err != nil {
		g.blameKeeper(x, piece, err)
		return fmt.Errorf("add piece: %w", err)
	}
	if a.piece.Bitmap&^g.rows != 0 {
		return fmt.Errorf("add piece: %w", abaton.Refuse(abaton.ReasonMalformed))
	}
	if err := g.entitled(a.head, a.lock); err != nil {
		return fmt.Errorf("add piece: %w", err)
	}
	g.answers = append(g.answers, a)
	g.findEquivocation(a)
	return nil
}

// Faults are the proofs found so far. Each passes Verify.
func (g *Gather) Faults() []Fault { return g.faults }

// blame keeps a fault once, and only if it really is a proof.
func (g *Gather) blame(f Fault) {
	f.Version, f.Batch, f.Set, f.Shape = wire.Version, g.name, g.set, g.shape
	id := fmt.Sprintf("%d/%d/%x/%s/%d", f.Party, f.Keeper, f.Key, f.Reason, f.Index)
	if g.proven[id] || f.Verify() != nil {
		return
	}
	g.proven[id] = true
	g.faults = append(g.faults, f)
}

func (g *Gather) blameKeeper(x abaton.KeeperIndex, piece []byte, err error) {
	if refused, ok := errors.AsType[*abaton.RefusedError](err); ok {
		g.blame(Fault{Party: KeeperParty, Keeper: x, Reason: refused.Reason, Piece: piece})
	}
}

// findEquivocation looks for another LOCK of the same number by the same
// locker.
func (g *Gather) findEquivocation(a *answer) {
	for _, b := range g.answers {
		if b.lock.Number == a.lock.Number && b.lock.Locker == a.lock.Locker && b.lockHash != a.lockHash {
			g.blame(Fault{
				Party: LockerParty, Key: a.lock.Locker, Reason: abaton.ReasonEquivocation,
				Head: a.piece.Head, Locks: []wire.Signed{b.piece.Lock, a.piece.Lock},
			})
			return
		}
	}
}
