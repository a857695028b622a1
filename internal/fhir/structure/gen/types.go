package main

import (
	"slices"
	"strconv"
	"strings"

	"github.com/abaton-health/abaton/internal/fhir/structure"
)

// writer makes rows.
type writer struct {
	core   *source
	out    structure.Tables
	rules  map[structure.RuleRow]int
	needed map[string]bool // value sets that bindings name
}

// corrections are invariants of 4.0.1 whose expression does not say what the
// rule's own text and the specification say; each is what a later release or
// HL7's validator has.
var corrections = map[string]string{
	"que-12": "enableWhen.count() > 1 implies enableBehavior.exists()",              // R4B
	"que-7":  "operator = 'exists' implies (answer is boolean)",                     // R4B
	"csd-1":  "concept.code.combine($this.descendants().concept.code).isDistinct()", // as it is
	"bdl-7":  "(type = 'history') or entry.where(fullUrl.exists()).select(fullUrl & iif(resource.meta.versionId.exists(), resource.meta.versionId, '')).isDistinct()",
	"eld-19": `path.matches('^[^\\s\\.,:;\\\'"\\/|?!@#$%&*()\\[\\]{}]{1,64}(\\.[^\\s\\.,:;\\\'"\\/|?!@#$%&*()\\[\\]{}]{1,64}(\\[x\\])?(\\:[^\\s\\.]+)?)*$')`,
	"eld-20": `path.matches('^[A-Za-z][A-Za-z0-9]*(\\.[a-z][A-Za-z0-9]*(\\[x])?)*$')`,
}

func kindOf(d *definition) structure.Kind {
	switch d.Kind {
	case "primitive-type":
		return structure.Primitive
	case "complex-type":
		return structure.Complex
	}
	return structure.Resource
}

// types writes every type that is no profile and no logical model.
func (w *writer) types() {
	for _, d := range w.core.structures {
		if d.Derivation == "constraint" || d.Kind == "logical" || len(d.Snapshot.Element) == 0 {
			continue
		}
		w.typeOf(d)
	}
}

func (w *writer) typeOf(d *definition) {
	rows := map[string]*structure.TypeRow{}
	root := &structure.TypeRow{Name: d.Type, Kind: kindOf(d), Abstract: d.Abstract, Base: lastPart(d.BaseDefinition)}
	rows[d.Type] = root
	order := []*structure.TypeRow{root}
	elements := d.Snapshot.Element
	root.Rules = w.rulesOf(elements[0])
	for i, e := range elements[1:] {
		at := strings.LastIndexByte(e.Path, '.')
		row := rows[e.Path[:at]]
		if d.Kind == "primitive-type" && e.Path == d.Type+".value" {
			continue
		}
		el := w.elementOf(e, d.Kind == "resource")
		if i+2 < len(elements) && strings.HasPrefix(elements[i+2].Path, e.Path+".") { // it has elements of its own
			own := &structure.TypeRow{Name: e.Path, Kind: structure.Complex, Base: e.Type[0].Code}
			rows[e.Path], el.Types = own, []string{e.Path}
			order = append(order, own)
		}
		row.Elements = append(row.Elements, el)
	}
	for _, row := range order {
		w.out.Types = append(w.out.Types, *row)
	}
}

func (w *writer) elementOf(e *element, resource bool) structure.ElementRow {
	name, choice := strings.CutSuffix(e.Path[strings.LastIndexByte(e.Path, '.')+1:], "[x]")
	row := structure.ElementRow{Name: name, Choice: choice, Min: e.Min, Max: maxOf(e.Max), Rules: w.rulesOf(e), Summary: e.IsSummary}
	for _, t := range e.Type {
		row.Types = append(row.Types, t.name(e.Path, resource))
		for _, target := range t.TargetProfile {
			if target = lastPart(target); target != "Resource" && t.Code == "Reference" {
				row.Targets = append(row.Targets, target)
			}
		}
	}
	slices.Sort(row.Targets)
	row.Targets = slices.Compact(row.Targets)
	if ref, ok := strings.CutPrefix(e.ContentReference, "#"); ok {
		row.Types = []string{ref}
	}
	if e.Binding != nil && e.Binding.ValueSet != "" {
		row.Strength, row.ValueSet = e.Binding.Strength, w.need(e.Binding.Strength, e.Binding.ValueSet)
	}
	return row
}

// need notes that the codes of a value set are wanted.
func (w *writer) need(strength, url string) string {
	url, _, _ = strings.Cut(url, "|")
	if strength == "required" || strength == "extensible" {
		w.needed[url] = true
	}
	return url
}

// name is the type's name; the types of the language itself become the FHIR
// types they stand for.
func (t *typeRef) name(path string, resource bool) string {
	if !strings.HasPrefix(t.Code, "http://hl7.org/fhirpath/") {
		return t.Code
	}
	if resource && strings.Count(path, ".") == 1 && strings.HasSuffix(path, ".id") {
		return "id" // 4.0.1 says string here and means id (datatypes.html#id)
	}
	for _, x := range t.Extension {
		if strings.HasSuffix(x.URL, "structuredefinition-fhir-type") {
			return x.ValueUrl + x.ValueUri
		}
	}
	return "string"
}

func maxOf(text string) int {
	if text == "*" {
		return structure.Unbounded
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		panic("gen: a definition has a max that is no number")
	}
	return n
}

// rulesOf are the indexes of an element's invariants. ele-1 and ext-1 hold
// everywhere and are checked by hand.
func (w *writer) rulesOf(e *element) (indexes []int) {
	for _, c := range e.Constraint {
		if c.Expression == "" || c.Key == "ele-1" || c.Key == "ext-1" {
			continue
		}
		row := structure.RuleRow{Key: c.Key, Warning: c.Severity != "error", Human: c.Human, Expression: c.Expression}
		if better := corrections[c.Key]; better != "" {
			row.Expression = better
		}
		i, known := w.rules[row]
		if !known {
			i = len(w.out.Rules)
			w.rules[row] = i
			w.out.Rules = append(w.out.Rules, row)
		}
		indexes = append(indexes, i)
	}
	return indexes
}

func lastPart(url string) string { return url[strings.LastIndexByte(url, '/')+1:] }

// extensions writes the definitions of extensions.
func (w *writer) extensions(s *source) {
	for _, d := range s.structures {
		if d.Type != "Extension" || d.Derivation != "constraint" || len(d.Snapshot.Element) == 0 {
			continue
		}
		row := structure.ExtensionRow{URL: d.URL, Modifier: d.Snapshot.Element[0].IsModifier}
		for _, c := range d.Context {
			if c.Type != "element" {
				row.Contexts = nil // a context that is no path is not checked
				break
			}
			row.Contexts = append(row.Contexts, c.Expression)
		}
		for _, e := range d.Snapshot.Element {
			if e.Path == "Extension.value[x]" && e.Max != "0" {
				for _, t := range e.Type {
					row.Types = append(row.Types, t.Code)
				}
			}
		}
		w.extend(row)
	}
}

// extend adds an extension, or what another release of it allows.
func (w *writer) extend(row structure.ExtensionRow) {
	at := slices.IndexFunc(w.out.Extensions, func(r structure.ExtensionRow) bool { return r.URL == row.URL })
	if at < 0 {
		w.out.Extensions = append(w.out.Extensions, row)
		return
	}
	older := &w.out.Extensions[at]
	older.Types = union(older.Types, row.Types)
	older.Contexts = union(older.Contexts, row.Contexts)
}

// union of two lists; an empty one means that there is no limit.
func union(a, b []string) []string {
	if len(a) == 0 || len(b) == 0 {
		return nil
	}
	out := append(slices.Clone(a), b...)
	slices.Sort(out)
	return slices.Compact(out)
}

func (w *writer) sorted() *structure.Tables {
	t := &w.out
	slices.SortFunc(t.Types, func(a, b structure.TypeRow) int { return strings.Compare(a.Name, b.Name) })
	slices.SortStableFunc(t.Extensions, func(a, b structure.ExtensionRow) int { return strings.Compare(a.URL, b.URL) })
	slices.SortFunc(t.ValueSets, func(a, b structure.ValueSetRow) int { return strings.Compare(a.URL, b.URL) })
	slices.SortFunc(t.Systems, func(a, b structure.SystemRow) int { return strings.Compare(a.URL, b.URL) })
	slices.SortStableFunc(t.Parameters, func(a, b structure.Parameter) int { return strings.Compare(a.URL, b.URL) })
	slices.SortStableFunc(t.Profiles, func(a, b structure.ProfileRow) int { return strings.Compare(a.URL, b.URL) })
	return t
}
