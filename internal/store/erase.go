package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/abaton-health/abaton"
)

// Erasure names what of one batch the patient had erased. The batch need not
// be held: the tombstone waits for it.
type Erasure struct {
	Batch abaton.BatchName
	// Records is the bitmap of erased records.
	Records uint64
	// Leaves are the share leaves of Records, one for each bit, ascending;
	// they take the places of the shares. Zero, or a nil slice, is not known.
	Leaves [][32]byte
	// Whole erases all of the batch, whatever Records says.
	Whole bool
}

var errErasure = errors.New("erasure out of bounds")

// compactor is an engine that can make deleted bytes leave its files.
type compactor interface {
	// Compact returns when nothing deleted or overwritten within the bounds
	// is in any file, write-ahead logs included.
	Compact(lower, upper []byte) error
}

// Erase destroys the shares and fragments of those rows and commits the change
// with it, in one fsync. When it returns nil
//
//   - the tombstones are durable, and no deposit brings the records back;
//   - the patient's other shares are sealed under a new row key, and the old
//     one is in no file of the store, write-ahead logs included;
//   - the erased fragments are in no file of the store.
//
// After ErrConflict, or an error before the change was durable, nothing
// happened. After any later error the erasure holds but its bytes may still
// lie on the disk, and ResumeErasures or the next opening finishes it. A crash
// at any moment leaves it either undone or finished by the next opening.
//
// It reads all of the patient's shares and rewrites them, so events that
// erase many records go into one call.
func (s *Store) Erase(patient abaton.ActorID, rows []Erasure, c *Change) error {
	p := s.pseudonym(patient)
	generation, err := s.rotate(p, c, func(old, next rowKey) error { return s.planErasure(c, p, rows, old, next) })
	if err != nil {
		return fmt.Errorf("erase: %w", err)
	}
	if err := s.purge(p, generation); err != nil {
		return fmt.Errorf("purge erased bytes: %w", err)
	}
	return nil
}

// rotate changes row key and records as planned. The order makes every crash
// recoverable: the new key is durable before anything is sealed under it, and
// the old key goes only when nothing needs it any more.
func (s *Store) rotate(p pseudonym, c *Change, plan func(old, next rowKey) error) (generation uint32, err error) {
	s.erasing.Lock()
	defer s.erasing.Unlock()
	for _, r := range c.rows {
		if r.patient == p { // sealed under the key that goes
			return 0, ErrConflict
		}
	}
	old, err := s.rowKey(p)
	if err != nil && !errors.Is(err, ErrAbsent) {
		return 0, err
	}
	next := newRowKey(old.generation + 1)
	if err := plan(old, next); err != nil {
		c.used = true
		return 0, err
	}
	c.batch.Put(patientKey(tableErasure, p), binary.BigEndian.AppendUint32(nil, next.generation))
	if err := s.commitPending(p, next); err != nil {
		return 0, err
	}
	if err := s.commit(c); err != nil {
		return 0, errors.Join(err, s.dropPending(p))
	}
	if err := s.step("records"); err != nil {
		return 0, err
	}
	if err := s.promote(p, next); err != nil {
		return 0, err
	}
	return next.generation, s.step("promoted")
}

// step lets a test stop here as a crash would.
func (s *Store) step(name string) error {
	if s.reached == nil {
		return nil
	}
	return s.reached(name)
}

func (s *Store) commitPending(p pseudonym, next rowKey) error {
	var b Batch
	b.Put(patientKey(tablePending, p), next.marshal())
	if err := s.keys.Commit(&b); err != nil {
		return err
	}
	return s.step("pending")
}

func (s *Store) dropPending(p pseudonym) error {
	var b Batch
	b.Delete(patientKey(tablePending, p))
	return s.keys.Commit(&b)
}

// promote makes the pending key the row key, which destroys the old one.
func (s *Store) promote(p pseudonym, next rowKey) error {
	var b Batch
	b.Put(patientKey(tableRowKey, p), next.marshal())
	b.Delete(patientKey(tablePending, p))
	return s.keys.Commit(&b)
}

// planErasure puts tombstones, deletions, re-sealed shares and the mark of an
// unfinished erasure into the change.
func (s *Store) planErasure(c *Change, p pseudonym, rows []Erasure, old, next rowKey) error {
	gone := make(map[abaton.BatchName]uint64, len(rows))
	for _, row := range rows {
		if _, twice := gone[row.Batch]; twice {
			return fmt.Errorf("%w: a batch is named twice", errErasure)
		}
		bitmap, err := s.planRow(c, p, row)
		if err != nil {
			return err
		}
		gone[row.Batch] = bitmap
	}
	if old.generation == 0 {
		return nil // never had a row key, so there are no shares
	}
	return errors.Join(s.reseal(c, p, gone, old.ready(), next.ready()), s.resealBeside(c, p, gone, old.ready(), next.ready()))
}

func (s *Store) planRow(c *Change, p pseudonym, row Erasure) (gone uint64, err error) {
	if row.Leaves != nil && len(row.Leaves) != bits.OnesCount64(row.Records) {
		return 0, fmt.Errorf("%w: number of share leaves", errErasure)
	}
	t, err := s.tombstone(p, row.Batch)
	if err != nil {
		return 0, err
	}
	key := batchKey(tableBatch, p, row.Batch)
	found, err := getOrNil(s.records, key)
	if err != nil {
		return 0, err
	}
	gone = row.Records
	if found != nil {
		sh, err := parseShape(found)
		if err != nil {
			return 0, err
		}
		if row.Whole {
			gone = allOf(sh.size)
		}
		if err := s.planDeletes(c, p, row.Batch, sh, gone); err != nil {
			return 0, err
		}
	}
	t.bury(row, gone)
	c.batch.Put(batchKey(tableTombstone, p, row.Batch), t.marshal())
	return gone, nil
}

// bury adds an erasure; a leaf once known stays.
func (t *tombstone) bury(row Erasure, gone uint64) {
	t.whole = t.whole || row.Whole
	t.erased |= gone
	for rest, i := row.Records, 0; rest != 0 && row.Leaves != nil; rest, i = rest&(rest-1), i+1 {
		if j := bits.TrailingZeros64(rest); t.erased&(1<<j) != 0 && t.leaves[j] == [32]byte{} {
			t.leaves[j] = row.Leaves[i]
		}
	}
}

func (s *Store) planDeletes(c *Change, p pseudonym, batch abaton.BatchName, sh shape, gone uint64) error {
	after := sh
	after.live &^= gone
	if after.live != sh.live {
		dropped, err := s.dropFragments(c, p, batch, sh.live&gone)
		if err != nil {
			return err
		}
		after.bytes -= min(after.bytes, dropped)
	}
	if after.live == 0 {
		after.bytes = 0
	}
	key := batchKey(tableBatch, p, batch)
	if err := c.replace(key, sh.marshal(), after.marshal()); err != nil {
		return err
	}
	c.counts.add(Counts{
		Records: after.counts().Records - sh.counts().Records,
		Bytes:   after.counts().Bytes - sh.counts().Bytes,
	})
	return nil
}

// purge makes the old row key and the erased rows leave the files, then
// removes the mark unless a later erasure has set its own.
func (s *Store) purge(p pseudonym, generation uint32) error {
	if err := compact(s.keys, patientKey(tableRowKey, p)); err != nil {
		return err
	}
	if err := compact(s.records, patientKey(tableFragment, p), patientKey(tableShare, p), patientKey(tableBesideRow, p)); err != nil {
		return err
	}
	if err := s.step("purged"); err != nil {
		return err
	}
	s.erasing.RLock()
	defer s.erasing.RUnlock()
	mark, err := getOrNil(s.records, patientKey(tableErasure, p))
	if err != nil || !bytes.Equal(mark, binary.BigEndian.AppendUint32(nil, generation)) {
		return err
	}
	var b Batch
	b.Delete(patientKey(tableErasure, p))
	return s.records.Commit(&b)
}

func compact(e Engine, prefixes ...[]byte) error {
	k, ok := e.(compactor)
	if !ok {
		return nil
	}
	for _, prefix := range prefixes {
		if err := k.Compact(prefix, after(prefix)); err != nil {
			return err
		}
	}
	return nil
}

// ResumeErasures finishes erasures that a crash or an error interrupted. New
// calls it.
func (s *Store) ResumeErasures() error {
	unfinished, err := s.settle()
	if err != nil {
		return err
	}
	for p, generation := range unfinished {
		if err := s.purge(p, generation); err != nil {
			return err
		}
	}
	return nil
}

// settle brings row keys and records to the same generation: forward if the
// records were changed, back if they were not.
func (s *Store) settle() (map[pseudonym]uint32, error) {
	s.erasing.Lock()
	defer s.erasing.Unlock()
	marks, err := s.marks()
	if err != nil {
		return nil, err
	}
	pending, err := s.pending()
	if err != nil {
		return nil, err
	}
	for p, next := range pending {
		if marks[p] == next.generation {
			err = s.promote(p, next)
		} else {
			err = s.dropPending(p)
		}
		if err != nil {
			return nil, err
		}
	}
	for p, generation := range marks {
		row, err := s.rowKey(p)
		if err != nil || row.generation < generation {
			return nil, errors.Join(ErrMismatch, err)
		}
	}
	return marks, nil
}

func (s *Store) marks() (map[pseudonym]uint32, error) {
	marks := make(map[pseudonym]uint32)
	var bad error
	err := s.records.Scan([]byte{tableErasure}, []byte{tableErasure + 1}, func(key, value []byte) bool {
		if len(key) != 17 || len(value) != 4 {
			bad = ErrDamaged
			return false
		}
		marks[pseudonym(key[1:])] = binary.BigEndian.Uint32(value)
		return true
	})
	return marks, errors.Join(err, bad)
}

func (s *Store) pending() (map[pseudonym]rowKey, error) {
	pending := make(map[pseudonym]rowKey)
	var bad error
	err := s.keys.Scan([]byte{tablePending}, []byte{tablePending + 1}, func(key, value []byte) bool {
		if len(key) != 17 {
			bad = ErrDamaged
			return false
		}
		pending[pseudonym(key[1:])], bad = parseRowKey(value)
		return bad == nil
	})
	return pending, errors.Join(err, bad)
}
