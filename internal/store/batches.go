package store

import "github.com/abaton-health/abaton"

// Batches yields the patient's batches after one, by name, and which of their
// records can be read, until yield returns false. It reads no piece.
func (s *Store) Batches(patient abaton.ActorID, after abaton.BatchName, yield func(batch abaton.BatchName, live uint64) bool) error {
	p := s.pseudonym(patient)
	lower := batchKey(tableBatch, p, after)
	if after != (abaton.BatchName{}) {
		lower = append(lower, 0)
	}
	return s.scanShapes(lower, endOf(patientKey(tableBatch, p)), yield)
}

func (s *Store) scanShapes(lower, upper []byte, yield func(abaton.BatchName, uint64) bool) error {
	var bad error
	err := s.records.Scan(lower, upper, func(key, value []byte) bool {
		var sh shape
		if sh, bad = parseShape(value); bad != nil {
			return false
		}
		return yield(last(key), sh.live)
	})
	if err != nil {
		return err
	}
	return bad
}

// endOf is after, where a parameter has that name.
func endOf(prefix []byte) []byte { return after(prefix) }
