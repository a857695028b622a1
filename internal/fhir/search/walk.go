package search

import (
	"iter"

	"github.com/abaton-health/abaton/internal/fhir"
)

// A walk puts one resource's entries into the columns of its table.
type walk struct {
	index    *Index
	table    *table
	row      uint32
	resource fhir.Resource
}

// visit goes through the elements below v that some column looks at.
func (w *walk) visit(v fhir.Value, t *trie) {
	for _, c := range t.columns {
		w.enter(c, v)
	}
	if t.edges == nil || v.Kind() != fhir.Object {
		return
	}
	for member := range v.Children() {
		for _, e := range t.edges[string(member.NameBytes())] {
			if member.Kind() != fhir.Array {
				if e.step.passes(member) {
					w.visit(member, e.to)
				}
				continue
			}
			for one := range member.Children() {
				if e.step.passes(one) {
					w.visit(one, e.to)
				}
				if e.step.first {
					break
				}
			}
		}
	}
}

func (s *step) passes(v fhir.Value) bool {
	switch s.filter {
	case "":
		return true
	case "extension": // has an extension of that URL
		for e := range v.Get("extension").Each() {
			if e.Get("url").Is(s.has) {
				return true
			}
		}
		return false
	}
	return v.Get(s.filter).Is(s.has)
}

// values are the elements at a path, found again in a resource: the slow way,
// for what no column holds.
func (p path) values(v fhir.Value) iter.Seq[fhir.Value] {
	return func(yield func(fhir.Value) bool) { p.each(v, yield) }
}

func (p path) each(v fhir.Value, yield func(fhir.Value) bool) bool {
	if len(p) == 0 {
		return yield(v)
	}
	for one := range v.Get(p[0].name).Each() {
		if p[0].passes(one) && !p[1:].each(one, yield) {
			return false
		}
		if p[0].first {
			break
		}
	}
	return true
}
