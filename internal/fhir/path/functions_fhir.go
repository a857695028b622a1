package path

import (
	"strings"
)

// fhirFunctions are what FHIR adds to the language
// (http://hl7.org/fhir/R4/fhirpath.html#functions), navigation and time.
func fhirFunctions() map[string]function {
	return map[string]function{
		"children": plainly(func(r *run, in Collection) (out Collection, err error) {
			for _, it := range in {
				if out, err = r.children(it, out); err != nil {
					return nil, err
				}
			}
			return out, nil
		}),
		"descendants": plainly(func(r *run, in Collection) (out Collection, err error) {
			for _, it := range in {
				if out, err = r.descendants(it, out); err != nil {
					return nil, err
				}
			}
			return out, nil
		}),
		"hasValue":     plainly(hasValue),
		"getValue":     plainly(getValue),
		"extension":    {1, 1, extension},
		"resolve":      plainly(resolve),
		"htmlChecks":   plainly(htmlChecks),
		"memberOf":     {1, 1, memberOf},
		"conformsTo":   {1, 1, conformsTo},
		"now":          clock(dateTimeMoment),
		"today":        clock(dateMoment),
		"timeOfDay":    clock(timeMoment),
		"lowBoundary":  {0, 1, boundary(false)},
		"highBoundary": {0, 1, boundary(true)},
		"precision":    plainly(precisionOf),
		"comparable":   withOther(comparable),
	}
}

func hasValue(_ *run, in Collection) (Collection, error) {
	return boolean(len(in) == 1 && in[0].primitive() && in[0].plain() != nil), nil
}

func getValue(_ *run, in Collection) (Collection, error) {
	if len(in) != 1 || !in[0].primitive() || in[0].plain() == nil {
		return nil, nil
	}
	return single(in[0].plain()), nil
}

func extension(r *run, at frame, in Collection, args []form) (out Collection, err error) {
	c, err := r.eval(args[0], at)
	if err != nil {
		return nil, err
	}
	url, ok, err := oneText(c)
	if err != nil || !ok {
		return nil, err
	}
	for _, it := range in {
		if it.lit != nil {
			continue
		}
		for x := range it.object().Get("extension").Each() {
			if x.Get("url").Is(url) {
				out = append(out, Item{value: x, def: r.types.Type("Extension")})
			}
			if err := r.step(1); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// resolve finds what references and their texts mean: contained resources,
// and what the scope resolves.
func resolve(r *run, in Collection) (out Collection, err error) {
	for _, it := range in {
		reference, ok := it.plain().(string)
		if !ok {
			reference = it.value.Get("reference").Text()
		}
		if found := r.find(reference); !found.absent() {
			out = append(out, found)
		}
		if err := r.step(1); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (r *run) find(reference string) Item {
	if id, local := strings.CutPrefix(reference, "#"); local {
		if id == "" {
			return r.scope.Root
		}
		for c := range r.scope.Root.value.Get("contained").Each() {
			if c.Get("id").Is(id) {
				return Of(r.types, c)
			}
		}
	}
	if r.scope.Resolve != nil && reference != "" {
		if it, ok := r.scope.Resolve(reference); ok {
			return it
		}
	}
	return Item{}
}

func htmlChecks(r *run, in Collection) (Collection, error) {
	if r.scope.HTML == nil {
		return nil, fault("no narrative can be checked here")
	}
	for _, it := range in {
		if s, ok := it.plain().(string); !ok || !r.scope.HTML(s) {
			return boolean(false), nil
		}
	}
	return boolean(true), nil
}

func memberOf(r *run, at frame, in Collection, args []form) (Collection, error) {
	c, err := r.eval(args[0], at)
	if err != nil {
		return nil, err
	}
	set, ok, err := oneText(c)
	if err != nil || !ok || len(in) != 1 || r.scope.MemberOf == nil {
		return nil, err
	}
	member, known := r.scope.MemberOf(in[0], set)
	if !known {
		return nil, nil
	}
	return boolean(member), nil
}

// conformsTo knows only the types themselves.
func conformsTo(r *run, at frame, in Collection, args []form) (Collection, error) {
	c, err := r.eval(args[0], at)
	if err != nil {
		return nil, err
	}
	url, ok, err := oneText(c)
	if err != nil || !ok || len(in) != 1 {
		return nil, err
	}
	name, ours := strings.CutPrefix(url, "http://hl7.org/fhir/StructureDefinition/")
	t := r.types.Type(name)
	if !ours || t == nil || in[0].def == nil {
		return nil, fault("a profile that is not known")
	}
	return boolean(in[0].def.Is(name)), nil
}

func clock(kind momentKind) function {
	return plainly(func(r *run, _ Collection) (Collection, error) {
		if r.scope.Now.IsZero() {
			return nil, fault("the scope has no time")
		}
		return single(momentOf(r.scope.Now, kind)), nil
	})
}

// comparable reports whether two quantities can be compared.
func comparable(_ *run, in, other Collection) (Collection, error) {
	a, ok, err := one(in)
	if err != nil || !ok {
		return nil, err
	}
	b, ok, err := one(other)
	if err != nil || !ok {
		return nil, err
	}
	x, okA := quantityLike(a.plain())
	y, okB := quantityLike(b.plain())
	if !okA || !okB {
		return boolean(false), nil
	}
	_, known := x.compare(y)
	return boolean(known), nil
}
