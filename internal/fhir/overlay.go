package fhir

import (
	"slices"
	"strings"
)

// Overlay is base with what over says written over it, element by element at
// the top: over's elements take the place of base's, all others stay byte for
// byte. Identifiers, extensions and security labels are added to, never taken
// away. The narrative goes, for it told of what was there before. Both must be
// of one type; id and the rest of meta stay base's.
//
// It is how a snapshot from a system that knows less (an HL7 v2 message)
// updates a person or a visit that others wrote more into.
func Overlay(base, over Resource) []byte {
	m := members{out: []byte{'{'}}
	for member := range base.Children() {
		name, newer := member.Name(), over.Get(member.Name())
		switch {
		case name == "text" || newer.Kind() == Absent && chosen(over, name):
		case name == "id" || newer.Kind() == Absent:
			m.put(name, member.Raw())
		case name == "meta":
			m.put(name, overlayMeta(member, newer))
		case name == "identifier" || name == "extension" || name == "modifierExtension":
			m.put(name, union(member, newer))
		default:
			m.put(name, newer.Raw())
		}
	}
	for member := range over.Children() {
		if name := member.Name(); name != "id" && name != "text" && base.Get(name).Kind() == Absent {
			m.put(name, member.Raw())
		}
	}
	return append(m.out, '}')
}

// Replace is over, with base's elements kept where they are lists of these
// names: a corrected report that names only what changed still has the rest.
func Replace(base, over Resource, united ...string) []byte {
	m := members{out: []byte{'{'}}
	for member := range over.Children() {
		raw := member.Raw()
		if older := base.Get(member.Name()); older.Kind() == Array && slices.Contains(united, member.Name()) {
			raw = union(older, member)
		}
		m.put(member.Name(), raw)
	}
	for _, name := range united {
		if older := base.Get(name); older.Kind() != Absent && over.Get(name).Kind() == Absent {
			m.put(name, older.Raw())
		}
	}
	return append(m.out, '}')
}

// members are those of an object being written.
type members struct{ out []byte }

func (m *members) put(name string, raw []byte) {
	if len(m.out) > 1 {
		m.out = append(m.out, ',')
	}
	m.out = append(append(appendText(m.out, name), ':'), raw...)
}

// chosen reports whether over has another form of the choice that name is one
// form of: then base's goes.
func chosen(over Resource, name string) bool {
	for _, choice := range [...]string{"deceased", "multipleBirth", "effective", "value"} {
		if !isForm(name, choice) {
			continue
		}
		for member := range over.Children() {
			if isForm(member.Name(), choice) {
				return true
			}
		}
	}
	return false
}

// isForm: the name of a choice and then a type's.
func isForm(name, choice string) bool {
	rest, ok := strings.CutPrefix(name, choice)
	return ok && rest != "" && rest[0] >= 'A' && rest[0] <= 'Z'
}

// overlayMeta is base's meta with over's security labels added.
func overlayMeta(base, over Value) []byte {
	labels := over.Get("security")
	if labels.Kind() != Array {
		return base.Raw()
	}
	m := members{out: []byte{'{'}}
	for member := range base.Children() {
		if member.Name() == "security" {
			m.put("security", union(member, labels))
		} else {
			m.put(member.Name(), member.Raw())
		}
	}
	if base.Get("security").Kind() == Absent {
		m.put("security", labels.Raw())
	}
	return append(m.out, '}')
}

// union are base's elements, and those of over that are not among them.
func union(base, over Value) []byte {
	out := []byte{'['}
	add := func(v Value) {
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, v.Raw()...)
	}
	for v := range base.Each() {
		add(v)
	}
	for v := range over.Each() {
		if !among(base, v) {
			add(v)
		}
	}
	return append(out, ']')
}

// among: the same value, or an identifier with the same system and value.
func among(list, v Value) bool {
	number := v.Get("value").Text()
	for have := range list.Each() {
		if same(have, v) || number != "" && have.Get("value").Is(number) && have.Get("system").Text() == v.Get("system").Text() {
			return true
		}
	}
	return false
}
