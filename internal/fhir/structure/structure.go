// Package structure holds what the official definitions of HL7 FHIR R4 say of
// its types: elements, cardinalities, choice types, bindings with their codes,
// invariants, extensions and a few profiles.
//
// The shortest correct use:
//
//	s := structure.R4()
//	t := s.Type("Patient")
//	m := t.Member("deceasedBoolean") // its element and the type it has under this name
//
// The tables are made by the program in gen from the definitions that HL7
// publishes and are part of the binary; reading them allocates once. A Set is
// immutable and safe for concurrent use.
//
// What it does not protect: it knows nothing of terminologies that the
// definitions only name (SNOMED CT, LOINC, UCUM, languages, currencies);
// Codes says so by answering unknown.
package structure

import (
	"iter"
	"slices"
)

// A Kind tells the sorts of types apart. The zero Kind is none.
type Kind uint8

// The sorts of types.
const (
	Primitive Kind = 1 + iota // one value, id and extensions
	Complex                   // a data type or the type of an element
	Resource
)

// Unbounded is the Max of an element that may repeat without end.
const Unbounded = -1

// A Type is a resource type, a data type, or the anonymous type of an element
// that has elements of its own, named by its path ("Patient.contact").
type Type struct {
	Name     string
	Kind     Kind
	Abstract bool
	Base     *Type // nil for Element, Resource and the types of the language
	Elements []*Element
	Rules    []*Rule // on the type itself

	members map[string]Member
}

// A Member is an element under one of its JSON names.
type Member struct {
	Element *Element
	Type    *Type // the type it has under this name; nil: any resource
}

// An Element is one element of a type.
type Element struct {
	Name    string // without [x]
	Choice  bool   // of several types, the type's name is part of the member's
	Min     int
	Max     int // Unbounded or a number
	Types   []*Type
	Targets []string // resource types that a Reference may refer to; empty: any
	Binding *Binding
	Rules   []*Rule // on this use of the type
	Summary bool

	resource bool
}

// IsResource reports whether any resource may stand here.
func (e *Element) IsResource() bool { return e.resource }

// A Rule is an invariant in FHIRPath.
type Rule struct {
	Key        string
	Warning    bool // a best practice, no error
	Human      string
	Expression string
}

// A Binding ties an element to a value set.
type Binding struct {
	Strength string // required, extensible, preferred or example
	ValueSet string // canonical URL without version
}

// An Extension is the definition of an extension.
type Extension struct {
	URL      string
	Contexts []string // paths of elements it may stand on; empty: not limited by path
	Types    []string // of its value; empty: it has parts instead
	Modifier bool
}

// A Set is one release of the definitions.
type Set struct {
	types      map[string]*Type
	extensions map[string]*Extension
	valueSets  map[string]*valueSet
	systems    map[string]*codeSystem
	profiles   map[string]*Profile
	parameters map[string]*Parameter
	rules      []*Rule
}

// Type is a type by its name or path, nil if there is none.
func (s *Set) Type(name string) *Type { return s.types[name] }

// Extension is the definition of an extension by its URL, nil if it is not
// one of the definitions.
func (s *Set) Extension(url string) *Extension { return s.extensions[url] }

// Profile is a profile by its URL without version, nil if it is not known.
func (s *Set) Profile(url string) *Profile { return s.profiles[url] }

// Member is the element under a JSON member name; ok is false if the type has
// no such member. The companion "_birthDate" is the business of the caller.
func (t *Type) Member(name string) (m Member, ok bool) {
	m, ok = t.members[name]
	return m, ok
}

// Element is an element by its name, for a choice without its type; nil if
// there is none.
func (t *Type) Element(name string) *Element {
	for _, e := range t.Elements {
		if e.Name == name {
			return e
		}
	}
	return nil
}

// Is reports whether t is the type of this name or derived from it.
func (t *Type) Is(name string) bool {
	for ; t != nil; t = t.Base {
		if t.Name == name {
			return true
		}
	}
	return false
}

// Known says what is known of a code.
type Known uint8

// What is known of a code.
const (
	Unknown Known = iota // the definitions do not tell
	Valid
	Invalid
)

type valueSet struct {
	name  string
	open  bool // a part of it cannot be enumerated here
	whole []*codeSystem
	codes map[[2]string]bool // system, code
	plain map[string]bool    // code alone
}

type codeSystem struct {
	url    string
	folded bool // not case sensitive
	codes  map[string]bool
}

// InValueSet reports whether a code is in a value set. A system of "" asks for
// a plain code, whose system the value set implies.
func (s *Set) InValueSet(url, system, code string) Known {
	v := s.valueSets[url]
	if v == nil {
		return Unknown
	}
	if v.codes[[2]string{system, code}] || system == "" && v.plain[code] {
		return Valid
	}
	for _, c := range v.whole {
		if (system == "" || system == c.url) && c.has(code) {
			return Valid
		}
	}
	if v.open {
		return Unknown
	}
	return Invalid
}

// ValueSetName is the computable name of a value set, "" if it is not known.
func (s *Set) ValueSetName(url string) string {
	if v := s.valueSets[url]; v != nil {
		return v.name
	}
	return ""
}

// InSystem reports whether a code is defined by a code system.
func (s *Set) InSystem(system, code string) Known {
	c := s.systems[system]
	switch {
	case c == nil:
		return Unknown
	case c.has(code):
		return Valid
	}
	return Invalid
}

// IsValueSet reports whether the definitions have a value set of this URL.
func (s *Set) IsValueSet(url string) bool { return s.valueSets[url] != nil }

// Rules yields every invariant of types, elements and profiles.
func (s *Set) Rules() iter.Seq[*Rule] { return slices.Values(s.rules) }
