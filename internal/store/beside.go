package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/abaton-health/abaton"
)

// Beside is a lock of a batch that was prepared and is not in force: it lies
// beside the one that is, which goes on being served
// (docs/protocol/record.md#re-lock).
type Beside struct {
	// Number of the lock; above that of the lock in force.
	Number uint64
	// Lock is the signed LOCK, Capsule this keeper's fragment under it, Receipt
	// the receipt this keeper gave for it.
	Lock, Capsule, Receipt []byte
	// Leaves are the share leaves under this lock, one a record; they stay
	// when a record is erased.
	Leaves [][32]byte
	// Shares are one a record, zero where the record is erased.
	Shares [][32]byte
}

// fields are in the order of their encoding.
func (b *Beside) fields() [3]*[]byte { return [3]*[]byte{&b.Lock, &b.Capsule, &b.Receipt} }

// marshal writes version, number of leaves, leaves, then each field with a
// 32-bit length. Number is in the key, the shares lie in a row of their own.
func (b *Beside) marshal() []byte {
	out := []byte{formatByte, byte(len(b.Leaves))}
	for i := range b.Leaves {
		out = append(out, b.Leaves[i][:]...)
	}
	for _, f := range b.fields() {
		out = binary.BigEndian.AppendUint32(out, uint32(len(*f)))
		out = append(out, *f...)
	}
	return out
}

// parseBeside is strict. The result shares no memory with b. ErrDamaged.
func parseBeside(b []byte) (*Beside, error) {
	if len(b) < 2 || b[0] != formatByte {
		return nil, ErrDamaged
	}
	m := int(b[1])
	b = b[2:]
	if m < 1 || m > abaton.BatchRecordsMax || len(b) < 32*m {
		return nil, ErrDamaged
	}
	out := &Beside{Leaves: make([][32]byte, m)}
	for i := range out.Leaves {
		copy(out.Leaves[i][:], b[32*i:])
	}
	b = b[32*m:]
	for _, f := range out.fields() {
		if len(b) < 4 {
			return nil, ErrDamaged
		}
		size := binary.BigEndian.Uint32(b)
		if size > NoticeBytesMax || int(size) > len(b)-4 {
			return nil, ErrDamaged
		}
		*f = append([]byte{}, b[4:4+size]...)
		b = b[4+size:]
	}
	if len(b) != 0 {
		return nil, ErrDamaged
	}
	return out, nil
}

// besideName is what the shares beside are bound to in the place of the batch:
// they open neither as the batch's own nor under another number.
func (s *Store) besideName(batch abaton.BatchName, number uint64) (name abaton.BatchName) {
	copy(name[:], s.mac("beside"+string(batch[:])+string(binary.BigEndian.AppendUint64(nil, number))))
	return name
}

func besideKey(table byte, p pseudonym, batch abaton.BatchName, n uint64) []byte {
	return patientKey(table, p, batch[:], number(n))
}

// besideOf takes the batch and the number out of a key.
func besideOf(key []byte) (batch abaton.BatchName, n uint64, ok bool) {
	if len(key) != 1+16+32+8 {
		return batch, 0, false
	}
	return abaton.BatchName(key[17:49]), binary.BigEndian.Uint64(key[49:]), true
}

var errBeside = errors.New("prepared lock out of bounds")

// PutBeside adds a lock beside the one in force. ErrAbsent or ErrErased if the
// batch is not held, or nothing of it is left; ErrConflict if the number is
// taken. Who may do it, and whether the number is above that in force, is the
// caller's question. After an error nothing was added to the change.
func (s *Store) PutBeside(c *Change, patient abaton.ActorID, batch abaton.BatchName, b Beside) error {
	s.erasing.RLock()
	defer s.erasing.RUnlock()
	h, err := s.held(patient, batch)
	if err != nil {
		return err
	}
	if h.live == 0 {
		return ErrErased
	}
	if len(b.Leaves) != h.size || len(b.Shares) != h.size || b.Number == 0 {
		return errBeside
	}
	for _, f := range b.fields() {
		if len(*f) > NoticeBytesMax {
			return errBeside
		}
	}
	row, err := s.rowKey(h.patient)
	if err != nil {
		return fmt.Errorf("row key: %w", lost(err))
	}
	key := besideKey(tableBeside, h.patient, batch, b.Number)
	switch found, err := getOrNil(s.records, key); {
	case err != nil:
		return err
	case found != nil:
		return ErrConflict
	}
	if err := c.replace(key, nil, b.marshal()); err != nil {
		return err
	}
	var shares shareRow
	for rest := h.live; rest != 0; rest &= rest - 1 {
		j := bits.TrailingZeros64(rest)
		shares.add(j, b.Shares[j])
	}
	c.rows = append(c.rows, rowUse{patient: h.patient, generation: row.generation})
	c.batch.Put(besideKey(tableBesideRow, h.patient, batch, b.Number), row.ready().seal(s.besideName(batch, b.Number), &shares))
	return nil
}

// Beside lists the locks prepared for a batch, lowest number first, without
// their shares.
func (s *Store) Beside(patient abaton.ActorID, batch abaton.BatchName) (all []Beside, err error) {
	prefix := batchKey(tableBeside, s.pseudonym(patient), batch)
	var bad error
	err = s.records.Scan(prefix, after(prefix), func(key, value []byte) bool {
		_, n, ok := besideOf(key)
		b, err := parseBeside(value)
		if !ok || err != nil {
			bad = ErrDamaged
			return false
		}
		b.Number = n
		all = append(all, *b)
		return true
	})
	return all, errors.Join(err, bad)
}

// besideShares opens the shares of a lock beside. It is called with erasing
// held.
func (s *Store) besideShares(p pseudonym, batch abaton.BatchName, n, live uint64) (*shareRow, error) {
	key, err := s.rowKey(p)
	if err != nil {
		return nil, fmt.Errorf("row key: %w", lost(err))
	}
	sealed, err := s.records.Get(besideKey(tableBesideRow, p, batch, n))
	if err != nil {
		return nil, lost(err)
	}
	row, err := key.ready().open(s.besideName(batch, n), sealed)
	if err == nil && row.held != live {
		err = ErrDamaged
	}
	return row, err
}

// Whole is what is kept of a batch, all as of one moment.
type Whole struct {
	Notice Notice
	// Kept are those of the wanted records that can be read, in order.
	Kept []Kept
	// Shares are one for each record, under the lock in force.
	Shares []Share
	// Beside are the locks prepared, with their shares, lowest number first.
	Beside []Beside
}

// Whole reads a batch: LOCK and shares always belong together, also while the
// batch is locked anew. beside asks for the locks prepared too. Errors as
// Records.
func (s *Store) Whole(patient abaton.ActorID, batch abaton.BatchName, wanted uint64, beside bool) (w Whole, err error) {
	s.erasing.RLock()
	defer s.erasing.RUnlock()
	if w.Notice, err = s.Notice(patient, batch); err != nil {
		return Whole{}, err
	}
	h, err := s.held(patient, batch)
	if err != nil {
		return Whole{}, err
	}
	if w.Kept, w.Shares, err = s.pieceOf(h, wanted); err != nil || !beside || h.live == 0 {
		return w, err
	}
	if w.Beside, err = s.Beside(patient, batch); err != nil {
		return Whole{}, err
	}
	for i := range w.Beside {
		b := &w.Beside[i]
		row, err := s.besideShares(h.patient, batch, b.Number, h.live)
		if err != nil {
			return Whole{}, fmt.Errorf("read prepared shares: %w", err)
		}
		for j := range h.size {
			b.Shares = append(b.Shares, row.share(j))
		}
	}
	return w, nil
}

// Promotion puts the lock of that number in force.
type Promotion struct {
	Batch  abaton.BatchName
	Number uint64
}

// Promote puts prepared locks of one patient in force and commits the change
// with it, in one fsync: notice and shares of each batch become those of its
// promoted lock, and every lock of a lower number is destroyed. Destroying is
// what Erase does: the patient's other shares get a new row key, the old one
// is in no file when Promote returns nil. ErrAbsent for a lock that is not
// prepared; then, and before the change was durable, nothing happened.
// Crashes are as with Erase.
func (s *Store) Promote(patient abaton.ActorID, list []Promotion, c *Change) error {
	p := s.pseudonym(patient)
	generation, err := s.rotate(p, c, func(old, next rowKey) error { return s.planPromotion(c, patient, list, old, next) })
	if err != nil {
		return fmt.Errorf("promote lock: %w", err)
	}
	if err := s.purge(p, generation); err != nil {
		return fmt.Errorf("purge old lock: %w", err)
	}
	return nil
}

// planPromotion puts the change of notices, shares and leaves into c.
func (s *Store) planPromotion(c *Change, patient abaton.ActorID, list []Promotion, old, next rowKey) error {
	p, to := s.pseudonym(patient), make(map[abaton.BatchName]uint64, len(list))
	for _, one := range list {
		if _, twice := to[one.Batch]; twice {
			return fmt.Errorf("%w: a batch is named twice", errBeside)
		}
		to[one.Batch] = one.Number
		if err := s.planNotice(c, patient, one); err != nil {
			return err
		}
	}
	oldSeal, nextSeal := old.ready(), next.ready()
	if err := s.reseal(c, p, nil, oldSeal, nextSeal); err != nil {
		return err
	}
	if err := s.resealBeside(c, p, nil, oldSeal, nextSeal); err != nil {
		return err
	}
	for _, one := range list { // after the resealing: the last write of a key counts
		if err := s.planShares(c, p, one, oldSeal, nextSeal); err != nil {
			return err
		}
	}
	return nil
}

// planNotice makes the batch's notice that of the promoted lock, and the share
// leaves of what was erased those under it.
func (s *Store) planNotice(c *Change, patient abaton.ActorID, one Promotion) error {
	n, err := s.Notice(patient, one.Batch)
	if err != nil {
		return err
	}
	p := s.pseudonym(patient)
	row, err := s.records.Get(besideKey(tableBeside, p, one.Batch, one.Number))
	if err != nil {
		return err
	}
	b, err := parseBeside(row)
	if err != nil {
		return err
	}
	n.Lock, n.Capsule, n.Receipt = b.Lock, b.Capsule, b.Receipt
	c.batch.Put(patientKey(tableNotice, p, n.Line[:], one.Batch[:]), n.marshal())
	t, err := s.tombstone(p, one.Batch)
	if err != nil || t.erased == 0 {
		return err
	}
	for j := range b.Leaves {
		if t.covers(j) {
			t.leaves[j] = b.Leaves[j]
		}
	}
	c.batch.Put(batchKey(tableTombstone, p, one.Batch), t.marshal())
	return nil
}

// planShares puts the promoted shares in the place of the old ones, and
// destroys those of lower numbers.
func (s *Store) planShares(c *Change, p pseudonym, one Promotion, old, next rowSeal) error {
	sealed, err := s.records.Get(besideKey(tableBesideRow, p, one.Batch, one.Number))
	if err != nil {
		return lost(err)
	}
	row, err := old.open(s.besideName(one.Batch, one.Number), sealed)
	if err != nil {
		return err
	}
	c.batch.Put(batchKey(tableShare, p, one.Batch), next.seal(one.Batch, row))
	prefix := batchKey(tableBeside, p, one.Batch)
	return s.records.Scan(prefix, after(prefix), func(key, _ []byte) bool {
		if _, n, ok := besideOf(key); ok && n <= one.Number {
			c.batch.Delete(key)
			c.batch.Delete(besideKey(tableBesideRow, p, one.Batch, n))
		}
		return true
	})
}

// resealBeside is reseal for the shares beside.
func (s *Store) resealBeside(c *Change, p pseudonym, gone map[abaton.BatchName]uint64, old, next rowSeal) error {
	prefix := patientKey(tableBesideRow, p)
	return s.records.Scan(prefix, after(prefix), func(key, sealed []byte) bool {
		batch, n, ok := besideOf(key)
		if !ok {
			return true
		}
		name := s.besideName(batch, n)
		row, err := old.open(name, sealed)
		switch {
		case err != nil && gone[batch] == 0:
		case err != nil:
			c.batch.Delete(key)
		case row.held&^gone[batch] == 0:
			c.batch.Delete(key)
			c.batch.Delete(besideKey(tableBeside, p, batch, n))
		default:
			c.batch.Put(key, next.seal(name, row.without(gone[batch])))
		}
		return true
	})
}
