package path

import (
	"strconv"
	"strings"
)

// typeFunctions are conversions and tests of types.
func typeFunctions() map[string]function {
	all := map[string]function{
		"is": ofTypeArgument(func(in Collection, name typeName) (Collection, error) {
			it, ok, err := one(in)
			if err != nil || !ok {
				return nil, err
			}
			return boolean(it.is(name)), nil
		}),
		"as":     ofTypeArgument(func(in Collection, name typeName) (Collection, error) { return ofType(in, name), nil }),
		"ofType": ofTypeArgument(func(in Collection, name typeName) (Collection, error) { return ofType(in, name), nil }),
		"type": plainly(func(_ *run, in Collection) (out Collection, err error) {
			for _, it := range in {
				out = append(out, Item{lit: it.info()})
			}
			return out, nil
		}),
		"toQuantity":         {0, 1, convertQuantity(false)},
		"convertsToQuantity": {0, 1, convertQuantity(true)},
	}
	for name, convert := range map[string]func(any) (any, bool){
		"Boolean": toBoolean, "Integer": toInteger, "Long": toInteger, "Decimal": toDecimal,
		"String":   func(v any) (any, bool) { s, ok := stringOf(v); return s, ok },
		"Date":     toMoment(dateMoment),
		"DateTime": toMoment(dateTimeMoment),
		"Time":     toMoment(timeMoment),
	} {
		all["to"+name] = conversion(convert, false)
		all["convertsTo"+name] = conversion(convert, true)
	}
	return all
}

// ofTypeArgument is a function whose argument is a type, not an expression.
func ofTypeArgument(f func(Collection, typeName) (Collection, error)) function {
	return function{1, 1, func(r *run, _ frame, in Collection, args []form) (Collection, error) {
		name, ok := typeOf(args[0])
		if !ok {
			return nil, fault("no type where one belongs")
		}
		if err := r.checkType(name); err != nil {
			return nil, err
		}
		return f(in, name)
	}}
}

// typeOf reads an argument as a type.
func typeOf(f form) (typeName, bool) {
	m, ok := f.(*memberForm)
	if !ok {
		return typeName{}, false
	}
	if m.target == nil {
		return typeName{"", m.name}, true
	}
	space, ok := m.target.(*memberForm)
	if !ok || space.target != nil {
		return typeName{}, false
	}
	return typeName{space.name, m.name}, true
}

func conversion(convert func(any) (any, bool), ask bool) function {
	return plainly(func(_ *run, in Collection) (Collection, error) {
		it, ok, err := one(in)
		if err != nil || !ok {
			return nil, err
		}
		v, ok := convert(it.plain())
		switch {
		case ask:
			return boolean(ok), nil
		case !ok:
			return nil, nil
		}
		return single(v), nil
	})
}

func toBoolean(v any) (any, bool) {
	switch v := v.(type) {
	case bool:
		return v, true
	case int64:
		return v == 1, v == 0 || v == 1
	case Decimal:
		n, ok := v.integer()
		return n == 1, ok && (n == 0 || n == 1)
	case string:
		switch strings.ToLower(v) {
		case "true", "t", "yes", "y", "1", "1.0":
			return true, true
		case "false", "f", "no", "n", "0", "0.0":
			return false, true
		}
	}
	return nil, false
}

func toInteger(v any) (any, bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return int64(1), true
		}
		return int64(0), true
	case int64:
		return v, true
	case string:
		n, err := strconv.ParseInt(v, 10, 64)
		return n, err == nil
	}
	return nil, false
}

func toDecimal(v any) (any, bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return Decimal{decimalOf(10).n, 1}, true
		}
		return Decimal{decimalOf(0).n, 1}, true
	case int64:
		return decimalOf(v), true
	case Decimal:
		return v, true
	case string:
		return asDecimal(v)
	}
	return nil, false
}

// asDecimal reads a decimal as the language writes it: no exponent.
func asDecimal(s string) (any, bool) {
	if strings.ContainsAny(s, "eE") {
		return nil, false
	}
	d, ok := parseDecimal(s)
	return d, ok
}

// stringOf is toString().
func stringOf(v any) (string, bool) {
	switch v := v.(type) {
	case bool:
		return strconv.FormatBool(v), true
	case string:
		return v, true
	case int64:
		return strconv.FormatInt(v, 10), true
	case Decimal:
		return v.String(), true
	case Moment:
		return v.String(), true
	case Quantity:
		return v.String(), true
	}
	return "", false
}

func toMoment(kind momentKind) func(any) (any, bool) {
	return func(v any) (any, bool) {
		switch v := v.(type) {
		case string:
			m, ok := parseMoment(v, kind)
			return m, ok
		case Moment:
			if v.kind == kind {
				return v, true
			}
			if v.kind == timeMoment || kind == timeMoment {
				return nil, false
			}
			if kind == dateMoment {
				cut := Moment{kind: kind, precision: min(v.precision, toDay)}
				copy(cut.parts[:3], v.parts[:3])
				return cut, true
			}
			v.kind = kind
			return v, true
		}
		return nil, false
	}
}

// convertQuantity is toQuantity(unit) and its question.
func convertQuantity(ask bool) func(*run, frame, Collection, []form) (Collection, error) {
	return func(r *run, at frame, in Collection, args []form) (Collection, error) {
		it, ok, err := one(in)
		if err != nil || !ok {
			return nil, err
		}
		q, ok := toQuantity(it.plain())
		if ok && len(args) == 1 {
			c, err := r.eval(args[0], at)
			if err != nil {
				return nil, err
			}
			unit, given, err := oneText(c)
			if err != nil {
				return nil, err
			}
			if given {
				q, ok = q.to(unit)
			}
		}
		switch {
		case ask:
			return boolean(ok), nil
		case !ok:
			return nil, nil
		}
		return single(q), nil
	}
}

func toQuantity(v any) (Quantity, bool) {
	switch v := v.(type) {
	case bool:
		d, _ := toDecimal(v)
		return Quantity{d.(Decimal), "1", true}, true
	case int64, Decimal, Quantity:
		return quantityLike(v)
	case string:
		number, unit, _ := strings.Cut(strings.TrimSpace(v), " ")
		d, ok := asDecimal(number)
		if !ok {
			return Quantity{}, false
		}
		unit = strings.TrimSpace(unit)
		switch {
		case unit == "":
			return Quantity{d.(Decimal), "1", true}, true
		case calendarUnit(unit) != "":
			return Quantity{d.(Decimal), unit, false}, true
		case len(unit) > 2 && unit[0] == '\'' && unit[len(unit)-1] == '\'':
			return Quantity{d.(Decimal), unit[1 : len(unit)-1], true}, true
		}
	}
	return Quantity{}, false
}

// to converts a quantity to another unit.
func (q Quantity) to(unit string) (Quantity, bool) {
	if q.unit == unit {
		return q, true
	}
	target := Quantity{decimalOf(1), unit, calendarUnit(unit) == ""}
	a, x := q.canonical()
	b, y := target.canonical()
	if x != y {
		return q, false
	}
	if b.sign() == 0 {
		return q, false
	}
	target.value = a.div(b)
	return target, true
}
