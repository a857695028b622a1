package spread

import (
	"errors"
	"fmt"

	"github.com/klauspost/reedsolomon"
)

// ErrFragments says that fragments cannot be decoded: too few, or lengths
// that do not fit the code word.
var ErrFragments = errors.New("not a usable set of fragments")

// Code is the systematic Reed-Solomon code k of n over GF(2^8)/0x11D of
// PROTOCOL.md#code. It is safe for concurrent use.
type Code struct {
	n, k int
	rs   reedsolomon.Encoder
}

// NewCode makes the code for n fragments of which k suffice.
func NewCode(n, k uint8) (*Code, error) {
	if k < 2 || k > n {
		return nil, fmt.Errorf("make code: %w", ErrShape)
	}
	c := &Code{n: int(n), k: int(k)}
	if n == k {
		return c, nil
	}
	rs, err := reedsolomon.New(int(k), int(n-k), reedsolomon.WithMaxGoroutines(1))
	if err != nil {
		return nil, fmt.Errorf("make code: %w", ErrShape)
	}
	c.rs = rs
	return c, nil
}

// Encode pads word with zeros to a multiple of k, cuts it into k fragments of
// equal length and adds n-k. word is not kept.
func (c *Code) Encode(word []byte) [][]byte {
	if len(word) == 0 {
		panic("spread: an empty code word has no fragments")
	}
	size := (len(word) + c.k - 1) / c.k
	all := make([]byte, size*c.n)
	copy(all, word)
	fragments := make([][]byte, c.n)
	for i := range fragments {
		fragments[i] = all[i*size : (i+1)*size : (i+1)*size]
	}
	if c.rs != nil {
		if err := c.rs.Encode(fragments); err != nil {
			panic("spread: fragments of equal length always encode")
		}
	}
	return fragments
}

// Decode takes n places of which exactly k hold a fragment and gives the code
// word of length bytes with all n fragments of its encoding. The caller must
// compare these with what is signed: any k fragments decode to something.
func (c *Code) Decode(places [][]byte, length int) (word []byte, fragments [][]byte, err error) {
	size, have := FragmentBytes(length, uint8(c.k)), 0
	if len(places) != c.n || length <= 0 {
		return nil, nil, ErrFragments
	}
	shards := make([][]byte, c.n)
	for i, f := range places {
		if f == nil {
			continue
		}
		if len(f) != size {
			return nil, nil, ErrFragments
		}
		shards[i], have = f, have+1
	}
	if have != c.k {
		return nil, nil, ErrFragments
	}
	if c.rs != nil {
		if err := c.rs.ReconstructData(shards); err != nil {
			return nil, nil, ErrFragments
		}
	}
	word = make([]byte, 0, size*c.k)
	for _, s := range shards[:c.k] {
		word = append(word, s...)
	}
	word = word[:length]
	return word, c.Encode(word), nil
}
