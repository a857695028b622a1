package spread

import (
	"errors"
	"fmt"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// Party is who a fault is proven against. The zero Party is nobody.
type Party uint8

// The parties of version 1.
const (
	KeeperParty Party = 1 // Fault.Keeper says which
	WriterParty Party = 2 // Fault.Key is the writer key
	LockerParty Party = 3 // Fault.Key is the locker key
)

// ErrFault says that a Fault proves nothing.
var ErrFault = errors.New("fault is not proven")

// ShareProof is one keeper's share of a record and its path to that keeper's
// share root.
type ShareProof struct {
	_     struct{} `cbor:",toarray"`
	X     abaton.KeeperIndex
	Share [32]byte
	Path  []Hash32
}

// Fault is a proof that a party broke the construction, checkable by anybody
// with Verify and no key (PROTOCOL.md#faults). Against a keeper it shows that
// the bytes in Piece are wrong; that the keeper said them is shown by its
// signed receipt over their hash, which the caller keeps beside. Against a
// writer or locker it stands alone.
//
// A locker's share fault holds shares: it is as secret as they are.
type Fault struct {
	Version   uint64             `cbor:"1,keyasint"`
	Party     Party              `cbor:"2,keyasint"`
	Keeper    abaton.KeeperIndex `cbor:"3,keyasint"`
	Key       abaton.KeyID       `cbor:"4,keyasint"`
	Reason    abaton.Reason      `cbor:"5,keyasint"`
	Batch     abaton.BatchName   `cbor:"6,keyasint"`
	Set       abaton.ActorID     `cbor:"7,keyasint"`
	Shape     Shape              `cbor:"8,keyasint"`
	Piece     []byte             `cbor:"9,keyasint"`  // keeper: the answer as it came
	Index     uint16             `cbor:"10,keyasint"` // record, where the fault concerns one
	Length    uint32             `cbor:"11,keyasint"` // of the code word
	Hashes    []Hash32           `cbor:"12,keyasint"` // keeper: the n fragment hashes under the leaf
	Path      []Hash32           `cbor:"13,keyasint"` // writer: path of the body leaf
	Head      wire.Signed        `cbor:"14,keyasint"` // writer, locker
	Locks     []wire.Signed      `cbor:"15,keyasint"` // locker
	Fragments [][]byte           `cbor:"16,keyasint"` // writer: n of the body; locker: k of the capsule, by position
	Shares    []ShareProof       `cbor:"17,keyasint"` // locker: t+1
}

// Bytes is the canonical form.
func (f *Fault) Bytes() []byte { return wire.Marshal(f) }

// ParseFault reads the canonical form; it refuses with ReasonMalformed.
// Nothing is proven until Verify says so.
func ParseFault(data []byte) (*Fault, error) {
	f := new(Fault)
	if len(data) > abaton.ReplyBodyMax || wire.Unmarshal(data, f) != nil || f.Version != wire.Version {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	return f, nil
}

// Verify returns nil if f proves what it says, ErrFault otherwise.
func (f *Fault) Verify() error {
	if f.Version != wire.Version || f.Shape.Validate() != nil {
		return fmt.Errorf("verify fault: %w", ErrFault)
	}
	proven := false
	switch f.Party {
	case KeeperParty:
		proven = f.provesKeeper()
	case WriterParty:
		proven = f.provesWriter()
	case LockerParty:
		proven = f.provesLocker()
	}
	if !proven {
		return fmt.Errorf("verify fault: %w", ErrFault)
	}
	return nil
}

func (f *Fault) provesKeeper() bool {
	q := question{name: f.Batch, set: f.Set, shape: f.Shape, x: f.Keeper}
	a, err := q.inspect(f.Piece, verified{})
	if refused, ok := errors.AsType[*abaton.RefusedError](err); ok {
		return refused.Reason == f.Reason && f.Reason != abaton.ReasonKeeperSet
	}
	if err != nil || f.Reason != abaton.ReasonFragment || len(f.Hashes) != int(f.Shape.N) {
		return false
	}
	row := a.rows[f.Index]
	if row == nil || row.State != RowReleased {
		return false
	}
	return a.bodyLeaf(f.Index) == BodyLeaf(f.Index, f.Length, f.Hashes) && a.fragmentDiffers(f.Index, f.Length, f.Hashes)
}

// fragmentDiffers compares a's fragment with the hash list of a reproduced
// leaf.
func (a *answer) fragmentDiffers(j uint16, length uint32, hashes []Hash32) bool {
	row := a.rows[j]
	return row.Length != length || FragmentHash(a.x, j, row.Fragment) != hashes[a.position]
}

func (f *Fault) provesWriter() bool {
	head, err := ParseHead(f.Head)
	if err != nil || head.Writer != f.Key || NameOf(f.Head.Body) != f.Batch || f.Reason != abaton.ReasonBody {
		return false
	}
	if head.Dims.N != f.Shape.N || head.Dims.K != f.Shape.K || len(f.Fragments) != int(f.Shape.N) {
		return false
	}
	hashes := make([]Hash32, f.Shape.N)
	for p, x := range f.Shape.X {
		if len(f.Fragments[p]) != FragmentBytes(int(f.Length), f.Shape.K) {
			return false
		}
		hashes[p] = FragmentHash(x, f.Index, f.Fragments[p])
	}
	leaf := BodyLeaf(f.Index, f.Length, hashes)
	if !ValidCodeWordBytes(int(f.Length)) || !VerifyPath(leaf, int(f.Index), int(head.Dims.M), f.Path, head.BodyRoot) {
		return false
	}
	return !isCodeWord(f.Fragments, f.Shape, int(f.Length))
}

// isCodeWord reports whether all n fragments are one code word of length.
func isCodeWord(fragments [][]byte, shape Shape, length int) bool {
	code, err := NewCode(shape.N, shape.K)
	if err != nil {
		return false
	}
	places := make([][]byte, shape.N)
	copy(places, fragments[:shape.K])
	_, all, err := code.Decode(places, length)
	if err != nil {
		return false
	}
	for p := range all {
		if string(all[p]) != string(fragments[p]) {
			return false
		}
	}
	return true
}

func (f *Fault) provesLocker() bool {
	head, err := ParseHead(f.Head)
	if err != nil || NameOf(f.Head.Body) != f.Batch || len(f.Locks) == 0 {
		return false
	}
	locks := make([]*Lock, len(f.Locks))
	for i := range f.Locks {
		l, err := ParseLock(f.Locks[i])
		if err != nil || l.Locker != f.Key || !l.matches(f.Batch, head) || !l.spreadOver(head, f.Set, f.Shape) {
			return false
		}
		locks[i] = l
	}
	switch f.Reason {
	case abaton.ReasonEquivocation:
		return len(locks) == 2 && locks[0].Number == locks[1].Number && string(f.Locks[0].Body) != string(f.Locks[1].Body)
	case abaton.ReasonCapsule:
		return len(locks) == 1 && f.provesCapsule(head, locks[0])
	case abaton.ReasonShare:
		return len(locks) == 1 && f.provesShares(head, locks[0])
	}
	return false
}

// provesCapsule: k fragments that the lock names do not encode to the others
// that it names.
func (f *Fault) provesCapsule(head *Head, lock *Lock) bool {
	if len(f.Fragments) != int(f.Shape.N) {
		return false
	}
	ctx, places := Ctx(head.Line, lock), make([][]byte, f.Shape.N)
	for p, x := range f.Shape.X {
		if len(f.Fragments[p]) == 0 {
			continue
		}
		if CapsuleHash(ctx, x, f.Fragments[p]) != lock.Kappa[p] {
			return false
		}
		places[p] = f.Fragments[p]
	}
	code, err := NewCode(f.Shape.N, f.Shape.K)
	if err != nil {
		return false
	}
	_, all, err := code.Decode(places, CapsuleBytes)
	return err == nil && !capsuleHolds(ctx, f.Shape, lock, all)
}

func capsuleHolds(ctx Hash32, shape Shape, lock *Lock, all [][]byte) bool {
	for p, x := range shape.X {
		if CapsuleHash(ctx, x, all[p]) != lock.Kappa[p] {
			return false
		}
	}
	return true
}

// provesShares: t+1 shares that the lock names lie on no polynomial of degree
// t-1.
func (f *Fault) provesShares(head *Head, lock *Lock) bool {
	ctx, t := Ctx(head.Line, lock), int(f.Shape.T)
	if len(f.Shares) != t+1 || f.Index >= uint16(head.Dims.M) || lock.Gone>>f.Index&1 == 1 {
		return false
	}
	shares := make([]Share, len(f.Shares))
	for i := range f.Shares {
		s := &f.Shares[i]
		p, ok := f.Shape.Position(s.X)
		if !ok || !VerifyPath(ShareLeaf(ctx, s.X, f.Index, s.Share), int(f.Index), int(head.Dims.M), s.Path, lock.Rho[p]) {
			return false
		}
		shares[i] = Share{X: s.X, Y: s.Share}
	}
	if !distinct(shares) {
		return false
	}
	y, err := Interpolate(shares[:t], shares[t].X)
	return err == nil && !key.Secret(y).Equal(key.Secret(shares[t].Y))
}
