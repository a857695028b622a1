package store

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"

	"github.com/abaton-health/abaton"
)

// fragmentRow is the fragments of one batch that lie together in one row:
// bitmap (8 bytes), then for each bit, ascending, length of the code word and
// size of the fragment as shortest uvarints, and the fragment.
//
// One above FragmentTogetherBytes has a row of its own. So one record is read
// from a row that stays small, and erasing one writes little more than the
// small ones beside it again and never a large one.
type fragmentRow struct {
	held    uint64
	records [64]ParcelRecord // without shares
}

// liesTogether says whether a fragment goes into the row of its batch.
func (r *ParcelRecord) liesTogether() bool { return len(r.Fragment) <= FragmentTogetherBytes }

func (f *fragmentRow) marshal() []byte {
	size := 8
	for rest := f.held; rest != 0; rest &= rest - 1 {
		size += 2*binary.MaxVarintLen32 + len(f.records[bits.TrailingZeros64(rest)].Fragment)
	}
	out := binary.BigEndian.AppendUint64(make([]byte, 0, size), f.held)
	for rest := f.held; rest != 0; rest &= rest - 1 {
		out = f.records[bits.TrailingZeros64(rest)].append(out)
	}
	return out
}

func (r *ParcelRecord) append(out []byte) []byte {
	out = binary.AppendUvarint(out, uint64(r.Length))
	out = binary.AppendUvarint(out, uint64(len(r.Fragment)))
	return append(out, r.Fragment...)
}

// parseFragmentRow reads all of a row; the fragments are parts of b. ErrDamaged.
func parseFragmentRow(b []byte) (*fragmentRow, error) {
	f := new(fragmentRow)
	var err error
	f.held, err = walkFragments(b, func(j int, r ParcelRecord) { f.records[j] = r })
	if err != nil {
		return nil, err
	}
	return f, nil
}

// walkFragments yields the fragments of a row, which are parts of b, and
// returns which they were. It is strict: after ErrDamaged what was yielded does
// not count.
func walkFragments(b []byte, yield func(j int, r ParcelRecord)) (held uint64, err error) {
	if len(b) < 8 {
		return 0, ErrDamaged
	}
	held = binary.BigEndian.Uint64(b)
	b = b[8:]
	for rest := held; rest != 0; rest &= rest - 1 {
		r, left, err := cutFragment(b)
		if err != nil || !r.liesTogether() {
			return 0, ErrDamaged
		}
		yield(bits.TrailingZeros64(rest), r)
		b = left
	}
	if held == 0 || len(b) != 0 {
		return 0, ErrDamaged
	}
	return held, nil
}

// parseFragment reads the row of a fragment that lies alone.
func parseFragment(b []byte) (ParcelRecord, error) {
	r, left, err := cutFragment(b)
	if err != nil || len(left) != 0 || r.liesTogether() {
		return ParcelRecord{}, ErrDamaged
	}
	return r, nil
}

func cutFragment(b []byte) (r ParcelRecord, left []byte, err error) {
	length, b, ok := cutUvarint(b)
	if !ok {
		return r, nil, ErrDamaged
	}
	size, b, ok := cutUvarint(b)
	if !ok || size == 0 || size > FragmentBytesMax || uint64(len(b)) < size {
		return r, nil, ErrDamaged
	}
	return ParcelRecord{Length: uint32(length), Fragment: b[:size:size]}, b[size:], nil
}

// cutUvarint takes a number of at most 32 bits in its shortest form.
func cutUvarint(b []byte) (n uint64, left []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > math.MaxUint32 || size > 1 && b[size-1] == 0 {
		return 0, nil, false
	}
	return n, b[size:], true
}

// putFragments writes the fragments of the records in the bitmap.
func putFragments(c *Change, p pseudonym, parcel *Parcel, live uint64) {
	var together fragmentRow
	for rest := live; rest != 0; rest &= rest - 1 {
		j := bits.TrailingZeros64(rest)
		r := &parcel.Records[j]
		if r.liesTogether() {
			together.held |= 1 << j
			together.records[j] = *r
		} else {
			c.batch.Put(recordKey(tableFragment, p, parcel.Batch, j), r.append(nil))
		}
	}
	putFragmentRow(c, p, parcel.Batch, &together)
}

func putFragmentRow(c *Change, p pseudonym, batch abaton.BatchName, f *fragmentRow) {
	if key := batchKey(tableFragment, p, batch); f.held == 0 {
		c.batch.Delete(key)
	} else {
		c.batch.Put(key, f.marshal())
	}
}

// fragments reads those of the wanted records, which must all be there, in
// order and without their shares.
func (s *Store) fragments(p pseudonym, batch abaton.BatchName, wanted uint64) ([]Kept, error) {
	if wanted == 0 {
		return nil, nil
	}
	b, err := getOrNil(s.records, batchKey(tableFragment, p, batch))
	if err != nil {
		return nil, err
	}
	kept, together := make([]Kept, 0, bits.OnesCount64(wanted)), uint64(0)
	if b != nil { // else all of them lie alone
		together, err = walkFragments(b, func(j int, r ParcelRecord) {
			if wanted&(1<<j) != 0 {
				kept = append(kept, Kept{Index: j, ParcelRecord: r})
			}
		})
		if err != nil {
			return nil, err
		}
	}
	for rest := wanted &^ together; rest != 0; rest &= rest - 1 {
		j := bits.TrailingZeros64(rest)
		b, err := s.records.Get(recordKey(tableFragment, p, batch, j))
		if err != nil {
			return nil, lost(err)
		}
		r, err := parseFragment(b)
		if err != nil {
			return nil, err
		}
		kept = append(kept, Kept{Index: j, ParcelRecord: r})
	}
	slices.SortFunc(kept, func(a, b Kept) int { return a.Index - b.Index })
	return kept, nil
}

// dropFragments deletes those of the records in the bitmap and returns how
// many bytes they had. A row that does not parse is dropped whole: what must
// go may be in it, and the rest of it can only be repaired.
func (s *Store) dropFragments(c *Change, p pseudonym, batch abaton.BatchName, gone uint64) (dropped uint64, err error) {
	b, err := getOrNil(s.records, batchKey(tableFragment, p, batch))
	if err != nil {
		return 0, err
	}
	together, err := parseFragmentRow(b)
	if err != nil { // also when all of them lie alone
		together = new(fragmentRow)
	}
	for rest := gone; rest != 0; rest &= rest - 1 {
		j := bits.TrailingZeros64(rest)
		if together.held&(1<<j) != 0 {
			dropped += uint64(len(together.records[j].Fragment))
			continue
		}
		key := recordKey(tableFragment, p, batch, j)
		b, err := getOrNil(s.records, key)
		if err != nil {
			return 0, err
		}
		if r, err := parseFragment(b); err == nil {
			dropped += uint64(len(r.Fragment))
		}
		c.batch.Delete(key)
	}
	together.held &^= gone
	putFragmentRow(c, p, batch, together)
	return dropped, nil
}
