package search

import (
	"math"
	"math/big"
	"strings"
)

// A prefix says how a value of the resource compares to the one searched for
// (FHIR R4, search.html#prefix).
type prefix string

// cutPrefix takes the prefix off a number or date, eq if there is none.
func cutPrefix(s string) (prefix, string, bool) {
	if len(s) < 2 || s[0]|0x20 < 'a' || s[0]|0x20 > 'z' {
		return "eq", s, true
	}
	switch p := prefix(s[:2]); p {
	case "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap":
		return p, s[2:], true
	}
	return "", "", false
}

// A bound is a number searched for: its value, and the span that its digits
// leave open: 5.4 is all from 5.35 to below 5.45.
type bound struct {
	prefix           prefix
	value, low, high float64
}

// match compares the span of a resource's value.
func (b *bound) match(low, high float64) bool {
	eq := low >= b.low && (high < b.high || low < high && high == b.high)
	switch b.prefix {
	case "eq":
		return eq
	case "ne":
		return !eq
	case "gt":
		return high > b.value
	case "lt":
		return low < b.value
	case "ge":
		return high >= b.value
	case "le":
		return low <= b.value
	case "sa":
		return low > b.value
	case "eb":
		return high < b.value
	case "ap":
		tenth := math.Abs(b.value) / 10
		return high >= b.value-tenth && low <= b.value+tenth
	}
	return false
}

func badNumber() error {
	return bad("value", "a number or quantity must be a decimal with one of eq ne gt lt ge le sa eb ap before it, and for a quantity |system|code after it; correct it")
}

// exponentMax bounds the exponent of a number searched for.
const exponentMax = 300

// parseBound reads a number with its prefix. The span's ends are made exactly
// and then rounded to the nearest float as the resource's values are, so that
// comparing the floats compares the decimals, up to 15 digits.
func parseBound(s string) (b bound, err error) {
	var ok bool
	if b.prefix, s, ok = cutPrefix(s); !ok {
		return b, badNumber()
	}
	digits, exponent, ok := decimal(s)
	if !ok {
		return b, badNumber()
	}
	b.value = scaled(digits, exponent)
	ten := new(big.Int).Mul(digits, big.NewInt(10))
	b.low = scaled(new(big.Int).Sub(ten, big.NewInt(5)), exponent-1)
	b.high = scaled(new(big.Int).Add(ten, big.NewInt(5)), exponent-1)
	return b, nil
}

// decimal takes a literal apart: digits times ten to the exponent.
func decimal(s string) (digits *big.Int, exponent int, ok bool) {
	mantissa, power, has := strings.Cut(strings.ToLower(s), "e")
	if has {
		sign := 1
		if rest, is := strings.CutPrefix(power, "-"); is {
			sign, power = -1, rest
		}
		n, is := wholeNumber(strings.TrimPrefix(power, "+"))
		if !is || n > exponentMax {
			return nil, 0, false
		}
		exponent = sign * n
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	negative := strings.HasPrefix(whole, "-")
	text := strings.TrimPrefix(strings.TrimPrefix(whole, "-"), "+") + fraction
	if text == "" || len(text) > 64 || strings.Trim(text, "0123456789") != "" {
		return nil, 0, false
	}
	digits, ok = new(big.Int).SetString(text, 10)
	if ok && negative {
		digits.Neg(digits)
	}
	return digits, exponent - len(fraction), ok
}

// scaled is the float nearest to digits times ten to the exponent.
func scaled(digits *big.Int, exponent int) float64 {
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(exponent, -exponent))), nil)
	r := new(big.Rat).SetInt(digits)
	if exponent < 0 {
		r.Quo(r, new(big.Rat).SetInt(power))
	} else {
		r.Mul(r, new(big.Rat).SetInt(power))
	}
	f, _ := r.Float64()
	return f
}

// A numberTest compares numbers.
type numberTest struct{ bounds []bound }

func numbers(values []string) (tester, error) {
	t := &numberTest{}
	for _, v := range values {
		b, err := parseBound(plain(v))
		if err != nil {
			return nil, err
		}
		t.bounds = append(t.bounds, b)
	}
	return t, nil
}

func (t *numberTest) mark(_ *Index, c *column, _ *branch, out bits) {
	for i := range c.numbers {
		e := &c.numbers[i]
		for j := range t.bounds {
			if t.bounds[j].match(e.low, e.high) {
				out.set(e.row)
			}
		}
	}
}

// A quantityTest compares quantities: number, number|system|code or
// number||unit, where unit is a code or its display
// (FHIR R4, search.html#quantity). Units are compared, not converted.
type quantityTest struct{ wanted []wantedQuantity }

type wantedQuantity struct {
	bound
	system, code string
}

func quantities(values []string) (tester, error) {
	t := &quantityTest{}
	for _, v := range values {
		parts := splitValues(v, '|')
		if len(parts) != 1 && len(parts) != 3 {
			return nil, badNumber()
		}
		b, err := parseBound(plain(parts[0]))
		if err != nil {
			return nil, err
		}
		w := wantedQuantity{bound: b}
		if len(parts) == 3 {
			w.system, w.code = plain(parts[1]), plain(parts[2])
		}
		t.wanted = append(t.wanted, w)
	}
	return t, nil
}

func (t *quantityTest) mark(x *Index, c *column, _ *branch, out bits) {
	for i := range t.wanted {
		w := &t.wanted[i]
		var code uint64
		if w.code != "" {
			code = x.space.hashText(w.code)
		}
		system, known := x.systems[x.space.hashText(w.system)]
		if w.system != "" && !known {
			continue
		}
		for j := range c.quantities {
			e := &c.quantities[j]
			if w.system != "" && e.system != system || !w.match(e.low, e.high) {
				continue
			}
			if code == 0 || e.code == code || w.system == "" && e.unit == code {
				out.set(e.row)
			}
		}
	}
}

// A positionTest finds places by their distance (FHIR R4, location.html#search).
type positionTest struct{ places []nearby }

type nearby struct{ latitude, longitude, kilometres float64 }

// nearbyDefault is the distance in kilometres where none is given.
const nearbyDefault = 10

func positions(values []string) (tester, error) {
	t := &positionTest{}
	for _, v := range values {
		parts := splitValues(v, '|')
		for len(parts) < 4 {
			parts = append(parts, "")
		}
		n := nearby{kilometres: nearbyDefault}
		read := func(to *float64, s string) bool {
			digits, exponent, ok := decimal(s)
			if ok {
				*to = scaled(digits, exponent)
			}
			return ok
		}
		unit := map[string]float64{"": 1, "km": 1, "m": 0.001, "[mi_us]": 1.609347, "[mi_i]": 1.609344}[parts[3]]
		if len(parts) > 4 || unit == 0 || !read(&n.latitude, parts[0]) || !read(&n.longitude, parts[1]) ||
			parts[2] != "" && !read(&n.kilometres, parts[2]) {
			return nil, bad("value", "near must be latitude|longitude|distance|units, units one of km, m, [mi_us], [mi_i]; correct it")
		}
		if parts[2] != "" {
			n.kilometres *= unit
		}
		t.places = append(t.places, n)
	}
	return t, nil
}

func (t *positionTest) mark(_ *Index, c *column, _ *branch, out bits) {
	for i := range c.numbers {
		for _, p := range t.places {
			if p.distance(c.numbers[i].low, c.numbers[i].high) <= p.kilometres {
				out.set(c.numbers[i].row)
			}
		}
	}
}

// distance in kilometres over a sphere (the haversine formula).
func (p *nearby) distance(latitude, longitude float64) float64 {
	const radius, degree = 6371.0088, math.Pi / 180
	a := math.Sin((latitude - p.latitude) * degree / 2)
	b := math.Sin((longitude - p.longitude) * degree / 2)
	h := a*a + math.Cos(latitude*degree)*math.Cos(p.latitude*degree)*b*b
	return 2 * radius * math.Asin(math.Sqrt(min(h, 1)))
}
