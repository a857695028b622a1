package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// writeSubsets writes which elements of each type are mandatory, modify the
// meaning or belong to the summary: what _summary and _elements keep
// (FHIR R4, search.html#summary).
func (d *definitions) writeSubsets(b *bytes.Buffer) error {
	b.WriteString("\n// subsetText is a line for each type: its name, then each element that is\n" +
		"// mandatory (!), a modifier (?) or of the summary (+), those of backbone\n" +
		"// elements with their path. A star stands for the types of a choice.\nconst subsetText = `\n")
	for _, name := range d.types {
		fmt.Fprintf(b, "%s", name)
		for _, mark := range d.marks(name) {
			fmt.Fprintf(b, " %s", mark)
		}
		b.WriteString("\n")
	}
	b.WriteString("`\n")
	return nil
}

func (d *definitions) marks(name string) (out []string) {
	for i := range d.elements {
		e := &d.elements[i]
		rest, mine := strings.CutPrefix(e.path, name+".")
		if !mine {
			continue
		}
		mark := ""
		if e.mandatory && !strings.Contains(rest, ".") {
			mark += "!"
		}
		if e.modifier && !strings.Contains(rest, ".") && rest != "implicitRules" && rest != "modifierExtension" {
			mark += "?"
		}
		if e.summary {
			mark += "+"
		}
		if mark != "" {
			out = append(out, strings.Replace(rest, "[x]", "*", 1)+mark)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
