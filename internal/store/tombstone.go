package store

import (
	"encoding/binary"
	"errors"
	"math/bits"

	"github.com/abaton-health/abaton"
)

// tombstone says what of a batch was erased. It beats deposit, retry, repair
// and restore, and it is never deleted.
type tombstone struct {
	whole  bool         // the batch is never stored again
	erased uint64       // these records are never stored again
	leaves [64][32]byte // their share leaves; zero is not known
}

func (t *tombstone) covers(j int) bool { return t.erased&(1<<j) != 0 }

// marshal writes version, whole, bitmap, then a leaf for each bit, ascending.
func (t *tombstone) marshal() []byte {
	out := []byte{formatByte, 0}
	if t.whole {
		out[1] = 1
	}
	out = binary.BigEndian.AppendUint64(out, t.erased)
	for rest := t.erased; rest != 0; rest &= rest - 1 {
		out = append(out, t.leaves[bits.TrailingZeros64(rest)][:]...)
	}
	return out
}

// parseTombstone is strict. ErrDamaged.
func parseTombstone(b []byte) (*tombstone, error) {
	if len(b) < 10 || b[0] != formatByte || b[1] > 1 {
		return nil, ErrDamaged
	}
	t := &tombstone{whole: b[1] == 1, erased: binary.BigEndian.Uint64(b[2:])}
	b = b[10:]
	if len(b) != 32*bits.OnesCount64(t.erased) {
		return nil, ErrDamaged
	}
	for rest := t.erased; rest != 0; rest &= rest - 1 {
		copy(t.leaves[bits.TrailingZeros64(rest)][:], b)
		b = b[32:]
	}
	return t, nil
}

// tombstone returns an empty one if nothing was erased.
func (s *Store) tombstone(p pseudonym, batch abaton.BatchName) (*tombstone, error) {
	b, err := s.records.Get(batchKey(tableTombstone, p, batch))
	if errors.Is(err, ErrAbsent) {
		return &tombstone{}, nil
	}
	if err != nil {
		return nil, err
	}
	return parseTombstone(b)
}

// Erased returns which records of the batch were erased, and whether the batch
// was erased whole, held or not.
func (s *Store) Erased(patient abaton.ActorID, batch abaton.BatchName) (erased uint64, whole bool, err error) {
	t, err := s.tombstone(s.pseudonym(patient), batch)
	if err != nil {
		return 0, false, err
	}
	return t.erased, t.whole, nil
}
