package path

import (
	"strings"

	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/structure"
)

// member is what stands under a name in one item.
func (r *run) member(it Item, name string, out Collection) (Collection, error) {
	if it.lit != nil {
		return r.literalMember(it, name, out)
	}
	if it.def == nil {
		return r.collect(out, nil, it.value.Get(name), it.value.Get("_"+name))
	}
	e := it.def.Element(name)
	if e == nil {
		if r.scope.Strict {
			return nil, fault("a name that the type does not have")
		}
		return out, nil
	}
	object := it.object()
	if e.Choice {
		return r.choice(it.def, e, object, out)
	}
	m, _ := it.def.Member(name)
	return r.collect(out, m.Type, object.Get(name), companionOf(object, m.Type, name))
}

// companionOf is the companion of a primitive member.
func companionOf(object fhir.Value, t *structure.Type, name string) fhir.Value {
	if t == nil || t.Kind != structure.Primitive {
		return fhir.Value{}
	}
	return object.Get("_" + name)
}

// object is where the members of an item stand: its companion for a
// primitive.
func (it Item) object() fhir.Value {
	if it.def != nil && it.def.Kind == structure.Primitive {
		return it.extra
	}
	return it.value
}

func (r *run) choice(def *structure.Type, e *structure.Element, object fhir.Value, out Collection) (Collection, error) {
	for v := range object.Children() {
		name, companion := strings.CutPrefix(v.Name(), "_")
		if !strings.HasPrefix(name, e.Name) {
			continue
		}
		m, ok := def.Member(name)
		if !ok || m.Element != e {
			continue
		}
		var err error
		if !companion {
			out, err = r.collect(out, m.Type, v, companionOf(object, m.Type, name))
		} else if object.Get(name).Kind() == fhir.Absent {
			out, err = r.collect(out, m.Type, fhir.Value{}, v)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// collect appends the items of a member, an array as its elements.
func (r *run) collect(out Collection, def *structure.Type, v, extra fhir.Value) (Collection, error) {
	if v.Kind() != fhir.Array && extra.Kind() != fhir.Array {
		return r.add(out, def, v, extra)
	}
	var extras []fhir.Value
	for x := range extra.Each() {
		extras = append(extras, x)
	}
	i := 0
	var err error
	for x := range v.Each() {
		var companion fhir.Value
		if i < len(extras) {
			companion = extras[i]
		}
		i++
		if out, err = r.add(out, def, x, companion); err != nil {
			return nil, err
		}
	}
	for ; i < len(extras); i++ {
		if out, err = r.add(out, def, fhir.Value{}, extras[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (r *run) add(out Collection, def *structure.Type, v, extra fhir.Value) (Collection, error) {
	if v.Kind() == fhir.Null {
		v = fhir.Value{}
	}
	if extra.Kind() == fhir.Null {
		extra = fhir.Value{}
	}
	if v.Kind() == fhir.Absent && extra.Kind() == fhir.Absent {
		return out, nil
	}
	if err := r.step(1); err != nil {
		return nil, err
	}
	if def == nil {
		def = r.types.Type(v.Get("resourceType").Text())
	}
	return append(out, Item{value: v, extra: extra, def: def}), nil
}

// children are all members of an item, in the order of the text.
func (r *run) children(it Item, out Collection) (Collection, error) {
	if it.lit != nil {
		return out, nil
	}
	object := it.object()
	var err error
	for v := range object.Children() {
		name, companion := strings.CutPrefix(v.Name(), "_")
		if name == "resourceType" || companion && object.Get(name).Kind() != fhir.Absent {
			continue
		}
		var m structure.Member
		if it.def != nil {
			var ok bool
			if m, ok = it.def.Member(name); !ok {
				continue
			}
		}
		if companion {
			out, err = r.collect(out, m.Type, fhir.Value{}, v)
		} else {
			out, err = r.collect(out, m.Type, v, companionOf(object, m.Type, name))
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// descendants are the children, theirs, and so on.
func (r *run) descendants(it Item, out Collection) (Collection, error) {
	direct, err := r.children(it, nil)
	if err != nil {
		return nil, err
	}
	for _, child := range direct {
		if out, err = r.descendants(child, append(out, child)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// literalMember is a part of a value of the language.
func (r *run) literalMember(it Item, name string, out Collection) (Collection, error) {
	switch v := it.lit.(type) {
	case typeInfo:
		switch name {
		case "name":
			return append(out, Item{lit: v.name}), nil
		case "namespace":
			return append(out, Item{lit: v.space}), nil
		}
	case Quantity:
		switch name {
		case "value":
			return append(out, Item{lit: v.value}), nil
		case "unit", "code":
			return append(out, Item{lit: v.unit}), nil
		}
	}
	if r.scope.Strict {
		return nil, fault("a name that the type does not have")
	}
	return out, nil
}
