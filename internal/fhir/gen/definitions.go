package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
)

// definitions is what is kept of the R4 core package.
type definitions struct {
	types        []string                     // concrete resource types
	elements     []element                    // of every resource and data type
	compartments []compartmentRow             // of the patient compartment
	parameters   map[string]map[string]string // base type -> code -> expression
	searches     []searchRow                  // every search parameter with a base
	byPath       map[string]*element          // made by place
	choices      map[string]bool              // path without [x] -> whether it has one
}

type element struct {
	path                         string
	types                        []string
	content                      string   // path of the element whose content it has
	targets                      []string // types a Reference may point to
	mandatory, modifier, summary bool
}

type compartmentRow struct {
	Code  string   `json:"code"`
	Param []string `json:"param"`
}

func readDefinitions(name string) (*definitions, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open definitions: %w", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("open definitions: %w", err)
	}
	d := &definitions{parameters: map[string]map[string]string{}}
	for archive := tar.NewReader(z); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read definitions: %w", err)
		}
		if err := d.read(path.Base(header.Name), archive); err != nil {
			return nil, fmt.Errorf("%s: %w", header.Name, err)
		}
	}
	slices.Sort(d.types)
	return d, nil
}

func (d *definitions) read(name string, r io.Reader) error {
	switch {
	case strings.HasPrefix(name, "StructureDefinition-"):
		return d.readStructure(json.NewDecoder(r))
	case strings.HasPrefix(name, "SearchParameter-"):
		return d.readParameter(json.NewDecoder(r))
	case name == "CompartmentDefinition-patient.json":
		var c struct {
			Resource []compartmentRow `json:"resource"`
		}
		if err := json.NewDecoder(r).Decode(&c); err != nil {
			return err
		}
		d.compartments = c.Resource
	}
	return nil
}

func (d *definitions) readStructure(r *json.Decoder) error {
	var s struct {
		Kind, Type, Derivation string
		Abstract               bool
		Snapshot               struct {
			Element []struct {
				Path string
				Type []struct {
					Code          string
					TargetProfile []string
				}
				ContentReference      string
				Min                   int
				IsModifier, IsSummary bool
			}
		}
	}
	if err := r.Decode(&s); err != nil {
		return err
	}
	if s.Derivation == "constraint" || s.Kind != "resource" && s.Kind != "complex-type" {
		return nil
	}
	if s.Kind == "resource" && !s.Abstract {
		d.types = append(d.types, s.Type)
	}
	for _, e := range s.Snapshot.Element {
		types := make([]string, 0, len(e.Type))
		var targets []string
		for _, t := range e.Type {
			types = append(types, t.Code)
			for _, profile := range t.TargetProfile {
				targets = append(targets, path.Base(profile))
			}
		}
		d.elements = append(d.elements, element{e.Path, types, strings.TrimPrefix(e.ContentReference, "#"), targets, e.Min > 0, e.IsModifier, e.IsSummary})
	}
	return nil
}

func (d *definitions) readParameter(r *json.Decoder) error {
	var s searchRow
	if err := r.Decode(&s); err != nil {
		return err
	}
	if s.Experimental && strings.Contains(s.URL, "example") {
		return nil // the specification's own examples redefine _id and subject
	}
	d.searches = append(d.searches, s)
	for _, base := range s.Base {
		if d.parameters[base] == nil {
			d.parameters[base] = map[string]string{}
		}
		d.parameters[base][s.Code] = s.Expression
	}
	return nil
}

// paths are the element paths of a parameter on a type, without the type.
// Only the two forms the compartment needs are understood; anything else is
// an error, so that a new definition cannot be half read.
func (d *definitions) paths(base, code string) ([]string, error) {
	var out []string
	for branch := range strings.SplitSeq(d.parameters[base][code], "|") {
		branch = strings.TrimSpace(branch)
		rest, mine := strings.CutPrefix(branch, base+".")
		if !mine {
			continue
		}
		rest = strings.TrimSuffix(rest, ".where(resolve() is Patient)")
		if strings.ContainsAny(rest, "() ") {
			return nil, fmt.Errorf("expression of %s.%s is of no known form", base, code)
		}
		out = append(out, rest)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s.%s has no expression", base, code)
	}
	return out, nil
}

func (d *definitions) writeCompartment(b *bytes.Buffer) error {
	fmt.Fprint(b, "\n// IsType reports whether name is a concrete R4 resource type.\nfunc IsType(name string) bool {\n\tswitch name {\n\tcase ")
	for i, t := range d.types {
		if i > 0 {
			b.WriteString(",\n")
		}
		fmt.Fprintf(b, "%q", t)
	}
	b.WriteString(":\n\t\treturn true\n\t}\n\treturn false\n}\n")
	b.WriteString("\n// compartmentPaths are the elements of a type whose references put a resource\n// into a patient's compartment: CompartmentDefinition/patient through the\n// expressions of its search parameters. None means the type is in no compartment.\nfunc compartmentPaths(name string) []string {\n\tswitch name {\n")
	for _, c := range d.compartments {
		if len(c.Param) == 0 {
			continue
		}
		var all []string
		for _, code := range c.Param {
			paths, err := d.paths(c.Code, code)
			if err != nil {
				return err
			}
			all = append(all, paths...)
		}
		slices.Sort(all)
		fmt.Fprintf(b, "case %q:\n\t\treturn %#v\n", c.Code, slices.Compact(all))
	}
	b.WriteString("\t}\n\treturn nil\n}\n")
	return d.writePatientParameter(b)
}

// writePatientParameter writes where the search parameter patient looks.
func (d *definitions) writePatientParameter(b *bytes.Buffer) error {
	b.WriteString("\n// patientPaths are the elements the search parameter patient looks at.\nfunc patientPaths(name string) []string {\n\tswitch name {\n")
	for _, t := range d.types {
		if d.parameters[t]["patient"] == "" {
			continue
		}
		paths, err := d.paths(t, "patient")
		if err != nil {
			return err
		}
		fmt.Fprintf(b, "case %q:\n\t\treturn %#v\n", t, paths)
	}
	b.WriteString("\t}\n\treturn nil\n}\n")
	return nil
}

// writeElements writes which member names are of type uri, url, oid or uuid,
// and at which paths a member of such a name is a plain string instead.
func (d *definitions) writeElements(b *bytes.Buffer) error {
	uris, texts := map[string]bool{}, map[string][]string{}
	for _, e := range d.elements {
		name := e.path[strings.LastIndexByte(e.path, '.')+1:]
		if name == e.path {
			continue
		}
		for _, t := range e.types {
			member := name
			if choice, is := strings.CutSuffix(name, "[x]"); is {
				member = choice + strings.ToUpper(t[:1]) + t[1:]
			}
			switch t {
			case "uri", "url", "oid", "uuid":
				uris[member] = true
			case "string", "markdown", "code", "id", "http://hl7.org/fhirpath/System.String":
				texts[member] = append(texts[member], strings.TrimSuffix(e.path, name)+member)
			}
		}
	}
	return writeNames(b, uris, texts)
}

func writeNames(b *bytes.Buffer, uris map[string]bool, texts map[string][]string) error {
	var names, plain []string
	for name := range uris {
		if name == "code" || name == "type" || name == "reference" {
			continue // codes but for a few definitions; Reference.reference has its own rule
		}
		names = append(names, name)
		plain = append(plain, texts[name]...)
	}
	slices.Sort(names)
	slices.Sort(plain)
	b.WriteString("\n// isURIName reports whether an element of this name is of type uri, url, oid or\n// uuid somewhere in R4.\nfunc isURIName(name string) bool {\n\tswitch name {\n\tcase ")
	writeList(b, names)
	b.WriteString(":\n\t\treturn true\n\t}\n\treturn false\n}\n\n// isTextPath reports whether an element of such a name is no URI at this path.\nfunc isTextPath(path string) bool {\n\tswitch path {\n\tcase ")
	writeList(b, slices.Compact(plain))
	b.WriteString(":\n\t\treturn true\n\t}\n\treturn false\n}\n")
	return nil
}

func writeList(b *bytes.Buffer, items []string) {
	for i, item := range items {
		if i > 0 {
			b.WriteString(",\n")
		}
		fmt.Fprintf(b, "%q", item)
	}
}
