package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// A searchRow is a SearchParameter as far as search needs it.
type searchRow struct {
	URL, Code, Type, Expression string
	Experimental                bool
	Base, Target                []string
	Component                   []struct{ Definition, Expression string }
}

// unindexed are the parameters for which no program is written, each with its
// reason. Any other parameter without a program is an error, so that none is
// lost unseen.
func unindexed(base, code string) (reason string, ok bool) {
	switch base + "." + code {
	case "Resource._id", "Resource._lastUpdated":
		return "answered from the version, not from the body", true
	case "Resource._content", "DomainResource._text", "Resource._query", "Resource._filter":
		return "special: no expression", true
	case "Patient.age", "Patient.birthOrderBoolean":
		return "examples of extensions without an expression", true
	case "Patient.part-agree":
		return "its expression is over another type", true
	}
	return "", false
}

// byHand are parameters whose expression needs more than paths, and those
// that US Core 8.0.0 adds to the base.
func byHand(base string) []string {
	switch base {
	case "Patient":
		const us = "extension[url=http://hl7.org/fhir/us/core/StructureDefinition/us-core-"
		return []string{
			"deceased t - $:deceased",
			"ethnicity t - " + us + "ethnicity].extension.valueCoding:Coding",
			"race t - " + us + "race].extension.valueCoding:Coding",
		}
	case "Bundle":
		return []string{"composition r Composition entry[0].resource:resource", "message r MessageHeader entry[0].resource:resource"}
	case "CareTeam":
		return []string{"role t - participant.role:CodeableConcept"}
	case "Condition":
		return []string{"asserted-date d - extension[url=http://hl7.org/fhir/StructureDefinition/condition-assertedDate].valueDateTime:dateTime"}
	case "Encounter":
		return []string{"discharge-disposition t - hospitalization.dischargeDisposition:CodeableConcept"}
	case "Goal":
		return []string{"description t - description:CodeableConcept"}
	case "Location":
		return []string{"near p - position:position"}
	}
	return nil
}

// kindOf is the letter of a search type.
func kindOf(search string) (string, bool) {
	switch search {
	case "token":
		return "t", true
	case "string":
		return "s", true
	case "reference":
		return "r", true
	case "date":
		return "d", true
	case "number":
		return "n", true
	case "quantity":
		return "q", true
	case "uri":
		return "u", true
	case "composite":
		return "c", true
	}
	return "", false
}

// indexable reports whether an element of a type has a meaning under a search
// type (FHIR R4, search.html#table).
func indexable(kind, name string) bool {
	switch kind {
	case "t":
		return slices.Contains([]string{"CodeableConcept", "Coding", "Identifier", "ContactPoint", "code", "boolean", "string", "id", "uri", "canonical", "oid"}, name)
	case "s":
		return slices.Contains([]string{"string", "markdown", "HumanName", "Address", "CodeableConcept"}, name)
	case "r":
		return slices.Contains([]string{"Reference", "canonical", "uri"}, name)
	case "d":
		return slices.Contains([]string{"date", "dateTime", "instant", "Period", "Timing"}, name)
	case "n":
		return slices.Contains([]string{"integer", "decimal", "positiveInt", "unsignedInt", "Range"}, name)
	case "q":
		return slices.Contains([]string{"Quantity", "Age", "Duration", "Count", "Distance", "Money", "Range"}, name)
	case "u":
		return slices.Contains([]string{"uri", "url", "canonical", "oid", "uuid"}, name)
	}
	return false
}

// writePrograms writes, for every type, every parameter's paths.
func (d *definitions) writePrograms(b *bytes.Buffer) error {
	b.WriteString("\n// programText is every search parameter of R4 4.0.1 and US Core 8.0.0. A line\n" +
		"// without a space names a type; below it each line is a parameter: name, kind,\n" +
		"// targets, branches. The form is that of parsePrograms.\nconst programText = `\n")
	d.place()
	for _, name := range append([]string{"Resource"}, d.types...) {
		lines, err := d.programs(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(b, "%s\n%s\n", name, strings.Join(lines, "\n"))
	}
	b.WriteString("`\n")
	return nil
}

// programs are the lines of one base type.
func (d *definitions) programs(base string) (lines []string, err error) {
	hand := byHand(base)
	lines = append(lines, hand...)
	for i := range d.searches {
		row := &d.searches[i]
		name, _, _ := strings.Cut(row.Code, " ")
		if !slices.Contains(row.Base, base) && !(base == "Resource" && slices.Contains(row.Base, "DomainResource")) {
			continue
		}
		if slices.ContainsFunc(hand, func(l string) bool { return strings.HasPrefix(l, name+" ") }) {
			continue
		}
		line, err := d.program(base, row)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", base, row.Code, err)
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return slices.Compact(lines), nil
}

func (d *definitions) program(base string, row *searchRow) (string, error) {
	for _, of := range row.Base {
		if _, skip := unindexed(of, row.Code); skip {
			return "", nil
		}
	}
	kind, ok := kindOf(row.Type)
	if !ok {
		return "", fmt.Errorf("search type %s is not known", row.Type)
	}
	if kind == "c" {
		return d.composite(base, row)
	}
	branches, targets, err := d.branches(base, kind, row.Expression)
	if err != nil {
		return "", err
	}
	if len(branches) == 0 {
		return "", fmt.Errorf("no branch of %q can be indexed", row.Expression)
	}
	return row.Code + " " + kind + " " + targetsOf(row, kind, targets) + " " + strings.Join(branches, " "), nil
}

// targetsOf are the types a reference parameter may point to: those its
// element allows, as far as the parameter names them; "*" for any.
func targetsOf(row *searchRow, kind string, allowed []string) string {
	switch {
	case kind != "r":
		return "-"
	case row.Code == "patient":
		return "Patient"
	}
	var out []string
	for _, t := range allowed {
		if t == "Resource" {
			return "*"
		}
		if slices.Contains(row.Target, t) {
			out = append(out, t)
		}
	}
	if len(out) == 0 {
		out = slices.Clone(row.Target)
	}
	slices.Sort(out)
	if out = slices.Compact(out); len(out) == 0 {
		return "*"
	}
	return strings.Join(out, ",")
}

// composite writes: name c - bases parts, each part kind/branch,branch.
func (d *definitions) composite(base string, row *searchRow) (string, error) {
	var bases []string
	var at state
	for _, branch := range splitBar(row.Expression) {
		states, err := d.follow(base, branch)
		if err != nil {
			return "", err
		}
		for _, s := range states {
			bases, at = append(bases, s.path()), s
		}
	}
	line := row.Code + " c - " + strings.Join(bases, ",")
	for _, part := range row.Component {
		kind, err := d.componentKind(base, part.Definition)
		if err != nil {
			return "", err
		}
		var branches []string
		for _, expression := range splitBar(part.Expression) {
			from, root := at, ""
			if rest, whole := strings.CutPrefix(expression, "%resource."); whole {
				from, expression, root = state{element: base}, rest, "%"
			}
			states, err := d.steps(from.relative(), expression)
			if err != nil {
				return "", err
			}
			if len(states) == 1 && !indexable(kind, states[0].kind) {
				kind = swapped(kind) // DocumentReference.relationship names its two parts crosswise
			}
			for _, s := range states {
				if indexable(kind, s.kind) {
					branches = append(branches, root+s.branch())
				}
			}
		}
		if len(branches) == 0 {
			return "", fmt.Errorf("no branch of component %q can be indexed", part.Expression)
		}
		line += " " + kind + "/" + strings.Join(branches, ",")
	}
	return line, nil
}

func swapped(kind string) string {
	if kind == "r" {
		return "t"
	}
	return "r"
}

// componentKind is the search type of a composite's part.
func (d *definitions) componentKind(base, definition string) (string, error) {
	for i := range d.searches {
		if d.searches[i].URL == definition {
			if kind, ok := kindOf(d.searches[i].Type); ok {
				return kind, nil
			}
		}
	}
	return "", fmt.Errorf("component %s of a composite of %s is not defined", definition, base)
}
