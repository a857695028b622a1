package store

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/abaton-health/abaton"
)

// shareRow is the shares of one batch, sealed together under the patient's row
// key: generation (4 bytes), bitmap (8), nonce (12), AES-256-GCM of the shares
// of the bitmap, ascending. The bitmap and the batch are bound to the box, so a
// row moved or shortened by whoever can write the disk does not open.
type shareRow struct {
	held  uint64
	plain []byte // the shares of held, ascending
}

func (r *shareRow) add(j int, share [32]byte) {
	r.held |= 1 << j
	r.plain = append(r.plain, share[:]...)
}

// share returns zeros for a record that the row does not hold.
func (r *shareRow) share(j int) (share [32]byte) {
	if r.held&(1<<j) != 0 {
		at := 32 * bits.OnesCount64(r.held&(1<<j-1))
		copy(share[:], r.plain[at:])
	}
	return share
}

// without is the row less some records.
func (r *shareRow) without(gone uint64) *shareRow {
	left := new(shareRow)
	for rest := r.held &^ gone; rest != 0; rest &= rest - 1 {
		j := bits.TrailingZeros64(rest)
		left.add(j, r.share(j))
	}
	return left
}

// Sizes of a sealed row of shares.
const (
	nonceBytes    = 12
	tagBytes      = 16
	shareHead     = 4 + 8 + nonceBytes
	shareRowBytes = shareHead + tagBytes // and 32 a share
)

func (r rowSeal) seal(batch abaton.BatchName, row *shareRow) []byte {
	out := make([]byte, 0, shareRowBytes+len(row.plain))
	out = binary.BigEndian.AppendUint32(out, r.generation)
	out = binary.BigEndian.AppendUint64(out, row.held)
	out = append(out, r.nonce()...)
	return r.aead.Seal(out, out[shareHead-nonceBytes:], row.plain, shareContext(batch, row.held))
}

func (r rowSeal) open(batch abaton.BatchName, sealed []byte) (*shareRow, error) {
	if len(sealed) < shareHead || binary.BigEndian.Uint32(sealed) != r.generation {
		return nil, ErrDamaged
	}
	row := &shareRow{held: binary.BigEndian.Uint64(sealed[4:])}
	if row.held == 0 || len(sealed) != shareRowBytes+32*bits.OnesCount64(row.held) {
		return nil, ErrDamaged
	}
	nonce, box := sealed[shareHead-nonceBytes:shareHead], sealed[shareHead:]
	var err error
	if row.plain, err = r.aead.Open(nil, nonce, box, shareContext(batch, row.held)); err != nil {
		return nil, ErrDamaged
	}
	return row, nil
}

// shareContext binds a sealed row to its batch and to which shares are in it.
func shareContext(batch abaton.BatchName, held uint64) []byte {
	return binary.BigEndian.AppendUint64(batch[:len(batch):len(batch)], held)
}

func putShares(c *Change, p pseudonym, row rowKey, parcel *Parcel, live uint64) {
	c.rows = append(c.rows, rowUse{patient: p, generation: row.generation})
	var shares shareRow
	for rest := live; rest != 0; rest &= rest - 1 {
		j := bits.TrailingZeros64(rest)
		shares.add(j, parcel.Records[j].Share)
	}
	c.batch.Put(batchKey(tableShare, p, parcel.Batch), row.ready().seal(parcel.Batch, &shares))
}

// openShares reads the shares of the wanted records, which must all be there.
// It is called with erasing held.
func (s *Store) openShares(p pseudonym, batch abaton.BatchName, wanted uint64) (*shareRow, error) {
	if wanted == 0 {
		return new(shareRow), nil
	}
	key, err := s.rowKey(p)
	if err != nil {
		return nil, fmt.Errorf("row key: %w", lost(err))
	}
	sealed, err := s.records.Get(batchKey(tableShare, p, batch))
	if err != nil {
		return nil, lost(err)
	}
	row, err := key.ready().open(batch, sealed)
	if err == nil && wanted&^row.held != 0 {
		err = ErrDamaged
	}
	return row, err
}

// reseal seals the patient's other shares under the next row key. A row that
// does not open is damaged already and must not stand in the way of erasing: it
// is left to be repaired, or goes if it may hold what is erased.
func (s *Store) reseal(c *Change, p pseudonym, gone map[abaton.BatchName]uint64, old, next rowSeal) error {
	prefix := patientKey(tableShare, p)
	return s.records.Scan(prefix, after(prefix), func(key, sealed []byte) bool {
		batch := abaton.BatchName(last(key))
		row, err := old.open(batch, sealed)
		switch {
		case err != nil && gone[batch] == 0:
		case err != nil || row.held&^gone[batch] == 0:
			c.batch.Delete(key)
		default:
			c.batch.Put(key, next.seal(batch, row.without(gone[batch])))
		}
		return true
	})
}
