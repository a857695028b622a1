package spread

import (
	"math/bits"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/wire"
)

// Restore checks what other keepers give keeper x of a batch that it lost, and
// makes x's own part of it (PROTOCOL.md#repair). Nothing it returns was not
// compared with what the writer and the locker signed. It needs no key and is
// not safe for concurrent use.
type Restore struct {
	Head     *Head
	Lock     *Lock
	ctx      Hash32
	x        abaton.KeeperIndex
	position int
	shape    Shape
	code     *Code
}

// NewRestore starts from the signed HEAD and LOCK that keepers tell of the
// batch name. Whether writer and locker were entitled, the caller knows: more
// keepers than may lie hold the batch under this LOCK.
func NewRestore(name abaton.BatchName, head, lock wire.Signed, shape Shape, set abaton.ActorID, x abaton.KeeperIndex) (*Restore, error) {
	position, ok := shape.Position(x)
	if shape.Validate() != nil || !ok {
		return nil, abaton.Refuse(abaton.ReasonKeeperSet)
	}
	h, err := ParseHead(head)
	if err != nil {
		return nil, err
	}
	l, err := ParseLock(lock)
	if err != nil {
		return nil, err
	}
	switch {
	case NameOf(head.Body) != name || !l.matches(name, h):
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	case !l.lockedBy(h):
		return nil, abaton.Refuse(abaton.ReasonWriter)
	case !l.spreadOver(h, set, shape):
		return nil, abaton.Refuse(abaton.ReasonKeeperSet)
	}
	code, err := NewCode(shape.N, shape.K)
	if err != nil {
		return nil, err
	}
	return &Restore{Head: h, Lock: l, ctx: Ctx(h.Line, l), x: x, position: position, shape: shape, code: code}, nil
}

// Leaves reports whether these are the body leaves that HEAD's root stands for.
func (r *Restore) Leaves(leaves []Hash32) bool {
	return len(leaves) == int(r.Head.Dims.M) && Root(leaves) == r.Head.BodyRoot
}

// Fragment is x's fragment of record j, from any k fragments of others whose
// code word has that length; ReasonFragment as long as no k of them give the
// leaf.
func (r *Restore) Fragment(j uint16, leaf Hash32, length uint32, have map[abaton.KeeperIndex][]byte) ([]byte, error) {
	if int64(length) > int64(CodeWordBytesMax()) || !ValidCodeWordBytes(int(length)) {
		return nil, abaton.Refuse(abaton.ReasonFragment)
	}
	hashes := make([]Hash32, r.shape.N)
	own := r.decode(have, int(length), func(fragments [][]byte) bool {
		for i, x := range r.shape.X {
			hashes[i] = FragmentHash(x, j, fragments[i])
		}
		return BodyLeaf(j, length, hashes) == leaf
	})
	if own == nil {
		return nil, abaton.Refuse(abaton.ReasonFragment)
	}
	return own, nil
}

// Capsule is x's fragment of the capsule; ReasonCapsule as long as no k of
// those given lead to the one LOCK names.
func (r *Restore) Capsule(have map[abaton.KeeperIndex][]byte) ([]byte, error) {
	own := r.decode(have, CapsuleBytes, func(fragments [][]byte) bool {
		return CapsuleHash(r.ctx, r.x, fragments[r.position]) == r.Lock.Kappa[r.position]
	})
	if own == nil {
		return nil, abaton.Refuse(abaton.ReasonCapsule)
	}
	return own, nil
}

// decode tries the k-subsets of what there is until one fits, and gives x's
// fragment of it.
func (r *Restore) decode(have map[abaton.KeeperIndex][]byte, length int, fits func(fragments [][]byte) bool) []byte {
	n, k := int(r.shape.N), int(r.shape.K)
	for subset := range 1 << n {
		if bits.OnesCount(uint(subset)) != k {
			continue
		}
		places := make([][]byte, n)
		usable := true
		for i, x := range r.shape.X {
			if subset>>i&1 == 0 {
				continue
			}
			places[i] = have[x]
			usable = usable && i != r.position && len(have[x]) == FragmentBytes(length, r.shape.K)
		}
		if !usable {
			continue
		}
		_, fragments, err := r.code.Decode(places, length)
		if err == nil && fits(fragments) {
			return fragments[r.position]
		}
	}
	return nil
}

// Gone reports whether the leaf stands, by its path, for x's share of record j.
func (r *Restore) Gone(j int, leaf Hash32, path []Hash32) bool {
	return VerifyPath(leaf, j, int(r.Head.Dims.M), path, r.Lock.Rho[r.position])
}

// Shares reports whether these are x's shares under LOCK: with the leaves of
// those that were erased they give rho. gone holds the leaves of erased records
// that LOCK itself does not yet call gone.
func (r *Restore) Shares(shares map[int][32]byte, gone map[int]Hash32) bool {
	leaves := make([]Hash32, r.Head.Dims.M)
	for j := range leaves {
		share, held := shares[j]
		leaf, erased := gone[j]
		switch {
		case r.Lock.Gone>>j&1 == 1:
			leaves[j] = GoneLeaf(r.ctx, r.x, uint16(j))
		case held:
			leaves[j] = ShareLeaf(r.ctx, r.x, uint16(j), share)
		case erased:
			leaves[j] = leaf
		default:
			return false
		}
	}
	return Root(leaves) == r.Lock.Rho[r.position]
}

// ShareLeaf is x's leaf for a share of record j.
func (r *Restore) ShareLeaf(j int, share [32]byte) Hash32 {
	return ShareLeaf(r.ctx, r.x, uint16(j), share)
}
