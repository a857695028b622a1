package ledger

import (
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/abaton-health/abaton"
)

// Disclosure is one entry with what opens and proves it: handed to the
// patient, an auditor or a peer (PROTOCOL.md#ledger-disclosure).
type Disclosure struct {
	_     struct{} `cbor:",toarray"`
	Index uint64
	Seq   uint64 // the patient's count; 0 for acts about nobody
	Leaf  Leaf
	Salt  [SaltSize]byte // zero when redacted
	Entry []byte         // as ledgered; empty when redacted
	Path  []tlog.Hash    // inclusion path in the checkpoint it travels with
}

// NewDisclosure is the disclosure of an entry and its salt, without a path.
func NewDisclosure(index uint64, salt [SaltSize]byte, entry []byte) (Disclosure, error) {
	en, err := ParseEntry(entry)
	if err != nil {
		return Disclosure{}, err
	}
	return Disclosure{Index: index, Seq: en.PatientSeq, Leaf: NewLeaf(salt, entry), Salt: salt, Entry: entry}, nil
}

// Extract is a run of one patient's disclosures from one keeper, with the
// checkpoint that their paths lead to.
type Extract struct {
	_           struct{}     `cbor:",toarray"`
	Checkpoint  []byte       // signed note
	Total       uint64       // how many entries the keeper has about the patient
	Disclosures []Disclosure // ascending by Seq
}

// Inclusion is the path from entry index to the root of the tree of the given
// size.
func (l *Log) Inclusion(index, size uint64) ([]tlog.Hash, error) {
	h, err := l.committed()
	if err != nil {
		return nil, err
	}
	if size > h.edge.size || index >= size {
		return nil, abaton.ErrNotFound
	}
	return l.inclusion(index, size)
}

func (l *Log) inclusion(index, size uint64) ([]tlog.Hash, error) {
	p, err := tlog.ProveRecord(int64(size), int64(index), hashes(l.record))
	if err != nil {
		return nil, fmt.Errorf("prove entry %d: %w", index, err)
	}
	return p, nil
}

// Consistency is the proof that the tree of size to begins with the tree of
// size from. It is empty for from = 0.
func (l *Log) Consistency(from, to uint64) ([]tlog.Hash, error) {
	h, err := l.committed()
	if err != nil {
		return nil, err
	}
	if to > h.edge.size || from > to {
		return nil, abaton.ErrNotFound
	}
	if from == 0 {
		return nil, nil
	}
	p, err := tlog.ProveTree(int64(to), int64(from), hashes(l.record))
	if err != nil {
		return nil, fmt.Errorf("prove tree %d: %w", to, err)
	}
	return p, nil
}

// Proof is the receipt of an older entry against the newest checkpoint.
func (l *Log) Proof(index uint64) (Proof, error) {
	h, err := l.committed()
	if err != nil {
		return Proof{}, err
	}
	if index >= h.edge.size {
		return Proof{}, abaton.ErrNotFound
	}
	path, err := l.inclusion(index, h.edge.size)
	if err != nil {
		return Proof{}, err
	}
	return Proof{Index: index, Path: path, Checkpoint: h.signed}, nil
}

// RootAt is the root of the tree when it had the given size.
func (l *Log) RootAt(size uint64) (tlog.Hash, error) {
	h, err := l.committed()
	if err != nil {
		return tlog.Hash{}, err
	}
	if size > h.edge.size {
		return tlog.Hash{}, abaton.ErrNotFound
	}
	return l.rootAt(size)
}

func (l *Log) rootAt(size uint64) (tlog.Hash, error) {
	e, err := readEdge(l.r, size)
	if err != nil {
		return tlog.Hash{}, err
	}
	return e.root(), nil
}

// Entry is the entry at index. ErrRedacted if it is gone, abaton.ErrNotFound
// past the end.
func (l *Log) Entry(index uint64) (Entry, error) {
	h, err := l.committed()
	if err != nil {
		return Entry{}, err
	}
	if index >= h.edge.size {
		return Entry{}, abaton.ErrNotFound
	}
	rec, err := l.record(index)
	if err != nil {
		return Entry{}, err
	}
	_, b, err := readEntry(l.r, index, Leaf(rec[:32]))
	if err != nil {
		return Entry{}, err
	}
	if b == nil {
		return Entry{}, ErrRedacted
	}
	return ParseEntry(b)
}

// Redact writes into w that salt and entry at index are gone. Leaf, tree and
// chain stay whole. The caller decides that retention is over.
func (l *Log) Redact(w Writer, index uint64) error {
	h, err := l.committed()
	if err != nil {
		return err
	}
	if index >= h.edge.size {
		return abaton.ErrNotFound
	}
	w.Put(keyIndex(kindEntry, index), []byte{redacted})
	return nil
}

// PatientCount is how many entries the ledger has about the patient.
func (l *Log) PatientCount(patient abaton.ActorID) (uint64, error) {
	h, err := l.committed()
	if err != nil {
		return 0, err
	}
	c, err := readChain(l.r, patient, h.edge.size)
	if err != nil {
		return 0, err
	}
	return c.next, nil
}

// Extract gives at most max of the patient's disclosures, beginning at seq,
// with paths to the newest checkpoint.
func (l *Log) Extract(patient abaton.ActorID, seq uint64, max int) (Extract, error) {
	h, err := l.committed()
	if err != nil {
		return Extract{}, err
	}
	c, err := readChain(l.r, patient, SizeMax)
	if err != nil {
		return Extract{}, err
	}
	x := Extract{Checkpoint: h.signed, Total: c.next}
	for ; seq < c.next && len(x.Disclosures) < max; seq++ {
		index, err := readSeq(l.r, patient, seq, SizeMax)
		if err != nil {
			return Extract{}, err
		}
		if index >= h.edge.size {
			x.Total = seq // committed after the checkpoint was taken
			break
		}
		d, err := l.disclose(index, h.edge.size)
		if err != nil {
			return Extract{}, err
		}
		d.Seq = seq
		x.Disclosures = append(x.Disclosures, d)
	}
	return x, nil
}

func (l *Log) disclose(index, size uint64) (Disclosure, error) {
	rec, err := l.record(index)
	if err != nil {
		return Disclosure{}, err
	}
	d := Disclosure{Index: index, Leaf: Leaf(rec[:32])}
	if d.Salt, d.Entry, err = readEntry(l.r, index, d.Leaf); err != nil {
		return Disclosure{}, err
	}
	d.Path, err = l.inclusion(index, size)
	return d, err
}

func (l *Log) record(index uint64) ([]byte, error) { return record(l.r, index) }

// Verify checks the signature on the extract's checkpoint and that every
// disclosure is in the tree. That they are all is for CheckChain and Merge.
func (x *Extract) Verify(origin string, v note.Verifier) error {
	c, err := VerifyCheckpoint(x.Checkpoint, origin, v)
	if err != nil {
		return err
	}
	for i := range x.Disclosures {
		d := &x.Disclosures[i]
		if err := VerifyInclusion(c, d.Index, d.Leaf, d.Path); err != nil {
			return err
		}
		if len(d.Entry) > 0 && NewLeaf(d.Salt, d.Entry) != d.Leaf {
			return refuse("disclosure", "leaf")
		}
	}
	return nil
}

// VerifyInclusion checks that the tree of c has the leaf at index.
func VerifyInclusion(c Checkpoint, index uint64, leaf Leaf, path []tlog.Hash) error {
	if c.Size > SizeMax || index >= c.Size || len(path) > ProofLinesMax {
		return refuse("inclusion", "index")
	}
	if tlog.CheckRecord(path, int64(c.Size), c.Root, int64(index), leaf.Hash()) != nil {
		return refuse("inclusion", "path")
	}
	return nil
}

// VerifyConsistency checks that the tree of newer begins with the tree of
// older. Every tree begins with the empty one, for which the proof is empty.
func VerifyConsistency(older, newer Checkpoint, proof []tlog.Hash) error {
	switch {
	case older.Origin != newer.Origin:
		return refuse("consistency", "origin")
	case older.Size > newer.Size || newer.Size > SizeMax || len(proof) > ProofLinesMax:
		return refuse("consistency", "size")
	case older.Size == 0:
		if len(proof) != 0 || older.Root != emptyRoot() {
			return refuse("consistency", "proof")
		}
		if newer.Size == 0 && newer.Root != emptyRoot() {
			return refuse("consistency", "proof")
		}
		return nil
	}
	if tlog.CheckTree(proof, int64(newer.Size), newer.Root, int64(older.Size), older.Root) != nil {
		return refuse("consistency", "proof")
	}
	return nil
}
