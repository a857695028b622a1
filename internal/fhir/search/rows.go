package search

import (
	"iter"
	mathbits "math/bits"
)

// bits is a set of rows of one table.
type bits []uint64

func newBits(rows int) bits { return make(bits, (rows+63)/64) }

// grown has room for so many rows.
func (b bits) grown(rows int) bits {
	for len(b)*64 < rows {
		b = append(b, 0)
	}
	return b
}

func (b bits) set(row uint32)      { b[row/64] |= 1 << (row % 64) }
func (b bits) clear(row uint32)    { b[row/64] &^= 1 << (row % 64) }
func (b bits) has(row uint32) bool { return b[row/64]&(1<<(row%64)) != 0 }

// keep leaves only what is in other too.
func (b bits) keep(other bits) {
	for i := range b {
		b[i] &= other[i]
	}
}

// except takes out what is in other.
func (b bits) except(other bits) {
	for i := range b {
		b[i] &^= other[i]
	}
}

func (b bits) empty() bool {
	for _, w := range b {
		if w != 0 {
			return false
		}
	}
	return true
}

func (b bits) count() (n int) {
	for _, w := range b {
		n += mathbits.OnesCount64(w)
	}
	return n
}

func (b bits) each() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for i, w := range b {
			for ; w != 0; w &= w - 1 {
				if !yield(uint32(i*64 + mathbits.TrailingZeros64(w))) {
					return
				}
			}
		}
	}
}
