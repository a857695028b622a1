package store

import (
	"errors"
	"fmt"
	"math/bits"

	"github.com/abaton-health/abaton"
)

// Parcel is what one keeper is handed of one batch.
type Parcel struct {
	Batch  abaton.BatchName
	Notice Notice
	// Records are in the batch's order, one for each leaf of the notice. One
	// that was erased before may be empty.
	Records []ParcelRecord
}

// ParcelRecord is one keeper's piece of one record.
type ParcelRecord struct {
	// Fragment of the code word, 1 byte to FragmentBytesMax.
	Fragment []byte
	// Length of the whole code word, in bytes.
	Length uint32
	// Share of the second lock. It is sealed before it meets a disk.
	Share [32]byte
}

var errParcel = errors.New("parcel out of bounds")

func (p *Parcel) check() error {
	n := len(p.Records)
	if n < 1 || n > abaton.BatchRecordsMax || n != len(p.Notice.Leaves) {
		return fmt.Errorf("%w: number of records", errParcel)
	}
	for _, f := range p.Notice.fields() {
		if len(*f) > NoticeBytesMax {
			return fmt.Errorf("%w: notice", errParcel)
		}
	}
	return nil
}

// PutParcel adds the parcel to the change and returns which of its records
// were erased before and so are left out. ErrErased if nothing is left, or if
// the batch was erased whole: erasing beats deposit, retry and repair. The
// same parcel again is no error; ErrConflict if the change has it already.
//
// After an error nothing was added to the change.
//
// If the patient is new here, a row key is made and made durable first.
func (s *Store) PutParcel(c *Change, patient abaton.ActorID, parcel Parcel) (erased uint64, err error) {
	if err := parcel.check(); err != nil {
		return 0, err
	}
	s.erasing.RLock()
	defer s.erasing.RUnlock()
	p := s.pseudonym(patient)
	t, err := s.tombstone(p, parcel.Batch)
	if err != nil {
		return 0, err
	}
	all := allOf(len(parcel.Records))
	if t.whole || t.erased&all == all {
		return all, ErrErased
	}
	fresh, err := parcel.shape(t)
	if err != nil {
		return 0, err
	}
	row, err := s.firstRowKey(p)
	if err != nil {
		return 0, fmt.Errorf("row key: %w", err)
	}
	if err := s.putShape(c, p, parcel.Batch, fresh); err != nil {
		return 0, err
	}
	c.batch.Put(patientKey(tableNotice, p, parcel.Notice.Line[:], parcel.Batch[:]), parcel.Notice.marshal())
	putFragments(c, p, &parcel, fresh.live)
	putShares(c, p, row, &parcel, fresh.live)
	return t.erased & all, nil
}

// shape of what is to be stored under the tombstone.
func (p *Parcel) shape(t *tombstone) (shape, error) {
	sh := shape{line: p.Notice.Line, size: len(p.Records)}
	for j, r := range p.Records {
		if t.covers(j) {
			continue
		}
		if len(r.Fragment) == 0 || len(r.Fragment) > FragmentBytesMax {
			return shape{}, fmt.Errorf("%w: fragment", errParcel)
		}
		sh.live |= 1 << j
		sh.bytes += uint64(len(r.Fragment))
	}
	return sh, nil
}

func (s *Store) putShape(c *Change, p pseudonym, batch abaton.BatchName, fresh shape) error {
	key := batchKey(tableBatch, p, batch)
	found, err := getOrNil(s.records, key)
	if err != nil {
		return err
	}
	delta := fresh.counts()
	if found != nil {
		old, err := parseShape(found)
		if err != nil {
			return err
		}
		if old.line != fresh.line || old.size != fresh.size {
			return ErrConflict
		}
		delta.Batches--
		delta.Records -= old.counts().Records
		delta.Bytes -= old.counts().Bytes
		for rest := old.live; rest != 0; rest &= rest - 1 { // a fragment that lay alone may lie with the others now
			c.batch.Delete(recordKey(tableFragment, p, batch, bits.TrailingZeros64(rest)))
		}
	}
	if err := c.replace(key, found, fresh.marshal()); err != nil {
		return err
	}
	c.counts.add(delta)
	return nil
}

// PutCertificate keeps the certificate of receipts of a batch, as received. A
// later one replaces it.
func (s *Store) PutCertificate(c *Change, patient abaton.ActorID, batch abaton.BatchName, certificate []byte) error {
	if len(certificate) > NoticeBytesMax {
		return fmt.Errorf("%w: certificate", errParcel)
	}
	c.batch.Put(batchKey(tableCertified, s.pseudonym(patient), batch), certificate)
	return nil
}

// Certificate returns the certificate of receipts; ErrAbsent.
func (s *Store) Certificate(patient abaton.ActorID, batch abaton.BatchName) ([]byte, error) {
	return s.records.Get(batchKey(tableCertified, s.pseudonym(patient), batch))
}
