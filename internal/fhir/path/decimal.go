package path

import (
	"math/big"
	"strconv"
	"strings"
)

// A Decimal is an exact decimal number with the digits after the point that
// it was written with: 1.50 is not printed as 1.5. (math/big: the standard
// library's integers, so nothing is rounded that the language does not round.)
type Decimal struct {
	n     *big.Int // nil is 0
	scale int      // digits after the point
}

func (d Decimal) big() *big.Int {
	if d.n == nil {
		return new(big.Int)
	}
	return d.n
}

func decimalOf(n int64) Decimal { return Decimal{big.NewInt(n), 0} }

// pow10 is 10 to the n.
func pow10(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// parseDecimal reads a JSON number, or the same with a plus sign. It refuses
// numbers of more than digitsMax digits.
func parseDecimal(s string) (d Decimal, ok bool) {
	mantissa, exponent := s, 0
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		e, err := strconv.Atoi(s[i+1:])
		if err != nil || e > digitsMax || e < -digitsMax {
			return d, false
		}
		mantissa, exponent = s[:i], e
	}
	whole, fraction, point := strings.Cut(mantissa, ".")
	if len(whole)+len(fraction) > digitsMax || point && fraction == "" || strings.TrimLeft(whole, "+-") == "" {
		return d, false
	}
	n, ok := new(big.Int).SetString(whole+fraction, 10)
	if !ok || strings.Contains(whole+fraction, "_") || strings.ContainsAny(fraction, "+-") {
		return d, false
	}
	d = Decimal{n, len(fraction) - exponent}
	if d.scale < 0 {
		d = Decimal{n.Mul(n, pow10(-d.scale)), 0}
	}
	return d, d.scale <= 2*digitsMax
}

func (d Decimal) String() string {
	s := new(big.Int).Abs(d.big()).String()
	if d.scale > 0 {
		if len(s) <= d.scale {
			s = strings.Repeat("0", d.scale-len(s)+1) + s
		}
		s = s[:len(s)-d.scale] + "." + s[len(s)-d.scale:]
	}
	if d.big().Sign() < 0 {
		s = "-" + s
	}
	return s
}

// at is d with a scale that is not smaller.
func (d Decimal) at(scale int) *big.Int {
	return new(big.Int).Mul(d.big(), pow10(scale-d.scale))
}

func align(a, b Decimal) (x, y *big.Int, scale int) {
	scale = max(a.scale, b.scale)
	return a.at(scale), b.at(scale), scale
}

func (d Decimal) cmp(o Decimal) int {
	a, b, _ := align(d, o)
	return a.Cmp(b)
}

func (d Decimal) sign() int    { return d.big().Sign() }
func (d Decimal) neg() Decimal { return Decimal{new(big.Int).Neg(d.big()), d.scale} }

func (d Decimal) add(o Decimal) Decimal {
	a, b, scale := align(d, o)
	return Decimal{a.Add(a, b), scale}
}

func (d Decimal) mul(o Decimal) Decimal {
	return Decimal{new(big.Int).Mul(d.big(), o.big()), d.scale + o.scale}
}

// quotientDigits is how many digits after the point a quotient has beyond
// those of its operands.
const quotientDigits = 20

// div is the quotient, half up, without trailing zeros; o is not zero.
func (d Decimal) div(o Decimal) Decimal {
	scale := max(d.scale, o.scale) + quotientDigits
	a := new(big.Int).Mul(d.big(), pow10(scale+o.scale-d.scale+1))
	q := Decimal{a.Quo(a, o.big()), scale + 1}
	return q.round(scale).trim()
}

// quoRem is the whole quotient and its remainder, both toward zero.
func (d Decimal) quoRem(o Decimal) (q, rem Decimal) {
	a, b, scale := align(d, o)
	quotient, r := new(big.Int).QuoRem(a, b, new(big.Int))
	return Decimal{quotient, 0}, Decimal{r, scale}
}

// round is half away from zero at so many digits after the point.
func (d Decimal) round(digits int) Decimal {
	if digits >= d.scale {
		return d
	}
	unit := pow10(d.scale - digits)
	q, r := new(big.Int).QuoRem(d.big(), unit, new(big.Int))
	if r.Abs(r).Lsh(r, 1).Cmp(unit) >= 0 {
		q.Add(q, big.NewInt(int64(d.big().Sign())))
	}
	return Decimal{q, digits}
}

// floor is the largest whole number that is not larger.
func (d Decimal) floor() Decimal {
	return Decimal{new(big.Int).Div(d.big(), pow10(d.scale)), 0} // Euclidean: toward minus infinity for a positive divisor
}

func (d Decimal) truncate() Decimal {
	return Decimal{new(big.Int).Quo(d.big(), pow10(d.scale)), 0}
}

// trim takes trailing zeros after the point away.
func (d Decimal) trim() Decimal {
	n, scale, ten := new(big.Int).Set(d.big()), d.scale, big.NewInt(10)
	for scale > 0 {
		q, r := new(big.Int).QuoRem(n, ten, new(big.Int))
		if r.Sign() != 0 {
			break
		}
		n, scale = q, scale-1
	}
	return Decimal{n, scale}
}

// integer is the number as an integer of 64 bits; ok is false if it is none.
func (d Decimal) integer() (int64, bool) {
	whole := d.trim()
	if whole.scale != 0 || !whole.big().IsInt64() {
		return 0, false
	}
	return whole.big().Int64(), true
}

func (d Decimal) float() float64 {
	f, _ := new(big.Rat).SetFrac(d.big(), pow10(d.scale)).Float64()
	return f
}

// fromFloat is a float as a decimal; ok is false for infinities and the like.
func fromFloat(f float64) (Decimal, bool) {
	return parseDecimal(strconv.FormatFloat(f, 'g', 15, 64))
}

// large reports whether a number has more digits than may be.
func (d Decimal) large() bool {
	return d.scale > 4*digitsMax || d.big().BitLen() > 16*digitsMax
}
