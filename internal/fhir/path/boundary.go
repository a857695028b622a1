package path

import "math/big"

// defaultDigits is the precision of a boundary of a decimal if none is asked
// for (FHIRPath 3.0 draft, lowBoundary).
const defaultDigits = 8

// boundary is lowBoundary and highBoundary: the least and the greatest value
// that is written so.
func boundary(high bool) func(*run, frame, Collection, []form) (Collection, error) {
	return func(r *run, at frame, in Collection, args []form) (Collection, error) {
		it, ok, err := one(in)
		if err != nil || !ok {
			return nil, err
		}
		precision := int64(-1)
		if len(args) == 1 {
			if precision, ok, err = r.integer(args[0], at); err != nil || !ok {
				return nil, err
			}
			if precision < 0 {
				return nil, nil
			}
		}
		switch v := it.plain().(type) {
		case int64:
			return decimalBoundary(decimalOf(v), precision, high), nil
		case Decimal:
			return decimalBoundary(v, precision, high), nil
		case Quantity:
			c := decimalBoundary(v.value, precision, high)
			return withUnit(c, v.unit, v.coded), nil
		case Moment:
			return momentBoundary(v, precision, high), nil
		}
		return nil, fault("no value that has boundaries")
	}
}

func decimalBoundary(d Decimal, precision int64, high bool) Collection {
	if precision < 0 {
		precision = defaultDigits
	}
	if precision > 31 {
		return nil
	}
	half := Decimal{big.NewInt(5), d.scale + 1}
	if !high {
		half = half.neg()
	}
	bound := d.add(half)
	digits := int(precision)
	if bound.scale <= digits {
		return single(Decimal{bound.at(digits), digits})
	}
	cut := Decimal{bound.at(bound.scale), bound.scale} // toward the outside at the asked precision
	unit := pow10(bound.scale - digits)
	q, rem := new(big.Int).DivMod(cut.n, unit, new(big.Int))
	if rem.Sign() != 0 && high {
		q.Add(q, big.NewInt(1))
	}
	return single(Decimal{q, digits})
}

// widths of a Moment's precisions, in digits as precision() counts.
var momentWidths = map[momentKind][]int{
	dateMoment:     {4, 6, 8},
	dateTimeMoment: {4, 6, 8, 10, 12, 14, 17},
	timeMoment:     {2, 4, 6, 9},
}

func momentBoundary(m Moment, precision int64, high bool) Collection {
	widths := momentWidths[m.kind]
	want := len(widths)
	if precision >= 0 {
		want = 0
		for i, w := range widths {
			if int64(w) == precision {
				want = i + 1
			}
		}
		if want == 0 {
			return nil
		}
	}
	if m.kind == timeMoment {
		want += 3
	}
	out := m
	lows, highs := [6]int{1, 1, 1, 0, 0, 0}, [6]int{9999, 12, 31, 23, 59, 59}
	for i := m.precision; i < 6; i++ {
		out.parts[i] = lows[i]
		if high {
			out.parts[i] = highs[i]
			if i == 2 {
				out.parts[2] = daysIn(out.parts[0], out.parts[1])
			}
		}
	}
	if m.precision < toFraction && high {
		out.nanos = 999_000_000
	}
	out.digits = 3
	out.precision = want
	if m.kind == dateTimeMoment && !m.zoned && want > toDay {
		out.zoned, out.offset = true, 14*60 // the earliest place on earth
		if high {
			out.offset = -12 * 60
		}
	}
	if want <= toDay && m.kind != timeMoment {
		out.zoned = false
	}
	return single(out)
}

// precisionOf counts digits.
func precisionOf(_ *run, in Collection) (Collection, error) {
	it, ok, err := one(in)
	if err != nil || !ok {
		return nil, err
	}
	switch v := it.plain().(type) {
	case int64:
		return single(int64(0)), nil
	case Decimal:
		return single(int64(v.scale)), nil
	case Moment:
		widths := momentWidths[v.kind]
		at := v.precision
		if v.kind == timeMoment {
			at -= 3
		}
		return single(int64(widths[min(at, len(widths))-1])), nil
	}
	return nil, fault("no value that has a precision")
}
