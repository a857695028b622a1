package path

import (
	"math"
)

// function is a function of the language. least and most are how many
// arguments it takes.
type function struct {
	least, most int
	call        func(r *run, at frame, in Collection, args []form) (Collection, error)
}

// functions by name. (A map made once; nothing changes it.)
var functions map[string]function = table()

func table() map[string]function {
	all := map[string]function{}
	for _, part := range []map[string]function{collectionFunctions(), loopFunctions(), textFunctions(), numberFunctions(), typeFunctions(), fhirFunctions()} {
		for name, f := range part {
			all[name] = f
		}
	}
	return all
}

// plainly is a function of its input alone.
func plainly(f func(r *run, in Collection) (Collection, error)) function {
	return function{0, 0, func(r *run, _ frame, in Collection, _ []form) (Collection, error) { return f(r, in) }}
}

// withOther is a function of its input and one collection.
func withOther(f func(r *run, in, other Collection) (Collection, error)) function {
	return function{1, 1, func(r *run, at frame, in Collection, args []form) (Collection, error) {
		other, err := r.eval(args[0], at)
		if err != nil {
			return nil, err
		}
		return f(r, in, other)
	}}
}

// withCount is a function of its input and one integer.
func withCount(f func(in Collection, n int64) Collection) function {
	return function{1, 1, func(r *run, at frame, in Collection, args []form) (Collection, error) {
		n, ok, err := r.integer(args[0], at)
		if err != nil || !ok {
			return nil, err
		}
		return f(in, n), nil
	}}
}

func collectionFunctions() map[string]function {
	return map[string]function{
		"empty":    plainly(func(_ *run, in Collection) (Collection, error) { return boolean(len(in) == 0), nil }),
		"count":    plainly(func(_ *run, in Collection) (Collection, error) { return single(int64(len(in))), nil }),
		"not":      plainly(not),
		"first":    plainly(func(_ *run, in Collection) (Collection, error) { return in[:min(1, len(in))], nil }),
		"last":     plainly(func(_ *run, in Collection) (Collection, error) { return in[max(0, len(in)-1):], nil }),
		"tail":     plainly(func(_ *run, in Collection) (Collection, error) { return in[min(1, len(in)):], nil }),
		"single":   plainly(func(_ *run, in Collection) (Collection, error) { _, _, err := one(in); return in, err }),
		"distinct": plainly((*run).distinct),
		"isDistinct": plainly(func(r *run, in Collection) (Collection, error) {
			out, err := r.distinct(in)
			return boolean(len(out) == len(in)), err
		}),
		"allTrue":  plainly(allAre(true, true)),
		"anyTrue":  plainly(allAre(true, false)),
		"allFalse": plainly(allAre(false, true)),
		"anyFalse": plainly(allAre(false, false)),
		"skip": withCount(func(in Collection, n int64) Collection {
			return in[min(max(n, 0), int64(len(in))):]
		}),
		"take": withCount(func(in Collection, n int64) Collection {
			return in[:min(max(n, 0), int64(len(in)))]
		}),
		"union": withOther(func(r *run, in, other Collection) (Collection, error) {
			return r.distinct(append(in[:len(in):len(in)], other...))
		}),
		"combine":    {1, 2, combine},
		"intersect":  withOther(intersect),
		"exclude":    withOther(exclude),
		"subsetOf":   withOther(func(r *run, in, other Collection) (Collection, error) { return r.subset(in, other) }),
		"supersetOf": withOther(func(r *run, in, other Collection) (Collection, error) { return r.subset(other, in) }),
	}
}

func not(_ *run, in Collection) (Collection, error) {
	b, known, err := truth(in)
	if err != nil || !known {
		return nil, err
	}
	return boolean(!b), nil
}

// allAre makes allTrue and its kin.
func allAre(want, all bool) func(*run, Collection) (Collection, error) {
	return func(_ *run, in Collection) (Collection, error) {
		for _, it := range in {
			b, ok := it.Bool()
			if !ok {
				return nil, fault("no truth value where one belongs")
			}
			if (b == want) != all {
				return boolean(!all), nil
			}
		}
		return boolean(all), nil
	}
}

func combine(r *run, at frame, in Collection, args []form) (Collection, error) {
	other, err := r.eval(args[0], at)
	if err != nil {
		return nil, err
	}
	return append(in[:len(in):len(in)], other...), r.step(len(in) + len(other))
}

func intersect(r *run, in, other Collection) (out Collection, err error) {
	for _, it := range in {
		has, err := r.has(other, it)
		if err != nil {
			return nil, err
		}
		if has {
			out = append(out, it)
		}
	}
	return r.distinct(out)
}

func exclude(r *run, in, other Collection) (out Collection, err error) {
	for _, it := range in {
		has, err := r.has(other, it)
		if err != nil {
			return nil, err
		}
		if !has {
			out = append(out, it)
		}
	}
	return out, nil
}

func (r *run) subset(part, whole Collection) (Collection, error) {
	for _, it := range part {
		if has, err := r.has(whole, it); !has || err != nil {
			return boolean(false), err
		}
	}
	return boolean(true), nil
}

func numberFunctions() map[string]function {
	return map[string]function{
		"abs":      onNumber(func(d Decimal) Decimal { return Decimal{d.big().Abs(d.at(d.scale)), d.scale} }, true),
		"ceiling":  onNumber(func(d Decimal) Decimal { return d.neg().floor().neg() }, false),
		"floor":    onNumber(Decimal.floor, false),
		"truncate": onNumber(Decimal.truncate, false),
		"exp":      onFloat(math.Exp),
		"ln":       onFloat(math.Log),
		"sqrt":     onFloat(math.Sqrt),
		"round":    {0, 1, round},
		"log":      {1, 1, onFloats(func(x, base float64) float64 { return math.Log(x) / math.Log(base) })},
		"power":    {1, 1, power},
	}
}

// onNumber keeps integers integers; quantities too if it may.
func onNumber(f func(Decimal) Decimal, quantity bool) function {
	return plainly(func(_ *run, in Collection) (Collection, error) {
		it, ok, err := one(in)
		if err != nil || !ok {
			return nil, err
		}
		switch v := it.plain().(type) {
		case int64:
			n, ok := f(decimalOf(v)).integer()
			if !ok {
				return nil, nil
			}
			return single(n), nil
		case Decimal:
			out := f(v)
			if n, ok := out.integer(); ok && !quantity {
				return single(n), nil
			}
			return single(out), nil
		case Quantity:
			v.value = f(v.value)
			return single(v), nil
		}
		return nil, fault("no number where one belongs")
	})
}

// onFloat computes in floating point, as the language allows for what is not
// rational.
func onFloat(f func(float64) float64) function {
	return plainly(func(_ *run, in Collection) (Collection, error) {
		it, ok, err := one(in)
		if err != nil || !ok {
			return nil, err
		}
		d, ok := numeral(it.plain())
		if !ok {
			return nil, fault("no number where one belongs")
		}
		out, ok := fromFloat(f(d.float()))
		if !ok {
			return nil, nil
		}
		return single(out), nil
	})
}

func onFloats(f func(x, y float64) float64) func(*run, frame, Collection, []form) (Collection, error) {
	return func(r *run, at frame, in Collection, args []form) (Collection, error) {
		a, b, ok, err := r.twoNumbers(at, in, args[0])
		if err != nil || !ok {
			return nil, err
		}
		out, ok := fromFloat(f(a.float(), b.float()))
		if !ok {
			return nil, nil
		}
		return single(out), nil
	}
}

func (r *run) twoNumbers(at frame, in Collection, arg form) (a, b Decimal, ok bool, err error) {
	x, ok, err := one(in)
	if err != nil || !ok {
		return a, b, false, err
	}
	c, err := r.eval(arg, at)
	if err != nil {
		return a, b, false, err
	}
	y, ok, err := one(c)
	if err != nil || !ok {
		return a, b, false, err
	}
	if a, b, ok = numbers(x.plain(), y.plain()); !ok {
		err = fault("no number where one belongs")
	}
	return a, b, ok, err
}

func power(r *run, at frame, in Collection, args []form) (Collection, error) {
	a, b, ok, err := r.twoNumbers(at, in, args[0])
	if err != nil || !ok {
		return nil, err
	}
	out, ok := fromFloat(math.Pow(a.float(), b.float()))
	if !ok {
		return nil, nil
	}
	if n, whole := out.integer(); whole && a.scale == 0 && b.scale == 0 {
		return single(n), nil
	}
	return single(out), nil
}

func round(r *run, at frame, in Collection, args []form) (Collection, error) {
	it, ok, err := one(in)
	if err != nil || !ok {
		return nil, err
	}
	digits := int64(0)
	if len(args) == 1 {
		if digits, ok, err = r.integer(args[0], at); err != nil || !ok {
			return nil, err
		}
	}
	d, ok := numeral(it.plain())
	if !ok || digits < 0 {
		return nil, fault("no number that could be rounded so")
	}
	if digits > digitsMax {
		return single(d), nil
	}
	return single(d.round(int(digits))), nil
}
