package fhir

import (
	"slices"
	"strings"
	"sync"
)

// A Subset says what of a resource an answer shows (FHIR R4,
// search.html#summary). The zero Subset shows all of it.
type Subset struct {
	Summary  string   // true, text or data
	Elements []string // names of elements at the top; nil for no such choice
}

// All reports whether everything is shown.
func (s Subset) All() bool { return s.Summary == "" && s.Elements == nil }

// Cut is a resource with only what the subset shows: whole members of the
// source, byte for byte, and meta.tag SUBSETTED. resourceType, id and meta
// always stay, and so does what is mandatory or changes the meaning of the
// rest.
func (s Subset) Cut(src []byte) ([]byte, error) {
	r, err := ParseResource(src)
	if err != nil || s.All() {
		return src, err
	}
	c := cutter{marks: subsets()[r.Type], subset: s}
	out := append(make([]byte, 0, len(src)), '{')
	tagged := false
	for member := range r.Children() {
		name := member.Name()
		value := c.keep(strings.TrimPrefix(name, "_"), name, member)
		if value == nil {
			continue
		}
		if name == "meta" {
			value, tagged = tag(member), true
		}
		out = appendRaw(out, name, value)
	}
	if !tagged {
		out = appendRaw(out, "meta", []byte(`{"tag":[`+subsetted+`]}`))
	}
	return append(out, '}'), nil
}

// subsetted is the tag of a resource that is not whole
// (FHIR R4, resource.html#tag-subsetted).
const subsetted = `{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}`

func appendRaw(out []byte, name string, value []byte) []byte {
	if len(out) > 1 {
		out = append(out, ',')
	}
	return append(append(appendText(out, name), ':'), value...)
}

// tag is a meta with the tag added; it always has a member, or becomes one.
func tag(meta Value) []byte {
	out := []byte{'{'}
	had := false
	for member := range meta.Children() {
		value := member.Raw()
		if member.Name() == "tag" && member.Kind() == Array && member.Len() > 0 {
			had = true
			value = append(slices.Clone(value[:len(value)-1]), ","+subsetted+"]"...)
		} else if member.Name() == "tag" {
			continue
		}
		out = appendRaw(out, member.Name(), value)
	}
	if !had {
		out = appendRaw(out, "tag", []byte("["+subsetted+"]"))
	}
	return append(out, '}')
}

// A cutter decides on the members of one resource.
type cutter struct {
	marks  map[string]string // element -> marks, a choice without its star
	subset Subset
}

// keep is what is shown of a member, nil for nothing.
func (c *cutter) keep(element, name string, member Value) []byte {
	mark := c.mark(element)
	always := element == "resourceType" || element == "id" || element == "meta" || strings.ContainsAny(mark, "!?")
	switch {
	case element == "resourceType":
		return member.Raw()
	case c.subset.Elements != nil:
		always = always || slices.ContainsFunc(c.subset.Elements, func(e string) bool { return isElement(e, element) })
	case c.subset.Summary == "text":
		always = always || element == "text"
	case c.subset.Summary == "data":
		always = element != "text"
	default:
		if strings.Contains(mark, "+") && name == element {
			return c.inside(element, member)
		}
		always = element == "id" || element == "meta" || strings.Contains(mark, "+")
	}
	if !always {
		return nil
	}
	return member.Raw()
}

// inside is a summary element, of a backbone only its own summary elements.
func (c *cutter) inside(element string, v Value) []byte {
	if !c.backbone(element) {
		return v.Raw()
	}
	if v.Kind() == Array {
		out := []byte{'['}
		for one := range v.Children() {
			if len(out) > 1 {
				out = append(out, ',')
			}
			out = append(out, c.inside(element, one)...)
		}
		return append(out, ']')
	}
	out := []byte{'{'}
	for member := range v.Children() {
		name := member.Name()
		at := element + "." + strings.TrimPrefix(name, "_")
		if name == "id" || strings.Contains(c.mark(at), "+") {
			out = appendRaw(out, name, c.inside(at, member))
		}
	}
	return append(out, '}')
}

// backbone reports whether the table marks elements inside of one.
func (c *cutter) backbone(element string) bool {
	_, ok := c.marks[element+"."]
	return ok
}

// mark is an element's, or that of the choice it belongs to.
func (c *cutter) mark(element string) string {
	if m, ok := c.marks[element]; ok {
		return m
	}
	for i := len(element) - 1; i > 0; i-- {
		if element[i] >= 'A' && element[i] <= 'Z' {
			if m, ok := c.marks[element[:i]+"*"]; ok {
				return m
			}
		}
	}
	return ""
}

// isElement reports whether a member is the element of that name, or one of
// the types of a choice.
func isElement(wanted, member string) bool {
	wanted = strings.TrimSuffix(wanted, "[x]")
	rest, ok := strings.CutPrefix(member, wanted)
	return ok && (rest == "" || rest[0] >= 'A' && rest[0] <= 'Z' && choiceOf(rest))
}

// choiceOf reports whether a suffix can be a type's name: onset and
// onsetDateTime are one element, code and codeFilter are two.
func choiceOf(suffix string) bool {
	switch suffix {
	case "Boolean", "Integer", "Decimal", "String", "Uri", "Url", "Canonical", "Date", "DateTime", "Instant", "Time", "Code", "Id",
		"Oid", "Uuid", "Markdown", "Base64Binary", "PositiveInt", "UnsignedInt", "Age", "Quantity", "Range", "Ratio", "Period",
		"Timing", "CodeableConcept", "Coding", "Identifier", "Reference", "Attachment", "SampledData", "Money", "Duration",
		"Count", "Distance", "HumanName", "Address", "ContactPoint", "Annotation", "Signature", "Expression", "Dosage",
		"DataRequirement", "TriggerDefinition":
		return true
	}
	return false
}

// subsets is the generated table, read once: type -> element -> marks. A
// backbone element that has marked ones inside has an entry with a dot behind
// it.
var subsets = sync.OnceValue(func() map[string]map[string]string {
	all := make(map[string]map[string]string)
	for line := range strings.Lines(subsetText) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		marks := make(map[string]string)
		for _, f := range fields[1:] {
			element := strings.TrimRight(f, "!?+")
			marks[element] = f[len(element):]
			for i, r := range element {
				if r == '.' {
					marks[element[:i]+"."] = ""
				}
			}
		}
		all[fields[0]] = marks
	}
	return all
})
