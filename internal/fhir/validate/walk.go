package validate

import (
	"strconv"
	"strings"

	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/path"
	"github.com/abaton-health/abaton/internal/fhir/structure"
)

// walk is one validation.
type walk struct {
	v         *Validator
	as        []string // profiles that the caller names for the body
	at        []step   // where it stands
	issues    []Issue  // errors
	notes     []Issue  // warnings and less, which never crowd an error out
	cut       bool
	unchecked map[string]bool
	steps     int  // FHIRPath budget left
	soft      bool // errors are warnings: of a profile whose release is not told
}

// step is one part of a place: a member name, and an index if it repeats.
type step struct {
	name  string
	index int // -1: none
}

// home is what an element belongs to.
type home struct {
	resource path.Item   // the nearest resource
	root     path.Item   // the resource that contains that one, or itself
	bundle   *fhir.Value // the innermost Bundle around, if any
	up       *home

	local  map[string]string // of a root: contained resources, type by id; made once
	linked map[string]bool   // of a root: fragments that something refers to
	upward bool              // of a contained resource: it refers to its root
	inside bool              // of contained
}

func (w *walk) place() string {
	var b strings.Builder
	for i, s := range w.at {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(s.name)
		if s.index >= 0 {
			b.WriteByte('[')
			b.WriteString(strconv.Itoa(s.index))
			b.WriteByte(']')
		}
	}
	return b.String()
}

// push and pop move to a member and back.
func (w *walk) push(name string, index int) { w.at = append(w.at, step{name, index}) }
func (w *walk) pop()                        { w.at = w.at[:len(w.at)-1] }

func (w *walk) report(s Severity, code, message, text string) {
	if w.soft && s == Error {
		s = Warning
	}
	list := &w.issues
	if s > Fatal {
		list = &w.notes
	}
	if len(*list) >= IssuesMax {
		w.cut = true
		return
	}
	*list = append(*list, Issue{s, code, message, w.place(), text})
}

func (w *walk) fail(code, message, text string) { w.report(Error, code, message, text) }

// failAt reports at a member of where the walk stands.
func (w *walk) failAt(name string, code, message, text string) {
	w.push(name, -1)
	w.fail(code, message, text)
	w.pop()
}

// skip notes what was not looked at.
func (w *walk) skip(what string) { w.unchecked[what] = true }

// resource checks a resource; h is what it stands in, nil for the body.
func (w *walk) resource(v fhir.Value, h *home) {
	if v.Kind() != fhir.Object {
		w.fail("structure", "resource-object", "a resource must be an object")
		return
	}
	name := v.Get("resourceType")
	t := w.v.types.Type(name.Text())
	if t == nil || t.Kind != structure.Resource || t.Abstract {
		w.fail("structure", "resource-type", "resourceType is missing or no type of R4")
		return
	}
	if len(w.at) == 0 {
		w.push(t.Name, -1)
		defer w.pop()
	}
	self := path.Element(t, v, fhir.Value{})
	own := &home{resource: self, root: self, up: h}
	if h != nil {
		own.bundle = h.bundle
		if own.inside = len(w.at) > 0 && w.at[len(w.at)-1].name == "contained"; own.inside {
			own.root = h.root
		}
	}
	if t.Name == "Bundle" {
		own.bundle = &v
	}
	w.object(v, t, nil, own)
	w.rules(self, t, nil, own)
	w.special(v, t, own)
	w.profiles(v, t, own)
	w.contained(v, own)
}

// object checks the members of an element or resource of a type.
func (w *walk) object(v fhir.Value, t *structure.Type, e *structure.Element, h *home) {
	if v.Len() == 0 {
		w.fail("structure", "ele-1", "an object must hold something; leave it out instead")
		return
	}
	var seen [4]*structure.Element // choices met
	choices := seen[:0]
	for child := range v.Children() {
		name, companion := strings.CutPrefix(child.Name(), "_")
		if name == "resourceType" && t.Kind == structure.Resource {
			continue
		}
		m, ok := t.Member(name)
		if !ok || companion && (m.Type == nil || m.Type.Kind != structure.Primitive) {
			w.unknown(child, t)
			continue
		}
		if companion && v.Get(name).Kind() != fhir.Absent {
			continue // checked with the value
		}
		if m.Element.Choice {
			for _, c := range choices {
				if c == m.Element {
					w.fail("structure", "choice", "an element of several types is there twice; keep one")
				}
			}
			choices = append(choices, m.Element)
		}
		if companion {
			w.member(name, m, fhir.Value{}, child, h)
		} else {
			w.member(name, m, child, companionOf(v, m, name), h)
		}
	}
	w.required(v, t)
}

func companionOf(v fhir.Value, m structure.Member, name string) fhir.Value {
	if m.Type == nil || m.Type.Kind != structure.Primitive {
		return fhir.Value{}
	}
	return v.Get("_" + name)
}

// unknown reports a member that the type does not have. Its name is the
// client's own, so it is told by its number.
func (w *walk) unknown(child fhir.Value, t *structure.Type) {
	w.fail("structure", "unknown-member", "a member is not of type "+t.Name+"; take it out, or put it into an extension")
}

// required reports elements that must be there and are not.
func (w *walk) required(v fhir.Value, t *structure.Type) {
	for _, e := range t.Elements {
		if e.Min == 0 || w.has(v, t, e) {
			continue
		}
		w.fail("required", "min", t.Name+"."+e.Name+" is missing; at least "+strconv.Itoa(e.Min)+" is needed")
	}
}

func (w *walk) has(v fhir.Value, t *structure.Type, e *structure.Element) bool {
	if !e.Choice {
		return v.Get(e.Name).Kind() != fhir.Absent || v.Get("_"+e.Name).Kind() != fhir.Absent
	}
	for child := range v.Children() {
		if m, ok := t.Member(strings.TrimPrefix(child.Name(), "_")); ok && m.Element == e {
			return true
		}
	}
	return false
}

// member checks what stands under one name.
func (w *walk) member(name string, m structure.Member, v, extra fhir.Value, h *home) {
	repeats := m.Element.Max == structure.Unbounded || m.Element.Max > 1
	if m.Element.Max == 0 {
		w.failAt(name, "structure", "max", "this element may not be used here")
		return
	}
	if !repeats {
		if v.Kind() == fhir.Array || extra.Kind() == fhir.Array {
			w.failAt(name, "structure", "array", "this element does not repeat; it must not be an array")
			return
		}
		w.push(name, -1)
		w.element(v, extra, m, h)
		w.pop()
		return
	}
	if v.Kind() != fhir.Array && v.Kind() != fhir.Absent || extra.Kind() != fhir.Array && extra.Kind() != fhir.Absent {
		w.failAt(name, "structure", "array", "this element repeats; it must be an array")
		return
	}
	w.list(name, m, v, extra, h)
}

func (w *walk) list(name string, m structure.Member, v, extra fhir.Value, h *home) {
	if v.Kind() == fhir.Array && v.Len() == 0 || extra.Kind() == fhir.Array && extra.Len() == 0 {
		w.failAt(name, "structure", "empty-array", "an array must hold something; leave it out instead")
		return
	}
	var extras []fhir.Value
	for x := range extra.Children() {
		extras = append(extras, x)
	}
	i := 0
	for x := range v.Children() {
		var companion fhir.Value
		if i < len(extras) {
			companion = extras[i]
		}
		w.push(name, i)
		w.element(x, companion, m, h)
		w.pop()
		i++
	}
	for ; i < len(extras); i++ {
		w.push(name, i)
		w.element(fhir.Value{}, extras[i], m, h)
		w.pop()
	}
}

// element checks one value of an element.
func (w *walk) element(v, extra fhir.Value, m structure.Member, h *home) {
	if m.Type == nil {
		w.resource(v, h)
		return
	}
	if m.Type.Kind == structure.Primitive {
		w.primitive(v, extra, m, h)
		return
	}
	if v.Kind() != fhir.Object {
		w.fail("structure", "object", "this element must be an object")
		return
	}
	w.object(v, m.Type, m.Element, h)
	w.rules(path.Element(m.Type, v, extra), m.Type, m.Element, h)
	w.complex(v, m, h)
}

// rules checks the invariants of a type and of its use here.
func (w *walk) rules(it path.Item, t *structure.Type, e *structure.Element, h *home) {
	for _, rule := range t.Rules {
		w.rule(rule, it, h)
	}
	if e == nil {
		return
	}
	for _, rule := range e.Rules {
		w.rule(rule, it, h)
	}
}

// byHand are invariants that are checked in Go where their elements are: the
// narrative's, whose FHIRPath is one function, and those of contained
// resources, whose FHIRPath looks through the whole resource for each of them.
var byHand = map[string]bool{"txt-1": true, "txt-2": true, "dom-3": true, "ref-1": true}

func (w *walk) rule(rule *structure.Rule, it path.Item, h *home) {
	if byHand[rule.Key] {
		return
	}
	scope := path.Scope{Types: w.v.types, Focus: it, Resource: h.resource, Root: h.root, HTML: func(s string) bool { return narrative(s) == "" },
		Steps: min(stepsEach, w.steps), Resolve: func(string) (path.Item, bool) { return path.Item{}, false }}
	if w.steps <= 0 {
		w.skip("invariants beyond the budget of one body")
		return
	}
	holds, known, left, err := w.v.rules[rule].Test(scope)
	w.steps -= scope.Steps - left
	switch {
	case err != nil:
		w.skip("invariant " + rule.Key + ": its FHIRPath cannot be evaluated here")
	case !known, holds: // nothing to compare, or no answer, is no fault
	case rule.Warning:
		w.report(Warning, "invariant", rule.Key, "best practice "+rule.Key+": "+rule.Human)
	default:
		w.fail("invariant", rule.Key, "constraint "+rule.Key+": "+rule.Human)
	}
}
