package ledger

import (
	"bytes"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/abaton-health/abaton"
)

// verify checks the stored ledger from the entry at from on, and that nothing
// lies beyond its checkpoint. It returns the right edge.
func (l *Log) verify(from uint64) (edge, error) {
	e, err := l.verifyRange(from)
	if err != nil {
		return edge{}, err
	}
	for _, kind := range []byte{kindLeaf, kindEntry} {
		v, err := l.r.Get(keyIndex(kind, e.size))
		if err != nil {
			return edge{}, fmt.Errorf("read past the end: %w", err)
		}
		if v != nil {
			return edge{}, corrupt("ledger goes on after its checkpoint of size %d", e.size)
		}
	}
	return e, nil
}

// verifyRange rebuilds the tree and compares it with what is stored and with
// the signed root.
func (l *Log) verifyRange(from uint64) (edge, error) {
	size := l.head.checkpoint.Size
	e, err := readEdge(l.r, from)
	if err != nil {
		return edge{}, err
	}
	for e.size < size {
		if err := l.verifyLeaf(&e); err != nil {
			return edge{}, err
		}
	}
	if e.root() != l.head.checkpoint.Root {
		return edge{}, corrupt("leaves do not give the root of the checkpoint of size %d", size)
	}
	return e, nil
}

// verifyLeaf checks the leaf at the edge, the hashes kept with it and its
// entry.
func (l *Log) verifyLeaf(e *edge) error {
	index := e.size
	rec, err := record(l.r, index)
	if err != nil {
		return err
	}
	leaf := Leaf(rec[:32])
	var room [64]tlog.Hash
	for i, h := range e.push(leaf.Hash(), room[:0]) {
		if !bytes.Equal(h[:], rec[32*(i+1):32*(i+2)]) {
			return corrupt("hash kept with leaf %d is wrong", index)
		}
	}
	_, b, err := readEntry(l.r, index, leaf)
	if err != nil || b == nil {
		return err // nil for a redacted entry: its leaf is all there is
	}
	en, err := ParseEntry(b)
	if err != nil || en.Keeper != l.cfg.Keeper {
		return corrupt("entry %d is not an entry of this keeper", index)
	}
	return l.verifyPatient(index, leaf, &en)
}

// readEntry reads salt and entry and checks them against the leaf; the entry
// is nil when redacted.
func readEntry(r Reader, index uint64, leaf Leaf) (salt [SaltSize]byte, entry []byte, err error) {
	v, err := r.Get(keyIndex(kindEntry, index))
	if err != nil {
		return salt, nil, fmt.Errorf("read entry %d: %w", index, err)
	}
	if len(v) == 1 && v[0] == redacted {
		return salt, nil, nil
	}
	if len(v) <= SaltSize {
		return salt, nil, corrupt("entry %d is missing or has the wrong length", index)
	}
	salt, entry = [SaltSize]byte(v[:SaltSize]), v[SaltSize:]
	if NewLeaf(salt, entry) != leaf {
		return salt, nil, corrupt("entry %d is not what its leaf commits to", index)
	}
	return salt, entry, nil
}

// verifyPatient checks the patient's chain around one entry: it ties the one
// before, the index leads to it, and the next one or the end follows.
func (l *Log) verifyPatient(index uint64, leaf Leaf, en *Entry) error {
	if en.Patient == (abaton.ActorID{}) {
		return nil
	}
	size := l.head.checkpoint.Size
	if err := l.verifyPrev(index, en); err != nil {
		return err
	}
	at, err := readSeq(l.r, en.Patient, en.PatientSeq, size)
	if err != nil {
		return err
	}
	if at != index {
		return corrupt("index of a patient does not lead to entry %d", index)
	}
	end, err := readChain(l.r, en.Patient, SizeMax)
	if err != nil {
		return err
	}
	switch {
	case end.next > en.PatientSeq+1:
		return nil // the entry that follows checks its Prev
	case end.next == en.PatientSeq+1 && end.index == index && end.tie == leaf.Tie():
		return nil
	}
	return corrupt("index of a patient ends before entry %d", index)
}

func (l *Log) verifyPrev(index uint64, en *Entry) error {
	if en.PatientSeq == 0 {
		return nil
	}
	before, err := readSeq(l.r, en.Patient, en.PatientSeq-1, index)
	if err != nil {
		return err
	}
	rec, err := record(l.r, before)
	if err != nil {
		return err
	}
	if Leaf(rec[:32]).Tie() != en.Prev {
		return corrupt("entry %d does not tie the entry before it about its patient", index)
	}
	return nil
}

// checkCosigned refuses a ledger shorter than, or different from, the newest
// checkpoint that peers cosigned and this keeper kept.
func (l *Log) checkCosigned() error {
	signed, err := l.r.Get([]byte{kindCosigned})
	if err != nil {
		return fmt.Errorf("read cosigned checkpoint: %w", err)
	}
	if signed == nil {
		return nil
	}
	c, err := VerifyCheckpoint(signed, l.cfg.Origin, l.cfg.Verifier)
	if err != nil {
		return corrupt("kept cosigned checkpoint is not valid (%v)", err)
	}
	return l.compare(l.head, c)
}
