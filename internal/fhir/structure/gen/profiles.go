package main

import (
	"slices"
	"strings"

	"github.com/abaton-health/abaton/internal/fhir/structure"
)

// profiles writes the profiles of a package: what differs from the type.
// Profiles of a guide are written under their URL and version; the last one
// written is also the one without.
func (w *writer) profiles(s *source, version string) {
	for _, d := range s.structures {
		if d.Derivation != "constraint" || d.Type == "Extension" || len(d.Snapshot.Element) == 0 || d.Kind == "logical" {
			continue
		}
		row := structure.ProfileRow{URL: d.URL, Name: d.Name, Type: d.Type, Base: d.BaseDefinition}
		for _, e := range d.Snapshot.Element {
			if el, differs := w.profileElement(d, e); differs {
				row.Elements = append(row.Elements, el)
			}
		}
		if version == "" {
			w.out.Profiles = append(w.out.Profiles, row)
			continue
		}
		w.out.Profiles = slices.DeleteFunc(w.out.Profiles, func(r structure.ProfileRow) bool { return r.URL == row.URL })
		w.out.Profiles = append(w.out.Profiles, row)
		row.URL += "|" + version
		w.out.Profiles = append(w.out.Profiles, row)
	}
}

func (w *writer) profileElement(d *definition, e *element) (row structure.ProfileElementRow, differs bool) {
	row = structure.ProfileElementRow{ID: e.ID, Min: e.Min, Max: maxOf(e.Max), Value: e.value, Fixed: e.fixed}
	differs = e.value != "" || e.SliceName != "" || e.Min > e.Base.Min || e.Max != e.Base.Max && e.Base.Max != ""
	for _, t := range e.Type {
		row.Types = append(row.Types, t.name(e.Path, d.Kind == "resource"))
		if t.Code == "Extension" && len(t.Profile) == 1 {
			row.Of = t.Profile[0]
		}
	}
	if !strings.HasSuffix(e.Path, "[x]") {
		row.Types = nil
	}
	if e.Binding != nil && e.Binding.Strength == "required" && e.Binding.ValueSet != "" {
		row.Strength, row.ValueSet = "required", w.need("required", e.Binding.ValueSet)
		differs = true
	}
	if e.Slicing != nil {
		for _, s := range e.Slicing.Discriminator {
			row.Discriminators = append(row.Discriminators, structure.Discriminator{Type: s.Type, Path: s.Path})
		}
		row.Closed = e.Slicing.Rules == "closed"
		differs = true
	}
	row.Rules = w.ownRules(d, e)
	return row, differs || len(row.Rules) > 0 || len(row.Types) > 0
}

// ownRules are the invariants that a profile adds to those of its type.
func (w *writer) ownRules(d *definition, e *element) (own []int) {
	base := map[int]bool{}
	for _, t := range w.out.Types {
		if t.Name == d.Type || strings.HasPrefix(t.Name, d.Type+".") || slices.ContainsFunc(e.Type, func(r typeRef) bool { return r.Code == t.Name }) {
			for _, i := range t.Rules {
				base[i] = true
			}
			for _, el := range t.Elements {
				for _, i := range el.Rules {
					base[i] = true
				}
			}
		}
	}
	for _, i := range w.rulesOf(e) {
		if !base[i] {
			own = append(own, i)
		}
	}
	return own
}
