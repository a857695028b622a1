package spread

import (
	"crypto/rand"
	"encoding/binary"
	"errors"

	"github.com/abaton-health/abaton"
)

// Shamir's scheme over GF(2^8) with the polynomial 0x11B, byte by byte over 32
// bytes (PROTOCOL.md#shares). Secret bytes are handled eight at a time in a
// machine word; only x-coordinates, which are public, are branched on.

// ErrShares says that shares cannot be combined: too few, or two of one
// keeper, or one at x = 0.
var ErrShares = errors.New("not a usable set of shares")

// Share is a keeper's share of one 32-byte secret: the polynomial at x.
type Share struct {
	X abaton.KeeperIndex
	Y [32]byte
}

type words [4]uint64

func toWords(b [32]byte) (w words) {
	for i := range w {
		w[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return w
}

func (w words) bytes() (b [32]byte) {
	for i := range w {
		binary.LittleEndian.PutUint64(b[8*i:], w[i])
	}
	return b
}

func (w *words) add(o words) {
	for i := range w {
		w[i] ^= o[i]
	}
}

// double multiplies every byte by the field element 2.
func (w *words) double() {
	for i, v := range w {
		carry := v >> 7 & 0x0101010101010101
		w[i] = v<<1&0xfefefefefefefefe ^ carry*0x1b
	}
}

// scale multiplies every byte by c, which is public.
func (w words) scale(c byte) (out words) {
	for ; c != 0; c >>= 1 {
		if c&1 == 1 {
			out.add(w)
		}
		w.double()
	}
	return out
}

// multiply is the product of two public field elements.
func multiply(a, b byte) (p byte) {
	for ; b != 0; b >>= 1 {
		if b&1 == 1 {
			p ^= a
		}
		a = a<<1 ^ (a>>7)*0x1b
	}
	return p
}

// invert is a^254, the inverse of a public field element; 0 for 0.
func invert(a byte) byte {
	r := byte(1)
	for range 7 {
		a = multiply(a, a)
		r = multiply(r, a)
	}
	return r
}

// Split shares secret over xs, so that any t of the shares give it back and
// fewer say nothing. The coefficients are fresh from crypto/rand.
func Split(secret [32]byte, t int, xs []abaton.KeeperIndex) []Share {
	if t < 1 || t > len(xs) {
		panic("spread: threshold outside 1 to the number of shares")
	}
	coefficients := make([][32]byte, t-1)
	for i := range coefficients {
		rand.Read(coefficients[i][:])
	}
	return Evaluate(secret, coefficients, xs)
}

// Evaluate gives the shares of the polynomial secret + c1 x + c2 x² + ... at
// xs. Only Split and test vectors have a use for it: coefficients must be
// fresh and uniform.
func Evaluate(secret [32]byte, coefficients [][32]byte, xs []abaton.KeeperIndex) []Share {
	shares := make([]Share, len(xs))
	for i, x := range xs {
		if x == 0 {
			panic("spread: x = 0 is the secret, not a keeper")
		}
		var sum words
		for c := len(coefficients) - 1; c >= 0; c-- {
			sum.add(toWords(coefficients[c]))
			sum = sum.scale(byte(x))
		}
		sum.add(toWords(secret))
		shares[i] = Share{X: x, Y: sum.bytes()}
	}
	return shares
}

// Combine is the secret behind shares. It uses all of them, so pass exactly
// t; it cannot tell whether they belong together.
func Combine(shares []Share) ([32]byte, error) { return Interpolate(shares, 0) }

// Interpolate is the polynomial through shares at x; x = 0 is the secret.
func Interpolate(shares []Share, x abaton.KeeperIndex) (y [32]byte, err error) {
	if !distinct(shares) {
		return y, ErrShares
	}
	var sum words
	for i := range shares {
		sum.add(toWords(shares[i].Y).scale(lagrange(shares, i, x)))
	}
	return sum.bytes(), nil
}

// lagrange is the weight of share i for the value at x.
func lagrange(shares []Share, i int, x abaton.KeeperIndex) byte {
	above, below := byte(1), byte(1)
	for j := range shares {
		if j != i {
			above = multiply(above, byte(x)^byte(shares[j].X))
			below = multiply(below, byte(shares[i].X)^byte(shares[j].X))
		}
	}
	return multiply(above, invert(below))
}

func distinct(shares []Share) bool {
	var seen [256]bool
	for _, s := range shares {
		if s.X == 0 || seen[s.X] {
			return false
		}
		seen[s.X] = true
	}
	return len(shares) >= 2
}

// RepairParts is what a helper does when the keeper at target lost its share:
// the helper's weighted share, cut into one random-looking part for each
// helper, itself included. helpers are the t helpers' coordinates, own is the
// caller's share. Each helper adds the parts it receives with SumParts and
// sends the sum to target, which adds the t sums: the result is target's share
// and nobody saw another's (PROTOCOL.md#repair).
func RepairParts(own Share, helpers []abaton.KeeperIndex, target abaton.KeeperIndex) ([][32]byte, error) {
	points, me := make([]Share, len(helpers)), -1
	for i, x := range helpers {
		points[i].X = x
		if x == own.X {
			me = i
		}
		if x == target {
			return nil, ErrShares
		}
	}
	if me < 0 || target == 0 || !distinct(points) {
		return nil, ErrShares
	}
	rest := toWords(own.Y).scale(lagrange(points, me, target))
	parts := make([][32]byte, len(helpers))
	for i := range parts[1:] {
		rand.Read(parts[i+1][:])
		rest.add(toWords(parts[i+1]))
	}
	parts[0] = rest.bytes()
	return parts, nil
}

// SumParts adds parts of a repair, at a helper and at the newcomer alike.
func SumParts(parts [][32]byte) [32]byte {
	var sum words
	for _, p := range parts {
		sum.add(toWords(p))
	}
	return sum.bytes()
}
