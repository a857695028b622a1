package validate

import (
	"strings"

	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/structure"
)

// special checks what the specification says in words of some types.
func (w *walk) special(v fhir.Value, t *structure.Type, h *home) {
	w.resourceID(v, h)
	w.url(v, t, h)
	switch t.Name {
	case "Bundle":
		w.bundle(v)
	case "CodeSystem":
		w.codeSystem(v)
	case "ValueSet":
		w.valueSet(v)
	case "SearchParameter":
		w.searchParameter(v)
	case "StructureDefinition":
		w.structureDefinition(v)
	case "CapabilityStatement":
		w.capability(v)
	}
}

func (w *walk) resourceID(v fhir.Value, h *home) {
	if h.inside && v.Get("id").Text() == "" {
		w.fail("required", "contained-id", "a contained resource needs an id")
	}
}

// url checks the canonical URL of a definition.
func (w *walk) url(v fhir.Value, t *structure.Type, h *home) {
	e := t.Element("url")
	if e == nil || len(e.Types) != 1 || e.Types[0].Name != "uri" || t.Element("version") == nil {
		return
	}
	if s := v.Get("url").Text(); s != "" && !absolute(s) {
		w.failAt("url", "invalid", "canonical-absolute", "a canonical URL must be absolute")
	}
}

// codeSystem checks counts, supplements and properties.
func (w *walk) codeSystem(v fhir.Value) {
	content := v.Get("content").Text()
	if v.Get("supplements").Kind() != fhir.Absent && content != "supplement" {
		w.failAt("content", "business-rule", "supplement-content", "a code system that supplements another has the content supplement")
	}
	if count := v.Get("count"); content == "complete" && count.Kind() == fhir.Number {
		if n := conceptCount(v); n > 0 && string(count.Raw()) != itoa(n) {
			w.failAt("count", "invalid", "concept-count", "the code system is complete, but its count is not that of its concepts")
		}
	}
	w.properties(v)
}

func conceptCount(v fhir.Value) int {
	n := 0
	for c := range v.Get("concept").Each() {
		n += 1 + conceptCount(c)
	}
	return n
}

// conceptProperties are the properties that HL7 gives a URI and a type
// (codesystem-concept-properties.html).
var conceptProperties = map[string]string{"inactive": "boolean", "deprecated": "dateTime", "deprecationDate": "dateTime", "retirementDate": "dateTime",
	"notSelectable": "boolean", "parent": "code", "child": "code", "partOf": "code", "synonym": "code", "comment": "string", "itemWeight": "decimal", "status": "code"}

func (w *walk) properties(v fhir.Value) {
	types, uris, i := map[string]string{}, map[string]bool{}, 0
	for p := range v.Get("property").Each() {
		w.push("property", i)
		i++
		code, uri, kind := p.Get("code").Text(), p.Get("uri").Text(), p.Get("type").Text()
		if name, ours := strings.CutPrefix(uri, "http://hl7.org/fhir/concept-properties#"); ours {
			if want := conceptProperties[name]; want != "" && want != kind {
				w.fail("business-rule", "property-type", "the property's URI has another type than the property")
			}
		}
		if types[code] != "" || uri != "" && uris[uri] {
			w.fail("business-rule", "property-twice", "a property with this code or URI is there already")
		}
		types[code], uris[uri] = kind, true
		w.pop()
	}
	if len(types) > 0 {
		w.conceptValues(v, types)
	}
}

// conceptValues holds the properties of concepts against their definitions.
func (w *walk) conceptValues(v fhir.Value, types map[string]string) {
	i := 0
	for c := range v.Get("concept").Each() {
		w.push("concept", i)
		i++
		j := 0
		for p := range c.Get("property").Each() {
			w.push("property", j)
			j++
			want := types[p.Get("code").Text()]
			for child := range p.Children() {
				kind, ok := strings.CutPrefix(child.Name(), "value")
				if ok && want != "" && !strings.EqualFold(kind, want) {
					w.fail("business-rule", "property-value", "the value of the property is not of its type")
				}
			}
			w.pop()
		}
		w.conceptValues(c, types)
		w.pop()
	}
}

// valueSet checks what a compose includes.
func (w *walk) valueSet(v fhir.Value) {
	for _, part := range []string{"include", "exclude"} {
		i := 0
		for inc := range v.Path("compose", part).Each() {
			w.push("compose", -1)
			w.push(part, i)
			i++
			system := inc.Get("system").Text()
			if system != "" && !absolute(system) {
				w.fail("invalid", "include-system", "the system of an include must be absolute; name a contained code system by its whole URL")
			}
			if w.v.types.IsValueSet(system) && w.v.types.InSystem(system, "") == structure.Unknown {
				w.fail("invalid", "include-value-set", "the system of an include is a value set; include it as one")
			}
			w.includeCodes(inc, system)
			w.pop()
			w.pop()
		}
	}
}

func (w *walk) includeCodes(inc fhir.Value, system string) {
	i := 0
	for c := range inc.Get("concept").Each() {
		w.push("concept", i)
		if code := c.Get("code").Text(); code != "" && system != "" {
			w.systemCode(system, code)
		}
		w.pop()
		i++
	}
	i = 0
	for f := range inc.Get("filter").Each() {
		w.push("filter", i)
		w.filter(f)
		w.pop()
		i++
	}
}

// filter checks the value of a filter on a property whose type is known.
func (w *walk) filter(f fhir.Value) {
	value := f.Get("value").Text()
	if name := f.Get("property").Text(); conceptProperties[name] == "boolean" && f.Get("op").Is("=") && value != "" && value != "true" && value != "false" {
		w.fail("invalid", "filter-value", "the value of a filter on a boolean property is true or false")
	}
}

func (w *walk) searchParameter(v fhir.Value) {
	composite, parts := v.Get("type").Is("composite"), v.Get("component").Len()
	if composite && parts < 2 {
		w.fail("business-rule", "composite", "a composite search parameter has two components or more")
	}
	if p := w.v.types.Parameter(v.Get("derivedFrom").Text()); p != nil {
		if kind := v.Get("type").Text(); kind != p.Type {
			w.fail("business-rule", "derived-type", "the type is not that of the search parameter it is derived from")
		}
		for base := range v.Get("base").Each() {
			if !contains(p.Bases, base.Text()) && !contains(p.Bases, "Resource") && !contains(p.Bases, "DomainResource") {
				w.fail("business-rule", "derived-base", "a base is not one of the search parameter it is derived from")
			}
		}
	}
}

// capability checks that search parameters have the type of their definition.
func (w *walk) capability(v fhir.Value) {
	i := 0
	for rest := range v.Get("rest").Each() {
		w.push("rest", i)
		i++
		j := 0
		for r := range rest.Get("resource").Each() {
			w.push("resource", j)
			j++
			k := 0
			for p := range r.Get("searchParam").Each() {
				w.push("searchParam", k)
				k++
				url, _, _ := strings.Cut(p.Get("definition").Text(), "|")
				if d := w.v.types.Parameter(url); d != nil && p.Get("type").Text() != d.Type {
					w.fail("invalid", "search-parameter-type", "the type is not that of the search parameter's definition")
				}
				w.pop()
			}
			w.pop()
		}
		w.pop()
	}
}

// structureDefinition checks that paths of a differential are of the type.
func (w *walk) structureDefinition(v fhir.Value) {
	constrains := v.Get("derivation").Is("constraint")
	i := 0
	for e := range v.Path("differential", "element").Each() {
		w.push("differential", -1)
		w.push("element", i)
		i++
		p := e.Get("path").Text()
		switch {
		case strings.Contains(p, "..") || strings.HasPrefix(p, ".") || strings.HasSuffix(p, "."):
			w.fail("value", "element-path", "the path of an element has an empty part")
		case constrains && p != "" && !w.elementPathExists(p):
			w.fail("value", "element-path", "the path of an element is not of the type")
		}
		w.pop()
		w.pop()
	}
}
