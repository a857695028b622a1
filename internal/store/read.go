package store

import (
	"errors"
	"fmt"

	"github.com/abaton-health/abaton"
)

// Notice returns the notice of a batch, of which all records may be erased by
// now. ErrAbsent; ErrErased if it is not held and never will be.
func (s *Store) Notice(patient abaton.ActorID, batch abaton.BatchName) (Notice, error) {
	p := s.pseudonym(patient)
	sh, err := s.shape(p, batch)
	if err != nil {
		return Notice{}, err
	}
	b, err := s.records.Get(patientKey(tableNotice, p, sh.line[:], batch[:]))
	if err != nil {
		return Notice{}, lost(err)
	}
	return parseNotice(b)
}

// Notices yields the notices of one line by batch name, reading no fragment
// and no share.
func (s *Store) Notices(patient abaton.ActorID, line abaton.Line, yield func(abaton.BatchName, Notice) bool) error {
	prefix := patientKey(tableNotice, s.pseudonym(patient), line[:])
	var bad error
	err := s.records.Scan(prefix, after(prefix), func(key, value []byte) bool {
		n, err := parseNotice(value)
		if err != nil {
			bad = err
			return false
		}
		return yield(last(key), n)
	})
	return errors.Join(err, bad)
}

// shape returns ErrErased for a batch that is not held but erased whole.
func (s *Store) shape(p pseudonym, batch abaton.BatchName) (shape, error) {
	b, err := s.records.Get(batchKey(tableBatch, p, batch))
	if err == nil {
		return parseShape(b)
	}
	if !errors.Is(err, ErrAbsent) {
		return shape{}, err
	}
	t, err := s.tombstone(p, batch)
	if err == nil && t.whole {
		err = ErrErased
	} else if err == nil {
		err = ErrAbsent
	}
	return shape{}, err
}

// lost turns the absence of a row that must be there into damage.
func lost(err error) error {
	if errors.Is(err, ErrAbsent) {
		return ErrDamaged
	}
	return err
}

// Record returns one record's piece. ErrAbsent, ErrErased, ErrDamaged.
func (s *Store) Record(patient abaton.ActorID, batch abaton.BatchName, j int) (ParcelRecord, error) {
	if j < 0 || j >= abaton.BatchRecordsMax {
		return ParcelRecord{}, ErrAbsent
	}
	kept, erased, err := s.Records(patient, batch, 1<<j)
	switch {
	case err != nil:
		return ParcelRecord{}, err
	case erased != 0:
		return ParcelRecord{}, ErrErased
	case len(kept) == 0:
		return ParcelRecord{}, ErrAbsent
	}
	return kept[0].ParcelRecord, nil
}

// Kept is one record as stored.
type Kept struct {
	// Index is its place in the batch, 0 to 63.
	Index int
	ParcelRecord
}

// Records returns those of the wanted records that can be read, in order, and
// which of the wanted were erased; the others are absent. ErrAbsent or
// ErrErased if the batch is not held at all; ErrDamaged if a piece that must
// be there is not, and then nothing is returned.
func (s *Store) Records(patient abaton.ActorID, batch abaton.BatchName, wanted uint64) (kept []Kept, erased uint64, err error) {
	s.erasing.RLock()
	defer s.erasing.RUnlock()
	h, err := s.held(patient, batch)
	if err != nil {
		return nil, 0, err
	}
	shares, err := s.openShares(h.patient, batch, wanted&h.live)
	if err != nil {
		return nil, 0, fmt.Errorf("read shares: %w", err)
	}
	kept, err = s.kept(h, wanted&h.live, shares)
	if err != nil {
		return nil, 0, err
	}
	return kept, wanted & allOf(h.size) &^ h.live, nil
}

// holding is a batch that is held; it is true for as long as erasing is.
type holding struct {
	shape
	patient pseudonym
	batch   abaton.BatchName
}

func (s *Store) held(patient abaton.ActorID, batch abaton.BatchName) (h holding, err error) {
	h = holding{patient: s.pseudonym(patient), batch: batch}
	h.shape, err = s.shape(h.patient, batch)
	return h, err
}

func (s *Store) kept(h holding, live uint64, shares *shareRow) ([]Kept, error) {
	kept, err := s.fragments(h.patient, h.batch, live)
	if err != nil {
		return nil, fmt.Errorf("read fragments: %w", err)
	}
	for i := range kept {
		kept[i].Share = shares.share(kept[i].Index)
	}
	return kept, nil
}

// Share is a record's share, or what stands in its place after erasure.
type Share struct {
	// Erased says that Bytes is the share leaf, not a share.
	Erased bool
	// Bytes are all zero if the record was erased before this keeper knew
	// its share leaf.
	Bytes [32]byte
}

// Shares returns one Share for each record of the batch, as the paths of the
// share tree need them. Errors as Records.
func (s *Store) Shares(patient abaton.ActorID, batch abaton.BatchName) ([]Share, error) {
	_, shares, err := s.Piece(patient, batch, 0)
	return shares, err
}

// Piece returns those of the wanted records that can be read, in order, and
// one Share for each record of the batch, all as of one moment. Errors as
// Records.
func (s *Store) Piece(patient abaton.ActorID, batch abaton.BatchName, wanted uint64) ([]Kept, []Share, error) {
	s.erasing.RLock()
	defer s.erasing.RUnlock()
	h, err := s.held(patient, batch)
	if err != nil {
		return nil, nil, err
	}
	return s.pieceOf(h, wanted)
}

// pieceOf is Piece with erasing held.
func (s *Store) pieceOf(h holding, wanted uint64) ([]Kept, []Share, error) {
	t, err := s.tombstone(h.patient, h.batch)
	if err != nil {
		return nil, nil, err
	}
	open, err := s.openShares(h.patient, h.batch, h.live)
	if err != nil {
		return nil, nil, fmt.Errorf("read shares: %w", err)
	}
	kept, err := s.kept(h, wanted&h.live, open)
	if err != nil {
		return nil, nil, err
	}
	list := make([]Share, h.size)
	for j := range list {
		list[j] = Share{Bytes: open.share(j)}
		if h.live&(1<<j) == 0 {
			list[j] = Share{Erased: true, Bytes: t.leaves[j]}
		}
	}
	return kept, list, nil
}
