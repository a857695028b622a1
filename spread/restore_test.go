package spread_test

import (
	"bytes"
	"crypto/rand"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// lost is a signed batch of two records, and what each keeper holds of it.
type lost struct {
	head, lock wire.Signed
	name       abaton.BatchName
	leaves     []spread.Hash32
	lengths    []uint32
	fragments  [][][]byte // by record, by position
	capsule    [][]byte
	shares     [][]spread.Share // by record, by position
	set        abaton.ActorID
}

func newLost(t *testing.T) *lost {
	t.Helper()
	shape := spread.FiveKeepers()
	code, err := spread.NewCode(shape.N, shape.K)
	if err != nil {
		t.Fatal(err)
	}
	b := &lost{set: abaton.ActorID{9}}
	for j := range 2 {
		word := make([]byte, spread.CodeWordBytes(spread.Bucket(300*(j+1))))
		rand.Read(word)
		b.fragments, b.lengths = append(b.fragments, code.Encode(word)), append(b.lengths, uint32(len(word)))
		hashes := make([]spread.Hash32, shape.N)
		for i, x := range shape.X {
			hashes[i] = spread.FragmentHash(x, uint16(j), b.fragments[j][i])
		}
		b.leaves = append(b.leaves, spread.BodyLeaf(uint16(j), b.lengths[j], hashes))
	}
	writer := key.NewSigning()
	head := &spread.Head{
		Version: wire.Version, Patient: abaton.ActorID{1}, Line: abaton.Line{2}, Nonce: [16]byte{3},
		Dims: spread.Dims{M: 2, N: shape.N, K: shape.K}, BodyRoot: spread.Root(b.leaves), Writer: writer.ID(), Seq: 1, Hour: 1,
	}
	b.head = writer.Seal(wire.Head, head.Bytes())
	b.name = spread.NameOf(b.head.Body)
	lock := &spread.Lock{
		Version: wire.Version, Batch: b.name, Segment: abaton.SegmentID{4}, Number: 1,
		Set: spread.SetRef{Set: b.set, Shape: shape.Hash()}, Locker: writer.ID(),
	}
	ctx := spread.Ctx(head.Line, lock)
	capsule := make([]byte, spread.CapsuleBytes)
	rand.Read(capsule)
	b.capsule = code.Encode(capsule)
	for range b.leaves {
		var secret [32]byte
		rand.Read(secret[:])
		b.shares = append(b.shares, spread.Split(secret, int(shape.T), shape.X))
	}
	for i, x := range shape.X {
		lock.Kappa = append(lock.Kappa, spread.CapsuleHash(ctx, x, b.capsule[i]))
		var leaves []spread.Hash32
		for j := range b.shares {
			leaves = append(leaves, spread.ShareLeaf(ctx, x, uint16(j), b.shares[j][i].Y))
		}
		lock.Rho = append(lock.Rho, spread.Root(leaves))
	}
	b.lock = writer.Seal(wire.Lock, lock.Bytes())
	return b
}

func (b *lost) restore(t *testing.T) *spread.Restore {
	t.Helper()
	r, err := spread.NewRestore(b.name, b.head, b.lock, spread.FiveKeepers(), b.set, 4)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func except(pieces [][]byte, without ...int) map[abaton.KeeperIndex][]byte {
	out := make(map[abaton.KeeperIndex][]byte)
	for i, p := range pieces {
		out[abaton.KeeperIndex(i+1)] = p
	}
	for _, x := range without {
		delete(out, abaton.KeeperIndex(x))
	}
	return out
}

func TestRestorePieces(t *testing.T) {
	b := newLost(t)
	r := b.restore(t)
	if !r.Leaves(b.leaves) || r.Leaves(b.leaves[:1]) || r.Leaves([]spread.Hash32{b.leaves[1], b.leaves[0]}) {
		t.Error("leaves: want those of HEAD's root and no others")
	}
	for without := 1; without <= 5; without++ {
		for j := range b.leaves {
			own, err := r.Fragment(uint16(j), b.leaves[j], b.lengths[j], except(b.fragments[j], 4, without))
			if err != nil || !bytes.Equal(own, b.fragments[j][3]) {
				t.Errorf("record %d without keeper %d: got %v, want its own fragment", j, without, err)
			}
		}
		own, err := r.Capsule(except(b.capsule, 4, without))
		if err != nil || !bytes.Equal(own, b.capsule[3]) {
			t.Errorf("capsule without keeper %d: got %v, want its own", without, err)
		}
	}
	bad := except(b.fragments[0], 4)
	bad[2] = bytes.Clone(bad[2])
	bad[2][0] ^= 1
	if own, err := r.Fragment(0, b.leaves[0], b.lengths[0], bad); err != nil || !bytes.Equal(own, b.fragments[0][3]) {
		t.Errorf("one false fragment of four: got %v, want its own", err)
	}
	delete(bad, 5)
	for name, got := range map[string]error{
		"one false fragment of three": fragmentErr(r, b, bad, b.lengths[0]),
		"two fragments":               fragmentErr(r, b, except(b.fragments[0], 4, 1, 2), b.lengths[0]),
		"none":                        fragmentErr(r, b, nil, b.lengths[0]),
		"another record's":            fragmentErr(r, b, except(b.fragments[1], 4), b.lengths[1]),
		"a length of no bucket":       fragmentErr(r, b, except(b.fragments[0], 4), b.lengths[0]+1),
		"a huge length":               fragmentErr(r, b, except(b.fragments[0], 4), 1<<32-1),
	} {
		if got == nil {
			t.Errorf("%s: a fragment came of it", name)
		}
	}
}

func fragmentErr(r *spread.Restore, b *lost, have map[abaton.KeeperIndex][]byte, length uint32) error {
	_, err := r.Fragment(0, b.leaves[0], length, have)
	return err
}

func TestRestoreShares(t *testing.T) {
	b := newLost(t)
	r := b.restore(t)
	from := []abaton.KeeperIndex{1, 3, 5}
	mine := make(map[int][32]byte)
	for j := range b.shares {
		sums := make([][][32]byte, len(from))
		for _, x := range from {
			parts, err := spread.RepairParts(b.shares[j][x-1], from, 4)
			if err != nil {
				t.Fatal(err)
			}
			for i := range parts {
				sums[i] = append(sums[i], parts[i])
			}
		}
		var all [][32]byte
		for i := range sums {
			all = append(all, spread.SumParts(sums[i]))
		}
		mine[j] = spread.SumParts(all)
		if mine[j] != b.shares[j][3].Y {
			t.Errorf("record %d: the sums are not the lost share", j)
		}
	}
	if !r.Shares(mine, nil) {
		t.Error("the right shares are refused")
	}
	leaf := r.ShareLeaf(1, mine[1])
	if !r.Shares(map[int][32]byte{0: mine[0]}, map[int]spread.Hash32{1: leaf}) {
		t.Error("a share beside the leaf of an erased one is refused")
	}
	leaves := []spread.Hash32{r.ShareLeaf(0, mine[0]), leaf}
	if !r.Gone(1, leaf, spread.Path(leaves, 1)) || r.Gone(0, leaf, spread.Path(leaves, 1)) || r.Gone(1, leaves[0], spread.Path(leaves, 1)) {
		t.Error("the leaf of an erased share: want it believed by its path alone")
	}
	wrong := mine[0]
	wrong[31] ^= 1
	for name, got := range map[string]bool{
		"one bit off":          r.Shares(map[int][32]byte{0: wrong, 1: mine[1]}, nil),
		"in another order":     r.Shares(map[int][32]byte{0: mine[1], 1: mine[0]}, nil),
		"one missing":          r.Shares(map[int][32]byte{0: mine[0]}, nil),
		"a false leaf":         r.Shares(map[int][32]byte{0: mine[0]}, map[int]spread.Hash32{1: leaves[0]}),
		"another keeper's":     r.Shares(map[int][32]byte{0: b.shares[0][1].Y, 1: b.shares[1][1].Y}, nil),
		"none":                 r.Shares(nil, nil),
		"one beside no others": r.Shares(map[int][32]byte{1: mine[1]}, nil),
	} {
		if got {
			t.Errorf("shares that do not give rho are taken: %s", name)
		}
	}
}

func TestRestoreRefuses(t *testing.T) {
	b, other := newLost(t), newLost(t)
	shape := spread.FiveKeepers()
	unsigned := b.head
	unsigned.Sig = bytes.Clone(unsigned.Sig)
	unsigned.Sig[0] ^= 1
	for name, try := range map[string]func() error{
		"another batch's name": func() error { _, err := spread.NewRestore(other.name, b.head, b.lock, shape, b.set, 4); return err },
		"another batch's LOCK": func() error { _, err := spread.NewRestore(b.name, b.head, other.lock, shape, b.set, 4); return err },
		"a HEAD without a valid signature": func() error {
			_, err := spread.NewRestore(b.name, unsigned, b.lock, shape, b.set, 4)
			return err
		},
		"another set": func() error {
			_, err := spread.NewRestore(b.name, b.head, b.lock, shape, abaton.ActorID{8}, 4)
			return err
		},
		"no such keeper": func() error { _, err := spread.NewRestore(b.name, b.head, b.lock, shape, b.set, 6); return err },
		"no shape": func() error {
			_, err := spread.NewRestore(b.name, b.head, b.lock, spread.Shape{}, b.set, 4)
			return err
		},
	} {
		if try() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
