package spread

import (
	"crypto/sha256"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// fill is n bytes that depend on label only: test material, the same for
// ever.
func fill(label string, n int) (out []byte) {
	for i := 0; len(out) < n; i++ {
		sum := sha256.Sum256(append([]byte("abaton-test-only "+label), wire.U32(uint32(i))...))
		out = append(out, sum[:]...)
	}
	return out[:n]
}

func fill32(label string) (b [32]byte) {
	copy(b[:], fill(label, 32))
	return b
}

// dealt is a batch of m records whose code words are no ciphertext of
// anything: spread cannot tell, and needs no key.
type dealt struct {
	set     abaton.ActorID
	shape   Shape
	writer  *key.Signing
	name    abaton.BatchName
	words   [][]byte
	secrets [][32]byte
	uploads []*Upload
}

func deal(t testing.TB, m int) *dealt {
	t.Helper()
	d := &dealt{set: fill32("set"), shape: FiveKeepers(), writer: key.SigningFromSeed(fill32("writer"))}
	code, err := NewCode(d.shape.N, d.shape.K)
	if err != nil {
		t.Fatal(err)
	}
	fragments, hashes, leaves := make([][][]byte, m), make([][]Hash32, m), make([]Hash32, m)
	for j := range m {
		word := fill("word"+string(rune('a'+j)), CodeWordBytes(256))
		fragments[j] = code.Encode(word)
		for p, x := range d.shape.X {
			hashes[j] = append(hashes[j], FragmentHash(x, uint16(j), fragments[j][p]))
		}
		leaves[j] = BodyLeaf(uint16(j), uint32(len(word)), hashes[j])
		d.words = append(d.words, word)
	}
	head := Head{
		Version: wire.Version, Patient: fill32("patient"), Line: abaton.Line(fill("line", 16)), Nonce: [16]byte(fill("nonce", 16)),
		Dims: Dims{M: uint8(m), N: 5, K: 3}, BodyRoot: Root(leaves), Writer: d.writer.ID(), Seq: 7, PrevHead: fill32("previous"), Hour: 490000,
	}
	headSigned := d.writer.Seal(wire.Head, head.Bytes())
	d.name = NameOf(headSigned.Body)
	lock := Lock{
		Version: wire.Version, Batch: d.name, Segment: fill32("segment"), Number: 1,
		Set: SetRef{Set: d.set, Shape: d.shape.Hash()}, Locker: d.writer.ID(),
	}
	ctx := Ctx(head.Line, &lock)
	capsule := code.Encode(fill("capsule", CapsuleBytes))
	shares := make([][]Share, m)
	for j := range m {
		label := string(rune('a' + j))
		d.secrets = append(d.secrets, fill32("secret"+label))
		shares[j] = Evaluate(d.secrets[j], [][32]byte{fill32("c1" + label), fill32("c2" + label)}, d.shape.X)
	}
	for p, x := range d.shape.X {
		var shareLeaves []Hash32
		for j := range m {
			shareLeaves = append(shareLeaves, ShareLeaf(ctx, x, uint16(j), shares[j][p].Y))
		}
		lock.Kappa = append(lock.Kappa, CapsuleHash(ctx, x, capsule[p]))
		lock.Rho = append(lock.Rho, Root(shareLeaves))
	}
	lockSigned := d.writer.Seal(wire.Lock, lock.Bytes())
	for p, x := range d.shape.X {
		u := &Upload{Version: wire.Version, Head: headSigned, Lock: lockSigned, X: x, Capsule: capsule[p]}
		for j := range m {
			others := append(append([]Hash32(nil), hashes[j][:p]...), hashes[j][p+1:]...)
			u.Rows = append(u.Rows, UploadRow{Length: uint32(len(d.words[j])), Fragment: fragments[j][p], Share: shares[j][p].Y, Others: others})
		}
		d.uploads = append(d.uploads, u)
	}
	return d
}

func (d *dealt) stored(t testing.TB, p int) *Stored {
	t.Helper()
	c, err := Check(d.uploads[p], d.shape, d.set, d.shape.X[p])
	if err != nil {
		t.Fatalf("Check at %d: %v", p, err)
	}
	return c.Stored()
}

func (d *dealt) piece(t testing.TB, p int, rows uint64) *Piece {
	t.Helper()
	out, err := MakePiece(d.stored(t, p), rows)
	if err != nil {
		t.Fatalf("MakePiece at %d: %v", p, err)
	}
	return out
}

func anybody(*Head, *Lock) error { return nil }

// fault is a proof of each kind that one dealt batch can give.
func (d *dealt) fault(t testing.TB) Fault {
	t.Helper()
	g, err := NewGather(d.name, 1, d.shape, d.set, anybody)
	if err != nil {
		t.Fatal(err)
	}
	p := d.piece(t, 0, 1)
	p.Capsule = append([]byte{p.Capsule[0] ^ 1}, p.Capsule[1:]...)
	if g.Add(1, p.Bytes()) == nil || len(g.Faults()) != 1 {
		t.Fatal("an altered capsule fragment was not proven")
	}
	return g.Faults()[0]
}

func (d *dealt) rekey() *Rekey {
	r := &Rekey{Version: wire.Version, Lock: d.uploads[0].Lock, X: 1, Capsule: d.uploads[0].Capsule}
	for j := range d.words {
		r.Shares = append(r.Shares, d.uploads[0].Rows[j].Share)
	}
	return r
}
