package fhir

import "bytes"

// Equal reports whether out is in under invariant 10: the same JSON values
// with the same number literals and array order, but for the resource's id,
// meta.versionId and meta.lastUpdated, and for references rewritten by
// mapping (RewriteReferences; nil rewrites none). The order of members and
// white space do not count. Errors are those of ParseResource.
func Equal(in, out []byte, mapping func(ref string) (string, bool)) (bool, error) {
	if mapping != nil {
		rewritten, err := RewriteReferences(in, mapping)
		if err != nil {
			return false, err
		}
		in = rewritten
	}
	a, err := ParseResource(in)
	if err != nil {
		return false, err
	}
	b, err := ParseResource(out)
	if err != nil {
		return false, err
	}
	return sameResource(a, b), nil
}

func sameResource(a, b Resource) bool {
	return sameBut(a.Value, b.Value, "id", "meta") &&
		sameBut(a.Get("meta"), b.Get("meta"), "versionId", "lastUpdated")
}

// sameBut compares the members of two objects other than two named ones. An
// absent object and an empty one are the same, for Splice may make a meta.
func sameBut(a, b Value, skip1, skip2 string) bool {
	left, right := membersBut(a, skip1, skip2), membersBut(b, skip1, skip2)
	if len(left) != len(right) {
		return false
	}
	for name, m := range left {
		if !same(m, right[name]) {
			return false
		}
	}
	return true
}

func membersBut(v Value, skip1, skip2 string) map[string]Value {
	members := map[string]Value{}
	for m := range v.Children() {
		if name := m.Name(); name != skip1 && name != skip2 {
			members[name] = m
		}
	}
	return members
}

// same compares two JSON values.
func same(a, b Value) bool {
	if a.Kind() != b.Kind() {
		return false
	}
	switch a.Kind() {
	case Object:
		return sameObjects(a, b)
	case Array:
		return sameArrays(a, b)
	case String:
		return bytes.Equal(a.textBytes(), b.textBytes())
	}
	return bytes.Equal(a.Raw(), b.Raw())
}

// sameObjects tries the members in step first, which is how two copies of one
// text stand, and looks a name up only when they are not.
func sameObjects(a, b Value) bool {
	if a.Len() != b.Len() {
		return false
	}
	index := map[string]Value{}
	at, inStep := b.at+1, true
	for m := range a.Children() {
		other := Value{b.doc, at}
		if inStep = inStep && bytes.Equal(m.nameBytes(), other.nameBytes()); inStep {
			at = other.cell().next
		} else {
			if len(index) == 0 {
				for o := range b.Children() {
					index[o.Name()] = o
				}
			}
			other = index[m.Name()]
		}
		if !same(m, other) {
			return false
		}
	}
	return true
}

func sameArrays(a, b Value) bool {
	if a.Len() != b.Len() {
		return false
	}
	at := b.at + 1
	for x := range a.Children() {
		y := Value{b.doc, at}
		if !same(x, y) {
			return false
		}
		at = y.cell().next
	}
	return true
}
