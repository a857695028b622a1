package path

import (
	"strings"

	"github.com/abaton-health/abaton/internal/fhir"
)

// equal is =: known is false where the language has no answer.
func (r *run) equal(a, b Collection) (same, known bool, err error) {
	if len(a) == 0 || len(b) == 0 {
		return false, false, nil
	}
	if len(a) != len(b) {
		return false, true, nil
	}
	for i := range a {
		same, known, err := r.same(a[i], b[i])
		if err != nil || !same || !known {
			return same, known, err
		}
	}
	return true, true, nil
}

// same is = of two items.
func (r *run) same(a, b Item) (same, known bool, err error) {
	if err := r.step(1); err != nil {
		return false, false, err
	}
	x, y := a.plain(), b.plain()
	if x == nil || y == nil {
		if x != nil || y != nil {
			return false, true, nil
		}
		same, err = r.deep(a.value, b.value)
		if err == nil && same {
			same, err = r.deep(a.extra, b.extra)
		}
		return same, true, err
	}
	if _, ok := x.(Quantity); ok && a.lit == nil && b.lit == nil {
		same, err = r.deep(a.value, b.value)
		return same, true, err
	}
	return plainEqual(x, y)
}

func plainEqual(x, y any) (same, known bool, err error) {
	if d, e, ok := numbers(x, y); ok {
		return d.cmp(e) == 0, true, nil
	}
	switch x := x.(type) {
	case bool:
		y, ok := y.(bool)
		return ok && x == y, true, nil
	case string:
		y, ok := y.(string)
		return ok && x == y, true, nil
	case Moment:
		if y, ok := y.(Moment); ok {
			if (x.kind == timeMoment) != (y.kind == timeMoment) {
				return false, true, nil
			}
			order, known := x.compare(y)
			return order == 0, known, nil
		}
		return false, true, nil
	case Quantity:
		if y, ok := quantityLike(y); ok {
			order, known := x.compare(y)
			return known && order == 0, known, nil
		}
		return false, true, nil
	case typeInfo:
		return x == y, true, nil
	}
	if q, ok := y.(Quantity); ok {
		x, ok := quantityLike(x)
		order, known := x.compare(q)
		return ok && known && order == 0, ok && known, nil
	}
	return false, true, nil
}

// numbers are two numbers as decimals.
func numbers(x, y any) (a, b Decimal, ok bool) {
	a, ok = numeral(x)
	if !ok {
		return a, b, false
	}
	b, ok = numeral(y)
	return a, b, ok
}

func numeral(x any) (Decimal, bool) {
	switch x := x.(type) {
	case int64:
		return decimalOf(x), true
	case Decimal:
		return x, true
	}
	return Decimal{}, false
}

func quantityLike(v any) (Quantity, bool) {
	if d, ok := numeral(v); ok {
		return Quantity{d, "1", true}, true
	}
	q, ok := v.(Quantity)
	return q, ok
}

// deep compares two elements: members without order, numbers by value.
func (r *run) deep(a, b fhir.Value) (bool, error) {
	if err := r.step(1 + len(a.Raw())/64); err != nil {
		return false, err
	}
	if a.Kind() != b.Kind() {
		return false, nil
	}
	switch a.Kind() {
	case fhir.String:
		return a.Text() == b.Text(), nil
	case fhir.Number:
		d, ok := parseDecimal(string(a.Raw()))
		e, ok2 := parseDecimal(string(b.Raw()))
		if !ok || !ok2 {
			return string(a.Raw()) == string(b.Raw()), nil
		}
		return d.cmp(e) == 0, nil
	case fhir.Array:
		return r.deepArray(a, b)
	case fhir.Object:
		if a.Len() != b.Len() {
			return false, nil
		}
		for x := range a.Children() {
			if same, err := r.deep(x, b.Get(x.Name())); !same || err != nil {
				return false, err
			}
		}
		return true, nil
	}
	return string(a.Raw()) == string(b.Raw()), nil
}

func (r *run) deepArray(a, b fhir.Value) (bool, error) {
	if a.Len() != b.Len() {
		return false, nil
	}
	var others []fhir.Value
	for y := range b.Children() {
		others = append(others, y)
	}
	i := 0
	for x := range a.Children() {
		if same, err := r.deep(x, others[i]); !same || err != nil {
			return false, err
		}
		i++
	}
	return true, nil
}

// equivalent is ~: always an answer, order does not matter.
func (r *run) equivalent(a, b Collection) (bool, error) {
	if len(a) != len(b) {
		return false, nil
	}
	used := make([]bool, len(b))
	for _, x := range a {
		found := false
		for i, y := range b {
			if used[i] {
				continue
			}
			like, err := r.like(x, y)
			if err != nil {
				return false, err
			}
			if like {
				used[i], found = true, true
				break
			}
		}
		if !found {
			return false, nil
		}
	}
	return true, nil
}

// like is ~ of two items.
func (r *run) like(a, b Item) (bool, error) {
	if err := r.step(1); err != nil {
		return false, err
	}
	x, y := a.plain(), b.plain()
	if x == nil || y == nil {
		if x != nil || y != nil {
			return false, nil
		}
		return r.likeElements(a, b)
	}
	if d, e, ok := numbers(x, y); ok {
		digits := min(d.scale, e.scale)
		return d.round(digits).cmp(e.round(digits)) == 0, nil
	}
	switch x := x.(type) {
	case string:
		y, ok := y.(string)
		return ok && loose(x) == loose(y), nil
	case Moment:
		y, ok := y.(Moment)
		if !ok {
			return false, nil
		}
		order, known := x.compare(y)
		return known && order == 0, nil
	case Quantity:
		y, ok := quantityLike(y)
		return ok && x.like(y), nil
	}
	same, known, err := plainEqual(x, y)
	return same && known, err
}

func (q Quantity) like(o Quantity) bool {
	words := func(q Quantity) Quantity { // in equivalence a UCUM year is a year
		if !q.coded {
			q.unit = calendarUnit(q.unit)
		} else if word := calendarOf[q.unit]; word != "" {
			q.unit, q.coded = word, false
		}
		return q
	}
	q, o = words(q), words(o)
	if near(q, o) || near(o, q) {
		return true
	}
	a, x := q.canonical()
	b, y := o.canonical()
	return x == y && a.cmp(b) == 0
}

// near reports whether o in the unit of q is q, at the precision of the one
// that has less.
func near(q, o Quantity) bool {
	in, ok := o.to(q.unit)
	if !ok {
		return false
	}
	value := in.value
	if o.unit != q.unit {
		value = value.trim()
	}
	digits := min(q.value.scale, value.scale)
	return q.value.round(digits).cmp(value.round(digits)) == 0
}

// loose is a string without case and with single blanks.
func loose(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), " ")) }

// likeElements compares two elements child by child, ids and order aside.
func (r *run) likeElements(a, b Item) (bool, error) {
	if r.calls++; r.calls > callsMax {
		return false, ErrBudget
	}
	defer func() { r.calls-- }()
	x, err := r.children(a, nil)
	if err != nil {
		return false, err
	}
	y, err := r.children(b, nil)
	if err != nil {
		return false, err
	}
	if (len(x) == 0 || len(y) == 0) && isScalar(a.value) != isScalar(b.value) {
		return false, nil
	}
	return r.equivalent(x, y)
}

// order compares two items for < and its kin.
func order(a, b Item) (cmp int, known bool, err error) {
	x, y := a.plain(), b.plain()
	if d, e, ok := numbers(x, y); ok {
		return d.cmp(e), true, nil
	}
	switch x := x.(type) {
	case string:
		if y, ok := y.(string); ok {
			return strings.Compare(x, y), true, nil
		}
		if _, ok := y.(Moment); ok {
			return order(Item{lit: momentOr(x, y)}, b)
		}
	case Moment:
		if y, ok := y.(Moment); ok {
			cmp, known := x.compare(y)
			if (x.kind == timeMoment) != (y.kind == timeMoment) {
				return 0, false, fault("a comparison of a date with a time")
			}
			return cmp, known, nil
		}
	case Quantity:
		if y, ok := quantityLike(y); ok {
			cmp, known := x.compare(y)
			return cmp, known, nil
		}
	}
	if q, ok := y.(Quantity); ok {
		if x, ok := quantityLike(x); ok {
			cmp, known := x.compare(q)
			return cmp, known, nil
		}
	}
	return 0, false, fault("a comparison of values that have no order")
}

// momentOr reads a string as the kind of moment it is compared with; a string
// that is none stays one.
func momentOr(s string, like any) any {
	if m, ok := parseMoment(s, like.(Moment).kind); ok {
		return m
	}
	return false
}
