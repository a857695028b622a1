package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A state is where an expression has come to: the steps in the JSON text from
// where it began, and the element of the definitions it stands on.
type state struct {
	trail   []string
	element string // path of its definition; a type for a resource or data type
	kind    string // FHIR type of the element
	only    string // of where(resolve() is T)
}

func (s state) path() string {
	if len(s.trail) == 0 {
		return "$"
	}
	return strings.Join(s.trail, ".")
}

func (s state) relative() state { s.trail = nil; return s }

func (s state) branch() string {
	out := s.path() + ":" + s.kind
	if s.only != "" {
		out += "@" + s.only
	}
	return out
}

// step is s one member further.
func (s state) step(name, element, kind string) state {
	return state{append(slices.Clone(s.trail), name), element, kind, ""}
}

// place arranges the elements by path, once.
func (d *definitions) place() {
	d.byPath = make(map[string]*element, len(d.elements))
	d.choices = make(map[string]bool)
	for i := range d.elements {
		e := &d.elements[i]
		d.byPath[e.path] = e
		d.choices[strings.TrimSuffix(e.path, "[x]")] = strings.HasSuffix(e.path, "[x]")
	}
}

// splitBar cuts an expression at the bars outside of brackets.
func splitBar(expression string) (parts []string) {
	depth, from := 0, 0
	for i, r := range expression {
		switch r {
		case '(':
			depth++
		case ')':
			depth--
		case '|':
			if depth == 0 {
				parts, from = append(parts, strings.TrimSpace(expression[from:i])), i+1
			}
		}
	}
	return append(parts, strings.TrimSpace(expression[from:]))
}

// branches are the indexable ends of an expression for one base type, and the
// types that its references may point to.
func (d *definitions) branches(base, kind, expression string) (out, targets []string, err error) {
	for _, part := range splitBar(expression) {
		states, err := d.follow(base, part)
		if err != nil {
			return nil, nil, err
		}
		for _, s := range states {
			for _, s := range d.opened(s, kind) {
				if branch := s.branch(); indexable(kind, s.kind) && !slices.Contains(out, branch) {
					out = append(out, branch)
					if e := d.byPath[s.element]; e != nil {
						targets = append(targets, e.targets...)
					} else if e := d.byPath[s.element+"[x]"]; e != nil {
						targets = append(targets, e.targets...)
					}
				}
			}
		}
	}
	return out, targets, nil
}

// opened is the value of an extension, where an expression ends on one.
func (d *definitions) opened(s state, kind string) []state {
	if s.kind != "Extension" {
		return []state{s}
	}
	states, err := d.name(s, "value")
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(states, func(s state) bool { return !indexable(kind, s.kind) })
}

// follow reads one branch, nothing if it is over another type.
func (d *definitions) follow(base, part string) ([]state, error) {
	if strings.HasPrefix(part, "(") { // (Path as Type) or (Path as Type).rest
		inner, rest, _ := strings.Cut(part[1:], ")")
		path, name, ok := strings.Cut(inner, " as ")
		if !ok {
			return nil, fmt.Errorf("%q is of no known form", part)
		}
		part = strings.TrimSpace(path) + ".as(" + strings.TrimSpace(name) + ")" + rest
	} else if path, name, ok := strings.Cut(part, " as "); ok {
		part = path + ".as(" + name + ")"
	}
	head, rest, _ := strings.Cut(part, ".")
	if head != "" && head[0] >= 'a' && head[0] <= 'z' { // relative, as InsurancePlan's are
		head, rest = base, part
	}
	if head != base {
		return nil, nil
	}
	return d.steps(state{element: base, kind: base}, rest)
}

// steps follows a dotted path.
func (d *definitions) steps(from state, path string) ([]state, error) {
	states := []state{from}
	for _, segment := range segments(path) {
		var next []state
		for _, s := range states {
			more, err := d.segment(s, segment)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			next = append(next, more...)
		}
		states = next
	}
	return states, nil
}

// segments cuts at the dots outside of brackets and quotes.
func segments(path string) (out []string) {
	depth, from := 0, 0
	for i, r := range path {
		switch {
		case r == '(':
			depth++
		case r == ')':
			depth--
		case r == '.' && depth == 0:
			out, from = append(out, path[from:i]), i+1
		}
	}
	if from < len(path) {
		out = append(out, path[from:])
	}
	return out
}

func (d *definitions) segment(s state, segment string) ([]state, error) {
	name, argument, call := strings.Cut(strings.TrimSuffix(segment, ")"), "(")
	if !call {
		return d.name(s, segment)
	}
	switch {
	case name == "as" || name == "ofType":
		if alike(s.kind, argument) {
			return []state{s}, nil
		}
		return nil, nil
	case name == "extension":
		return d.filtered(s, "extension", "url", strings.Trim(argument, "'"))
	case name == "where" && strings.HasPrefix(argument, "resolve() is "):
		s.only = strings.TrimPrefix(argument, "resolve() is ")
		return []state{s}, nil
	case name == "where" && strings.HasPrefix(argument, "hasExtension('"):
		return filter(s, "extension", strings.Trim(strings.TrimSuffix(strings.TrimPrefix(argument, "hasExtension("), ")"), "'"))
	case name == "where":
		element, value, ok := strings.Cut(argument, "=")
		value = strings.TrimSpace(value)
		if ok && strings.HasPrefix(value, "'") && strings.HasSuffix(value, "'") {
			return filter(s, strings.TrimSpace(element), strings.Trim(value, "'"))
		}
	}
	return nil, fmt.Errorf("%q is of no known form", segment)
}

func filter(s state, element, value string) ([]state, error) {
	s.trail = slices.Clone(s.trail)
	s.trail[len(s.trail)-1] += "[" + element + "=" + value + "]"
	return []state{s}, nil
}

func (d *definitions) filtered(s state, name, element, value string) ([]state, error) {
	states, err := d.name(s, name)
	if err != nil || len(states) != 1 {
		return nil, err
	}
	return filter(states[0], element, value)
}

// alike reports whether an element of type have passes a cast to want. R4's
// expressions write some types in other cases and name profiles of Quantity.
func alike(have, want string) bool {
	switch want {
	case "SimpleQuantity", "MoneyQuantity":
		want = "Quantity"
	}
	return strings.EqualFold(have, want)
}

// name is the member of that name, one state for each type of a choice.
func (d *definitions) name(s state, name string) ([]state, error) {
	name, index, indexed := strings.Cut(name, "[")
	parent := s.element
	if e := d.byPath[parent]; e != nil && e.content != "" {
		parent = e.content
	}
	at := parent + "." + name
	choice, known := d.choices[at]
	if !known { // not inline: a member of the element's data type
		at = s.kind + "." + name
		if choice, known = d.choices[at]; !known {
			return nil, fmt.Errorf("%s has no element %s", parent, name)
		}
	}
	if indexed {
		name += "[" + index
	}
	if !choice {
		e := d.byPath[at]
		kind := ""
		if len(e.types) > 0 {
			kind = e.types[0]
		}
		if strings.HasPrefix(kind, "http://hl7.org/fhirpath/System.") {
			kind = "string"
		}
		return []state{s.step(name, at, kind)}, nil
	}
	kinds := map[string]bool{}
	for _, kind := range d.byPath[at+"[x]"].types {
		kinds[kind] = true
	}
	var out []state
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		out = append(out, s.step(name+strings.ToUpper(kind[:1])+kind[1:], at, kind))
	}
	return out, nil
}
