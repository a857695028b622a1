package store

import (
	"encoding/binary"

	"github.com/abaton-health/abaton"
)

// Slot is a writer's number in one line of one patient. Two batches in one
// slot prove that the writer equivocates.
type Slot struct {
	Patient abaton.ActorID
	Line    abaton.Line
	Writer  abaton.KeyID
	Seq     uint64
}

func (s *Store) sequenceKey(at Slot) []byte {
	return patientKey(tableSequence, s.pseudonym(at.Patient), at.Line[:], at.Writer[:], number(at.Seq))
}

// PutSequence notes which batch took the slot. ErrConflict if another batch
// has it: Sequence says which. The same batch again is no error.
func (s *Store) PutSequence(c *Change, at Slot, batch abaton.BatchName) error {
	return s.putOnce(c, s.sequenceKey(at), batch[:])
}

// Sequence returns the batch that took the slot; ErrAbsent.
func (s *Store) Sequence(at Slot) (batch abaton.BatchName, err error) {
	b, err := s.records.Get(s.sequenceKey(at))
	if err != nil {
		return batch, err
	}
	if len(b) != len(batch) {
		return batch, ErrDamaged
	}
	return abaton.BatchName(b), nil
}

// PutDisclosure notes that the entry at ledgerIndex is number patientSeq of
// the patient's chain. ErrConflict if that number belongs to another entry.
func (s *Store) PutDisclosure(c *Change, patient abaton.ActorID, patientSeq, ledgerIndex uint64) error {
	key := patientKey(tableDisclosure, s.pseudonym(patient), number(patientSeq))
	return s.putOnce(c, key, number(ledgerIndex))
}

// Disclosures yields the patient's chain from the number on: number and ledger
// index.
func (s *Store) Disclosures(patient abaton.ActorID, from uint64, yield func(patientSeq, ledgerIndex uint64) bool) error {
	prefix := patientKey(tableDisclosure, s.pseudonym(patient))
	lower := append(append([]byte(nil), prefix...), number(from)...)
	damaged := false
	err := s.records.Scan(lower, after(prefix), func(key, value []byte) bool {
		if damaged = len(value) != 8 || len(key) != len(prefix)+8; damaged {
			return false
		}
		return yield(binary.BigEndian.Uint64(key[len(prefix):]), binary.BigEndian.Uint64(value))
	})
	if err == nil && damaged {
		err = ErrDamaged
	}
	return err
}
