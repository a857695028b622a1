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
	held   uint64
	shares [64][32]byte
}

// Sizes of a sealed row of shares.
const (
	nonceBytes    = 12
	tagBytes      = 16
	shareHead     = 4 + 8 + nonceBytes
	shareRowBytes = shareHead + tagBytes // and 32 a share
)

func (r rowSeal) seal(batch abaton.BatchName, row *shareRow) []byte {
	n := bits.OnesCount64(row.held)
	plain := make([]byte, 0, 32*n)
	for rest := row.held; rest != 0; rest &= rest - 1 {
		plain = append(plain, row.shares[bits.TrailingZeros64(rest)][:]...)
	}
	out := make([]byte, 0, shareRowBytes+len(plain))
	out = binary.BigEndian.AppendUint32(out, r.generation)
	out = binary.BigEndian.AppendUint64(out, row.held)
	out = append(out, r.nonce()...)
	return r.aead.Seal(out, out[shareHead-nonceBytes:], plain, shareContext(batch, row.held))
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
	plain, err := r.aead.Open(nil, nonce, box, shareContext(batch, row.held))
	if err != nil {
		return nil, ErrDamaged
	}
	for rest := row.held; rest != 0; rest &= rest - 1 {
		copy(row.shares[bits.TrailingZeros64(rest)][:], plain)
		plain = plain[32:]
	}
	return row, nil
}

// shareContext binds a sealed row to its batch and to which shares are in it.
func shareContext(batch abaton.BatchName, held uint64) []byte {
	return binary.BigEndian.AppendUint64(batch[:len(batch):len(batch)], held)
}

func putShares(c *Change, p pseudonym, row rowKey, parcel *Parcel, live uint64) {
	c.rows = append(c.rows, rowUse{patient: p, generation: row.generation})
	shares := shareRow{held: live}
	for j := range parcel.Records {
		shares.shares[j] = parcel.Records[j].Share
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
			row.held &^= gone[batch]
			c.batch.Put(key, next.seal(batch, row))
		}
		return true
	})
}
