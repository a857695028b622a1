package path

import "math/big"

// operate is arithmetic and order.
func (r *run) operate(op string, a, b Collection) (Collection, error) {
	x, ok, err := one(a)
	if err != nil {
		return nil, err
	}
	y, ok2, err := one(b)
	if err != nil || !ok || !ok2 {
		return nil, err
	}
	switch op {
	case "<", ">", "<=", ">=":
		cmp, known, err := order(x, y)
		if err != nil || !known {
			return nil, err
		}
		return boolean(op[0] == '<' && cmp < 0 || op[0] == '>' && cmp > 0 || len(op) == 2 && cmp == 0), nil
	}
	return r.arithmetic(op, x.plain(), y.plain())
}

func (r *run) arithmetic(op string, x, y any) (Collection, error) {
	switch v := x.(type) {
	case string:
		if w, ok := y.(string); ok && op == "+" {
			return r.string(v + w)
		}
	case Moment:
		if q, ok := y.(Quantity); ok && (op == "+" || op == "-") {
			return plusDuration(v, q, op == "-")
		}
	case int64:
		if w, ok := y.(int64); ok {
			return integers(op, v, w)
		}
	case Quantity:
		if w, ok := quantityLike(y); ok {
			return quantities(op, v, w)
		}
	}
	a, b, ok := numbers(x, y)
	if !ok {
		if q, ok := y.(Quantity); ok && op == "*" {
			if d, ok := numeral(x); ok {
				return quantities(op, Quantity{d, "1", true}, q)
			}
		}
		return nil, fault("arithmetic on what has none")
	}
	if err := r.step(4); err != nil {
		return nil, err
	}
	return decimals(op, a, b)
}

func integers(op string, a, b int64) (Collection, error) {
	if op == "/" {
		return decimals(op, decimalOf(a), decimalOf(b))
	}
	x, y := big.NewInt(a), big.NewInt(b)
	switch op {
	case "+":
		x.Add(x, y)
	case "-":
		x.Sub(x, y)
	case "*":
		x.Mul(x, y)
	default:
		if b == 0 {
			return nil, nil
		}
		if op == "div" {
			x.Quo(x, y)
		} else {
			x.Rem(x, y)
		}
	}
	if !x.IsInt64() {
		return nil, nil // overflow gives nothing (FHIRPath 2.0, section 6.6)
	}
	return single(x.Int64()), nil
}

func decimals(op string, a, b Decimal) (Collection, error) {
	var out Decimal
	switch op {
	case "+":
		out = a.add(b)
	case "-":
		out = a.add(b.neg())
	case "*":
		out = a.mul(b)
	default:
		if b.sign() == 0 {
			return nil, nil
		}
		switch op {
		case "/":
			out = a.div(b)
		case "div":
			q, _ := a.quoRem(b)
			if n, ok := q.integer(); ok {
				return single(n), nil
			}
			return nil, nil
		default:
			_, out = a.quoRem(b)
		}
	}
	if out.large() {
		return nil, ErrBudget
	}
	return single(out), nil
}

func quantities(op string, a, b Quantity) (Collection, error) {
	switch op {
	case "+", "-":
		if b.unit != a.unit || b.coded != a.coded {
			x, u := a.canonical()
			y, v := b.canonical()
			if u != v {
				return nil, nil
			}
			a, b = Quantity{x, u, true}, Quantity{y, u, true}
		}
		c, err := decimals(op, a.value, b.value)
		return withUnit(c, a.unit, a.coded), err
	case "*", "/":
		if a.unit != b.unit && a.unit != "1" && b.unit != "1" {
			a.value, a.unit = a.canonical()
			b.value, b.unit = b.canonical()
		}
		unit := a.unit
		switch {
		case op == "*" && a.unit == "1":
			unit = b.unit
		case b.unit == "1":
		case op == "/" && a.unit == b.unit:
			unit = "1"
		case op == "*":
			unit = product(a.unit, b.unit)
		default:
			unit = a.unit + "/" + b.unit
		}
		c, err := decimals(op, a.value, b.value)
		return withUnit(c, unit, true), err
	}
	return nil, fault("arithmetic on what has none")
}

func product(a, b string) string {
	if a == b {
		return a + "2"
	}
	return a + "." + b
}

func withUnit(c Collection, unit string, coded bool) Collection {
	if len(c) == 0 {
		return nil
	}
	return single(Quantity{c[0].lit.(Decimal), unit, coded})
}

// plusDuration is date arithmetic (FHIRPath 2.0, section 6.6.7).
func plusDuration(m Moment, q Quantity, minus bool) (Collection, error) {
	unit := calendarUnit(q.unit)
	if q.coded {
		unit = calendarOf[q.unit]
		if unit == "" {
			unit = calendarUnit(q.unit)
		} else if unit == "year" || unit == "month" {
			return nil, fault("a duration of UCUM years or months added to a date")
		}
	}
	if unit == "" {
		return nil, fault("a duration that is none added to a date")
	}
	value := q.value
	if unit == "second" { // decimals of seconds count
		value, unit = value.mul(decimalOf(1000)), "millisecond"
	}
	n, ok := value.truncate().integer()
	if !ok {
		return nil, nil
	}
	if minus {
		n = -n
	}
	out, ok := m.plus(n, unit)
	if !ok {
		return nil, nil
	}
	return single(out), nil
}
