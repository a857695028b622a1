package path

import (
	"strings"

	"github.com/abaton-health/abaton/internal/fhir/structure"
)

// eval pays for a form and evaluates it.
func (r *run) eval(f form, at frame) (Collection, error) {
	if r.calls++; r.calls > callsMax {
		return nil, ErrBudget
	}
	defer func() { r.calls-- }()
	if err := r.step(1); err != nil {
		return nil, err
	}
	return f.eval(r, at)
}

func (f *literal) eval(*run, frame) (Collection, error)     { return f.value, nil }
func (thisForm) eval(_ *run, at frame) (Collection, error)  { return at.this, nil }
func (totalForm) eval(_ *run, at frame) (Collection, error) { return at.total, nil }
func (f *varForm) eval(r *run, _ frame) (Collection, error) { return r.variable(f.name) }
func (indexForm) eval(_ *run, at frame) (Collection, error) {
	if at.index < 0 {
		return nil, nil
	}
	return single(int64(at.index)), nil
}

func (r *run) variable(name string) (Collection, error) {
	if c, ok := r.scope.Variables[name]; ok {
		return c, nil
	}
	switch name {
	case "resource":
		return present(r.scope.Resource), nil
	case "rootResource":
		return present(r.scope.Root), nil
	case "context":
		return present(r.scope.Focus), nil
	case "ucum":
		return single(ucum), nil
	case "sct":
		return single("http://snomed.info/sct"), nil
	case "loinc":
		return single("http://loinc.org"), nil
	}
	if set, ok := strings.CutPrefix(name, "vs-"); ok {
		return single("http://hl7.org/fhir/ValueSet/" + set), nil
	}
	if extension, ok := strings.CutPrefix(name, "ext-"); ok {
		return single("http://hl7.org/fhir/StructureDefinition/" + extension), nil
	}
	return nil, fault("a variable that is not defined")
}

func present(it Item) Collection {
	if it.absent() {
		return nil
	}
	return Collection{it}
}

func (f *memberForm) eval(r *run, at frame) (Collection, error) {
	from := at.this
	if f.target != nil {
		var err error
		if from, err = r.eval(f.target, at); err != nil {
			return nil, err
		}
	} else if named := r.named(from, f.name); named != nil {
		return named, nil
	}
	var out Collection
	var err error
	for _, it := range from {
		if out, err = r.member(it, f.name, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// named is the focus if name is its type: Patient.name on a Patient.
func (r *run) named(from Collection, name string) Collection {
	if name == "" || name[0]|0x20 == name[0] || len(from) == 0 {
		return nil
	}
	for _, it := range from {
		if it.lit != nil || it.def == nil || it.def.Kind == structure.Primitive || !it.def.Is(name) {
			return nil
		}
	}
	return from
}

func (f *callForm) eval(r *run, at frame) (Collection, error) {
	in := at.this
	if f.target != nil {
		var err error
		if in, err = r.eval(f.target, at); err != nil {
			return nil, err
		}
	}
	return f.fn.call(r, at, in, f.args)
}

func (f *subscriptForm) eval(r *run, at frame) (Collection, error) {
	in, err := r.eval(f.target, at)
	if err != nil {
		return nil, err
	}
	i, ok, err := r.integer(f.index, at)
	if err != nil || !ok || i < 0 || i >= int64(len(in)) {
		return nil, err
	}
	return in[i : i+1], nil
}

// integer evaluates a form to one integer.
func (r *run) integer(f form, at frame) (n int64, ok bool, err error) {
	c, err := r.eval(f, at)
	if err != nil {
		return 0, false, err
	}
	it, ok, err := one(c)
	if err != nil || !ok {
		return 0, false, err
	}
	n, ok = it.plain().(int64)
	if !ok {
		return 0, false, fault("no integer where one belongs")
	}
	return n, true, nil
}

func (f *signForm) eval(r *run, at frame) (Collection, error) {
	c, err := r.eval(f.of, at)
	if err != nil {
		return nil, err
	}
	it, ok, err := one(c)
	if err != nil || !ok {
		return nil, err
	}
	switch v := it.plain().(type) {
	case int64:
		if f.minus {
			v = -v
		}
		return single(v), nil
	case Decimal:
		if f.minus {
			v = v.neg()
		}
		return single(v), nil
	case Quantity:
		if f.minus {
			v.value = v.value.neg()
		}
		return single(v), nil
	}
	return nil, fault("a sign before what is no number")
}

func (f *typeForm) eval(r *run, at frame) (Collection, error) {
	c, err := r.eval(f.of, at)
	if err != nil {
		return nil, err
	}
	if err := r.checkType(f.name); err != nil {
		return nil, err
	}
	if f.as {
		return ofType(c, f.name), nil
	}
	it, ok, err := one(c)
	if err != nil || !ok {
		return nil, err
	}
	return boolean(it.is(f.name)), nil
}

// ofType keeps the items of a type. A primitive must be of just this type: in
// R4 a code is no string here, though it is one for the operator is (the
// official suite, testInheritance).
func ofType(c Collection, name typeName) (out Collection) {
	for _, it := range c {
		if it.is(name) && (it.def == nil || it.def.Kind != structure.Primitive || it.def.Name == name.name) {
			out = append(out, it)
		}
	}
	return out
}

// checkType refuses names that no type has.
func (r *run) checkType(n typeName) error {
	system := n.space == "" && strings.Contains(" Any Boolean String Integer Long Decimal Date DateTime Time Quantity SimpleTypeInfo ClassInfo ", " "+n.name+" ")
	if system || n.space == "System" || r.types.Type(n.name) != nil {
		return nil
	}
	return fault("a type that is not known")
}

func (f *binaryForm) eval(r *run, at frame) (Collection, error) {
	a, err := r.eval(f.a, at)
	if err != nil {
		return nil, err
	}
	switch f.op {
	case "and", "or", "xor", "implies":
		return f.logic(r, at, a)
	}
	b, err := r.eval(f.b, at)
	if err != nil {
		return nil, err
	}
	switch f.op {
	case "=", "!=":
		same, known, err := r.equal(a, b)
		if err != nil || !known {
			return nil, err
		}
		return boolean(same == (f.op == "=")), nil
	case "~", "!~":
		like, err := r.equivalent(a, b)
		return boolean(like == (f.op == "~")), err
	case "|":
		return r.distinct(append(a[:len(a):len(a)], b...))
	case "in":
		return r.in(a, b)
	case "contains":
		return r.in(b, a)
	case "&":
		return r.join(a, b)
	}
	return r.operate(f.op, a, b)
}

// logic has three values (FHIRPath 2.0, section 6.5); the right side is left
// out where it cannot matter.
func (f *binaryForm) logic(r *run, at frame, left Collection) (Collection, error) {
	a, aKnown, err := truth(left)
	if err != nil {
		return nil, err
	}
	switch {
	case f.op == "and" && aKnown && !a:
		return boolean(false), nil
	case f.op == "or" && aKnown && a, f.op == "implies" && aKnown && !a:
		return boolean(true), nil
	}
	right, err := r.eval(f.b, at)
	if err != nil {
		return nil, err
	}
	b, bKnown, err := truth(right)
	if err != nil {
		return nil, err
	}
	switch {
	case f.op == "and" && bKnown && !b:
		return boolean(false), nil
	case f.op != "and" && f.op != "xor" && bKnown && b:
		return boolean(true), nil
	case !aKnown || !bKnown:
		return nil, nil
	case f.op == "xor":
		return boolean(a != b), nil
	}
	return boolean(b), nil // and: a is true; or: a is false; implies: a is true
}

// in is membership; an empty left side gives nothing.
func (r *run) in(a, b Collection) (Collection, error) {
	it, ok, err := one(a)
	if err != nil || !ok {
		return nil, err
	}
	has, err := r.has(b, it)
	return boolean(has), err
}

func (r *run) has(c Collection, it Item) (bool, error) {
	for _, other := range c {
		same, known, err := r.same(other, it)
		if err != nil {
			return false, err
		}
		if same && known {
			return true, nil
		}
	}
	return false, nil
}

// distinct is the items without repetition, in order of first appearance.
func (r *run) distinct(c Collection) (out Collection, err error) {
	seen := map[string]bool{}
	for _, it := range c {
		if s, ok := it.plain().(string); ok { // the common case, without comparing pairs
			if err := r.step(1); err != nil {
				return nil, err
			}
			if !seen[s] {
				seen[s] = true
				out = append(out, it)
			}
			continue
		}
		has, err := r.has(out, it)
		if err != nil {
			return nil, err
		}
		if !has {
			out = append(out, it)
		}
	}
	return out, nil
}

// join is &: an empty side counts as an empty string.
func (r *run) join(a, b Collection) (Collection, error) {
	x, _, err := one(a)
	if err != nil {
		return nil, err
	}
	y, _, err := one(b)
	if err != nil {
		return nil, err
	}
	s, _ := stringOf(x.plain())
	t, _ := stringOf(y.plain())
	return r.string(s + t)
}

// string pays for a string that was made.
func (r *run) string(s string) (Collection, error) {
	if len(s) > textBytesMax {
		return nil, ErrBudget
	}
	return single(s), r.step(1 + len(s)/64)
}
