package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
)

// A row of sensitive.tsv: a code, or a prefix of codes, and its category.
type row struct {
	category, system, code string
	prefix                 bool
}

type rows []row

// The Go constants of the categories of sensitive.tsv.
func categoryConstant(name string) (string, bool) {
	switch name {
	case "psychiatric":
		return "Psychiatric", true
	case "psychotherapy-notes":
		return "PsychotherapyNotes", true
	case "genetic":
		return "Genetic", true
	case "reproductive":
		return "Reproductive", true
	case "addiction":
		return "Addiction", true
	case "hiv-sti":
		return "HIVSTI", true
	case "safeguarding":
		return "Safeguarding", true
	case "imaging":
		return "Imaging", true
	}
	return "", false
}

// systems are the names the column system may hold, with the URIs each stands
// for; what has no URI is matched by the code of package fhir itself.
func systems() map[string][]string {
	return map[string][]string{
		"actcode":         {"http://terminology.hl7.org/CodeSystem/v3-ActCode", "http://hl7.org/fhir/v3/ActCode", "urn:oid:2.16.840.1.113883.5.4"},
		"confidentiality": {"http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "http://hl7.org/fhir/v3/Confidentiality", "urn:oid:2.16.840.1.113883.5.25"},
		"v2-0074":         {"http://terminology.hl7.org/CodeSystem/v2-0074", "http://hl7.org/fhir/v2/0074"},
		"snomed":          {"http://snomed.info/sct", "urn:oid:2.16.840.1.113883.6.96"},
		"loinc":           {"http://loinc.org", "urn:oid:2.16.840.1.113883.6.1"},
		"icd10":           {"http://hl7.org/fhir/sid/icd-10", "http://hl7.org/fhir/sid/icd-10-cm", "http://hl7.org/fhir/sid/icd-10-gm", "http://fhir.de/CodeSystem/bfarm/icd-10-gm", "http://fhir.de/CodeSystem/dimdi/icd-10-gm", "http://hl7.org/fhir/sid/icd-10-uk", "urn:oid:2.16.840.1.113883.6.3", "urn:oid:2.16.840.1.113883.6.90"},
		"rxnorm":          {"http://www.nlm.nih.gov/research/umls/rxnorm", "urn:oid:2.16.840.1.113883.6.88"},
		"atc":             {"http://www.whocc.no/atc", "http://fhir.de/CodeSystem/bfarm/atc", "urn:oid:2.16.840.1.113883.6.73"},
		"cpt":             {"http://www.ama-assn.org/go/cpt", "urn:oid:2.16.840.1.113883.6.12"},
		"type":            nil,
		"profile":         nil,
		"questionnaire":   nil,
		"system":          nil,
	}
}

func readSensitive(name string) (rows, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read codes: %w", err)
	}
	known := systems()
	var out rows
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimRight(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		columns := strings.Split(line, "\t")
		if len(columns) != 5 || columns[2] == "" || columns[3] == "" {
			return nil, fmt.Errorf("codes line %d: want category, system, code, source, meaning", n)
		}
		category, ok := categoryConstant(columns[0])
		if _, isSystem := known[columns[1]]; !ok || !isSystem {
			return nil, fmt.Errorf("codes line %d: unknown category or system", n)
		}
		code, prefix := strings.CutSuffix(columns[2], "*")
		out = append(out, row{category, columns[1], code, prefix})
	}
	return out, nil
}

func (rs rows) write(b *bytes.Buffer) error {
	names := make([]string, 0, len(systems()))
	for name := range systems() {
		names = append(names, name)
	}
	slices.Sort(names)
	b.WriteString("\n// The code systems of sensitive.tsv.\nconst (\n\tsystemNone system = iota\n")
	for _, name := range names {
		fmt.Fprintf(b, "\t%s\n", constant(name))
	}
	b.WriteString(")\n\n// systemOf is the code system a URI names, systemNone if it holds no row.\nfunc systemOf(uri string) system {\n\tswitch uri {\n")
	for _, name := range names {
		if uris := systems()[name]; len(uris) > 0 {
			b.WriteString("case ")
			writeList(b, uris)
			fmt.Fprintf(b, ":\n\t\treturn %s\n", constant(name))
		}
	}
	b.WriteString("\t}\n\treturn systemNone\n}\n")
	rs.writeExact(b, names)
	rs.writePrefixes(b, names)
	return nil
}

func constant(name string) string {
	parts := strings.Split(name, "-")
	for i, p := range parts {
		parts[i] = strings.ToUpper(p[:1]) + p[1:]
	}
	return "system" + strings.Join(parts, "")
}

// of are the rows of one system, exact or prefix, by category.
func (rs rows) of(system string, prefix bool) map[string][]string {
	out := map[string][]string{}
	for _, r := range rs {
		if r.system == system && r.prefix == prefix {
			out[r.category] = append(out[r.category], r.code)
		}
	}
	return out
}

func sortedKeys(m map[string][]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// writeExact writes one switch a system. A code with rows in two categories
// does not compile there, which is what keeps the file honest.
func (rs rows) writeExact(b *bytes.Buffer, names []string) {
	b.WriteString("\n// sensitiveCode is the category of one code, 0 if it has no row.\nfunc sensitiveCode(s system, code string) Category {\n\tswitch s {\n")
	for _, name := range names {
		exact := rs.of(name, false)
		if len(exact) == 0 {
			continue
		}
		fmt.Fprintf(b, "case %s:\n\t\tswitch code {\n", constant(name))
		for _, category := range sortedKeys(exact) {
			b.WriteString("case ")
			writeList(b, exact[category])
			fmt.Fprintf(b, ":\n\t\treturn %s\n", category)
		}
		b.WriteString("}\n")
	}
	b.WriteString("\t}\n\treturn 0\n}\n")
}

func (rs rows) writePrefixes(b *bytes.Buffer, names []string) {
	b.WriteString("\n// sensitivePrefixes are the rows of a system that stand for many codes.\nfunc sensitivePrefixes(s system) []sensitivePrefix {\n\tswitch s {\n")
	vars := &bytes.Buffer{}
	for _, name := range names {
		prefixes := rs.of(name, true)
		if len(prefixes) == 0 {
			continue
		}
		list := constant(name) + "Prefixes"
		fmt.Fprintf(b, "case %s:\n\t\treturn %s[:]\n", constant(name), list)
		fmt.Fprintf(vars, "\nvar %s = [...]sensitivePrefix{\n", list)
		for _, category := range sortedKeys(prefixes) {
			for _, p := range prefixes[category] {
				fmt.Fprintf(vars, "\t{%q, %s},\n", p, category)
			}
		}
		vars.WriteString("}\n")
	}
	b.WriteString("\t}\n\treturn nil\n}\n")
	b.Write(vars.Bytes())
}
