// Package qr draws QR codes (ISO/IEC 18004): byte mode, error correction M, the
// versions 1 to 10, which take up to 213 bytes. More the paper kits do not need.
//
//	c, err := qr.Encode([]byte("abaton:kit:..."))
//	svg := c.SVG()
//
// It keeps nothing secret: whoever sees the picture has read it.
package qr

import (
	"errors"
	"fmt"
	"strings"
)

// ErrLong says that the text does not fit.
var ErrLong = errors.New("too long for a code of these versions")

// Code is a square of dark and light modules.
type Code struct {
	Size int
	dark []bool
	set  []bool // drawn already: not for data
}

// Dark reports whether the module in column x and row y is dark.
func (c *Code) Dark(x, y int) bool { return c.dark[y*c.Size+x] }

func (c *Code) put(x, y int, dark bool) { c.dark[y*c.Size+x], c.set[y*c.Size+x] = dark, true }

// shape is one version at level M (ISO/IEC 18004, table 9): blocks of data, and
// the error correction bytes of each.
type shape struct {
	data   int // bytes of data in all blocks
	blocks int
	check  int // error correction bytes in each block
	align  []int
}

// shapes are versions 1 to 10.
func shapes() []shape {
	return []shape{
		{16, 1, 10, nil}, {28, 1, 16, []int{6, 18}}, {44, 1, 26, []int{6, 22}}, {64, 2, 18, []int{6, 26}}, {86, 2, 24, []int{6, 30}},
		{108, 4, 16, []int{6, 34}}, {124, 4, 18, []int{6, 22, 38}}, {154, 4, 22, []int{6, 24, 42}}, {182, 5, 22, []int{6, 26, 46}}, {216, 5, 26, []int{6, 28, 50}},
	}
}

// Encode draws data in the smallest version that takes it; ErrLong.
func Encode(data []byte) (*Code, error) {
	for i, s := range shapes() {
		version := i + 1
		if header := 4 + countBits(version); len(data)*8+header > s.data*8 {
			continue
		}
		return draw(version, s, s.interleave(s.pad(data, version))), nil
	}
	return nil, ErrLong
}

// countBits is how long the count of bytes is.
func countBits(version int) int {
	if version < 10 {
		return 8
	}
	return 16
}

// pad is mode, count, data, end, and the two bytes that fill the rest.
func (s shape) pad(data []byte, version int) []byte {
	b := &bits{}
	b.add(0b0100, 4)
	b.add(len(data), countBits(version))
	for _, d := range data {
		b.add(int(d), 8)
	}
	b.add(0, min(4, s.data*8-b.n))
	b.add(0, (8-b.n%8)%8)
	for fill := 0xEC; len(b.bytes) < s.data; fill ^= 0xEC ^ 0x11 {
		b.add(fill, 8)
	}
	return b.bytes
}

type bits struct {
	bytes []byte
	n     int
}

func (b *bits) add(v, count int) {
	for i := count - 1; i >= 0; i-- {
		if b.n%8 == 0 {
			b.bytes = append(b.bytes, 0)
		}
		b.bytes[b.n/8] |= byte(v>>i&1) << (7 - b.n%8)
		b.n++
	}
}

// interleave cuts data into blocks, the longer ones last, and takes from all in
// turn; then the same with their error correction.
func (s shape) interleave(data []byte) []byte {
	short := s.data / s.blocks
	longer := s.data % s.blocks
	var parts, checks [][]byte
	for i := range s.blocks {
		n := short
		if i >= s.blocks-longer {
			n++
		}
		parts, checks = append(parts, data[:n]), append(checks, correction(data[:n], s.check))
		data = data[n:]
	}
	return append(turns(parts), turns(checks)...)
}

func turns(parts [][]byte) (out []byte) {
	for i := 0; ; i++ {
		took := false
		for _, p := range parts {
			if i < len(p) {
				out, took = append(out, p[i]), true
			}
		}
		if !took {
			return out
		}
	}
}

// multiply is the product in GF(2^8) modulo 0x11D.
func multiply(a, b byte) (p byte) {
	for ; b != 0; b >>= 1 {
		if b&1 == 1 {
			p ^= a
		}
		a = a<<1 ^ (a>>7)*0x1D
	}
	return p
}

// correction is the remainder of data by the generator polynomial of that
// degree: Reed-Solomon.
func correction(data []byte, degree int) []byte {
	generator := make([]byte, degree)
	generator[degree-1] = 1
	root := byte(1)
	for range degree {
		for j := range generator {
			generator[j] = multiply(generator[j], root)
			if j+1 < degree {
				generator[j] ^= generator[j+1]
			}
		}
		root = multiply(root, 2)
	}
	rest := make([]byte, degree)
	for _, d := range data {
		factor := d ^ rest[0]
		copy(rest, rest[1:])
		rest[degree-1] = 0
		for j := range rest {
			rest[j] ^= multiply(generator[j], factor)
		}
	}
	return rest
}

// SVG is the code as one path with a quiet zone of four modules.
func (c *Code) SVG() string {
	var b strings.Builder
	side := c.Size + 8
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges"><path d="`, side, side)
	for y := range c.Size {
		for x := range c.Size {
			if c.Dark(x, y) {
				fmt.Fprintf(&b, "M%d %dh1v1h-1z", x+4, y+4)
			}
		}
	}
	b.WriteString(`"/></svg>`)
	return b.String()
}
