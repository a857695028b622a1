package validate

import (
	"slices"
	"strconv"
	"strings"

	"github.com/abaton-health/abaton/internal/fhir/structure"
)

func itoa(n int) string { return strconv.Itoa(n) }

func contains(list []string, s string) bool { return slices.Contains(list, s) }

// elementPath is where the walk stands as a path of definitions: from the
// nearest resource, without indexes, choices without their type; and the
// types it passes.
func (w *walk) elementPath() (full string, types []*structure.Type, tails []string) {
	var t *structure.Type
	var b strings.Builder
	for i, s := range w.at[:len(w.at)-1] { // the last is the extension itself
		if i == 0 {
			if t = w.v.types.Type(s.name); t == nil {
				return "", nil, nil
			}
			b.WriteString(s.name)
			types, tails = append(types, t), append(tails, "")
			continue
		}
		if t == nil {
			return "", nil, nil
		}
		m, ok := t.Member(s.name)
		if !ok {
			return "", nil, nil
		}
		for j := range tails {
			tails[j] += "." + m.Element.Name
		}
		b.WriteByte('.')
		b.WriteString(m.Element.Name)
		t = m.Type
		if t == nil {
			return "", nil, nil // a resource inside: its type is in the resource
		}
		types, tails = append(types, t), append(tails, "")
	}
	return b.String(), types, tails
}

// inContext reports whether one of the contexts of an extension names where
// the walk stands. In doubt it does.
func (w *walk) inContext(contexts []string) bool {
	full, types, tails := w.elementPath()
	if full == "" || w.at[len(w.at)-2].name == "extension" {
		return true
	}
	for _, c := range contexts {
		c = strings.ReplaceAll(c, "[x]", "")
		if strings.Contains(c, "(") || strings.Contains(c, "/") || c == full {
			return true
		}
		for i, t := range types {
			for base := t; base != nil; base = base.Base {
				if c == base.Name+tails[i] {
					return true
				}
			}
		}
	}
	return false
}
