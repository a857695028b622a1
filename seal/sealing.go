package seal

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// sealing is one batch on its way, in the order of the fields.
type sealing struct {
	batch   *Batch
	entropy *entropy
	code    *spread.Code
	shape   spread.Shape
	m       int

	lengths   []uint32
	fragments [][][]byte        // record, position
	hashes    [][]spread.Hash32 // record, position
	leaves    []spread.Hash32

	name       abaton.BatchName
	headSigned wire.Signed
	locked
}

// bodies makes the code words, their fragments and the body leaves.
func (s *sealing) bodies(raws [][]byte) error {
	for j, raw := range raws {
		aad := bodyContext(s.batch.Patient, s.entropy.nonce, s.m, j)
		word, err := sealBody(s.entropy.keys[j], raw, aad)
		if err != nil {
			return err
		}
		fragments := s.code.Encode(word)
		hashes := make([]spread.Hash32, len(fragments))
		for p, x := range s.shape.X {
			hashes[p] = spread.FragmentHash(x, uint16(j), fragments[p])
		}
		s.lengths = append(s.lengths, uint32(len(word)))
		s.fragments = append(s.fragments, fragments)
		s.hashes = append(s.hashes, hashes)
		s.leaves = append(s.leaves, spread.BodyLeaf(uint16(j), uint32(len(word)), hashes))
	}
	return nil
}

func (s *sealing) head() {
	b := s.batch
	h := spread.Head{
		Version: wire.Version, Patient: b.Patient, Line: b.Line, Nonce: s.entropy.nonce,
		Dims:       spread.Dims{M: uint8(s.m), N: s.shape.N, K: s.shape.K},
		Dictionary: newestDictionary(), BodyRoot: spread.Root(s.leaves),
		Writer: b.Writer.ID(), Seq: b.Seq, PrevHead: b.PrevHead, Hour: b.Hour, Class: b.class(),
	}
	s.headSigned = b.Writer.Seal(wire.Head, h.Bytes())
	s.name = spread.NameOf(s.headSigned.Body)
}

func (s *sealing) lock() error {
	b := s.batch
	box := authorBox{actor: b.Author.Actor}
	copy(box.sig[:], b.Author.Key.Sign(wire.Author, s.name[:]))
	l := &spread.Lock{
		Version: wire.Version, Batch: s.name, Segment: key.SegmentIDOf(b.Segment), Number: 1,
		Set: spread.SetRef{Set: b.Set, Shape: s.shape.Hash()}, Locker: b.Writer.ID(),
	}
	locked, err := makeLock(l, b.Line, s.shape, s.code, b.Segment, s.entropy, s.entropy.keys, box, b.Writer)
	s.locked = locked
	return err
}

func (s *sealing) uploads() []*spread.Upload {
	uploads := make([]*spread.Upload, s.shape.N)
	for p, x := range s.shape.X {
		u := &spread.Upload{
			Version: wire.Version, Head: s.headSigned, Lock: s.lockSigned, X: x,
			Capsule: s.capsule[p], Rows: make([]spread.UploadRow, s.m),
		}
		for j := range u.Rows {
			others := make([]spread.Hash32, 0, len(s.hashes[j])-1)
			others = append(append(others, s.hashes[j][:p]...), s.hashes[j][p+1:]...)
			u.Rows[j] = spread.UploadRow{Length: s.lengths[j], Fragment: s.fragments[j][p], Share: s.shares[p][j], Others: others}
		}
		uploads[p] = u
	}
	return uploads
}
