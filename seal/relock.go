package seal

import (
	"errors"
	"fmt"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// ErrIncomplete says that a re-lock was tried without all records of the
// batch: the missing ones would be lost for ever.
var ErrIncomplete = errors.New("re-lock needs every record that is not erased")

// Relocking is how a batch is locked anew.
type Relocking struct {
	Segment key.BoxPublic // the newest epoch of the batch's line
	Set     abaton.ActorID
	Shape   spread.Shape
	Locker  *key.Signing
	Gone    uint64 // bitmap of records erased by the patient's events
	// Continues is the LOCK that the new one follows where that is not the one
	// opened: a later one that somebody prepared and nobody finished. Its
	// signature is the caller's to check. Nil: the one opened.
	Continues *spread.Lock
}

// Relocked is a new LOCK and what each keeper gets under it.
type Relocked struct {
	Lock   wire.Signed
	Rekeys []*spread.Rekey // by position in Shape.X
}

// Relock opens the whole batch in g, under one lock, and locks it anew under
// the next number. Bodies and the author's signature stay. g must hold every
// record that is not in r.Gone (ErrIncomplete). The caller reads the new lock
// back before it lets a keeper destroy the old one.
func Relock(segment *key.Box, g *spread.Gathered, authors func(abaton.ActorID) []abaton.KeyID, r Relocking) (*Relocked, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	if segment == nil || g == nil || g.Head == nil || len(g.Found) == 0 {
		return nil, fmt.Errorf("re-lock: %w", ErrIncomplete)
	}
	if g.Head.Dims.N != r.Shape.N || g.Head.Dims.K != r.Shape.K {
		return nil, fmt.Errorf("re-lock: %w", spread.ErrShape)
	}
	o := opening{segment: segment, gathered: g, authors: authors, capsules: make(map[*spread.Capsule]*unlocked)}
	u, keys, err := o.keys(r.Gone)
	if err != nil {
		return nil, err
	}
	old, err := r.follows(g)
	if err != nil {
		return nil, err
	}
	l := &spread.Lock{
		Version: wire.Version, Batch: g.Name, Segment: key.SegmentIDOf(r.Segment), Number: old.Number + 1,
		Set: spread.SetRef{Set: r.Set, Shape: r.Shape.Hash()}, Gone: r.Gone | old.Gone | g.Found[0].Capsule.Lock.Gone,
		PrevLock: spread.LockHash(old.Bytes()), Locker: r.Locker.ID(),
	}
	code, err := spread.NewCode(r.Shape.N, r.Shape.K)
	if err != nil {
		return nil, err
	}
	made, err := makeLock(l, g.Head.Line, r.Shape, code, r.Segment, new(entropy), keys, u.box, r.Locker)
	if err != nil {
		return nil, err
	}
	out := &Relocked{Lock: made.lockSigned}
	for p, x := range r.Shape.X {
		out.Rekeys = append(out.Rekeys, &spread.Rekey{
			Version: wire.Version, Lock: made.lockSigned, X: x, Capsule: made.capsule[p], Shares: made.shares[p],
		})
	}
	return out, nil
}

// follows is the LOCK that the new one continues.
func (r *Relocking) follows(g *spread.Gathered) (*spread.Lock, error) {
	opened := g.Found[0].Capsule.Lock
	switch {
	case r.Continues == nil:
		return opened, nil
	case r.Continues.Batch != g.Name || r.Continues.Number < opened.Number:
		return nil, fmt.Errorf("re-lock: %w", ErrBatch)
	}
	return r.Continues, nil
}

func (r *Relocking) check() error {
	if err := r.Shape.Validate(); err != nil {
		return fmt.Errorf("re-lock: %w", err)
	}
	if r.Segment.IsZero() || r.Set == (abaton.ActorID{}) || r.Locker == nil {
		return fmt.Errorf("re-lock: %w", ErrBatch)
	}
	return nil
}

// keys are the record keys of the whole batch, zero where gone, each proven by
// opening its record.
func (o *opening) keys(gone uint64) (*unlocked, []key.Secret, error) {
	capsule := o.gathered.Found[0].Capsule
	u := o.unlock(capsule)
	if u.err != nil {
		return nil, nil, u.err
	}
	keys, have := make([]key.Secret, o.gathered.Head.Dims.M), gone|capsule.Lock.Gone
	for i := range o.gathered.Found {
		f := &o.gathered.Found[i]
		if f.Capsule != capsule {
			return nil, nil, fmt.Errorf("re-lock: records under different locks: %w", ErrIncomplete)
		}
		dek, _, err := o.record(f, u)
		if err != nil {
			return nil, nil, err
		}
		if have>>f.Index&1 == 0 {
			keys[f.Index], have = dek, have|1<<f.Index
		}
	}
	if have != 1<<len(keys)-1 {
		return nil, nil, fmt.Errorf("re-lock: %w", ErrIncomplete)
	}
	return u, keys, nil
}
