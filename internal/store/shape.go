package store

import (
	"encoding/binary"
	"math/bits"

	"github.com/abaton-health/abaton"
)

// shape is the short row of a batch: where its notice is and what is left.
type shape struct {
	line  abaton.Line
	size  int    // records in the batch, 1 to 64
	live  uint64 // records that can be read
	bytes uint64 // of their fragments
}

const shapeBytes = 16 + 1 + 8 + 8

func (s shape) marshal() []byte {
	out := make([]byte, 0, shapeBytes)
	out = append(out, s.line[:]...)
	out = append(out, byte(s.size))
	out = binary.BigEndian.AppendUint64(out, s.live)
	return binary.BigEndian.AppendUint64(out, s.bytes)
}

func parseShape(b []byte) (s shape, err error) {
	if len(b) != shapeBytes {
		return shape{}, ErrDamaged
	}
	copy(s.line[:], b)
	s.size = int(b[16])
	s.live = binary.BigEndian.Uint64(b[17:])
	s.bytes = binary.BigEndian.Uint64(b[25:])
	if s.size < 1 || s.size > abaton.BatchRecordsMax || s.live&^allOf(s.size) != 0 {
		return shape{}, ErrDamaged
	}
	return s, nil
}

func (s shape) counts() Counts {
	return Counts{Batches: 1, Records: int64(bits.OnesCount64(s.live)), Bytes: int64(s.bytes)}
}

// allOf is the bitmap of records 0 to m-1.
func allOf(m int) uint64 {
	if m >= 64 {
		return ^uint64(0)
	}
	return 1<<m - 1
}
